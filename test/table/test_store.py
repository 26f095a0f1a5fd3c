"""Tables: checked on write, ordered, atomic."""

import os
import re
import stat

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
import table_row

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.table import schema, store


def _embedding_rows(length: int = 3) -> list[dict]:
    return [
        {"frame_id": "b", "model": "m", "vector": np.arange(length, dtype=np.float32)},
        {"frame_id": "a", "model": "m", "vector": None, "error": "unreadable"},
    ]


def test_rows_come_back_in_key_order_with_vectors_typed(tmp_path):
    store.write(tmp_path, "embedding", store.from_rows("embedding", _embedding_rows()))
    table = store.read(tmp_path, "embedding")
    assert table["frame_id"].to_list() == ["a", "b"]
    assert table.schema["vector"] == pl.Array(pl.Float32, 3)
    assert table["vector"].to_list() == [None, [0.0, 1.0, 2.0]]


@pytest.mark.parametrize("name", schema.TABLE)
def test_every_table_can_be_empty(name, tmp_path):
    store.write(tmp_path, name, store.from_rows(name, []))
    table = store.read(tmp_path, name)
    assert table.height == 0
    assert table.columns == schema.TABLE[name].column_names()


def test_same_rows_in_another_order_give_the_same_bytes(tmp_path):
    rows = _embedding_rows()
    for folder, order in (("one", rows), ("two", rows[::-1])):
        store.write(tmp_path / folder, "embedding", store.from_rows("embedding", order))
    one, two = (tmp_path / f / "embedding.parquet" for f in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_duplicate_key_is_refused():
    with pytest.raises(store.TableError, match="primary_key"):
        store.from_rows("embedding", [_embedding_rows()[0]] * 2)


def test_unknown_column_is_refused_by_name():
    with pytest.raises(store.TableError, match="colour"):
        store.from_rows("embedding", [{"frame_id": "a", "model": "m", "colour": 1}])


def test_vectors_of_two_lengths_are_refused():
    rows = [*_embedding_rows(3)[:1], {**_embedding_rows(4)[0], "frame_id": "c"}]
    with pytest.raises(store.TableError, match=r"\[3, 4\]"):
        store.from_rows("embedding", rows)


def test_missing_and_broken_tables_say_what_to_do(tmp_path):
    with pytest.raises(store.TableError, match="run the stage"):
        store.read(tmp_path, "film")
    (tmp_path / "film.parquet").write_bytes(b"no parquet")
    with pytest.raises(store.TableError, match="delete it"):
        store.read(tmp_path, "film")


def test_columns_that_came_later_are_null_in_older_tables(tmp_path):
    row = {"frame_id": "a", "brightness": 0.5, "text_lines": 2}
    today = store.from_rows("measure", [row])
    store.write_parquet(tmp_path / "measure.parquet", today.drop("cast_red", "signature"))
    table = store.read(tmp_path, "measure")
    assert table.schema == today.schema and table.equals(today)


def test_a_failed_write_leaves_the_old_table_and_no_litter(tmp_path):
    atomic.write_bytes(tmp_path / "x", b"old")

    class Explodes(pl.DataFrame):
        def write_parquet(self, *_args, **_kwargs):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.write_parquet(tmp_path / "x", Explodes())
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_vectors_of_a_declared_length_keep_their_type(tmp_path):
    row = {"frame_id": "a", "signature": list(range(256)) * 4}
    store.write(tmp_path, "measure", store.from_rows("measure", [row, {"frame_id": "b"}]))
    signature = store.read(tmp_path, "measure")["signature"]
    assert signature.dtype == pl.Array(pl.UInt8, 1024)
    assert signature[0].to_list() == row["signature"] and signature[1] is None
    nobody = store.from_rows("measure", [{"frame_id": "a"}, {"frame_id": "b"}])
    assert nobody["signature"].null_count() == 2
    with pytest.raises(store.TableError, match=r"signature: expected .* length 1024, got .*\[3\]"):
        store.from_rows("measure", [{**row, "signature": [1, 2, 3]}])


def _watched(monkeypatch, folder):
    """Names in a folder at each moment when a file is flushed to disk."""
    seen, flush = [], os.fsync

    def fsync(handle):
        seen.append(sorted(path.name for path in folder.iterdir()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize("kind", ["table", "bytes"])
def test_a_write_is_flushed_under_a_hidden_name_in_its_own_folder(tmp_path, monkeypatch, kind):
    folder = tmp_path / "new" / "folder"
    seen = _watched(monkeypatch, folder)
    for value in (1, 2):
        if kind == "table":
            store.write_parquet(folder / "x", pl.DataFrame({"a": [value]}))
        else:
            atomic.write_bytes(folder / "x", bytes([value]))
    (first,), (second, last) = seen
    assert first.startswith(".x.") and first.endswith(".tmp")
    assert second.startswith(".x.") and second.endswith(".tmp") and last == "x"
    assert [path.name for path in folder.iterdir()] == ["x"]
    if kind == "table":
        assert pl.read_parquet(folder / "x")["a"].to_list() == [2]
    else:
        assert (folder / "x").read_bytes() == b"\x02"


@pytest.mark.parametrize("kind", ["table", "bytes"])
def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, kind):
    atomic.write_bytes(tmp_path / "x", b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        if kind == "table":
            store.write_parquet(tmp_path / "x", pl.DataFrame({"a": [1]}))
        else:
            atomic.write_bytes(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_may_be_read_as_any_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        atomic.write_bytes(tmp_path / "x", b"")
        assert os.umask(mask) == mask  # it is as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_tables_are_stored_compressed_with_the_bounds_of_their_columns(tmp_path):
    store.write_parquet(tmp_path / "x", pl.DataFrame({"a": [1, 5, 3]}))
    column = pyarrow.parquet.ParquetFile(tmp_path / "x").metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert (column.statistics.min, column.statistics.max) == (1, 5)


def test_vectors_given_as_lists_are_typed_by_the_check():
    frame = pl.DataFrame({"frame_id": ["a"], "model": ["m"], "vector": [[1.0, 2.0]]})
    frame = frame.with_columns(error=pl.lit(None, pl.String))
    assert frame.schema["vector"] == pl.List(pl.Float64)
    table = store.check("embedding", frame)
    assert table.schema["vector"] == pl.Array(pl.Float32, 2)
    assert table["vector"].to_list() == [[1.0, 2.0]]


def test_a_table_that_was_never_written_is_empty_where_asked_so(tmp_path):
    empty = store.read_or_empty(tmp_path, "embedding")
    assert empty.height == 0 and not store.exists(tmp_path, "embedding")
    path = store.write(tmp_path, "embedding", store.from_rows("embedding", _embedding_rows()))
    assert path == tmp_path / "embedding.parquet" and store.exists(tmp_path, "embedding")
    assert store.read_or_empty(tmp_path, "embedding").height == 2
    with pytest.raises(store.TableError, match=r"embedding\.parquet in .*, found none"):
        store.read(tmp_path / "other", "embedding")


def test_later_columns_take_their_place_and_unknown_ones_come_last(tmp_path):
    today = store.from_rows("embedding", _embedding_rows())
    older = today.drop("error").with_columns(extra=pl.lit(1))
    store.write_parquet(tmp_path / "embedding.parquet", older)
    table = store.read(tmp_path, "embedding")
    assert table.columns == [*today.columns, "extra"]
    assert table["error"].to_list() == [None, None] and table.schema["error"] == pl.String
    store.write_parquet(tmp_path / "other.parquet", older)  # of no schema: as it is
    assert store.read(tmp_path, "other").equals(older)


# Columns that sound like paths and are none that a workspace's folder is joined with.
NO_PATH = {
    ("film", "path"),  # the user's
    ("batch_film", "film"),  # the user's
    ("frame", "source_file"),  # a label: the picture's name in the user's folder
    ("extra_frame", "source_file"),
    ("library_film", "film"),  # a label, as the next two
    ("library_picture", "film"),
    ("library_picture", "film_hash"),
    ("library_picture", "film_licence"),
}


def test_every_column_that_names_a_file_is_marked_as_a_path():
    texts = {
        (name, column)
        for name, table in schema.TABLE.items()
        for column, kind in table.columns().items()
        if kind.dtype in (pl.String, pl.List(pl.String))
    }
    sounds = re.compile("file|path|folder|^film(?!_id)|reference_id$|^run_id$")
    named = {one for one in texts if sounds.search(one[1])} - NO_PATH
    marked = {(name, column) for name, columns in schema.PATH.items() for column in columns}
    assert named <= marked <= texts


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "../x", "a/../../x", "..", "C:/x", r"\\host\x", "a/.. /x", "a\0"]
)
def test_a_path_that_leads_out_of_its_folder_is_neither_written_nor_read(tmp_path, place):
    for name, columns in schema.PATH.items():
        for column in columns:
            is_list = isinstance(schema.TABLE[name].columns()[column].dtype, pl.List)
            changes = {column: ["a", place] if is_list else place}
            row = table_row.fill(name, changes)
            with pytest.raises(UserError, match=f"expected paths inside .* in column {column}"):
                store.from_rows(name, [row])
            good = table_row.table(name, [{column: ["a"] if is_list else "a"}])
            bad = good.with_columns(pl.Series(column, [changes[column]]))
            store.write_parquet(tmp_path / f"{name}.parquet", bad, name)
            for get in (store.read, lambda *one: store.scan(*one).collect()):
                with pytest.raises(UserError, match=f"in column {column}, found .*leads out"):
                    get(tmp_path, name)


def test_a_column_of_another_type_is_refused_by_its_name(tmp_path):
    table = table_row.table("frame", [{"file": "a"}])
    wrong = table.with_columns(shot_index=pl.lit("first"))
    store.write_parquet(tmp_path / "frame.parquet", wrong, "frame")
    with pytest.raises(UserError, match="expected the values of table frame in columns shot_index"):
        store.read(tmp_path, "frame")
