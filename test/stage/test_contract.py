"""The stage contract, by a small stage that really reads and writes tables."""

import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import span_record
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.contract import fingerprint
from bunny.contract import stage as contract_stage
from bunny.core import atomic
from bunny.core.config import Config
from bunny.core.error import StageError
from bunny.table import store

NUM_ITEMS = 7


class Count(contract_stage.BaseStage):
    """Writes a row an item, one item a shard; may be killed after `limit` items."""

    name = "count"
    writes = ("embedding",)
    uses_film = True
    limit = NUM_ITEMS
    num_bad = 0
    seen: list[int]

    def settings(self):
        return contract_stage.settings_of(self.config, "filtering", "blur_threshold")

    def run(self):
        shards = self.shards("item", {"film": self.source["content_hash"]})
        self.seen = []
        for i in range(NUM_ITEMS):
            if shards.is_done(i):
                continue
            if len(self.seen) == self.limit:
                raise RuntimeError("killed")
            error = "bad" if i < self.num_bad else None
            row = {"frame_id": f"f{i}", "model": "m", "vector": None if error else [float(i)]}
            rows = store.from_rows("embedding", [{**row, "error": error}])
            shards.put(i, {"embedding": rows}, NUM_ITEMS)
            self.seen.append(i)
        table = shards.collect("embedding")
        failed = table["error"].is_not_null().sum()
        return contract_stage.StageOutput(
            tables={"embedding": table}, num_items=NUM_ITEMS, num_failed=int(failed)
        )


def _stage(folder: Path, kind=Count, **filtering) -> Count:
    source = {"film": "x", "content_hash": "c", "references": None, "reference_hash": ""}
    if not (folder / "source.json").exists():
        atomic.write_bytes(folder / "source.json", json.dumps(source).encode())
    return kind(Config.model_validate({"filtering": filtering}), folder, folder)


def test_runs_once_then_has_nothing_to_do(tmp_path):
    first = _stage(tmp_path).execute()
    assert (first.status, first.rows, first.failed) == ("done", NUM_ITEMS, 0)
    assert _stage(tmp_path).can_resume()
    assert _stage(tmp_path).execute().status == "skipped"
    assert _stage(tmp_path).get_progress() == 1.0


def test_a_run_is_a_span_with_film_stage_and_how_it_ended(tmp_path):
    folder = tmp_path / "meadow-00000000"
    with span_record.recorded() as spans:
        _stage(folder).execute()
        _stage(folder).execute()
        bad = _stage(folder, blur_threshold=0.3)
        bad.limit = 0
        shutil.rmtree(folder / "stage" / "count" / "shard")
        with pytest.raises(RuntimeError):
            bad.execute()
    done, skipped, killed = spans()
    assert {span.name for span in spans()} == {"stage count"}
    own = {"bunny.film": "meadow-00000000", "bunny.stage": "count"}
    counts = {"bunny.items": NUM_ITEMS, "bunny.failed": 0}
    assert dict(done.attributes) == {**own, "bunny.status": "done", **counts}
    assert dict(skipped.attributes) == {**own, "bunny.status": "skipped"}
    assert dict(killed.attributes) == own
    assert killed.status.description == "RuntimeError: killed"


def test_a_changed_setting_is_stale_explained_and_finds_its_shards(tmp_path):
    _stage(tmp_path).execute()
    stage = _stage(tmp_path, blur_threshold=0.5)
    assert not stage.can_resume()
    why = fingerprint.explain(stage.record()["parts"], stage.parts())
    assert why == "filtering.blur_threshold 0.17 -> 0.5"
    assert stage.execute().status == "done"
    assert stage.seen == []


def test_a_missing_or_edited_table_is_made_again(tmp_path):
    _stage(tmp_path).execute()
    path = tmp_path / "table" / "embedding.parquet"
    good = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(b"x")):
        damage()
        assert not _stage(tmp_path).can_resume()
        _stage(tmp_path).execute()
        assert path.read_bytes() == good


