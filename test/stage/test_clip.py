"""Stage clip on a film of two shots: what it writes, what each setting does, and what breaks it."""

import json
import shutil
import threading
from fractions import Fraction

import av
import cv2
import full_disk
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny.clip import plan
from bunny.core import atomic, file_hash, workspace
from bunny.core.config import Config
from bunny.core.error import StageError
from bunny.stage.clip import Clip
from bunny.stage.extract import Extract
from bunny.stage.filter import Filter
from bunny.table import store

pytestmark = pytest.mark.slow

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


SCENES = [scene(n) for n in (1, 2, 3)]


def write_film(path):
    """Two shots of four seconds, with sound."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "12"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=32_000, layout="mono")
        for index in range(2 * NUM):
            frame = av.VideoFrame.from_ndarray(draw(index, SCENES), "bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8 * 32_000), np.int16), "s16", "mono")
        sound.rate, sound.pts, sound.time_base = 32_000, 0, Fraction(1, 32_000)
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))


def prepare(root, path):
    """The film, extracted and filtered, with Anna labelled in each kept frame."""
    space = workspace.create(root, str(root / "data"), path, None)
    settings = {"extraction": {"static_range": 0, "extra_interval_seconds": 0.5}}
    config = Config.model_validate(settings)
    for stage in (Extract, Filter):
        stage(config, space.root, space.root).execute()
    rows = []
    for row in store.read(space.table, "frame").iter_rows(named=True):
        place = {"frame_id": row["frame_id"], "shot_index": row["shot_index"]}
        rows.append(
            plain_row.label(
                f"{row['frame_id']}-r0",
                "anna",
                **place,
                **plain_row.box(*block_at(row["frame_index"])),
            )
        )
    store.write(space.table, "label", store.from_rows("label", rows))
    for name in ("extra_frame", "cluster", "caption", "dataset", "embedding"):
        store.write(space.table, name, store.from_rows(name, []))
    return space


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("film")
    write_film(root / "film.mkv")
    space = prepare(root, root / "film.mkv")
    assert store.read(space.table, "shot").height == 2
    assert store.read(space.table, "frame").height >= 6
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


@pytest.mark.parametrize(("is_parallel", "number"), [(True, 1), (False, 0)])
def test_frames_are_decoded_ahead_unless_one_thread_does_all(made, is_parallel, number):
    config = Config(pipeline={"parallel_processing": is_parallel})
    before = set(threading.enumerate())
    frames = Clip(config, made.root, made.root)._reader().pictures(dict.fromkeys(range(2 * NUM)))
    assert next(frames).frame.index == 0
    assert len(set(threading.enumerate()) - before) == number
    frames.close()


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


def test_of_clips_that_show_the_same_one_is_taken(space):
    """Vectors of both shots have a cosine of 0.96; the camera is still in one and pans in two."""
    frame = store.read(space.table, "frame")
    rows = [
        {
            "frame_id": row["frame_id"],
            "model": "m",
            "vector": [0.96, 0.28] if row["shot_index"] else [1.0, 0.0],
        }
        for row in frame.iter_rows(named=True)
    ]
    store.write(space.table, "embedding", store.from_rows("embedding", rows))
    assert run(space, max_similarity=0.9)[1].height == 2  # another camera: not the same
    still = {"margin_frames": 2, "max_similarity": 0.9}
    tables = {name: store.read(space.table, name) for name in ("clip_frame", "clip_box")}
    same = tables["clip_frame"].with_columns(shift_x=pl.lit(0.0, pl.Float32))
    assert _chosen(space, tables | {"clip_frame": same}, **still) == ["chosen", "duplicate"]
    assert _chosen(space, tables | {"clip_frame": same}, max_similarity=0.97) == ["chosen"] * 2


def test_a_run_with_writing_that_no_kept_frame_shows_is_no_clip(space):
    """All of the first shot has a tenth of its pictures under writing."""
    assert run(space)[1].height == 2
    measured = {name: store.read(space.table, name) for name in ("clip_frame", "clip_box")}
    share = pl.when(shot_index=0).then(0.1).otherwise("text_share").cast(pl.Float32)
    measured["clip_frame"] = measured["clip_frame"].with_columns(text_share=share)
    assert _chosen(space, measured) == ["chosen", "text"]
    assert _chosen(space, measured, max_text_share=0.2) == ["chosen", "chosen"]


def _chosen(space, measured, **own):
    """Reasons by the stage's own rules over measures that were changed."""
    wanted = Config.model_validate({"clip": {**LIT, **own}}).clip
    names = ("shot", "frame", "quality", "embedding", "cluster")
    tables = {**measured, **{name: store.read(space.table, name) for name in names}}
    chosen, others = plan.choose_clips(tables, tables["cluster"], {"anna"}, wanted)
    return sorted(one.reason or "chosen" for one in (*chosen, *others))


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
    said = {
        "frame_id": second["frame_id"],
        "version": 1,
        "text": "sks anna on a beach, day.",
        "tags": [],
        "provider": "tags",
        "status": "done",
    }
    store.write(space.table, "caption", store.from_rows("caption", [said]))
    picture = plain_row.picture("anna", 9, frame_id=second["frame_id"], shot_index=1)
    store.write(space.table, "dataset", store.from_rows("dataset", [picture]))
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


