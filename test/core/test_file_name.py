"""A file that another program has open: it is waited for, then said in one sentence."""

import contextlib
import os
import threading
import time

import polars as pl
import pytest

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.table import store


@pytest.fixture
def _is_forgiven(_windows):
    """What is refused on the way is what these tests are about."""
    if _windows is None:
        pytest.skip("whether a file is open is read from /proc, and this system has none")
    yield
    _windows.take()


pytestmark = pytest.mark.usefixtures("_is_forgiven")


def _table(text: str) -> pl.DataFrame:
    row = {"frame_id": "a", "model": text, "vector": [1.0]}
    return store.from_rows("embedding", [row])


@contextlib.contextmanager
def _open_for(path, seconds: float):
    """Have a file open, and close it after a while."""
    stream = path.open("rb")
    closing = threading.Timer(seconds, stream.close)
    closing.start()
    try:
        yield stream
    finally:
        closing.cancel()
        stream.close()


def test_a_table_is_written_as_soon_as_its_reader_closes_it(tmp_path):
    path = store.write(tmp_path, "embedding", _table("before"))
    started = time.monotonic()
    with _open_for(path, 0.3):
        store.write(tmp_path, "embedding", _table("after"))
    assert 0.3 <= time.monotonic() - started < atomic.WAIT_S
    assert store.read(tmp_path, "embedding")["model"].to_list() == ["after"]
    assert [p.name for p in tmp_path.iterdir()] == ["embedding.parquet"]


def test_a_table_that_stays_open_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "WAIT_S", 0.2)
    path = store.write(tmp_path, "embedding", _table("before"))
    with path.open("rb"), pytest.raises(UserError, match="close that notebook") as refused:
        store.write(tmp_path, "embedding", _table("after"))
    assert str(path) in str(refused.value)
    assert store.read(tmp_path, "embedding")["model"].to_list() == ["before"]
    assert [p.name for p in tmp_path.iterdir()] == ["embedding.parquet"]


def test_a_folder_with_an_open_file_is_replaced_once_it_is_closed(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text(name, encoding="utf-8")
    with _open_for(tmp_path / "old" / "text", 0.2):
        atomic.replace_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "text").read_text(encoding="utf-8") == "new"
    assert not (tmp_path / "new").exists()


def test_a_folder_with_a_file_that_stays_open_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "WAIT_S", 0.2)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "open").write_text(name, encoding="utf-8")
        (tmp_path / name / "other").write_text(name, encoding="utf-8")
    with (tmp_path / "old" / "open").open("rb"), pytest.raises(atomic.InUseError, match="old"):
        atomic.replace_folder(tmp_path / "new", tmp_path / "old")
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert found == ["new", "new/open", "new/other", "old", "old/open", "old/other"]
    assert (tmp_path / "old" / "other").read_text(encoding="utf-8") == "old"


def test_other_refusals_are_passed_on_at_once(tmp_path, monkeypatch):
    started = time.monotonic()
    with pytest.raises(FileNotFoundError):
        atomic.replace(tmp_path / "missing", tmp_path / "there")
    denied = PermissionError(13, "Permission denied")  # of a folder that may only be read

    def refuse(*_):
        raise denied

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError) as refused:
        atomic.replace(tmp_path / "file", tmp_path / "there")
    assert refused.value is denied
    assert time.monotonic() - started < 0.2
