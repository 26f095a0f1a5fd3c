"""Stage filter decides from tables alone."""

import json

import bare_film
import plain_row
import polars as pl

from bunny.contract import fingerprint
from bunny.core.config import Config
from bunny.stage.filter import Filter
from bunny.table import store


def _space(folder, scores=(0.9, 0.1, 0.5), errors=(None, None, "no picture")):
    """Tables of frames and measures; the error stands in the table frame alone."""
    bare_film.write_source(folder)
    frames, measures = [], []
    for index, (score, error) in enumerate(zip(scores, errors, strict=True)):
        frame_id = f"film-{index:08d}"
        frames.append(plain_row.frame(index, file=f"frame/{index}.jpg", error=error))
        measures.append(
            {
                "frame_id": frame_id,
                "blur_score": score,
                "brightness": 0.5,
                "contrast": 0.2,
                "phash": 0xFF << 16 * index,
            }
        )
    store.write(folder / "table", "frame", store.from_rows("frame", frames))
    store.write(folder / "table", "measure", store.from_rows("measure", measures))
    return folder


def _stage(folder, **filtering):
    return Filter(Config.model_validate({"filtering": filtering}), folder, folder)


def test_decides_without_any_picture(tmp_path):
    stage = _stage(_space(tmp_path))
    result = stage.execute()
    quality = store.read(tmp_path / "table", "quality")
    assert quality["reason"].to_list() == ["kept", "blurred", "unreadable"]
    assert quality["is_kept"].to_list() == [True, False, False]
    assert (result.rows, result.failed, result.note) == (3, 0, "")


def test_a_moved_threshold_is_stale_and_decides_anew(tmp_path):
    _stage(_space(tmp_path)).execute()
    assert _stage(tmp_path).execute().status == "skipped"
    stage = _stage(tmp_path, blur_threshold=0.05)
    why = fingerprint.explain(stage.record()["parts"], stage.parts())
    assert why == "filtering.blur_threshold 0.17 -> 0.05"
    stage.execute()
    quality = store.read(tmp_path / "table", "quality")
    assert quality["is_kept"].to_list() == [True, True, False]


def test_every_setting_of_the_section_is_used(tmp_path):
    settings = _stage(_space(tmp_path)).settings()
    assert {k.removeprefix("filtering.") for k in settings} == set(Config().filtering.model_dump())


def test_says_so_when_nothing_is_kept(tmp_path):
    result = _stage(_space(tmp_path), blur_threshold=1.0).execute()
    assert result.note == (
        "no frame is kept (2 blurred, 1 unreadable); relax the thresholds in section filtering"
    )


def test_a_film_without_frames(tmp_path):
    result = _stage(_space(tmp_path, scores=(), errors=())).execute()
    assert result.rows == 0
    assert store.read(tmp_path / "table", "quality").schema["is_kept"] == pl.Boolean


def test_a_number_to_keep_is_solved_recorded_and_said(tmp_path):
    stage = _stage(_space(tmp_path, scores=(0.9, 0.25, 0.5, 0.7), errors=(None,) * 4), keep_about=2)
    result = stage.execute()
    quality = store.read(tmp_path / "table", "quality")
    assert quality["is_kept"].to_list() == [True, False, False, True]
    assert result.note.startswith("keep_about 2: 2 frames kept at strictness 2.")
    record = json.loads((tmp_path / "stage" / "filter" / "threshold.json").read_text())
    assert 0.5 < record["threshold"]["blur_threshold"] < 0.7
    assert (record["keep_about"], record["num_kept"], record["preset"]) == (2, 2, "balanced")


def test_a_preset_decides_and_its_thresholds_are_recorded(tmp_path):
    stage = _stage(_space(tmp_path, scores=(0.3, 0.15, 0.5)), preset="generous")
    stage.execute()
    quality = store.read(tmp_path / "table", "quality")
    assert quality["reason"].to_list() == ["kept", "kept", "unreadable"]
    why = fingerprint.explain(stage.record()["parts"], _stage(tmp_path, preset="strict").parts())
    assert "filtering.blur_threshold 0.15 -> 0.21" in why
    assert "filtering.preset generous -> strict" in why


def test_a_lost_record_is_made_again(tmp_path):
    _stage(_space(tmp_path)).execute()
    record = tmp_path / "stage" / "filter" / "threshold.json"
    record.unlink()
    assert _stage(tmp_path).execute().status == "done"
    assert record.exists()


def _write_measures(folder, scores, hashes):
    """Frames as good and as sharp as each other where their scores are equal, in reverse order."""
    _space(folder, scores, (None,) * len(scores))
    measure = store.read(folder / "table", "measure")
    measure = measure.with_columns(phash=pl.Series(hashes, dtype=pl.UInt64))
    store.write_parquet(folder / "table" / "measure.parquet", measure.reverse())


def _reasons(folder, **filtering):
    _stage(folder, **filtering).execute()
    return store.read(folder / "table", "quality")["reason"].to_list()


def test_of_equally_sharp_duplicates_the_first_by_time_stays(tmp_path):
    _write_measures(tmp_path, (0.5, 0.7, 0.7, 0.7, 0.5), [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    assert _reasons(tmp_path, duplicate_distance=0) == [
        "duplicate",
        "kept",
        "duplicate",
        "duplicate",
        "duplicate",
    ]
    quality = store.read(tmp_path / "table", "quality")
    assert set(quality["duplicate_group"]) == {"film-00000001"}
    _write_measures(tmp_path, (0.6,) * 70, [0xFF] * 35 + [0xFF00] * 35)  # more than one block
    kept = [i for i, r in enumerate(_reasons(tmp_path, duplicate_distance=0)) if r == "kept"]
    assert kept == [0, 35]


def test_of_equally_sharp_frames_of_a_batch_the_first_by_time_stay(tmp_path):
    hashes = [0xFFFF << 8 * i & 2**64 - 1 for i in range(7)]
    _write_measures(tmp_path, (0.5, 0.7, 0.7, 0.7, 0.6, 0.6, 0.6), hashes)
    own = {"duplicate_distance": 0, "batch_size": 4}
    kept, batch = "kept", "batch"
    assert _reasons(tmp_path, **own) == [batch, kept, batch, batch, kept, batch, batch]
    assert _reasons(tmp_path, **own, keep_best_per_batch=2) == [
        batch,
        kept,
        kept,
        batch,
        kept,
        kept,
        batch,
    ]
    assert _reasons(tmp_path, **own, keep_best_per_batch=4) == [kept] * 7
