"""Append-only records: whole lines are read back, cut ones are dropped, bad ones are named."""

import pytest
from filelock import FileLock

from bunny.core import jsonl
from bunny.core.error import UserError


def values(path, **options):
    return [entry for _, entry in jsonl.read(path, "one entry", **options)]


def test_entries_are_read_back_with_their_places(tmp_path):
    path = tmp_path / "record.jsonl"
    assert jsonl.read(path, "one entry") == [] and jsonl.count(path) == 0
    assert jsonl.append(path, [{"a": 1}, {"a": "é\n"}]) == 2
    assert jsonl.append(path, []) == 2
    assert path.read_text(encoding="utf-8") == '{"a": 1}\n{"a": "é\\n"}\n'
    assert jsonl.read(path, "one entry", after=1) == [("record.jsonl, line 2", {"a": "é\n"})]


def test_a_last_line_without_an_end_is_passed_over_then_cut_off(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": 2')
    assert values(path) == [{"a": 1}] and jsonl.count(path) == 1
    assert jsonl.append(path, [{"a": 3}]) == 2
    assert path.read_bytes() == b'{"a": 1}\n\n{"a": 3}\n'
    assert jsonl.read(path, "one entry")[1][0] == "record.jsonl, line 3"


@pytest.mark.parametrize(
    ("line", "words"),
    [("{", "line 1: expected one entry as JSON,"), ("[]", "line 1: expected one entry as a JSON")],
)
def test_a_line_that_is_no_object_is_named(tmp_path, line, words):
    path = tmp_path / "record.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UserError, match=words):
        jsonl.read(path, "one entry")


def test_a_record_that_stays_locked_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    monkeypatch.setattr(jsonl, "WAIT_S", 0.05)
    with FileLock(tmp_path / ".record.lock"), pytest.raises(UserError, match="keeps it locked"):
        jsonl.append(path, [{"a": 1}])
    assert not path.exists()


def test_a_record_is_rewritten_whole_or_not_at_all(tmp_path):
    path = tmp_path / "said.jsonl"
    jsonl.rewrite(path, "one word", lambda entries: [{"made": "up"}])
    assert not path.exists()
    jsonl.append(path, [{"a": 1}, {"a": 2}, {"a": 3}])
    time = path.stat().st_mtime_ns
    jsonl.rewrite(path, "one word", lambda entries: entries)
    assert path.stat().st_mtime_ns == time
    with pytest.raises(ZeroDivisionError):
        jsonl.rewrite(path, "one word", lambda entries: [{"a": 1 / 0}])
    assert jsonl.count(path) == 3
    jsonl.rewrite(path, "one word", lambda entries: [e for e in entries if e["a"] != 2])
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'
