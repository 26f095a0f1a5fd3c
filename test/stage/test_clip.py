"""Stage clip on a film of two shots: what it writes, what each setting does, and what breaks it."""

import json
import shutil
from fractions import Fraction

import av
import cv2
import full_disk
import numpy as np
import polars as pl
import pytest

from bunny.core import atomic, file_hash, workspace
from bunny.core.config import Config
from bunny.core.error import StageError
from bunny.stage.clip import Clip
from bunny.stage.extract import Extract
from bunny.stage.filter import Filter
from bunny.table import store

WIDTH, HEIGHT, RATE, NUM = 320, 192, 24, 96  # frames a shot: 4 s
LIT = {"preset": "own", "width_px": 320, "height_px": 192, "num_frames": [33]}


def scene(seed):
    rng = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT + 100, WIDTH + 300, 3), np.float32)
    for cells in (6, 18, 54):
        coarse = rng.uniform(0, 255, (cells, cells * 2, 3)).astype(np.float32)
        size = picture.shape[1::-1]
        picture += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) / 3
    return picture.clip(0, 255).astype(np.uint8)


def block_at(index):
    """Box of the red block: it walks in the first shot, stands in the second."""
    x = 40 + index if index < NUM else 150
    return (x, 60, x + 60, 150)


def draw(index, scenes):
    at = 2 * (index - NUM) if index >= NUM else 0  # the second shot is a pan
    picture = scenes[index // NUM][50 : 50 + HEIGHT, at : at + WIDTH].copy()
    x0, y0, x1, y1 = block_at(index)
    picture[y0:y1, x0:x1] = scenes[2][:90, :60] // 4 + np.array([0, 0, 190], np.uint8)
    return picture


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The film, extracted and filtered, with Anna labelled in each kept frame."""
    root = tmp_path_factory.mktemp("film")
    path, scenes = root / "film.mkv", [scene(n) for n in (1, 2, 3)]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "12"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=32_000, layout="mono")
        for index in range(2 * NUM):
            frame = av.VideoFrame.from_ndarray(draw(index, scenes), "bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8 * 32_000), np.int16), "s16", "mono")
        sound.rate, sound.pts, sound.time_base = 32_000, 0, Fraction(1, 32_000)
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    space = workspace.create(root, str(root / "data"), path, None)
    settings = {"extraction": {"static_range": 0, "extra_interval_seconds": 0.5}}
    config = Config.model_validate(settings)
    for stage in (Extract, Filter):
        stage(config, space.root, space.root).execute()
    frame = store.read(space.table, "frame")
    assert store.read(space.table, "shot").height == 2 and frame.height >= 6
    rows = []
    for row in frame.iter_rows(named=True):
        sides = dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), block_at(row["frame_index"]),
                         strict=True))  # fmt: skip
        rows.append({"subject_id": f"{row['frame_id']}-r0", "subject_type": "region",
                     "character": "anna", "frame_id": row["frame_id"],
                     "shot_index": row["shot_index"], **sides, "confidence": 0.9,
                     "source": "reference"})  # fmt: skip
    store.write(space.table, "label", store.from_rows("label", rows))
    for name in ("extra_frame", "cluster", "caption", "dataset"):
        store.write(space.table, name, store.from_rows(name, []))
    return space


@pytest.fixture
def space(made, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made.root, data / "output" / made.film_id)
    return workspace.locate(tmp_path, str(data), made.film_id)


def run(space, *, more=None, **own):
    settings = {"clip": {**LIT, **own}, **(more or {})}
    stage = Clip(Config.model_validate(settings), space.root, space.root)
    result = stage.execute()
    return result, store.read(space.table, "clip"), store.read(space.table, "clip_candidate")


def files(space):
    return {
        path.relative_to(space.root).as_posix(): file_hash.hash_file(path)
        for path in sorted((space.root / "clip").rglob("*"))
        if path.is_file()
    }


def test_clips_are_written_with_captions_and_rights(space):
    result, clip, tried = run(space)
    assert clip["shot_index"].to_list() == [0, 1]
    assert clip["camera"].to_list() == ["static", "pan right"]
    assert set(clip["coverage"]) == {1.0} and set(clip["fps"]) == {16.0}
    assert clip["split"].to_list() == ["train", "train"]
    assert "anna: 2 clips" in result.note
    for row in clip.iter_rows(named=True):
        path = space.root / row["file"]
        with av.open(str(path)) as film:
            frames = [one.to_ndarray(format="bgr24") for one in film.decode(video=0)]
        assert len(frames) == 33 and frames[0].shape == (192, 320, 3)
        assert row["sha256"] == file_hash.hash_file(path)
        assert path.with_suffix(".txt").read_text() == f"{row['caption']}\n"
        assert row["caption"].startswith("anna character, ")
        for index, picture in zip(row["frame_indices"], frames, strict=True):
            x0, y0, x1, y1 = block_at(index)
            blue, _, red = picture[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].reshape(-1, 3).mean(axis=0)
            assert red > blue + 80  # she is where she should be, in each frame
    rights = json.loads((space.root / "clip" / "rights.json").read_text())
    assert rights["film"]["file"] == "film.mkv"
    assert tried.filter(is_chosen=True).height == 2


def test_nothing_is_done_twice_and_a_rerun_gives_the_same_bytes(space):
    run(space)
    before = files(space)
    assert run(space)[0].status == "skipped"
    next(iter(space.root.glob("clip/anna/*.txt"))).unlink()
    assert run(space)[0].status == "done"
    assert files(space) == before
    shutil.rmtree(space.root / "clip")
    shutil.rmtree(space.stage("clip"))
    run(space)
    assert files(space) == before


def test_off_writes_nothing_and_removes_what_was_written(space):
    run(space)
    _, clip, _ = run(space, preset="off")
    assert clip.height == 0 and not (space.root / "clip").exists()


@pytest.mark.parametrize(
    ("key", "values", "look", "found"),
    [
        ("num_frames", ([33], [9]), "num_frames", ([33], [9])),
        ("fps", (16.0, 24.0), "fps", ([16.0], [24.0])),
        ("width_px", (320, 160), "width_px", ([320], [224])),
        ("height_px", (192, 96), "height_px", ([192], [128])),
        ("max_clips", (100, 1), "clips", (2, 1)),
        ("min_motion", (0.15, 100.0), "clips", (2, 0)),
        ("max_motion", (30.0, 0.2), "clips", (2, 0)),
        ("min_sharpness", (20.0, 1e6), "clips", (2, 0)),
        ("margin_frames", (2, 30), "clips", (2, 0)),
        ("framing", ("whole", "subject"), "crop", (True, False)),
        ("has_audio", (False, True), "has_audio", ([False], [True])),
    ],
)
def test_each_setting_does_what_it_says(space, key, values, look, found):
    seen = []
    for value in values:
        _, clip, _ = run(space, **{key: value})
        if look == "clips":
            seen.append(clip.height)
        elif look == "crop":
            seen.append((clip["crop_x1_px"] - clip["crop_x0_px"]).to_list() == [320, 320])
        else:
            seen.append(clip[look].unique().to_list())
    assert tuple(seen) == found
    if look == "has_audio":
        with av.open(str(next(space.root.glob("clip/anna/*.mp4")))) as film:
            assert film.streams.audio


def test_a_box_between_labels_counts_from_the_likeness_that_is_set(space):
    """All boxes between labels are alike, but none by more than 1."""
    _, clip, tried = run(space, min_likeness=1.0)
    assert clip.height == 0 and set(tried["reason"].cast(str)) == {"absent"}
    assert run(space, min_likeness=1.0, min_coverage=0.0)[1].height == 2


def test_a_picture_is_enlarged_as_far_as_is_set(space):
    for most, width in ((1.0, 320), (2.0, 640)):
        _, clip, _ = run(space, width_px=1280, height_px=768, max_upscale=most)
        assert set(clip["width_px"]) == {width}


def test_presets_have_the_models_rate(space):
    for preset, fps in (("wan", 16.0), ("hunyuan", 24.0)):
        assert set(run(space, preset=preset)[1]["fps"]) == {fps}


def test_who_is_labelled_surely_and_wanted_gets_clips(space):
    more = {"dataset": {"min_confidence": 0.95}}
    result, clip, _ = run(space, more=more)
    assert clip.height == 0 and result.note == "nobody is labelled"
    result, clip, _ = run(space, more={"models": {"characters": ["ben"]}})
    assert clip.height == 0


def test_captions_and_the_split_of_the_pictures_are_taken_over(space):
    frame = store.read(space.table, "frame").sort("frame_index")
    second = frame.filter(shot_index=1).row(1, named=True)
    said = {"frame_id": second["frame_id"], "version": 1, "text": "sks anna on a beach, day.",
            "tags": [], "provider": "tags", "status": "done"}  # fmt: skip
    store.write(space.table, "caption", store.from_rows("caption", [said]))
    picture = {"image_id": "i", "character": "anna", "role": "subject", "split": "held-out",
               "frame_id": second["frame_id"], "subject_id": "s", "shot_index": 1, "file": "f",
               "x0_px": 0, "y0_px": 0, "x1_px": 9, "y1_px": 9, "width_px": 9, "height_px": 9,
               "upscale": 1.0, "shot_size": "wide", "caption": "c", "repeats": 1}  # fmt: skip
    known = {k: v for k, v in picture.items() if k in store.schema.TABLE["dataset"].columns()}
    store.write(space.table, "dataset", store.from_rows("dataset", [known]))
    more = {"captioning": {"trigger_word": "sks {name}"}}
    _, clip, _ = run(space, more=more)
    assert clip["split"].to_list() == ["train", "held-out"]
    assert clip["caption"][1] == "sks anna on a beach, day, the camera pans right"
    assert clip["caption"][0] == "sks anna character, the camera is still"


def test_a_film_that_is_gone_is_one_sentence_and_leaves_nothing(space):
    source = space.root / "source.json"
    known = json.loads(source.read_text())
    atomic.write_bytes(source, json.dumps(known | {"film": "/nowhere/film.mkv"}).encode())
    with pytest.raises(Exception, match="film not found; run it with its new path"):
        run(space)
    assert not (space.root / "clip").exists()


def test_a_disk_that_is_full_leaves_no_half_and_costs_no_measure(space):
    """Room for tables and not for a clip, then for the smaller of two clips."""
    run(space)
    [measured] = (space.stage("clip") / "shard").rglob("clip_frame.parquet")
    stamp, whole = measured.stat().st_mtime_ns, files(space)
    sizes = sorted((path.stat().st_size, path.name) for path in space.root.glob("clip/anna/*.mp4"))
    assert sizes[0][0] > 45_000 and sizes[1][0] > 1.02 * sizes[0][0]
    shutil.rmtree(space.root / "clip")
    with full_disk.full_after(40_000), pytest.raises(StageError, match="2 of 2 items failed"):
        run(space)
    assert not list(space.root.glob("clip/**/*.mp4")) and not list(space.root.glob("clip/**/.*"))
    with full_disk.full_after((sizes[0][0] + sizes[1][0]) // 2):
        result, clip, tried = run(space)
    assert result.status == "done" and clip.height == 1
    [row] = tried.filter(pl.col("reason") == "failed").iter_rows(named=True)
    assert row["detail"].startswith(sizes[1][1]) and not row["is_chosen"]
    assert run(space, margin_frames=3)[1].height == 2 and run(space)[1].height == 2
    assert files(space) == whole and measured.stat().st_mtime_ns == stamp
