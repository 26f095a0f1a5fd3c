"""`bunny approve`, and what may not be done before with `review.needs_approval`."""

import json
import re

import cv2
import numpy as np
import polars as pl
import pytest
from set_on_disk import make_set

from bunny.core import workspace
from bunny.dataset import approval
from bunny.table import store

NEEDED = ("--set", "review.needs_approval=true")


@pytest.fixture
def space(tmp_path):
    """The workspace of a film with sets of anna and bo."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    space = workspace.create(tmp_path, "data", film, None)
    rows = make_set(space, "anna", 4, 0) + make_set(space, "bo", 3, 50)
    store.write(space.table, "dataset", store.from_rows("dataset", rows))
    return space


def edit(space, image_id, **values):
    """Change one row of the set."""
    rows = store.read(space.table, "dataset").to_dicts()
    for row in rows:
        row.update(values if row["image_id"] == image_id else {})
    store.write(space.table, "dataset", store.from_rows("dataset", rows))


def export(bunny, *more):
    return bunny("export", "kohya", "--character", "anna", "--output", "out", *NEEDED, *more)


def test_a_set_is_exported_once_somebody_approved_it(bunny, space, tmp_path):
    code, _, err = export(bunny)
    assert code == 2
    assert "expected an approved training set of anna, found one that nobody approved" in err
    assert f"`bunny approve {space.film_id} --character anna`" in err
    assert not (tmp_path / "out").exists()
    code, out, _ = bunny("approve", "film", "--character", "anna", "--by", "Mia")
    assert code == 0
    assert re.match(rf"{space.film_id}: Mia approved anna's set \(4 pictures; \d{{4}}-", out)
    assert export(bunny)[0] == 0
    said = json.loads((tmp_path / "out" / "rights.json").read_text())["approval"]
    [line] = (space.root / "approval.jsonl").read_text().splitlines()
    known = json.loads(line)
    assert said == {
        "approved_by": "Mia",
        "approved_at": known["at"],
        "approved_set": known["set_hash"],
    }
    assert bunny("export", "kohya", "--character", "bo", "--output", "o", *NEEDED)[0] == 2
    assert bunny("export", "kohya", "--character", "bo", "--output", "o")[0] == 0  # not asked for
    assert "approval" not in json.loads((tmp_path / "o" / "rights.json").read_text())


@pytest.mark.parametrize("what", ["caption", "split", "repeats", "picture", "removed"])
def test_what_changed_since_is_not_approved_and_is_again_once_it_is_as_it_was(
    bunny, space, tmp_path, what
):
    bunny("approve", "film", "--by", "Mia")
    before = store.read(space.table, "dataset")
    file = space.root / "dataset" / "anna" / "0001.png"
    bytes_before = file.read_bytes()
    if what == "picture":
        cv2.imwrite(str(file), np.zeros((64, 64, 3), np.uint8))
    elif what == "removed":
        store.write(space.table, "dataset", before.filter(pl.col("image_id") != "anna-1"))
    else:
        values = {"caption": "anna as Bo", "split": "held-out", "repeats": 9}
        edit(space, "anna-1", **{what: values[what]})
    code, _, err = export(bunny)
    assert (code, "one that changed after it was approved" in err) == (2, True)
    code, out, _ = bunny("approve", "film", "--show")
    assert code == 0
    assert "the set of anna is not approved" in out
    assert "Mia approved bo's set (3 pictures;" in out
    store.write(space.table, "dataset", before)
    file.write_bytes(bytes_before)
    assert export(bunny)[0] == 0


def test_an_approval_is_taken_back(bunny, space):
    bunny("approve", "film", "--by", "Mia")
    code, out, _ = bunny("approve", "film", "--character", "anna", "--by", "Ben", "--withdraw")
    assert (code, "Ben withdrew the approval of" in out) == (0, True)
    assert export(bunny)[0] == 2
    table = store.read(space.table, "dataset")
    assert approval.find(table, space.root, "anna") is None
    assert approval.find(table, space.root, "bo").by == "Mia"
    assert len((space.root / "approval.jsonl").read_text().splitlines()) == 3  # nothing is lost
    bunny("approve", "film", "--character", "anna", "--by", "Zoe")
    assert export(bunny)[0] == 0


def test_clips_and_publishing_wait_for_it_too(bunny, space, monkeypatch):
    monkeypatch.setenv("BUNNY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    code, _, err = bunny("publish", "film", *NEEDED)
    assert (code, "review.needs_approval" in err) == (2, True)
    bunny("approve", "film", "--by", "Mia")
    _, _, err = bunny("publish", "film", *NEEDED)
    assert "review.needs_approval" not in err  # the database is what is missing now


def test_words_that_are_no_approval_are_refused(bunny, space):
    code, _, err = bunny("approve", "film", "--character", "cleo")
    assert (code, "expected a character with a training set (anna, bo), got cleo" in err) == (
        2,
        True,
    )
    (space.root / "dataset" / "bo" / "0001.png").unlink()
    code, _, err = bunny("approve", "film")
    assert (code, "1 of 7 are missing (first: dataset/bo/0001.png)" in err) == (2, True)
    assert bunny("approve", "film", "--character", "anna")[0] == 0
    (space.root / "approval.jsonl").write_text('{"character": "anna"}\n')
    code, _, err = export(bunny)
    assert (code, "approval.jsonl, line 1: expected an approval" in err) == (2, True)


def test_as_json(bunny, space):
    code, out, _ = bunny("approve film --by Mia --json --data-dir data --debug")
    found = json.loads(out)
    assert code == 0
    assert [one["character"] for one in found["approvals"]] == ["anna", "bo"]


def test_who_approves_is_the_user_of_the_settings_unless_somebody_else_is_named(
    bunny, space, monkeypatch
):
    monkeypatch.setenv("BUNNY_REVIEW__USER", "Mia the reviewer")
    assert bunny("approve", "film", "--character", "anna")[0] == 0
    assert bunny("approve", "film", "--character", "bo", "--by", "Ben")[0] == 0
    table = store.read(space.table, "dataset")
    said = [approval.find(table, space.root, name).by for name in ("anna", "bo")]
    assert said == ["Mia the reviewer", "Ben"]
