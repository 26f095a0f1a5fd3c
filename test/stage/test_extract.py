"""Stage extract on films made here: tables, pictures, resume, refusals."""

import json
from datetime import datetime
from fractions import Fraction

import av
import cv2
import mortal_extract
import numpy as np
import polars as pl
import pytest
from PIL import Image

from bunny.contract import fingerprint
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import StageError, UserError
from bunny.stage.extract import Extract
from bunny.table import store
from bunny.video.image_writer import FrameWriter
from bunny.video.range_extraction import RANGES

TABLES = ("film", "shot", "frame", "measure")
LENGTHS = (20, 30, 14, 40, 26)


def _pictures(lengths=LENGTHS, width=96, height=64):
    """Shots of one picture each, but that every second one drifts; uint8 RGB."""
    for seed, length in enumerate(lengths):
        coarse = np.random.default_rng(seed).integers(0, 255, (8, 24, 3), np.uint8)
        wide = cv2.resize(coarse, (3 * width, height), interpolation=cv2.INTER_CUBIC)
        for index in range(length):
            x = index * (seed % 2) * 3
            yield np.ascontiguousarray(wide[:, x : x + width])


def _write_film(path, pictures, start=0):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"g": "12", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = start + 41 * index, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return _write_film(tmp_path_factory.mktemp("film") / "A film.mkv", _pictures(), start=3000)


def _stage(folder, film, kind=Extract, **sections):
    space = workspace.create(folder, "data", film, None)
    return kind(Config.model_validate(sections), space.root, space.root)


def _read(stage):
    return {name: store.read(stage.output_dir / "table", name) for name in TABLES}


def _files(stage):
    """Bytes of all that the stage left for others."""
    paths = [*(stage.output_dir / "frame").iterdir()]
    paths += [stage.output_dir / "table" / f"{name}.parquet" for name in TABLES]
    return {p.relative_to(stage.output_dir).as_posix(): p.read_bytes() for p in paths}


def test_tables_and_pictures_of_a_film(tmp_path, film):
    stage = _stage(tmp_path, film)
    result = stage.execute()
    tables = _read(stage)
    for name, table in tables.items():
        assert store.check(name, table).equals(table)
    ends = np.cumsum(LENGTHS)
    shot, frame = tables["shot"], tables["frame"]
    assert shot["first_frame_index"].to_list() == [0, *ends[:-1]]
    assert shot["end_frame_index"].to_list() == [*ends]
    assert shot["start_pts"].to_list() == [3000 + 41 * i for i in (0, *ends[:-1])]
    assert shot["transition_in"].to_list() == ["start", "cut", "cut", "cut", "cut"]
    assert shot["kind"].to_list() == ["static", "dynamic", "static", "dynamic", "static"]
    assert frame["reason"].to_list() == [
        "shot-median",
        "shot-start",
        "shot-middle",
        "shot-end",
        "shot-median",
        "shot-start",
        "shot-middle",
        "shot-end",
        "shot-median",
    ]
    assert frame["shot_index"].to_list() == [0, 1, 1, 1, 2, 3, 3, 3, 4]
    assert frame["timestamp_s"].to_list() == [(3000 + 41 * i) / 1000 for i in frame["frame_index"]]
    first = frame.row(0, named=True)
    assert first["frame_id"] == f"{stage.output_dir.name}-{first['frame_index']:08d}"
    assert first["file"] == f"frame/{first['frame_index']:08d}.jpg"
    on_disk = sorted(p.name for p in (stage.output_dir / "frame").iterdir())
    assert on_disk == sorted(f.removeprefix("frame/") for f in frame["file"])
    assert tables["measure"]["frame_id"].to_list() == frame["frame_id"].to_list()
    assert tables["measure"]["blur_score"].null_count() == 0
    assert (result.status, result.rows, result.failed) == ("done", 9, 0)


