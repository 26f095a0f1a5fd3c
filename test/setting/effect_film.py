"""Effects of the settings of extract, filter, detect and cluster.

The films are made in `film_encoded.py` and `film_by_hand.py`; what is to come out is worked out
from what they say about themselves.
"""

from functools import partial
from typing import Any

import cv2
import numpy as np
import polars as pl
from PIL import Image
from setting_effect import Effect, Seen, differ

_moved = partial(Effect, is_moved=True)  # a stage must not be taken for done, nor its shards

# -- extract ------------------------------------------------------------------------------------

START, MIDDLE, END = 2, 12, 22  # frames that stand for the moving shot of `cut_film`
FLASH, STILL = 24, 42  # and for those of 3 and of 33 frames; with the flash in it the same frame


def _taken(seen: Seen) -> list[int]:
    return seen.table("frame")["frame_index"].to_list()


def _cuts(seen: Seen) -> list[int]:
    """First frames of the shots."""
    return seen.table("shot")["first_frame_index"].to_list()


def _kinds(seen: Seen) -> list[str]:
    return seen.table("shot")["kind"].to_list()


def _picture(seen: Seen) -> np.ndarray:
    """The first stored picture, BGR."""
    return cv2.imread(str(seen.space.root / seen.table("frame")["file"][0]))


def _format(seen: Seen) -> set[tuple[str, str | None]]:
    """Suffixes of the pictures, and what is in the files."""
    found = set()
    for file in seen.table("frame")["file"]:
        with Image.open(seen.space.root / file) as picture:
            found.add((file[file.index(".") :], picture.format))
    return found


def _first_step(seen: Seen) -> int:
    """By which the mean of a block of luma is divided in the first stored JPEG."""
    with Image.open(seen.space.root / seen.table("frame")["file"][0]) as picture:
        return picture.quantization[0][0]


def _size(seen: Seen) -> tuple[int, int]:
    """Width and height of the first stored picture."""
    return _picture(seen).shape[1::-1]


def _is_combed(seen: Seen) -> bool:
    """Whether neighbouring lines of the first picture differ."""
    lines = _picture(seen).astype(int)
    return bool(np.abs(np.diff(lines, axis=0)).max() > 20)


def _level(seen: Seen) -> list[int]:
    """A pixel of the first picture."""
    return _picture(seen)[32, 8].tolist()


