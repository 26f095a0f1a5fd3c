"""Settings that a stage reads at a second place: each is given a value that is not its default."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import noise_film
import numpy as np
import plain_row
import polars as pl
import pytest
import tiny_onnx
from face_row import face_row

from bunny import demo
from bunny.caption import provider_loader
from bunny.caption.metadata_facts import Facts
from bunny.caption.question import QuestionMaker
from bunny.character import film_label, reference, reference_measure
from bunny.character.drawn import region_search
from bunny.character.label import ReferenceSet
from bunny.character.model_set import DetectionModels
from bunny.core import atomic
from bunny.core.config import (
    AwsConfig,
    CaptioningConfig,
    Config,
    DetectionConfig,
    ExtractionConfig,
    FilteringConfig,
)
from bunny.core.error import UserError
from bunny.dataset import crop_selection
from bunny.dataset.image_folder import TrainingExample
from bunny.evaluation import face_identity, gallery
from bunny.generation import provenance
from bunny.stage.caption import Caption
from bunny.stage.cluster import Cluster
from bunny.stage.dataset import Dataset, crop_reader
from bunny.stage.detect import Detect
from bunny.stage.evaluate import Evaluate
from bunny.stage.finetune import Finetune
from bunny.stage.generate import NOTE_NEGATIVE, Generate
from bunny.table import store
from bunny.video import extra_frame


def make(stage, folder, **sections):
    return stage(Config.model_validate(sections), folder, folder)


@pytest.mark.parametrize("stage", [Detect, Cluster, Dataset, Finetune, Evaluate])
def test_what_is_drawn_by_the_seed_is_out_of_date_with_another(
    labelled_film, tiny_base_folder, stage
):
    models = {"base_model": str(tiny_base_folder)}
    before, same, other = (
        make(stage, labelled_film, seed=seed, models=models).settings() for seed in (0, 0, 5)
    )
    assert before == same != other


def test_faces_of_the_evaluation_are_out_of_date_with_another_score(
    labelled_film, tiny_base_folder
):
    models = {"base_model": str(tiny_base_folder)}
    before, other = (
        make(Evaluate, labelled_film, detection={"min_face_score": score}, models=models).settings()
        for score in (DetectionConfig().min_face_score, 0.9)
    )
    assert other == before | {"detection.min_face_score": 0.9} != before


@pytest.mark.parametrize(("effort", "number"), [("fast", 4), ("balanced", 8)])
def test_doubted_shots_are_looked_at_again_unless_it_has_to_be_fast(labelled_film, effort, number):
    """Of blank pictures nothing can be told, so all four shots are in doubt."""
    for path in (labelled_film / "frame").iterdir():
        cv2.imwrite(str(path), np.full((96, 128, 3), 90, np.uint8))
    stage = make(Detect, labelled_film, detection={"effort": effort})
    judged = stage._frame_media(store.read(labelled_film / "table", "frame"))
    assert judged.height == number


def test_the_film_is_told_drawn_only_where_nobody_says_so(labelled_film):
    """Said to be drawn, the stage neither asks the classifier nor depends on it."""
    told = make(Detect, labelled_film, detection={"medium": "drawn"})
    assert "medium classifier" not in told.settings()
    assert "medium classifier" in make(Detect, labelled_film).settings()
    frame = store.read(labelled_film / "table", "frame")
    assert told._frame_media(frame).is_empty()


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("clip", {"model": "tiny", "min_probability": 0.25}),
        ("tagger", {"model": "tiny", "general_threshold": 0.25}),
        ("transformers", {"model": "tiny", "prompt": "Say it."}),
        ("local", {"model": "seer"}),
    ],
)
def test_captions_depend_on_the_section_of_each_provider(labelled_film, name, own):
    stage = make(Caption, labelled_film, captioning={"providers": [name, "tags"], name: own})
    wanted = {f"captioning.{name}.{key}": value for key, value in own.items()}
    assert wanted.items() <= stage.settings().items()


@pytest.mark.parametrize(("interval_s", "depends"), [(0.0, False), (2.0, True)])
def test_what_makes_pictures_counts_where_pictures_are_made(labelled_film, interval_s, depends):
    stage = make(Detect, labelled_film, detection={"extra_interval_seconds": interval_s})
    assert (
        extra_frame.settings(stage.config.extraction).items() <= stage.settings().items()
    ) == depends


def test_shots_in_doubt_are_searched_at_half_the_interval_that_is_set(labelled_film):
    """Frames are kept at 0 and 4 s of 10 s; each 2 s are set, so each second is looked at."""
    anna, nobody = np.eye(4, dtype=np.float32)[:2]
    vector = 0.3 * anna + 0.9 * nobody
    frame = store.from_rows("frame", [_frame(i, 0, (128, 96)) for i in (0, 96)])
    face = store.from_rows("face", [_face(i, 0, vector, sharpness=500.0) for i in (0, 96)])
    shot = store.from_rows("shot", [plain_row.shot(0, length=240, transition_in="start")])
    store.write(labelled_film / "table", "shot", shot)
    cast = ReferenceSet(face={"anna": anna[None]}, drawn=frozenset(), num_pictured=0)
    stage = make(Detect, labelled_film, detection={"extra_interval_seconds": 2.0})
    between = extra_frame.choose_frames(shot, frame, 2.0)
    wanted, skipped = stage._plan_search(between, frame, face, cast)
    looked_at = {*wanted["frame_index"], *skipped["frame_index"]}
    assert looked_at == {24, 48, 72, 120, 144, 168, 192, 216}


def _frame(index, shot, size):
    return plain_row.frame(index, shot, size, frame_id=f"f{index:03d}")


def _face(index, shot, vector, number=0, **more):
    frame_id = f"f{index:03d}"
    place = {"x_px": 300.0 * number, "frame_id": frame_id, "shot_index": shot}
    return face_row(f"{frame_id}-f{number}", vector, **place, **more)


class Measured(Detect):
    """Decides over faces that were made by hand instead of measured."""

    def measure(self):
        frame, face = _people()
        empty = {one: store.from_rows(one, []) for one in ("extra_frame", "region", "figure")}
        found = film_label.FilmDetections(frame=frame, face=face, extra_face=face.clear(), **empty)
        known = {name: store.from_rows(name, []) for name in ("reference", "shot_medium")}
        return SimpleNamespace(found=found, known=known["reference"], described={}, tables=known)


def _people():
    """Tables of 40 shots with two of 60 people, whose vectors move alike from frame to frame."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(60, 16)) * ([0.2] * 4 + [1.0] * 12)
    frames, faces = [], []
    for index in range(160):
        shot = index // 4
        frames.append(_frame(index, shot, (640, 360)))
        for number, who in enumerate((shot, 59 - shot)):
            moved = people[who] + 0.5 * rng.normal(size=16)
            moved[:4] += 2.0 * rng.normal(size=4)
            faces.append(_face(index, shot, moved / np.linalg.norm(moved), number))
    return store.from_rows("frame", frames), store.from_rows("face", faces)