def test_the_film_row(tmp_path, film):
    stage = _stage(tmp_path, film)
    stage.execute()
    row = _read(stage)["film"].row(0, named=True)
    assert (row["width_px"], row["height_px"], row["num_frames"]) == (96, 64, sum(LENGTHS))
    assert row["start_s"] == 3.0
    assert row["duration_s"] == pytest.approx(sum(LENGTHS) * 0.041, abs=0.003)
    assert (row["codec"], row["decoder"], row["has_audio"]) == ("h264", "pyav", False)
    assert row["note"] is None


def test_once_done_there_is_nothing_to_do_until_a_setting_changes(tmp_path, film):
    _stage(tmp_path, film).execute()
    assert _stage(tmp_path, film).execute().status == "skipped"
    stage = _stage(tmp_path, film, extraction={"quality": 40})
    assert not stage.can_resume()
    why = fingerprint.explain(stage.record()["parts"], stage.parts())
    assert why == "extraction.quality 95 -> 40"
    size = (stage.output_dir / "frame" / "00000010.jpg").stat().st_size
    assert stage.execute().status == "done"
    assert (stage.output_dir / "frame" / "00000010.jpg").stat().st_size < size


def test_old_pictures_that_no_table_names_are_removed(tmp_path, film):
    stage = _stage(tmp_path, film)
    stage.execute()
    (stage.output_dir / "frame" / ".00000001.jpg.tmp").write_bytes(b"half")
    stage = _stage(tmp_path, film, extraction={"output_format": "png", "method": "keyframe"})
    stage.execute()
    names = {p.name for p in (stage.output_dir / "frame").iterdir()}
    assert names == {f.removeprefix("frame/") for f in _read(stage)["frame"]["file"]}
    assert {n[-4:] for n in names} == {".png"}


def test_a_lost_picture_is_made_again_alike(tmp_path, film):
    stage = _stage(tmp_path, film)
    stage.execute()
    before = _files(stage)
    (stage.output_dir / "frame" / "00000010.jpg").unlink()
    assert not stage.can_resume()
    assert _stage(tmp_path, film).execute().status == "done"
    assert _files(stage) == before


@pytest.mark.parametrize(
    ("extraction", "indices"),
    [
        ({"method": "keyframe"}, list(range(0, 130, 12))),
        # Frames lie 41 ms apart: the first at or after 1, 2, 3 ... seconds.
        ({"method": "interval", "interval_seconds": 1}, [0, 25, 49, 74, 98, 122]),
    ],
)
def test_other_methods(tmp_path, film, extraction, indices):
    stage = _stage(tmp_path, film, extraction=extraction)
    stage.execute()
    tables = _read(stage)
    assert tables["frame"]["frame_index"].to_list() == indices
    assert set(tables["frame"]["reason"]) == {extraction["method"]}
    joined = tables["frame"].join(tables["shot"], on="shot_index")
    inside = (joined["frame_index"] >= joined["first_frame_index"]) & (
        joined["frame_index"] < joined["end_frame_index"]
    )
    assert inside.all()
    assert tables["shot"]["end_frame_index"].max() == sum(LENGTHS)


def test_extra_interval_frames_lie_between_the_shots_own(tmp_path, film):
    stage = _stage(tmp_path, film, extraction={"extra_interval_seconds": 0.5})
    stage.execute()
    frame = _read(stage)["frame"]
    own = frame.filter(pl.col("reason") != "interval")
    extra = frame.filter(pl.col("reason") == "interval")
    assert own.height == 9 and extra.height > 0
    pairs = extra.join(own, on="shot_index")
    assert ((pairs["timestamp_s"] - pairs["timestamp_s_right"]).abs() >= 0.25).all()
    files = {p.name for p in (stage.output_dir / "frame").iterdir()}
    assert len(files) == frame.height


@pytest.mark.slow
@pytest.mark.parametrize("limits", [[0], [5, 2], [8], [2, 2]])
def test_killed_anywhere_and_resumed_equals_uninterrupted(tmp_path, film, limits):
    sections = {"pipeline": {"shard_size": 3}}  # one shot a shard
    whole = _stage(tmp_path / "whole", film, **sections)
    whole.execute()
    for limit in limits:
        stage = _stage(tmp_path / "broken", film, mortal_extract.Mortal, **sections)
        stage.limit = limit
        with pytest.raises(mortal_extract.Killed):
            stage.execute()
        assert not stage.can_resume()
    stage = _stage(tmp_path / "broken", film, **sections)
    stage.execute()
    assert _files(stage) == _files(whole)