_of_cuts = partial(_moved, stages=("extract",), film="cut_film")
EXTRACTION = {
    "extraction.method": _of_cuts(
        values=("keyframe", "interval"),
        look=_taken,
        gives=([0, 10, 20, 30, 40, 50], [0, 48]),
        says="frames taken: the codec's keyframes, each 10; one each 2 seconds",
    ),
    "extraction.interval_seconds": _of_cuts(
        values=(0.5, 1.0),
        given={"extraction.method": "interval"},
        look=_taken,
        gives=([0, 12, 24, 36, 48], [0, 24, 48]),
        says="of a film of 24 a second: each 12th frame and each 24th",
    ),
    "extraction.output_format": _of_cuts(
        values=("png", "webp"),
        look=_format,
        gives=({(".png", "PNG")}, {(".webp", "WEBP")}),
        says="the files are PNG and WebP, by name and content",
    ),
    "extraction.quality": _of_cuts(  # of libjpeg's table, 16: by 2 (100 - 95) %, by 5000 / 20 %
        values=(95, 20),
        look=_first_step,
        gives=(2, 40),
        says="luma is rounded in the JPEG to steps of 2 and of 40",
    ),
    "extraction.cut_threshold": _of_cuts(
        values=(1.0, 10.0), look=_cuts, gives=([0, 24], [0]), says="shots: 2 and 1"
    ),
    "extraction.min_shot_frames": _of_cuts(
        values=(4, 3),
        look=_cuts,
        gives=([0, 24], [0, 24, 27]),
        says="a shot of 3 frames: part of its neighbour, and one of its own",
    ),
    "extraction.static_range": _of_cuts(
        values=(0.035, 0.0),
        look=_kinds,
        gives=(["dynamic", "static"], ["dynamic", "dynamic"]),
        says="a shot that stands after a flash: static, and dynamic",
    ),
    "extraction.frames_per_dynamic_shot": _of_cuts(
        values=(3, 1),
        look=_taken,
        gives=([START, MIDDLE, END, FLASH, STILL], [MIDDLE, FLASH, STILL]),
        says="pictures of the shot that moves: start, middle and end, and its middle",
    ),
    "extraction.extra_interval_seconds": _of_cuts(
        values=(0.0, 0.25),
        look=_taken,
        gives=(
            [START, MIDDLE, END, FLASH, STILL],
            [START, 6, MIDDLE, 18, END, 24, 30, 36, STILL, 48, 54],
        ),
        says="pictures inside shots: none, and each 6th frame of 24 a second",
    ),
    "extraction.shot_detector": _moved(
        values=("fast", "scenedetect-content"),
        stages=("extract",),
        film="dissolve_film",
        look=_cuts,
        gives=([0, 52], [0]),
        says="a dissolve is found in its middle, and not found",
    ),
    "extraction.video_stream": _moved(
        values=(-1, 0),
        stages=("extract",),
        film="stream_film",
        look=_size,
        gives=((128, 96), (64, 48)),
        says="pictures are of the largest stream, and of the first",
    ),
    "extraction.folder": _moved(
        values=("pictures", "sequence"),
        stages=("extract",),
        film="folder_film",
        look=_taken,
        gives=(list(range(12)), [6]),
        says="of 12 pictures that are the same: all, and the one in the middle of a still shot",
    ),
    "extraction.crop_bars": _moved(
        values=(True, False),
        stages=("extract",),
        film="bar_film",
        look=_size,
        gives=((160, 64), (160, 96)),
        says="pictures have 64 lines, and 96 with their bars",
    ),
    "extraction.deinterlace": _moved(
        values=("on", "off"),
        stages=("extract",),
        film="field_film",
        look=_is_combed,
        gives=(False, True),
        says="lines of two moments are made one, and left",
    ),
    "extraction.tone_curve": _moved(  # 0.2207 / 0.5646 of white is 168 in sRGB
        values=("clip", "hable"),
        stages=("extract",),
        film="light_film",
        look=_level,
        gives=([255] * 3, [168] * 3),
        says="a grey of 203 cd/m2 is shown as 255 and as 168",
    ),
}

# -- filter -------------------------------------------------------------------------------------

WEAK = {8: "title", 9: "credit", 11: "duplicate"}  # of `measured_film`, by the balanced preset


def _dropped(seen: Seen) -> dict[int, str]:
    """Reasons of the frames that are not kept, by their numbers."""
    left_out = seen.table("quality").filter(~pl.col("is_kept"))
    return {_number(one): why for one, why in left_out.select("frame_id", "reason").iter_rows()}


def _number(frame_id: str) -> int:
    return int(frame_id[-8:])


def _num_kept(seen: Seen) -> int:
    return seen.table("quality")["is_kept"].sum()


