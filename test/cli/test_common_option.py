"""Options that many commands have: where films are looked for, settings, and one JSON object."""

import pytest

from bunny import sample

# A film that is nowhere, so that each command ends where it looks for it.
OF_A_FILM = [
    ("status", "film"),
    ("report", "film"),
    ("references", sample.reference_dir(), "--film", "film"),
    ("characters", "film"),
    ("gaps", "film"),
    ("check", "film"),
    ("evaluate", "film"),
    ("generate", "film"),
    ("review", "film", "--no-browser"),
    ("learn", "film"),
    ("search", "words"),
    ("publish", "film"),
    ("export", "set", "film"),
    ("export", "adapter", "film"),
    ("export", "imagefolder", "film"),
    ("export", "kohya", "film"),
    ("export", "webdataset", "film"),
    ("export", "timeline", "film"),
]
WITHOUT_SETTINGS = [
    ("where", "picture"),
    ("export", "json", "film"),
    ("export", "feedback", "film"),
    ("correct", "list", "film"),
    ("correct", "assign", "film", "s00001", "--to", "attic"),
    ("correct", "reject", "film", "s00001"),
    ("correct", "approve", "film", "s00001"),
    ("correct", "split", "film", "s00001"),
    ("correct", "merge", "film", "scene-001", "scene-002"),
    ("correct", "rename", "film", "scene-001", "attic"),
    ("correct", "comment", "film", "s00001", "--text", "dark"),
    ("correct", "caption", "film", "s00001", "--text", "dark"),
    ("correct", "undo", "film"),
]


@pytest.fixture(autouse=True)
def _database(monkeypatch):
    """An address, which `publish` asks for before it looks for the film."""
    monkeypatch.setenv("BUNNY_DATABASE_URL", "postgresql://u@127.0.0.1:1/db")


@pytest.mark.parametrize("words", OF_A_FILM)
def test_films_are_looked_for_in_the_data_dir(bunny, words):
    _looked_in(bunny(*words), "data")
    _looked_in(bunny(*words, "--data-dir", "elsewhere"), "elsewhere")


@pytest.mark.parametrize("words", WITHOUT_SETTINGS)
def test_films_are_looked_for_in_the_data_dir_where_nothing_can_be_set(bunny, words):
    _looked_in(bunny(*words), "data")
    _looked_in(bunny(*words, "--data-dir", "elsewhere"), "elsewhere")


@pytest.mark.parametrize("words", OF_A_FILM)
def test_a_setting_holds_for_one_command_and_the_data_dir_wins_over_it(bunny, words):
    said = bunny(*words, "--set", "project.data_dir=set")
    _looked_in(said, "set")
    said = bunny(*words, "--set", "project.data_dir=set", "--data-dir", "elsewhere")
    _looked_in(said, "elsewhere")
    code, out, err = bunny(*words, "--set", "project.data_directory=set")
    assert (code, out) == (2, "") and "unknown key project.data_directory" in err


def _looked_in(said, folder):
    code, out, err = said
    assert (code, out) == (2, "")
    assert f" {folder}/output" in err and len(err.splitlines()) == 1