def test_finished_shards_are_not_written_again(tmp_path, film):
    sections = {"pipeline": {"shard_size": 3}}
    stage = _stage(tmp_path, film, mortal_extract.Mortal, **sections)
    stage.limit = 5  # the first two shots have four pictures
    with pytest.raises(mortal_extract.Killed):
        stage.execute()
    done = stage.output_dir / "frame" / "00000010.jpg"
    before = done.stat().st_mtime_ns
    _stage(tmp_path, film, **sections).execute()
    assert done.stat().st_mtime_ns == before


def test_shard_size_and_threads_change_no_table(tmp_path, film):
    wanted = None
    for number, pipeline in enumerate(({}, {"shard_size": 1}, {"parallel_processing": False})):
        stage = _stage(tmp_path / str(number), film, pipeline=pipeline)
        stage.execute()
        wanted = wanted or _files(stage)
        assert _files(stage) == wanted


def _folder_of_pictures(folder, widths):
    folder.mkdir()
    for number, width in enumerate(widths):
        picture = np.random.default_rng(number).integers(0, 255, (2, width, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def test_a_frame_that_cannot_be_written_is_a_row_with_an_error(tmp_path):
    folder = _folder_of_pictures(tmp_path / "pictures", [64, 17_000, 64, 64])  # webp ends at 16383
    extraction = {"method": "keyframe", "output_format": "webp"}
    stage = _stage(tmp_path, folder, extraction=extraction)
    assert stage.execute().failed == 1
    frame, measure = _read(stage)["frame"], _read(stage)["measure"]
    assert frame["error"].is_not_null().to_list() == [False, True, False, False]
    assert frame["file"].to_list()[1] is None
    assert measure["error"].is_not_null().to_list() == [False, True, False, False]
    strict = {"max_failed_share": 0.2}
    with pytest.raises(StageError, match="1 of 4 items failed"):
        _stage(tmp_path / "b", folder, extraction=extraction, pipeline=strict).execute()


def test_too_many_undecodable_frames_stop_the_stage(tmp_path):
    folder = _folder_of_pictures(tmp_path / "pictures", [64] * 4)
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(b"no picture")
    words = "3 of 4 frames could not be decoded, more than pipeline.max_failed_share 0.3;"
    with pytest.raises(StageError, match=words):
        _stage(tmp_path, folder, pipeline={"max_failed_share": 0.3}).execute()
    stage = _stage(tmp_path, folder, pipeline={"max_failed_share": 0.9})
    stage.execute()
    assert _read(stage)["film"]["num_frames_failed"].to_list() == [3]


def test_a_forced_run_does_not_share_the_film(tmp_path):
    """Some 650 frames; a range is 257 at least."""
    film = _write_film(tmp_path / "long.mkv", _pictures(LENGTHS * 5))
    for is_forced in (False, True):
        pipeline = {"num_parts": 2, "force_rerun": is_forced}
        setting = {"shot_detector": "fast"}
        stage = _stage(tmp_path / str(is_forced), film, extraction=setting, pipeline=pipeline)
        assert stage.execute().status == "done"
        plans = list(stage.output_dir.glob(f"stage/extract/shard/range/*/{RANGES}"))
        assert len(plans) == (not is_forced)


@pytest.mark.parametrize("is_parallel", [True, False])
def test_a_full_disk_is_one_sentence_and_a_rerun_goes_on(tmp_path, film, is_parallel):
    resource = pytest.importorskip("resource", reason="no limit of file size on this system")
    stage = _stage(tmp_path, film, pipeline={"parallel_processing": is_parallel})
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, old[1]))
    try:
        with pytest.raises(UserError) as caught:
            stage.execute()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    text = str(caught.value)
    assert "cannot write pictures and tables here" in text and "\n" not in text
    assert stage.record()["status"] == "failed"
    assert _stage(tmp_path, film).execute().status == "done"


