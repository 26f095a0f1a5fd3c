"""Whether tables are those of the last run: by size and time, else by content."""

import json
import os
import shutil

import polars as pl
import pytest

from bunny.contract import fingerprint
from bunny.core import atomic, file_hash
from bunny.table import migration, schema, store
from bunny.table.migration import Migration


@pytest.fixture
def film_dir(tmp_path):
    """A film's folder with one table and the record of the stage that wrote it."""
    folder = tmp_path / "one"
    store.write_parquet(folder / "table" / "shot.parquet", pl.DataFrame({"number": [1, 2]}))
    record = {"status": "done", "tables": {"shot": fingerprint.table_record(folder, "shot", 2)}}
    atomic.write_bytes(folder / "stage" / "extract" / "stage.json", json.dumps(record).encode())
    return folder


def _noted(film_dir):
    return fingerprint.read_record(film_dir, "extract")["tables"]["shot"]


def _retime(path, seconds=10):
    """Give a file another time, as a plain copy does."""
    time_ns = path.stat().st_mtime_ns + seconds * 10**9
    os.utime(path, ns=(time_ns, time_ns))


def test_a_table_just_written_is_unchanged_without_reading_it(film_dir):
    path = film_dir / "table" / "shot.parquet"
    assert _noted(film_dir)["rows"] == 2
    assert _noted(film_dir)["sha256"] == file_hash.hash_file(path)
    assert fingerprint.is_unchanged(film_dir, "shot", _noted(film_dir))
    assert fingerprint.table_hash(film_dir, "shot") == _noted(film_dir)["sha256"]
    assert not (film_dir / "stage" / fingerprint.HASHES).exists()


def test_a_copy_without_times_is_unchanged_and_read_once(film_dir, tmp_path):
    known, copy = _noted(film_dir), tmp_path / "copy"
    shutil.copytree(film_dir, copy, copy_function=shutil.copy)
    path = copy / "table" / "shot.parquet"
    _retime(path)
    assert fingerprint.is_unchanged(copy, "shot", known)
    assert fingerprint.table_hash(copy, "shot") == known["sha256"]
    kept = json.loads((copy / "stage" / fingerprint.HASHES).read_text())
    assert kept["shot"]["mtime_ns"] == path.stat().st_mtime_ns
    kept["shot"]["sha256"] = "kept"  # what is kept is believed as long as size and time agree
    (copy / "stage" / fingerprint.HASHES).write_text(json.dumps(kept))
    assert fingerprint.table_hash(copy, "shot") == "kept"
    _retime(path)
    assert fingerprint.table_hash(copy, "shot") == known["sha256"]


def test_other_content_of_the_same_size_is_noticed(film_dir):
    known, path = _noted(film_dir), film_dir / "table" / "shot.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    _retime(path)
    assert path.stat().st_size == known["size"]
    assert not fingerprint.is_unchanged(film_dir, "shot", known)
    assert fingerprint.table_hash(film_dir, "shot") == file_hash.hash_file(path) != known["sha256"]


def test_a_missing_table_has_no_hash_and_is_not_unchanged(film_dir):
    known = _noted(film_dir)
    (film_dir / "table" / "shot.parquet").unlink()
    assert fingerprint.table_hash(film_dir, "shot") == ""
    assert not fingerprint.is_unchanged(film_dir, "shot", known)
    assert not fingerprint.is_unchanged(film_dir, "frame", None)
    assert fingerprint.explain_tables(film_dir, {"shot": known}) == "table shot is missing"


def test_a_damaged_memory_is_made_anew(film_dir):
    _retime(film_dir / "table" / "shot.parquet")
    (film_dir / "stage" / fingerprint.HASHES).write_text("{")
    assert fingerprint.is_unchanged(film_dir, "shot", _noted(film_dir))
    assert fingerprint.explain_tables(film_dir, {"shot": _noted(film_dir)}) == ""


@pytest.mark.parametrize(
    "text", ["", "[1]", "null", '{"status": 1}', '{"status": "done", "tables": [1]}']
)
@pytest.mark.attack
def test_a_damaged_record_counts_as_none(tmp_path, text):
    path = tmp_path / "stage" / "extract" / "stage.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert fingerprint.read_record(tmp_path, "extract") == {}