def write_interlaced(path, *, is_woven):
    """A pan of eight pixels a frame: both fields of one moment, or of two, as a camera gives."""
    wide, width = scene(4), 300
    options = {"flags": "+ildct+ilme", "top": "1", "b": "6000000"} if is_woven else {"b": "6000000"}
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg2video", rate=25, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM):
            first, second = (
                int(width / 2 * (1 - np.cos((index + field) * 8 * np.pi / width / 2)))
                for field in (0, 0.5 if is_woven else 0)
            )
            picture = wide[50 : 50 + HEIGHT, first : first + WIDTH].copy()
            picture[1::2] = wide[50 : 50 + HEIGHT, second : second + WIDTH][1::2]
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        out.mux(video.encode(None))


def comb(path):
    """Rows that differ from both neighbours, against those two apart; larger where fields part."""
    with av.open(str(path)) as film:
        grey = [one.to_ndarray(format="gray").astype(np.float32) for one in film.decode(video=0)]
    inner = np.concatenate([np.abs(2 * p[1:-1] - p[:-2] - p[2:]).ravel() for p in grey[5:-5]])
    apart = np.concatenate([np.abs(p[2:] - p[:-2]).ravel() for p in grey[5:-5]])
    return inner.mean() / apart.mean()


def test_clips_of_an_interlaced_film_show_no_comb(tmp_path):
    seen, raw = {}, {}
    for kind in (True, False):
        root = tmp_path / str(kind)
        root.mkdir()
        write_interlaced(root / "film.mpg", is_woven=kind)
        raw[kind] = comb(root / "film.mpg")
        space = prepare(root, root / "film.mpg")
        assert store.read(space.table, "film")["is_interlaced"][0] == kind
        _, clip, _ = run(space, min_coverage=0.0, min_likeness=-1.0, max_motion=200.0)
        seen[kind] = comb(space.root / clip["file"][0])
    assert raw[True] > 2 * raw[False]
    assert seen[True] < 1.2 * seen[False]


def test_sides_are_multiples_of_32_whatever_the_films_are(tmp_path):
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=RATE)
        video.width, video.height, video.pix_fmt = 317, 189, "yuv444p"
        for index in range(NUM):
            picture = draw(index, SCENES)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture[:189, :317], "bgr24")))
        out.mux(video.encode(None))
    _, clip, _ = run(prepare(tmp_path, path))
    assert clip.height == 1
    assert clip.select("width_px", "height_px").row(0) == (320, 160)


def test_a_film_of_varying_rate_plays_as_fast_as_it_was_shot(tmp_path):
    """Frames 40 and 80 ms apart in turn: the block's place tells which film time a frame shows."""
    path = tmp_path / "varying.mkv"
    times = np.cumsum([0] + [40, 80] * 35)[: 2 * 35]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "8"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        for time in times.tolist():
            frame = av.VideoFrame.from_ndarray(draw(time * RATE // 1000, SCENES), "bgr24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    space = prepare(tmp_path, path)
    _, clip, _ = run(space, min_coverage=0.0, min_likeness=-1.0)
    row = clip.row(0, named=True)
    film_s = times[list(row["frame_indices"])] / 1000
    asked = row["start_s"] + np.arange(33) / 16
    assert np.abs(film_s - asked).max() <= 0.040 + 1e-9  # half of the longest step
    assert row["end_s"] - row["start_s"] == pytest.approx(33 / 16)
