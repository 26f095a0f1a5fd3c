"""Sample files: the film, its truth tables and the reference pictures, written."""

import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
from av.video.reformatter import Colorspace

from bunny.demo import world
from sample import film, render, script
from sample.script import FRAME_RATE, PlacedShot, place_shots

logger = logging.getLogger(__name__)

CRF = 27
BT709 = 1  # code point of ITU-R BT.709 in H.264's colour description
REFERENCE_PX = 384
ASTRONAUT_CROP = (110, 0, 340, 230)  # x0 y0 x1 y1 of the photograph
SHOT_SCHEMA = {
    "shot_index": pl.Int32,
    "first_frame_index": pl.Int32,
    "end_frame_index": pl.Int32,
    "transition_in": pl.String,
    "transition_first_frame_index": pl.Int32,
    "transition_end_frame_index": pl.Int32,
    "place": pl.String,
    "setup_id": pl.String,
    "light": pl.String,
    "camera": pl.String,
    "shot_size": pl.String,
    "is_dark": pl.Boolean,
    "is_blurred": pl.Boolean,
    "blur_first_frame_index": pl.Int32,
    "blur_end_frame_index": pl.Int32,
    "is_archive": pl.Boolean,
    "card": pl.String,
}
BOX_SCHEMA = {
    "frame_index": pl.Int32,
    "shot_index": pl.Int32,
    "character": pl.String,
    "region": pl.String,
    "x0_px": pl.Float32,
    "y0_px": pl.Float32,
    "x1_px": pl.Float32,
    "y1_px": pl.Float32,
    "visible_share": pl.Float32,
    "yaw": pl.Float32,
    "shot_size": pl.String,
}


def make_sample(folder: Path, progress=iter) -> None:
    """Make everything of the sample in a folder.

    Parameters
    ----------
    folder : Path
        Gets `sample.mp4`, `truth/shot.parquet`, `truth/box.parquet` and `reference/`.
    progress : callable
        Wraps the iterator over frame numbers, for a progress bar.
    """
    placed = place_shots(script.SCRIPT)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    shot_table(placed).write_parquet(folder / "truth" / "shot.parquet")
    boxes = write_film(placed, folder / "sample.mp4", progress)
    pl.DataFrame(boxes, schema=BOX_SCHEMA, orient="row").write_parquet(
        folder / "truth" / "box.parquet"
    )
    write_reference(folder / "reference")
    logger.info("sample: %d shots, %d frames", len(placed), placed[-1].end_frame_index)


def write_film(placed: tuple[PlacedShot, ...], path: Path, progress=iter) -> list[dict]:
    """Encode the film and give the rows of the box table.

    Notes
    -----
    x264 with a fixed number of threads is deterministic, and the muxer is told to leave out
    version and date: two runs on one machine give the same bytes.
    """
    rows: list[dict] = []
    with av.open(str(path), "w", options={"fflags": "+bitexact", "movflags": "faststart"}) as out:
        stream = _open_stream(out)
        for index in progress(range(placed[-1].end_frame_index)):
            picture = av.VideoFrame.from_ndarray(film.frame_at(placed, index), format="rgb24")
            frame = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            out.mux(stream.encode(frame))
            rows.extend(box_rows(placed, index))
        out.mux(stream.encode(None))
    return rows


def _open_stream(out: av.container.OutputContainer) -> av.VideoStream:
    """Set up H.264 at 720p."""
    stream = out.add_stream("libx264", rate=FRAME_RATE)
    stream.width, stream.height, stream.pix_fmt = film.WIDTH_PX, film.HEIGHT_PX, "yuv420p"
    stream.time_base = Fraction(1, FRAME_RATE)
    context = stream.codec_context
    context.thread_count = 2
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.options = {"crf": str(CRF), "preset": "slow", "tune": "animation", "g": "96"}
    return stream


def shot_table(placed: tuple[PlacedShot, ...]) -> pl.DataFrame:
    """Say what is true of each shot; see README.md for the columns."""
    rows = []
    for item in placed:
        shot, first = item.shot, item.first_frame_index
        half, is_blurred = shot.transition_frames // 2, shot.blur != "none"
        is_drawn = bool(shot.parts)
        rows.append(
            {
                "shot_index": item.shot_index,
                "first_frame_index": first,
                "end_frame_index": item.end_frame_index,
                "transition_in": shot.transition_in,
                "transition_first_frame_index": first - half if half else None,
                "transition_end_frame_index": first + half if half else None,
                "place": shot.place,
                "setup_id": shot.setup_id,
                "light": shot.light,
                "camera": shot.camera_kind,
                "shot_size": world.shot_size(film.scene_at(shot, _middle(item)))
                if is_drawn
                else None,
                "is_dark": shot.exposure < 1,
                "is_blurred": is_blurred,
                "blur_first_frame_index": first + shot.blur_frames[0] if is_blurred else None,
                "blur_end_frame_index": first + shot.blur_frames[1] if is_blurred else None,
                "is_archive": shot.photo is not None,
                "card": shot.card,
            }
        )
    return pl.DataFrame(rows, schema=SHOT_SCHEMA, orient="row")