def test_the_film_is_tried_out_in_parts_that_the_seed_draws(labelled_film):
    """What its people teach is judged on shots held out at random."""
    separation = {}
    for seed in (0, 5):
        made = make(Measured, labelled_film, seed=seed).run()
        (row,) = made.tables["calibration"].iter_rows(named=True)
        separation[seed] = row["separation"], row["adapted_separation"]
    assert None not in (*separation[0], *separation[5])
    assert separation[0] != separation[5]


def test_drawn_references_are_not_described_where_nothing_drawn_is_sought(labelled_film):
    known = pl.DataFrame(
        {"reference_id": ["astronaut/1.jpg"], "is_drawn": [True], "error": [None]},
        schema_overrides={"error": pl.String},
    )
    stage = make(Detect, labelled_film, detection={"is_drawn_enabled": False})
    stage.source["references"] = str(demo.reference_dir())
    assert "astronaut/1.jpg" in {one.reference_id for one in stage._reference_files}
    assert stage._describe(known) == {}


def test_references_are_measured_anew_at_another_score(labelled_film, tmp_path):
    """Her face is sure enough for the first score, and no face is for the second."""
    (tmp_path / "cast").mkdir()
    shutil.copy(demo.reference_dir() / "astronaut" / "1.jpg", tmp_path / "cast" / "eileen.jpg")

    def measure(score):
        wanted = {"min_face_score": score, "medium": "photographed", "is_drawn_enabled": False}
        stage = make(Detect, labelled_film, detection=wanted)
        stage.source["references"] = str(tmp_path / "cast")
        return stage._references(store.from_rows("shot_medium", []))["num_faces"].to_list()

    assert (measure(0.5), measure(1.0)) == ([1], [0])


