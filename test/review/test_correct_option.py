"""What the options of `bunny correct` do where a place and a character share their names."""

import pytest

from bunny.core import workspace
from bunny.review import event_log
from bunny.table import store

NAMES = {"scene": ("scene-001", "scene-002"), "character": ("bunny", "person-01")}


@pytest.fixture
def film(tmp_path, bunny, shots, figures):
    """The workspace of a film whose places and characters are called dock and pier alike."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    space = workspace.create(tmp_path, "data", path, None)
    store.write(space.table, "asset", shots.vstack(figures))
    for level, (one, other) in NAMES.items():
        for cluster, name in ((one, "dock"), (other, "pier")):
            code, _, err = bunny("correct", "rename", "film", cluster, name, "--level", level)
            assert (code, err) == (0, "")
    return space


def last(space):
    return event_log.read(space.root)[-1]


@pytest.mark.parametrize("level", ["scene", "character"])
@pytest.mark.parametrize(
    "words",
    [
        ("assign", "film", "dock", "--to", "barn"),
        ("reject", "film", "dock"),
        ("approve", "film", "dock"),
        ("split", "film", "dock"),
        ("merge", "film", "dock", "pier"),
        ("rename", "film", "dock", "quay"),
        ("comment", "film", "dock", "--text", "dim"),
    ],
)
def test_the_level_decides_between_a_place_and_a_character(bunny, film, words, level):
    code, out, err = bunny("correct", *words)
    assert (code, out) == (
        2,
        "",
    ) and "both a place and a character have this name; add --level" in err
    assert len(event_log.read(film.root)) == 4
    assert bunny("correct", *words, "--level", level)[0] == 0
    said = last(film)
    assert said.level == level
    assert len(said.items) == (0 if said.kind in ("merge", "rename") else 3)


def test_a_listing_is_of_the_level(bunny, film):
    code, _, err = bunny("correct", "list", "film", "dock")
    assert code == 2 and "add --level" in err
    places = bunny("correct", "list", "film", "dock", "--level", "scene")[1].splitlines()
    assert [line.split()[0] for line in places] == ["film-s00000", "film-s00001", "film-s00002"]
    figures = bunny("correct", "list", "film", "dock", "--level", "character")[1].splitlines()
    assert [line.split()[0] for line in figures] == ["film-t0", "film-t1", "film-t2"]


@pytest.mark.parametrize(
    "words",
    [
        ("assign", "film", "s00006", "--to", "barn"),
        ("reject", "film", "s00000"),
        ("approve", "film", "s00000"),
        ("split", "film", "s00000"),
        ("merge", "film", "scene-001", "scene-002"),
        ("rename", "film", "scene-001", "quay"),
        ("caption", "film", "s00000", "--text", "a boat"),
    ],
)
def test_who_says_so_and_why_are_kept(bunny, film, words):
    code, out, _ = bunny("correct", *words, "--user", "ana", "--reason", "seen twice")
    assert code == 0 and " ana " in out and "(seen twice)" in out
    assert (last(film).user, last(film).reason) == ("ana", "seen twice")
    assert bunny("correct", "undo", "film", "--user", "ana", "--reason", "slip")[0] == 0
    assert (last(film).kind, last(film).user, last(film).reason) == ("undo", "ana", "slip")


def test_a_comment_has_its_user_and_without_one_the_setting_speaks(bunny, film, monkeypatch):
    assert bunny("correct", "comment", "film", "s00000", "--text", "dim", "--user", "ana")[0] == 0
    assert (last(film).user, last(film).text) == ("ana", "dim")
    monkeypatch.setenv("BUNNY_REVIEW__USER", "bo")
    assert bunny("correct", "comment", "film", "s00000", "--text", "dim")[0] == 0
    assert last(film).user == "bo"


def test_undo_takes_back_the_users_own_last_word(bunny, film):
    bunny("correct", "split", "film", "s00000", "--name", "attic", "--user", "ana")
    own = last(film).event_id
    bunny("correct", "split", "film", "s00003", "--name", "cellar", "--user", "bo")
    assert bunny("correct", "undo", "film", "--user", "ana")[0] == 0
    assert last(film).undoes == own
    listed = bunny("correct", "list", "film")[1]
    assert "cellar" in listed and "attic" not in listed


def test_a_rejection_names_the_cluster_that_is_left(bunny, film):
    assert bunny("correct", "reject", "film", "s00006", "--from", "pier")[0] == 0
    assert last(film).cluster.cluster_id == "scene-002"  # it lies in none
    assert bunny("correct", "reject", "film", "s00000")[0] == 0
    assert last(film).cluster.cluster_id == "scene-001"