def _middle(item: PlacedShot) -> int:
    """Frame in the middle of a shot, counted from its start."""
    return (item.end_frame_index - item.first_frame_index) // 2


def box_rows(placed: tuple[PlacedShot, ...], frame_index: int) -> list[dict]:
    """Say who is seen in one frame, and where.

    Only characters of the shot that owns the frame count; in a fade or dissolve `visible_share`
    is multiplied by how much of that shot is left in the picture.
    """
    item = film.shot_at(placed, frame_index)
    shot, frame = item.shot, frame_index - item.first_frame_index
    opacity = 1 - film.blend_at(placed, frame_index)[1]
    found = _face_boxes(shot, frame) if shot.photo else _body_boxes(film.scene_at(shot, frame))
    for row in found:
        row["frame_index"], row["shot_index"] = frame_index, item.shot_index
        row["visible_share"] *= opacity
    return found


def _body_boxes(scene: world.Scene) -> list[dict]:
    """Rows for the drawn characters that are in the picture."""
    rows = []
    for index, actor in enumerate(scene.actors):
        box = render.actor_box(scene, index, film.WIDTH_PX, film.HEIGHT_PX)
        if box is None or box.visible_share <= 0:
            continue
        rows.append(
            {
                "character": actor.character.name,
                "region": "body",
                "x0_px": box.x0,
                "y0_px": box.y0,
                "x1_px": box.x1,
                "y1_px": box.y1,
                "visible_share": box.visible_share,
                "yaw": actor.yaw,
                "shot_size": world.size_of(actor.scale * scene.camera[2]),
            }
        )
    return rows


def _face_boxes(shot, frame: int) -> list[dict]:
    """Rows for the faces in a photograph."""
    rows = []
    for name, (x0, y0, x1, y1) in film.faces_at(shot, frame).items():
        left, top = max(0.0, x0), max(0.0, y0)
        right, bottom = min(float(film.WIDTH_PX), x1), min(float(film.HEIGHT_PX), y1)
        if right <= left or bottom <= top:
            continue
        share = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
        rows.append(
            {
                "character": name,
                "region": "face",
                "x0_px": left,
                "y0_px": top,
                "x1_px": right,
                "y1_px": bottom,
                "visible_share": share,
                "yaw": 0.0,
                "shot_size": "medium",
            }
        )
    return rows


def write_reference(folder: Path) -> None:
    """Draw the reference pictures: poses and backgrounds that the film does not show."""
    for name, scenes in reference_scenes().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, scene in enumerate(scenes, start=1):
            picture = render.render(scene, REFERENCE_PX, REFERENCE_PX)
            _write_jpeg(folder / name / f"{number}.jpg", picture)
    (folder / "astronaut").mkdir(parents=True, exist_ok=True)
    x0, y0, x1, y1 = ASTRONAUT_CROP
    _write_jpeg(folder / "astronaut" / "1.jpg", film.photo("astronaut")[y0:y1, x0:x1])


def reference_scenes() -> dict[str, tuple[world.Scene, ...]]:
    """Give the scenes of the references; bolt has none, so it stays unknown."""
    poses = (
        ("studio", 0, 0.0, 0.62, 0.62, {"wave": 1.0, "phase": 0.1, "mouth": 0.9}),
        ("studio", 2, 0.55, 1.2, 1.2, {"mouth": 0.0, "tilt": -8.0}),
        ("mountain", 9, -0.45, 0.6, 0.6, {"stride": 1.0, "phase": 0.3}),
        ("studio", 4, -0.85, 0.66, 0.66, {"mouth": 0.6, "phase": 0.2}),
    )
    counts = {script.CLOVER: 4, script.BRUNO: 3, script.EMBER: 3, script.PIP: 2}
    return {
        character.name: tuple(_reference_scene(character, *pose) for pose in poses[:count])
        for character, count in counts.items()
    }


def _reference_scene(character, place, seed, yaw, scale, fill, more) -> world.Scene:
    """One character alone, square picture."""
    actor = world.Actor(character=character, yaw=yaw, scale=0.5, **more)
    ears = 0.72 if character.species == "rabbit" and fill < 1 else 0.56
    height = 0.66 if fill >= 1 else ears
    return world.Scene(
        place=place, actors=(actor,), seed=seed, camera=(0.0, 0.9 - height * 0.5, fill / 0.5)
    )


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Write RGB as a JPEG of quality 92."""
    ok, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not ok:
        raise OSError(f"could not encode {path}")
    path.write_bytes(data.tobytes())