@settings(max_examples=15, deadline=None)
@given(limits=st.lists(st.integers(0, NUM_ITEMS - 1), max_size=4))
def test_killed_anywhere_and_resumed_equals_uninterrupted(tmp_path_factory, limits):
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    _stage(whole).execute()
    done = 0
    for limit in limits:
        stage = _stage(broken)
        stage.limit = limit
        if done + limit < NUM_ITEMS:
            with pytest.raises(RuntimeError, match="killed"):
                stage.execute()
            assert not _stage(broken).can_resume()
            done += limit
            assert stage.get_progress() == done / NUM_ITEMS
    _stage(broken).execute()
    one, two = (f / "table" / "embedding.parquet" for f in (whole, broken))
    assert one.read_bytes() == two.read_bytes()


def test_a_half_written_shard_is_not_counted(tmp_path):
    stage = _stage(tmp_path)
    shards = stage.shards("item", {"film": "c"})
    (shards.folder / ".000003.tmp").mkdir(parents=True)
    assert shards.done() == []
    assert stage.execute().rows == NUM_ITEMS


def test_bad_items_are_rows_and_too_many_fail_the_stage(tmp_path):
    stage = _stage(tmp_path / "some")
    stage.num_bad = 3
    assert stage.execute().failed == 3
    stage = _stage(tmp_path / "many")
    stage.num_bad = 4
    with pytest.raises(StageError, match="4 of 7 items failed"):
        stage.execute()
    assert not stage.can_resume()
    assert store.read(tmp_path / "many" / "table", "embedding")["error"].count() == 4


def test_force_runs_what_is_up_to_date(tmp_path):
    _stage(tmp_path).execute()
    forced = Config.model_validate({"pipeline": {"force_rerun": True}})
    stage = Count(forced, tmp_path, tmp_path)
    assert stage.execute().status == "done"
    assert stage.seen == list(range(NUM_ITEMS))


def test_a_raised_version_runs_again_says_why_and_measures_anew(tmp_path):
    class Later(Count):
        version = Count.version + 1

    _stage(tmp_path).execute()
    stage = _stage(tmp_path, Later)
    assert not stage.can_resume() and stage.why_stale() == "the stage's code changed"
    assert stage.execute().status == "done"
    assert stage.seen == list(range(NUM_ITEMS))
    assert _stage(tmp_path, Later).execute().status == "skipped"


def test_shards_that_a_kill_left_half_removed_are_no_shards(tmp_path):
    """A forced run, and one with other settings, are killed while they remove old shards."""
    stage = _stage(tmp_path)
    stage.execute()
    whole = (tmp_path / "table" / "embedding.parquet").read_bytes()
    key = stage.shards("item", {"film": "c"}).folder
    for remove in ("clear", "drop_others"):
        own = stage.shards("item", {"film": "c" if remove == "clear" else "other"})
        own.folder.mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
            patch.setattr(shutil, "rmtree", _remove_one_file_and_die)
            getattr(own, remove)()
        assert not (key / "000000").exists() or (key / "000000" / "embedding.parquet").exists()
        (tmp_path / "table" / "embedding.parquet").unlink()
        _stage(tmp_path).execute()
        assert (tmp_path / "table" / "embedding.parquet").read_bytes() == whole


def _remove_one_file_and_die(path, **_options):
    for file in sorted(Path(path).rglob("*.parquet"))[:1]:
        file.unlink()
        raise RuntimeError("killed")


def test_reading_an_undeclared_table_is_refused(tmp_path):
    with pytest.raises(StageError, match="without declaring"):
        _stage(tmp_path).read("film")