_of_filter = partial(_moved, stages=("filter",), film="measured_film")
FILTERING = {
    "filtering.preset": _of_filter(
        values=("balanced", "strict"),
        look=_dropped,
        gives=(
            WEAK,
            {
                **WEAK,
                1: "blurred",
                2: "dark",
                3: "bright",
                4: "flat",
                5: "smeared",
                6: "blocky",
                7: "subtitled",
            },
        ),
        says="dropped for their own weakness: 2 of 12 frames and 9",
    ),
    "filtering.keep_about": _of_filter(
        values=(0, 4), look=_num_kept, gives=(9, 4), says="kept: 9 and 4"
    ),
    "filtering.blur_threshold": _of_filter(
        values=(0.2, 0.201),
        look=_dropped,
        gives=(WEAK, {**WEAK, 1: "blurred"}),
        says="a frame of blur_score 0.2: kept and blurred",
    ),
    "filtering.batch_size": _of_filter(
        values=(1, 4), look=_num_kept, gives=(9, 3), says="kept of 12 frames: 9 and one of each 4"
    ),
    "filtering.keep_best_per_batch": _of_filter(
        values=(1, 2),
        given={"filtering.batch_size": 4},
        look=_num_kept,
        gives=(3, 5),
        says="kept of batches of 4: one each and two each",
    ),
    "filtering.min_brightness": _of_filter(
        values=(0.08, 0.09),
        look=_dropped,
        gives=(WEAK, {**WEAK, 2: "dark"}),
        says="a frame of brightness 0.08: kept and dark",
    ),
    "filtering.max_brightness": _of_filter(
        values=(0.95, 0.94),
        look=_dropped,
        gives=(WEAK, {**WEAK, 3: "bright"}),
        says="a frame of brightness 0.95: kept and bright",
    ),
    "filtering.min_contrast": _of_filter(
        values=(0.03, 0.04),
        look=_dropped,
        gives=(WEAK, {**WEAK, 4: "flat"}),
        says="a frame of contrast 0.03: kept and flat",
    ),
    "filtering.max_smear": _of_filter(
        values=(0.7, 0.69),
        look=_dropped,
        gives=(WEAK, {**WEAK, 5: "smeared"}),
        says="a frame of smear 0.7: kept and smeared",
    ),
    "filtering.max_blockiness": _of_filter(
        values=(0.55, 0.54),
        look=_dropped,
        gives=(WEAK, {**WEAK, 6: "blocky"}),
        says="a frame of blockiness 0.55: kept and blocky",
    ),
    "filtering.max_subtitle_share": _of_filter(
        values=(0.05, 0.04),
        look=_dropped,
        gives=(WEAK, {**WEAK, 7: "subtitled"}),
        says="a frame with 0.05 of it under subtitles: kept and subtitled",
    ),
    "filtering.drop_kinds": _of_filter(
        values=(("title",), ("credit",)),
        look=_dropped,
        gives=({8: "title", 11: "duplicate"}, {9: "credit", 11: "duplicate"}),
        says="the title card is dropped, or the credits",
    ),
    "filtering.duplicate_distance": _of_filter(
        values=(3, 2),
        look=_dropped,
        gives=(WEAK, {8: "title", 9: "credit"}),
        says="two like frames whose hashes differ by 3 bits: one is kept, both are",
    ),
    "filtering.duplicate_structure": _of_filter(
        values=(0.9, 1.0),
        look=_dropped,
        gives=(WEAK, {8: "title", 9: "credit"}),
        says="two like frames, not the same: one is kept, both are",
    ),
}

# -- detect -------------------------------------------------------------------------------------


def _faces(seen: Seen) -> list[str]:
    """Frame and number of each face, e.g. `4-f00`."""
    return [f"{_number(one[:-4])}{one[-4:]}" for one in sorted(seen.table("face")["face_id"])]


def _num_faces(seen: Seen) -> int:
    return seen.table("face").height


def _faces_and_routes(seen: Seen) -> tuple[int, list[str]]:
    """How many faces are in the film, and what the references are known by."""
    return _num_faces(seen), seen.table("reference")["route"].to_list()


def _num_by_medium(seen: Seen) -> tuple[int, int]:
    """Faces that may be recognised, and faces of drawn shots."""
    return _num_faces(seen), seen.table("drawn_face").height


def _vector(seen: Seen) -> tuple[str, list[float]]:
    """What the first face is compared by: the model, and the first numbers of its vector."""
    face = seen.table("face")
    return face["recogniser"][0], np.round(face["embedding"][0].to_list()[:4], 3).tolist()


def _are_other_vectors(one: Any, other: Any) -> bool:
    return (one[0], other[0]) == ("sface", "dlib") and one[1] != other[1]


def _named(seen: Seen) -> dict[int, list[str]]:
    """Characters by the number of the frame that they are named in."""
    rows = seen.table("label").drop_nulls("character").sort("subject_id")
    found: dict[int, list[str]] = {}
    for one, name in rows.select("frame_id", "character").iter_rows():
        found.setdefault(_number(one), []).append(name)
    return {number: sorted(names) for number, names in found.items()}


