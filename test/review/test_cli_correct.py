"""`bunny correct` and `bunny export feedback` on a library of a few rows."""

import json

import pytest
from typer.testing import CliRunner

from bunny.cli import app
from bunny.core import workspace
from bunny.review import event_log
from bunny.table import store


@pytest.fixture
def call(tmp_path, monkeypatch, lib, shots):
    """Calls `bunny` on a film of seven shots; gives the result."""
    monkeypatch.chdir(tmp_path)
    space = workspace.locate(tmp_path, str(tmp_path / "data"), "film")
    angles = dict(zip(shots["asset_id"], (0, 10, 20, 80, 90, 100, 30), strict=True))
    store.write(space.table, "asset", shots)
    store.write(space.table, "shot_vector", lib.vectors(angles))
    source = {"film": "film.mp4", "content_hash": "0" * 64, "references": None}
    (space.root / "source.json").write_text(json.dumps({**source, "reference_hash": ""}))

    def run(*words: str):
        where = ["--data-dir", str(tmp_path / "data")]
        return CliRunner().invoke(app, [*words, *where], catch_exceptions=True)

    run.root = space.root
    return run


def test_correcting_listing_and_taking_back(call):
    assert call("correct", "rename", "film", "scene-001", "kitchen", "--user", "ana").exit_code == 0
    assert call("correct", "assign", "film", "s00006", "--to", "kitchen").exit_code == 0
    listed = call("correct", "list", "film").output
    assert "scene-001             4 kitchen" in listed
    assert call("correct", "undo", "film", "--user", "ana").exit_code == 0
    events = call("correct", "list", "film", "--events").output.splitlines()
    assert [e.split()[3] for e in events] == ["rename", "assign", "undo"]
    assert events[0].endswith("[undone]")
    assert event_log.count(call.root) == 3


def test_look_alikes_are_only_shown_at_first(call):
    asked = ("correct", "assign", "film", "s00006", "--to", "scene-002", "--like")
    shown = call(*asked)
    assert "3 look-alikes: film-s00002, film-s00001, film-s00000" in shown.output
    assert event_log.count(call.root) == 0
    assert call(*asked, "--yes").exit_code == 0
    assert [e.origin for e in event_log.read(call.root)] == ["cli", "propagated"]
    assert "scene-002             7" in call("correct", "list", "film").output


def test_rejecting_approving_splitting_merging_commenting(call):
    for words in (
        ("reject", "film", "s00000"),
        ("approve", "film", "s00001", "s00003"),
        ("split", "film", "s00004", "--name", "attic"),
        ("merge", "film", "scene-001", "attic"),
        ("comment", "film", "s00001", "--text", "dark"),
        ("caption", "film", "s00001", "--text", "a cat"),
    ):
        result = call("correct", *words)
        assert result.exit_code == 0, result.output
    kinds = [e.kind for e in event_log.read(call.root)]
    assert kinds == ["reject", "approve", "approve", "split", "merge", "comment", "caption_edit"]


def test_a_rejected_shot_falls_to_a_place_that_is_as_like_it_as_is_set(call, monkeypatch):
    """Shot 2 lies at 20 degrees, scene-002 around 90: cosine 0.342."""
    assert call("correct", "reject", "film", "s00002").exit_code == 0
    for threshold, size in ((0.33, 4), (0.35, 3)):
        monkeypatch.setenv("BUNNY_CLUSTERING__NOISE_THRESHOLD", str(threshold))
        assert f"scene-002             {size}" in call("correct", "list", "film").output


def test_items_are_listed_with_their_ids_and_a_new_cluster_is_said(call):
    listed = call("correct", "list", "film", "scene-001").output.splitlines()
    assert [line.split()[0] for line in listed] == [f"film-s0000{i}" for i in range(3)]
    moved = call("correct", "assign", "film", "s00000", "--to", "cellar").output
    assert "created the new place 'cellar'" in moved
    assert "bunny run film --until dataset --data-dir" in moved
    again = call("correct", "assign", "film", "s00001", "--to", "cellar").output
    assert "'cellar'" in again
    assert "created" not in again
    assert "film-s00006" in call("correct", "list", "film", "noise", "--level", "scene").output
    assert "add --level" in str(call("correct", "list", "film", "noise").exception)
    assert "no cluster has this id or name" in str(
        call("correct", "list", "film", "attic").exception
    )


def test_the_newest_film_is_listed_when_none_is_named(call):
    assert "scene-001             3" in call("correct", "list").output


def test_pairs_and_the_record_are_exported(call, tmp_path):
    call("correct", "assign", "film", "s00006", "--to", "scene-002")
    pairs, record = tmp_path / "pairs.jsonl", tmp_path / "record.jsonl"
    assert "3 pairs" in call("export", "feedback", "film", "--out", str(pairs)).output
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert {(r["anchor"], r["label"]) for r in rows} == {("film-s00006", 1)}
    assert {r["positive"] for r in rows} == {f"film-s0000{i}" for i in (3, 4, 5)}
    call("export", "feedback", "film", "--events", "--output", str(record))
    assert "3 pairs" in call("export", "feedback", "film").output
    assert (call.root / "export" / "feedback.jsonl").read_text() == pairs.read_text()
    assert record.read_text() == (call.root / event_log.FILE).read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("assign", "film", "s00099", "--to", "x"),
            "no shot, figure or cluster has this id or name",
        ),
        (("rename", "film", "nowhere", "x"), "no cluster has this id or name"),
        (("undo", "film", "--user", "nobody"), "nobody has no correction left to undo"),
        (("assign", "film", "s00001", "--to", "x", "--level", "up"), "expected scene or character"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(call, words, sentence):
    result = call("correct", *words)
    assert sentence in str(result.exception)
    assert event_log.count(call.root) == 0