def test_a_copy_without_times_is_done_and_a_changed_table_is_named(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    _stage(one).execute()
    shutil.copytree(one, two, copy_function=shutil.copy)
    path = two / "table" / "embedding.parquet"
    os.utime(path, ns=(0, 0))
    assert _stage(two).can_resume()
    assert _stage(two).execute().status == "skipped"
    table = store.read(path.parent, "embedding")
    store.write(path.parent, "embedding", table.with_columns(model=pl.lit("other")))
    assert not _stage(two).can_resume()
    assert _stage(two).why_stale() == "table embedding was modified outside its stage"
    path.unlink()
    assert _stage(two).why_stale() == "table embedding is missing"
    assert _stage(two).execute().status == "done"
    assert path.read_bytes() == (one / "table" / "embedding.parquet").read_bytes()


class Report(contract_stage.BaseStage):
    """Reads a table, looks at the references and writes one row, or fails as it is told."""

    name = "report"
    reads = ("embedding", "label")
    writes = ("embedding",)
    uses_references = True
    is_corrected = True
    error: BaseException | None = None
    work_note = "all well"

    def settings(self):
        return contract_stage.settings_of(self.config, "filtering")

    def run(self):
        if self.error is not None:
            raise self.error
        row = {"frame_id": "a", "model": "m", "vector": [1.0]}
        table = store.from_rows("embedding", [row])
        return contract_stage.StageOutput(
            tables={"embedding": table}, num_items=0, note=self.work_note
        )


def _rows(*frame_ids):
    rows = [{"frame_id": i, "model": "m", "vector": [0.0]} for i in frame_ids]
    return store.from_rows("embedding", rows)


def test_what_a_fingerprint_is_made_of(tmp_path):
    stage = _stage(tmp_path, Report)
    stage.source["reference_hash"] = "r"
    store.write(tmp_path / "table", "embedding", _rows("a"))
    parts = stage.parts()
    assert parts["version"] == 1 and parts["outside"] == {"references": "r"}
    assert parts["settings"]["filtering.blur_threshold"] == 0.17
    assert len(parts["settings"]) == len(stage.config.filtering.model_dump())
    digest = fingerprint.table_hash(tmp_path, "embedding")
    assert parts["tables"] == {"embedding": digest, "label": ""} and len(digest) == 64
    assert stage.fingerprint() == fingerprint.digest(parts)
    assert _stage(tmp_path).parts()["outside"] == {"film": "c"}
    store.write(tmp_path / "table", "label_corrected", store.from_rows("label_corrected", []))
    assert stage.inputs() == ("embedding", "label_corrected")  # once there is a corrected one
    hashed = fingerprint.table_hash(tmp_path, "label_corrected")
    assert stage.parts()["tables"]["label"] == hashed != ""
    assert stage.read("label").height == 0
    assert _stage(tmp_path).inputs() == ()


def test_settings_of_a_section_by_name():
    config = Config.model_validate({"filtering": {"blur_threshold": 0.5}})
    some = contract_stage.settings_of(config, "filtering", "blur_threshold", "drop_kinds")
    assert some == {
        "filtering.blur_threshold": 0.5,
        "filtering.drop_kinds": ["black", "blank", "title", "credit"],
    }


def test_the_record_of_a_run_says_all(tmp_path):
    out = tmp_path / "out"
    _stage(tmp_path)
    stage = Report(Config(), tmp_path, out)
    result = stage.execute()
    record = json.loads((out / "stage" / "report" / "stage.json").read_text())
    assert record == stage.record()
    told = {key: record[key] for key in ("name", "status", "num_items", "failed", "note")}
    assert told == {
        "name": "report",
        "status": "done",
        "num_items": 0,
        "failed": 0,
        "note": "all well",
    }
    assert record["fingerprint"] == stage.fingerprint()
    assert fingerprint.digest(record["parts"]) == record["fingerprint"]
    assert record["tables"] == {"embedding": fingerprint.table_record(out, "embedding", 1)}
    assert datetime.fromisoformat(record["started_at"]).utcoffset() == timedelta(0)
    assert 0 <= record["seconds"] < 60 and 10 < record["peak_memory_mb"] < 10**6
    assert (result.name, result.status, result.rows, result.failed) == ("report", "done", 1, 0)
    assert (result.tables, result.note) == ({"embedding": 1}, "all well")
    assert result.seconds == pytest.approx(record["seconds"], abs=2.5)
    again = Report(Config(), tmp_path, out).execute()
    assert (again.status, again.rows, again.note) == ("skipped", 1, "all well")
    assert again.peak_memory_mb == record["peak_memory_mb"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StageError("no light"), "no light"), (KeyboardInterrupt(), "interrupted")],
)
def test_a_run_that_ends_early_is_recorded_with_its_reason(tmp_path, error, reason):
    stage = _stage(tmp_path, Report)
    stage.error = error
    with pytest.raises(type(error)):
        stage.execute()
    record = stage.record()
    assert (record["name"], record["status"], record["error"]) == ("report", "failed", reason)
    assert "started_at" in record and not stage.can_resume()


