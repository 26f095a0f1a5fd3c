"""The record of what a person added: it only grows, and what is broken is said."""

import json

import pytest

from bunny.core.error import UserError
from bunny.dataset import addition
from bunny.dataset.addition import Addition

ONE = Addition(addition_id="a1", character="anna", spans=((0, 10), (30, 40)), user="eve")
TWO = Addition(
    addition_id="a2",
    character="bo",
    spans=((5, 6),),
    axis="light",
    value="dark",
    is_sure=True,
    interval_s=0.25,
)


def test_what_is_added_is_read_again_and_undone_is_undone(tmp_path):
    assert addition.read(tmp_path) == [] and addition.next_id(tmp_path) == "a1"
    addition.add(tmp_path, ONE)
    addition.add(tmp_path, TWO)
    assert addition.read(tmp_path) == [ONE, TWO]
    first = (tmp_path / addition.FILE).read_bytes()
    addition.undo(tmp_path, "a1", time="now", user="eve", reason="wrong")
    assert addition.read(tmp_path) == [TWO]
    assert (tmp_path / addition.FILE).read_bytes().startswith(first)  # nothing is ever rewritten
    assert addition.next_id(tmp_path) == "a3"


def test_spans_are_half_open():
    assert [n for n in range(-1, 45) if ONE.holds(n)] == [*range(10), *range(30, 40)]


def test_settings_and_dense_spans_by_hand():
    assert addition.fingerprint_settings([]) == {}
    assert addition.fingerprint_settings([TWO, ONE]) == {
        "added by hand": ["anna: frames 0-9, 30-39", "bo: frames 5-5, light dark, sure"]
    }
    assert addition.dense_spans([ONE, TWO]) == [(5, 6, 0.25)]


def test_a_line_cut_by_a_kill_is_passed_over_and_the_next_one_is_whole(tmp_path):
    addition.add(tmp_path, ONE)
    with (tmp_path / addition.FILE).open("ab") as stream:
        stream.write(b'{"action": "add", "addi')
    assert addition.read(tmp_path) == [ONE]
    addition.add(tmp_path, TWO)
    assert addition.read(tmp_path) == [ONE, TWO]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        json.dumps({"action": "add", "addition_id": "a1"}),
        json.dumps({"action": "drop", "addition_id": "a1"}),
        json.dumps({"action": "add", "addition_id": "a1", "character": "b", "spans": [[1]]}),
        json.dumps({"action": "undo", "addition_id": "a1", "colour": "red"}),
    ],
)
def test_a_line_that_is_no_record_is_one_sentence(tmp_path, line):
    (tmp_path / addition.FILE).write_text(line + "\n")
    with pytest.raises(UserError, match=r"addition.jsonl, line 1: expected a record") as error:
        addition.read(tmp_path)
    assert "\n" not in str(error.value)