def _calibrated(seen: Seen) -> tuple[float, str, dict[int, list[str]]]:
    """The threshold of faces, where it is from, and who is named by it."""
    row = seen.table("calibration").row(0, named=True)
    return round(row["threshold"], 4), row["source"], _named(seen)


def _adapted(seen: Seen) -> tuple[bool, bool]:
    """Whether an adaptation is used, and whether pairs of faces were compared by it."""
    is_adapted = seen.table("calibration")["is_adapted"][0]
    return is_adapted, seen.table("pair")["adapted_similarity"].null_count() == 0


def _between(seen: Seen) -> list[int]:
    """Frames that were looked at besides those of extract."""
    return seen.table("extra_frame")["frame_index"].to_list()


def _models(seen: Seen) -> set[str]:
    """What found and compared the regions."""
    return set(seen.table("region")["model"])


def _are_drawn(seen: Seen) -> list[bool]:
    """Whether the film's frames, which are bright, were called drawn."""
    return [logit > 0 for logit in seen.table("frame_medium")["drawn_logit"]]


ALONE = ["0-f00", "1-f00", "2-f00", "3-f00"]  # faces of `named_film` that share no frame,
THREE = ["4-f00", "4-f01", "4-f02"]  # and those of one frame, of 30, 40 and 50 px
TINY = {
    "detection.drawn_detector": "anime-person:{root}/model/both",
    "detection.drawn_embedding": "ccip:{root}/model/ccip",
}
_of_names = partial(_moved, stages=("detect",), film="named_film")
_of_face = partial(_moved, stages=("detect",), film="face_film")
_of_small_face = partial(_moved, stages=("detect",), film="small_face_film")
_of_regions = partial(_moved, stages=("detect",), film="region_film")
_of_figures = partial(_moved, stages=("detect",), film="figure_film")
_of_colours = partial(_moved, stages=("detect",), film="colour_film")
DETECTION = {
    "detection.face_detection_model": _of_small_face(
        values=("yunet", "hog"),
        look=_num_faces,
        gives=(1, 0),
        says="a face of 14 px: found, and too small for HOG",
    ),
    "detection.effort": _of_face(
        values=("thorough", "fast"),
        given={"detection.extra_interval_seconds": 0.5},
        look=_between,
        gives=([12, 36], []),
        says="frames looked at between those of each second: the middle ones, and none",
    ),
    "detection.has_small_faces": _of_small_face(
        values=(True, False),
        look=_num_faces,
        gives=(1, 0),
        says="a face of 14 px in a picture of 1280: found, and not",
    ),
    "detection.extra_interval_seconds": _of_face(
        given={"detection.effort": "thorough"},
        values=(0.0, 0.5),
        look=_between,
        gives=([], [12, 36]),
        says="frames looked at between those of each second: none, and the middle ones",
    ),
    "detection.recogniser": _of_face(
        values=("sface", "dlib"),
        look=_vector,
        holds=_are_other_vectors,
        says="faces have vectors of SFace, and of dlib",
    ),
    "detection.min_face_score": _of_face(
        values=(0.7, 1.0),
        look=_faces_and_routes,
        gives=((2, ["face"]), (0, ["region"])),
        says="two faces in the film and one in the reference, and none",
    ),
    "detection.min_face_px": _of_names(
        values=(40, 41),
        look=_faces,
        gives=(ALONE + THREE[1:], ALONE + THREE[2:]),
        says="a face of 40 px: kept, and left out; one of 30 px is left out both times",
    ),
    "detection.max_faces_per_frame": _of_names(
        values=(3, 1),
        look=_faces,
        gives=(ALONE + THREE, ALONE + THREE[2:]),
        says="faces of a frame with three: all, and the largest",
    ),
    "detection.similarity_threshold": _of_names(
        values=(0.38, 0.29),
        look=_named,
        gives=({0: ["anna"], 2: ["anna"]}, {0: ["anna"], 1: ["anna"], 2: ["anna"]}),
        says="a face like Anna to 0.3: nobody, and Anna",
    ),
    "detection.min_margin": _of_names(
        values=(0.05, 0.1),
        look=_named,
        gives=({0: ["anna"], 2: ["anna"]}, {0: ["anna"]}),
        says="a face nearer to Anna than to Ben by 0.08: Anna, and nobody",
    ),
    # 31 strangers of likeness 0 count 31 of 81 against 0.38, which may move by 0.08 at most.
    "detection.calibration": _moved(
        values=("film", "fixed"),
        stages=("detect",),
        film="stranger_film",
        look=_calibrated,
        gives=((0.3, "film", {10: ["anna"]}), (0.38, "settings", {})),
        says="the threshold: 0.30 by the film's strangers, and 0.38 as set",
    ),
    "detection.is_adapted": _moved(
        values=(True, False),
        stages=("detect",),
        film="varied_film",
        look=_adapted,
        gives=((True, True), (False, False)),
        says="faces are compared with their light taken off, and as they are",
    ),
    "detection.medium": _of_face(
        values=("photographed", "drawn"),
        look=_num_by_medium,
        gives=((2, 0), (0, 2)),
        says="two faces to be recognised, and two that are drawn",
    ),
    "detection.is_drawn_enabled": _of_regions(
        values=(True, False),
        look=_named,
        gives=({0: ["anna"], 1: ["anna"]}, {}),
        says="frames with Anna, known by her look alone: 2 and none",
    ),
    "detection.drawn_threshold": _of_regions(
        values=(0.45, 0.55),
        look=_named,
        gives=({0: ["anna"], 1: ["anna"]}, {0: ["anna"]}),
        says="a place like Anna to 0.5: Anna, and nobody",
    ),
    "detection.drawn_margin": _of_regions(
        values=(0.1, 0.2),
        look=_named,
        gives=({0: ["anna"], 1: ["anna"]}, {0: ["anna"]}),
        says="a place nearer to Anna than to others by 0.15: Anna, and nobody",
    ),
    "detection.figure_score": _of_figures(
        values=(0.8, 0.9),
        look=_named,
        gives=({0: ["anna"], 1: ["anna"]}, {0: ["anna"]}),
        says="a figure of score 0.85: Anna, and nobody",
    ),
    "detection.figure_presence": _of_figures(
        values=(0.95, 1.05),
        look=_named,
        gives=({0: ["anna"], 1: ["anna"]}, {}),
        says="figures of a film whose best score is 1: Anna, and nobody",
    ),
    "detection.drawn_detector": _of_colours(
        values=(TINY["detection.drawn_detector"], "anime-person:{root}/model/left"),
        given={"detection.drawn_embedding": TINY["detection.drawn_embedding"]},
        look=_named,
        gives=({0: ["moss", "rose"], 1: ["rose"]}, {0: ["rose"], 1: ["rose"]}),
        says="a detector that sees both figures of a frame, and one that sees the left",
    ),
    "detection.drawn_embedding": _of_colours(
        values=("", TINY["detection.drawn_embedding"]),
        look=_models,
        gives=({"efficientnet-lite0"}, {"efficientnet-lite0+ccip"}),
        says="places are compared by the built-in network, and by CCIP",
    ),
    "detection.ccip_threshold": _of_colours(
        values=(0.5, 1.0),
        given=TINY,
        look=lambda seen: sum(map(len, _named(seen).values())),
        gives=(3, 1),
        says="names of three figures, and of the one without any difference",
    ),
    "detection.drawn_classifier": _of_colours(
        values=("anime-real:{root}/model/bright", "anime-real:{root}/model/dark"),
        given={"detection.medium": "auto", "detection.is_drawn_enabled": False},
        look=_are_drawn,
        gives=([True] * 3, [False] * 3),
        says="bright pictures are called drawn, and photographed",
    ),
}