def test_a_film_that_was_moved_is_named(tmp_path, film):
    stage = _stage(tmp_path, film)
    source = json.loads((stage.input_dir / "source.json").read_text())
    gone = {**source, "film": str(tmp_path / "gone.mkv")}
    (stage.input_dir / "source.json").write_text(json.dumps(gone))
    with pytest.raises(UserError, match=r"gone\.mkv: the film is no longer there"):
        Extract(Config(), stage.input_dir, stage.input_dir).execute()


def _photographs(folder, num=6):
    """Pictures of different sizes, of which one is damaged, one is turned and knows its time."""
    folder.mkdir()
    for number in range(num):
        wide = cv2.resize(next(_pictures([1])), (96 + 10 * number, 64))
        cv2.imwrite(str(folder / f"IMG_{number}.jpg"), wide)
    (folder / "IMG_2.jpg").write_bytes(b"damaged")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:17 10:20:30"
    Image.new("RGB", (80, 40), "gray").save(folder / "IMG_4.jpg", exif=exif)
    return folder


def test_pictures_of_a_folder_are_all_kept_and_bad_ones_are_rows(tmp_path):
    stage = _stage(tmp_path, _photographs(tmp_path / "photos"), pipeline={"shard_size": 6})
    result = stage.execute()
    tables = _read(stage)
    frame, shot = tables["frame"], tables["shot"]
    assert result.failed == 1
    assert result.note.startswith("6 pictures, each kept as a shot of its own")
    assert shot["shot_index"].to_list() == frame["shot_index"].to_list() == list(range(6))
    assert frame["source_file"].to_list() == [f"IMG_{number}.jpg" for number in range(6)]
    assert frame["file"].is_null().to_list() == [False, False, True, False, False, False]
    assert frame["error"].to_list()[2] == "IMG_2.jpg: no picture can be read from it"
    sizes = list(frame.select("width_px", "height_px").iter_rows())
    assert sizes[1] == (106, 64) and sizes[4] == (40, 80)
    assert frame["captured_at"].to_list()[3:5] == [None, datetime(2024, 5, 17, 10, 20, 30)]
    film = tables["film"].row(0, named=True)
    assert (film["num_frames"], film["num_frames_failed"], film["decoder"]) == (5, 1, "pictures")
    assert tables["measure"]["error"].is_null().to_list() == [r is None for r in frame["error"]]


def test_the_same_pictures_as_a_sequence_are_a_film(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(_pictures([1, 1, 1, 0, 24])):
        cv2.imwrite(str(folder / f"{number:04d}.png"), picture)
    stage = _stage(tmp_path, folder)
    note = stage.execute().note
    assert note.startswith("27 pictures, read as the frames of a film at 24 a second")
    assert _read(stage)["shot"].height < 27
    kept = _stage(tmp_path, folder, extraction={"folder": "pictures"})
    assert not kept.can_resume()
    kept.execute()
    assert _read(kept)["shot"].height == _read(kept)["frame"].height == 27


def test_pictures_go_on_after_a_stop_with_the_same_tables(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, picture in enumerate(_pictures([1] * 8)):
        cv2.imwrite(str(folder / f"IMG_{number}.png"), picture)
    whole = _stage(tmp_path / "a", folder, pipeline={"shard_size": 6})
    whole.execute()
    stopped = _stage(tmp_path / "b", folder, pipeline={"shard_size": 6})
    write, read = FrameWriter.write, []

    def until_fifth(self, frame, crop=None):
        if frame.index == 5:
            raise KeyboardInterrupt
        return write(self, frame, crop)

    def note(self, frame, crop=None):
        read.append(frame.index)
        return write(self, frame, crop)

    monkeypatch.setattr(FrameWriter, "write", until_fifth)
    with pytest.raises(KeyboardInterrupt):
        stopped.execute()
    monkeypatch.setattr(FrameWriter, "write", note)
    stopped.execute()
    assert read == [4, 5, 6, 7]  # shards of two shots: the first four pictures were done
    for name in ("shot", "frame", "measure"):
        assert _read(stopped)[name].equals(_read(whole)[name])