@pytest.mark.parametrize(
    ("threshold", "score", "is_alike"), [(0.3, 0.5, True), (1.0, 0.5, False), (0.3, 1.0, False)]
)
def test_people_look_alike_from_the_similarity_that_is_set_on(tmp_path, threshold, score, is_alike):
    """Two pictures of one woman under two names; the second is mirrored. No face has score 1."""
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    for name, image in (("anna", picture), ("berta", picture[:, ::-1])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    wanted = DetectionConfig(
        similarity_threshold=threshold,
        min_face_score=score,
        medium="photographed",
        is_drawn_enabled=False,
    )
    sources = reference.list_files(tmp_path)
    judged = reference_measure.judge_files(sources, wanted, DetectionModels(wanted))
    assert [one.is_alike for one in judged] == [is_alike, is_alike]


def test_places_that_another_detector_found_are_not_taken(labelled_film):
    """Of `anime-person:one` there are places already; the other is refused, having no embedding."""
    frame = store.read(labelled_film / "table", "frame")
    known = store.from_rows("reference", [])

    def search(detector):
        stage = make(Detect, labelled_film, detection={"drawn_detector": detector})
        return stage, lambda: stage._regions(frame, frame, known, stage._named, lambda number: None)

    stage, find = search("anime-person:one")
    with pytest.raises(UserError, match="one detects figures"):
        find()
    stage._opened[-1].put(0, {"region": store.from_rows("region", [])})
    assert find().is_empty()
    with pytest.raises(UserError, match="two detects figures"):
        search("anime-person:two")[1]()


def test_a_search_for_places_goes_on_shard_by_shard(labelled_film):
    """Eight frames in shards of three; the one that is there holds the first three."""
    frame, known = (store.read(labelled_film / "table", name) for name in ("frame", "reference"))
    stage = make(Detect, labelled_film, pipeline={"shard_size": 3})
    stage._regions(frame, frame, known, stage._named, lambda number: None)
    shards = stage._opened[-1]
    assert shards.done() == [0, 1, 2]
    shutil.rmtree(shards.folder / "000001")
    again = make(Detect, labelled_film, pipeline={"shard_size": 3})
    again._regions(frame, frame, known, again._named, lambda number: None)
    assert shards.done() == [0, 1, 2]


@pytest.mark.parametrize(("medium", "probability"), [("drawn", 1.0), ("photographed", 0.0)])
def test_references_are_of_the_medium_that_is_set(medium, probability):
    say = reference_measure.drawn_probability(DetectionConfig(medium=medium), None, pl.DataFrame())
    assert say(np.zeros((8, 8, 3), np.uint8)) == probability


def _find(**wanted):
    with ThreadPoolExecutor(1) as pool:
        return region_search.make_finder(DetectionConfig(**wanted), None, [], None, pool)


def test_models_of_drawn_figures_are_those_that_are_named(tmp_path):
    with pytest.raises(UserError, match="anime-person detects figures but cannot recognise them"):
        _find(drawn_detector="anime-person")
    with pytest.raises(UserError, match="nowhere"):
        _find(drawn_detector=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="expected ccip, found dino;"):
        _find(drawn_detector="anime-person", drawn_embedding="dino")
    net = tiny_onnx.save_ccip(tmp_path / "ccip-tiny")
    with pytest.raises(UserError, match="or nothing, found an-owl"):
        _find(drawn_detector="an-owl", drawn_embedding=f"ccip:{net}")


def test_what_an_owl_finds_is_compared_by_the_embedding_that_is_named(guided_folders):
    owl, dino = guided_folders["owl"], guided_folders["dino"]
    assert _find(drawn_detector=owl, drawn_embedding=dino).name == "owl+dino"


@pytest.mark.parametrize(
    ("filtering", "num_groups"),
    [
        ({"duplicate_distance": 4, "duplicate_structure": 1.0}, 4),
        ({"duplicate_distance": 6, "duplicate_structure": 1.0}, 3),  # shots 0 and 1
        ({"duplicate_distance": 4, "duplicate_structure": 0.5}, 3),  # shots 2 and 3
    ],
)
def test_set_ups_are_alike_as_far_as_is_set(labelled_film, filtering, num_groups):
    """Hashes of shots 0 and 1 are 6 bits apart; the small pictures of 2 and 3 correlate by 0.6."""
    wave = np.stack([np.cos(2 * np.pi * k * np.arange(1024) / 1024) for k in (1, 2, 3, 4)])
    wave[3] = 0.6 * wave[2] + 0.8 * wave[3]
    small = np.round(128 + 80 * wave).astype(np.uint8)
    phash = [0b111111, 0, 0xFFFF << 20, 0xFFFF << 40]
    every = store.read(labelled_film / "table", "frame")
    frame = every.unique("shot_index").sort("shot_index")
    measure = pl.DataFrame(
        {
            "frame_id": frame["frame_id"],
            "phash": pl.Series(phash, dtype=pl.UInt64),
            "signature": pl.Series(small.tolist(), dtype=pl.Array(pl.UInt8, 1024)),
        }
    )
    groups = crop_selection.group_camera_setups(
        {0, 1, 2, 3}, every, measure, FilteringConfig(**filtering), has_all=True
    )
    assert len(set(groups.values())) == num_groups


@pytest.mark.parametrize(("model", "number"), [("yunet", 1), ("hog", 0)])
def test_the_evaluation_finds_faces_by_the_detector_that_is_set(model, number):
    """A face 30 pixels high is too small for HOG."""
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    height = round(60 * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (60, height), interpolation=cv2.INTER_AREA)
    row = {"reference_id": "a/1.jpg", "character": "a", "content_hash": "0", "route": "face"}
    known = store.from_rows("reference", [{**row, "recogniser": "dlib", "num_faces": 1}])
    name, look = face_identity.load_face_describer(
        known, DetectionConfig(face_detection_model=model)
    )
    assert name == f"sface behind {model}"
    assert len(look(cv2.copyMakeBorder(small, *[60] * 4, cv2.BORDER_REPLICATE)).box) == number


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({}, "dlib behind yunet"),
        ({"recogniser": "dlib"}, "sface behind yunet"),
        ({"face_detection_model": "hog"}, "sface behind hog"),
        ({"face_detection_model": "hog", "recogniser": "sface"}, "dlib behind hog"),
    ],
)
def test_faces_are_judged_by_the_recogniser_that_the_settings_do_not_name(wanted, name):
    """Without a measured reference it is not known which one named the film's faces."""
    nothing = store.from_rows("reference", [])
    assert face_identity.load_face_describer(nothing, DetectionConfig(**wanted))[0] == name