def _is_alike_between(column: str, seen: Seen) -> bool:
    """Whether the face measures the same in frames between the kept ones as in those, to 5 %."""
    face = seen.table("face").select("frame_id", column)
    kept = face.filter(pl.col("frame_id").is_in(seen.table("frame")["frame_id"].to_list()))
    between = face.join(kept, on="frame_id", how="anti")
    assert (kept.height, between.height) == (2, 2)
    return abs(between[column].mean() / kept[column].mean() - 1) < 0.05


def _scene_vector(seen: Seen) -> list[float]:
    """The first numbers of the first frame's scene vector."""
    return np.round(seen.table("embedding")["vector"][0].to_list()[:16], 4).tolist()


_between_too = partial(
    _moved,
    stages=("extract", "detect"),
    given={"detection.extra_interval_seconds": 0.5, "detection.effort": "thorough"},
    gives=(True, True),
)
BETWEEN = {  # settings of extract that hold for frames which detect decodes again, too
    "extraction.deinterlace": _between_too(
        values=("on", "off"), film="woven_face_film", look=partial(_is_alike_between, "sharpness")
    ),
    "extraction.tone_curve": _between_too(
        values=("hable", "clip"),
        film="bright_face_film",
        look=partial(_is_alike_between, "brightness"),
    ),
}
PICTURES_ANEW = _moved(  # under the same names, so that no table but `measure` tells of it
    values=("hable", "clip"),
    stages=("extract", "detect", "cluster"),
    film="bright_face_film",
    look=_scene_vector,
    holds=differ,
)