def test_a_run_that_is_killed_is_recorded_as_running(tmp_path):
    stage = _stage(tmp_path)
    stage.limit = 0
    with pytest.raises(RuntimeError, match="killed"):
        stage.execute()
    assert stage.record()["status"] == "running" and not stage.can_resume()


def test_just_as_many_failures_as_allowed_are_no_failure(tmp_path):
    for limit, status in ((3 / NUM_ITEMS, "done"), (3 / NUM_ITEMS - 1e-9, "failed")):
        folder = tmp_path / status
        _stage(folder)
        config = Config.model_validate({"pipeline": {"max_failed_share": limit}})
        stage = Count(config, folder, folder)
        stage.num_bad = 3
        if status == "done":
            assert stage.execute().failed == 3
        else:
            with pytest.raises(StageError, match=r"3 of 7 .* see column .* embedding"):
                stage.execute()
        assert (stage.record()["status"], stage.record()["failed"]) == (status, 3)


def test_a_stage_whose_files_are_gone_runs_again_and_says_why(tmp_path):
    _stage(tmp_path).execute()
    stage = _stage(tmp_path)
    stage.has_files = lambda: False
    assert not stage.can_resume() and stage.why_stale() == "output files are missing"
    assert _stage(tmp_path, Report).why_stale() == "never finished"
    other = _stage(tmp_path, blur_threshold=0.5)
    assert other.why_stale() == "filtering.blur_threshold 0.17 -> 0.5"


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (None, 0.0),
        ("{", 0.0),
        ('{"done": 1, "total": 4}', 0.25),
        ('{"done": 5, "total": 4}', 1.0),
        ('{"done": 1, "total": 0}', 0.0),
    ],
)
def test_progress_is_a_share(tmp_path, text, share):
    stage = _stage(tmp_path)
    if text is not None:
        atomic.write_bytes(stage.folder / "progress.json", text.encode())
    assert stage.get_progress() == share


def test_shards_are_found_by_what_they_depend_on(tmp_path):
    stage = _stage(tmp_path)
    stage.shards("item", {"film": "c"}).put(0, {"embedding": _rows("a")})
    assert _stage(tmp_path).shards("item", {"film": "c"}).is_done(0)
    assert not _stage(tmp_path).shards("item", {"film": "d"}).is_done(0)
    assert not _stage(tmp_path).shards("other", {"film": "c"}).is_done(0)
    newer = _stage(tmp_path)
    newer.version = 2  # the code changed
    assert not newer.shards("item", {"film": "c"}).is_done(0)
    _stage(tmp_path).execute()  # what was made under other keys goes, once the stage is done
    assert len(list((stage.folder / "shard" / "item").iterdir())) == 1


def test_the_progress_bar_goes_on_where_the_last_run_ended(tmp_path):
    with _stage(tmp_path).bar(10, 4) as bar:
        assert (bar.total, bar.n, bar.desc, bar.unit) == (10, 4, "count    ", "frame")


def test_threads_are_as_many_as_cores_or_one(tmp_path):
    stage = _stage(tmp_path)
    assert stage.num_workers == os.cpu_count()
    alone = Count(
        Config.model_validate({"pipeline": {"parallel_processing": False}}), tmp_path, tmp_path
    )
    assert alone.num_workers == 1
    with alone.pool() as pool:
        assert list(pool.map(len, ["a", "bb"])) == [1, 2]
        assert pool._max_workers == 1


def test_each_item_that_failed_is_a_line_of_the_log(tmp_path, caplog):
    stage = _stage(tmp_path)
    stage.num_bad = 2
    with caplog.at_level("DEBUG", logger="bunny.contract.stage"):
        stage.execute()
    said = [(line.item, line.getMessage()) for line in caplog.records if hasattr(line, "item")]
    assert said == [("f0-m", "embedding f0-m: bad"), ("f1-m", "embedding f1-m: bad")]