def test_a_folder_that_may_only_be_read_is_no_failure(film_dir, _windows):
    _retime(film_dir / "table" / "shot.parquet")
    (film_dir / "stage" / fingerprint.HASHES).mkdir()  # nothing can be kept under that name
    assert fingerprint.is_unchanged(film_dir, "shot", _noted(film_dir))
    if _windows is not None:
        _windows.take()  # that it was refused is what this is about


def test_digest_knows_no_order_of_keys():
    assert fingerprint.digest({"a": 1, "b": 2}) == fingerprint.digest({"b": 2, "a": 1})
    assert fingerprint.digest({"a": 1}) != fingerprint.digest({"a": 2})


def test_explain_names_tables_outside_inputs_and_version():
    old = {"version": 1, "settings": {}, "outside": {"film": "a"}, "tables": {"frame": "x"}}
    new = {"version": 2, "settings": {}, "outside": {"film": "b"}, "tables": {"frame": "y"}}
    words = "film changed, table frame changed, the stage's code changed"
    assert fingerprint.explain(old, new) == words
    assert fingerprint.explain({}, new) == "never finished"
    assert fingerprint.explain(old, old) == ""


def test_explain_names_what_is_new_or_gone():
    one = {"settings": {"a.b": 1}, "outside": {"film": "f"}, "tables": {"frame": "x"}}
    two = {"settings": {"a.c": 2}, "outside": {}, "tables": {"shot": "y"}}
    settings, tables = "a.b 1 -> None, a.c None -> 2", "table frame changed, table shot changed"
    assert fingerprint.explain(one, two) == f"{settings}, film changed, {tables}"
    assert fingerprint.explain(two, one) == (
        f"a.b None -> 1, a.c 2 -> None, film changed, {tables}"
    )
    assert fingerprint.explain(one, {"version": 1}) == (
        "a.b 1 -> None, film changed, table frame changed, the stage's code changed"
    )


def test_each_changed_table_is_named(film_dir):
    other = fingerprint.table_record(film_dir, "shot", 2)
    store.write_parquet(film_dir / "table" / "shot.parquet", pl.DataFrame({"number": [1, 2, 3]}))
    assert fingerprint.explain_tables(film_dir, {"shot": other, "frame": other}) == (
        "table shot was modified outside its stage, table frame is missing"
    )


def test_a_stage_that_only_began_says_nothing_of_tables(film_dir):
    running = json.dumps({"name": "detect", "status": "running"}).encode()
    for name in ("a first", "z last"):
        atomic.write_bytes(film_dir / "stage" / name / "stage.json", running)
    assert fingerprint.table_hash(film_dir, "shot") == _noted(film_dir)["sha256"]
    assert not (film_dir / "stage" / fingerprint.HASHES).exists()
    path = film_dir / "table" / "frame.parquet"
    atomic.write_bytes(path, b"of no stage")  # every record is looked at
    assert fingerprint.table_hash(film_dir, "frame") == file_hash.hash_file(path)
    assert fingerprint.read_record(film_dir, "no such stage") == {}


def test_a_table_from_which_no_migration_leads_has_to_be_made_again(film_dir, monkeypatch):
    noted = _noted(film_dir)
    assert noted["schema_version"] == 1
    old = {key: value for key, value in noted.items() if key != "schema_version"}
    assert fingerprint.is_unchanged(film_dir, "shot", old)  # of before versions were noted
    monkeypatch.setitem(schema.VERSION, "shot", 2)
    for record in (noted, old):
        assert not fingerprint.is_unchanged(film_dir, "shot", record)
        why = fingerprint.explain_tables(film_dir, {"shot": record})
        assert why == "table shot now has a different schema"
    step = Migration(table="shot", from_version=1, to_version=2, change=lambda table: table)
    monkeypatch.setattr(migration, "MIGRATIONS", (step,))
    assert fingerprint.is_unchanged(film_dir, "shot", noted)