# -- cluster ------------------------------------------------------------------------------------

SCENES = [1, 1, 1, 2, None]  # of `placed_film`, by the settings as they come


def _scenes(seen: Seen) -> list[int | None]:
    """Scene of each frame; None: noise."""
    rows = seen.table("cluster").filter(level="scene").sort("item_id")
    return [int(one[-3:]) if one else None for one in rows["cluster_id"]]


def _unknown(prefix: str, seen: Seen) -> list[int]:
    """Number of the person, or the figure, that each unknown item is."""
    rows = seen.table("cluster").filter(level="unknown").sort("item_id")
    return [int(one[-2:]) for one in rows["cluster_id"] if one.startswith(prefix)]


def _num_runs(seen: Seen) -> set[int]:
    """By how many samples each grouping was tried."""
    return set(seen.table("stability").filter(compared_with="sample")["num_runs"])


_of_places = partial(_moved, stages=("cluster",), film="placed_film")
CLUSTERING = {
    "clustering.scene_threshold": _of_places(
        values=(0.85, 0.9),
        look=_scenes,
        gives=(SCENES, [1, 1, 2, 3, None]),
        says="a frame 0.853 from two others: in their scene, and in one of its own",
    ),
    "clustering.character_threshold": _of_places(
        values=(0.75, 0.9),
        look=partial(_unknown, "person"),
        gives=([1, 1, 1, 1, 2], [1, 1, 2, 2, 3]),
        says="two pairs of faces with cosines of 0.77: one person, and two",
    ),
    "clustering.figure_threshold": _of_places(
        values=(0.76, 0.77),
        look=partial(_unknown, "figure"),
        gives=([1] * 8, [1] * 4 + [2] * 4),
        says="two pairs of figures with cosines of 0.766: one figure, and two",
    ),
    "clustering.noise_threshold": _of_places(
        values=(0.5, 0.7),
        look=_scenes,
        gives=(SCENES, [1, 1, 1, None, None]),
        says="a frame 0.62 from the nearest scene: a scene of its own, and noise",
    ),
    "clustering.unknown_method": _of_places(
        values=("agglomerative", "hdbscan"),
        look=lambda seen: (_unknown("person", seen), _unknown("figure", seen)),
        gives=(([1, 1, 1, 1, 2], [1] * 8), ([1, 1, 2, 2, 3], [1] * 4 + [2] * 4)),
        says="two tight pairs of faces or figures, near each other: one group, and two",
    ),
    "clustering.scene_method": _of_places(
        values=("incremental", "agglomerative"),
        look=_scenes,
        gives=(SCENES, [1, 2, 2, 3, None]),
        says="frames at 0, 25 and 44 degrees: one scene, and the latter two one",
    ),
    "clustering.stability_runs": _of_places(
        values=(0, 3), look=_num_runs, gives=(set(), {3}), says="samples tried: none and 3"
    ),
}

EFFECT = EXTRACTION | FILTERING | DETECTION | CLUSTERING
NOT_SEEN: dict[str, str] = {}