@pytest.mark.parametrize(("score", "number"), [(0.5, 1), (1.0, 0)])
def test_the_evaluation_takes_faces_from_the_score_that_is_set_on(score, number):
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    nothing = store.from_rows("reference", [])
    wanted = DetectionConfig(min_face_score=score, recogniser="dlib")
    _, look = face_identity.load_face_describer(nothing, wanted)
    assert len(look(picture).box) == number


@pytest.mark.parametrize(("confidence", "number"), [(0.5, 8), (0.95, 0)])
def test_others_are_those_that_are_as_sure_as_the_set_asks(labelled_film, confidence, number):
    """All eight labels have a confidence of 0.9."""
    tables = {name: store.read(labelled_film / "table", name) for name in ("label", "frame")}
    assert len(gallery.of_others(labelled_film, tables, "anna", confidence)) == number


@pytest.fixture
def bright_film(tmp_path):
    """One grey frame of high dynamic range, 75 % of the signal by PQ."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        frame = av.VideoFrame(96, 64, "yuv420p10le")
        marks = {"color_trc": 16, "color_primaries": 9, "colorspace": 9, "color_range": 1}
        for name, value in marks.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        for plane, level in zip(frame.planes, (64 + 657, 512, 512), strict=True):
            plane.update(np.full((plane.height, plane.line_size // 2), level, "<u2").tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_frames_between_have_the_tone_curve_of_the_kept_ones(bright_film):
    """Light of about 1000 cd/m2 is white when it is clipped, and below white by a curve."""
    level = {}
    for curve in ("clip", "reinhard"):
        empty = store.from_rows("frame", [])
        source = extra_frame.ExtraFrameReader(
            ExtractionConfig(tone_curve=curve), bright_film, store.from_rows("film", []), empty
        )
        (read,) = source.pictures({0: None})
        level[curve] = int(read.picture.min())
    assert level["reinhard"] < level["clip"] == 255


@pytest.mark.parametrize(("is_parallel", "number"), [(True, 1), (False, 0)])
def test_pictures_of_a_set_are_decoded_ahead_unless_one_thread_does_all(
    tmp_path, is_parallel, number
):
    film = noise_film.encode(tmp_path / "film.mkv", seconds=2)
    config = Config(pipeline={"parallel_processing": is_parallel})
    tables = {name: store.from_rows(name, []) for name in ("film", "frame", "extra_frame")}
    reader = crop_reader(config, tmp_path, {"film": film}, tables)
    before = set(threading.enumerate())
    frames = reader._film.pictures(dict.fromkeys(range(48)))
    assert next(frames).frame.index == 0
    assert len(set(threading.enumerate()) - before) == number
    frames.close()


def test_an_answer_is_asked_for_anew_when_it_may_be_longer(labelled_film):
    facts = Facts(
        frame_id="f",
        file="frame/00000000.png",
        characters=("bunny",),
        num_unknown=0,
        shot_size=None,
        place=None,
        light=None,
        motion="static",
        subjects=(),
    )
    asked = {"providers": ["openai"], "openai": {"model": "seer"}}
    same, longer = (
        provider_loader.key_of(
            provider_loader.set_up(
                CaptioningConfig.model_validate(asked | {"max_tokens": size}), AwsConfig()
            )[0],
            QuestionMaker(folder=labelled_film, facts=[facts]),
            0,
        )
        for size in (120, 240)
    )
    assert same != longer


def test_words_and_seed_of_the_fine_tune(labelled_film):
    stage = make(
        Finetune,
        labelled_film,
        seed=5,
        models={"base_model": "somebody/base"},
        captioning={"trigger_word": "sks {name}", "class_word": "rabbit"},
    )
    words = stage._set_of("bunny", pl.DataFrame({"file": ["a.png"]})).words
    assert (words.trigger, words.class_word) == ("sks bunny", "rabbit")
    assert stage.settings()["seed"] == stage._training_settings(words).seed == 5


def test_class_pictures_are_drawn_from_the_seed_that_is_set_on(labelled_film, tiny_base, tmp_path):
    models = {"class_pictures": "drawn", "num_class_pictures": 2}
    stage = make(Finetune, labelled_film, seed=5, models=models)
    shown = TrainingExample(picture=np.zeros((32, 32, 3), np.uint8), caption="bunny character, day")
    made = stage._set_of("bunny", pl.DataFrame({"file": ["a.png"]}))
    run = tmp_path / "run"
    assert len(stage._class_examples(tiny_base, made, tmp_path, run, [shown])) == 2
    facts = [provenance.read_provenance(path) for path in sorted(run.rglob("*.png"))]
    assert [(one["prompt"], one["seed"]) for one in facts] == [
        ("character, day", 5),
        ("character, day", 6),
    ]


class Loading(Finetune):
    """Has one character, trains nothing, and keeps the base that it was given."""

    def _sets(self):
        return [self._set_of("bunny", pl.DataFrame({"file": ["a.png"]}))]

    def _train(self, loaded, made, cluster, on_step):
        self.loaded = loaded
        return {}, ""


def test_the_fine_tune_loads_its_base_in_the_precision_that_is_set(labelled_film, tiny_folder):
    models = {"base_model": str(tiny_folder), "precision": "bf16"}
    stage = make(Loading, labelled_film, models=models)
    stage.run()
    assert {str(w.dtype) for w in stage.loaded.family.denoiser.parameters()} == {"torch.bfloat16"}


def test_the_fine_tune_counts_the_steps_of_an_epoch_by_its_batch(
    labelled_film, tiny_base, tiny_base_folder, tmp_path
):
    """Five pictures are three batches of two, as the note of the stage says."""
    models = {"batch_size": 2, "base_model": str(tiny_base_folder)}
    stage = make(Finetune, labelled_film, models=models)
    files = [f"{shot}.png" for shot in range(5)]
    for file in files:
        atomic.write_bytes(tmp_path / file, (labelled_film / "frame" / "00000000.png").read_bytes())
    lines = [json.dumps({"file_name": file, "text": "bunny", "split": "train"}) for file in files]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    words = stage._set_of("bunny", pl.DataFrame({"file": ["a.png"]})).words
    assert "3 steps per epoch at batch size 2" in stage._look(tmp_path, tiny_base, words).to_line()


def test_words_of_what_is_drawn(labelled_film):
    stage = make(
        Generate,
        labelled_film,
        captioning={"trigger_word": "sks {name}", "class_word": "rabbit"},
        generation={"prompts": ["{trigger} at sea"], "seeds": [1]},
    )
    assert [one.prompt for one in stage._drawings("bunny")] == ["sks bunny rabbit at sea"]


@pytest.mark.parametrize("chosen", ["chosen", "last"])
def test_the_evaluation_is_read_where_it_chooses_the_checkpoint(labelled_film, chosen):
    store.write(labelled_film / "table", "evaluation", store.from_rows("evaluation", []))
    stage = make(Generate, labelled_film, generation={"checkpoints": chosen})
    assert ("evaluation" in stage.reads) == (chosen == "chosen")


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_negative_prompt_without_guidance_is_said_to_be_idle(labelled_film, guidance):
    wanted = {"guidance_scale": guidance, "negative_prompt": "blur"}
    stage = make(Generate, labelled_film, generation={**wanted, "has_safety_checker": False})
    base = SimpleNamespace(family=SimpleNamespace(name="flux"))
    assert stage._warnings(base, []) == ([NOTE_NEGATIVE] if guidance == 1 else [])
