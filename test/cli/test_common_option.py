"""Options that many commands have: where films are looked for, settings, and tracebacks."""

import os

import pytest
from typer.main import get_command

from bunny import cli, demo
from bunny.core.config import describe

# A film that is nowhere, so that each command ends where it looks for it.
OF_A_FILM = [
    ("status", "film"),
    ("caption", "film"),
    ("caption", "film", "--estimate"),
    ("report", "film"),
    ("references", demo.reference_dir(), "--film", "film"),
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
    ("clean", "film"),
    ("pack", "film"),
    ("doctor", "film", "--workspace"),
    ("export", "json", "film"),
    ("export", "feedback", "film"),
    ("export", "stats", "film"),
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
OF_NO_FILM = [
    ("demo",),
    ("run", "film.mp4"),
    ("lab", "--no-browser"),
    ("doctor",),
    ("unpack", "film.zip"),
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


def _with_set(command, path=()):
    """Words of each command that takes `--set`."""
    if hasattr(command, "commands"):
        inner = command.commands.items()
        return [words for name, one in inner for words in _with_set(one, (*path, name))]
    return [path] if any("--set" in option.opts for option in command.params) else []


def test_each_command_with_settings_lists_them_without_a_film(bunny):
    commands = _with_set(get_command(cli.app))
    assert len(commands) > 25 and {("run",), ("export", "set")} <= set(commands)
    for words in commands:
        assert bunny(*words, "--set", "help") == (0, f"{describe.help_text()}\n", "")
    keys = bunny("run", "--set", "seed=1", "--set", "captioning.variants.help")
    assert keys == (0, f"{describe.help_text('captioning.variants')}\n", "")
    code, out, err = bunny("run", "--set", "nope.help")
    assert (code, out) == (2, "")
    assert err.startswith("bunny: --set nope.help: unknown section; expected one of project, pipe")


def _looked_in(said, folder):
    code, out, err = said
    assert (code, out) == (2, "")
    assert f" {folder}/output" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [*OF_A_FILM, *WITHOUT_SETTINGS, *OF_NO_FILM])
def test_an_unexpected_error_is_one_sentence_with_code_1_and_debug_shows_all(
    bunny, tmp_path, monkeypatch, words
):
    def fail():
        raise RuntimeError("no longer\nthere, letmein123")

    (tmp_path / "film.mp4").write_bytes(b"film")
    monkeypatch.setenv("OTHER_TOKEN", "letmein123")
    monkeypatch.setattr(os, "getcwd", fail)
    code, out, err = bunny(*words)
    assert (code, out) == (1, "")
    assert err == (
        "bunny: unexpected RuntimeError: no longer there, <OTHER_TOKEN>; "
        "run again with --debug for the traceback\n"
    )
    with pytest.raises(RuntimeError) as caught:
        bunny(*words, "--debug")
    assert caught.traceback[-1].name == "fail"
