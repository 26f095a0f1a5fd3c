"""A film's own settings, and a known film named by its id."""

from pathlib import Path

import pytest

from bunny.command import film_workspace, run
from bunny.command.option.film import RunOptions
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.error import UserError


def _space(root: Path, name: str = "a.mp4", data: bytes = b"film") -> workspace.Workspace:
    path = root / name
    path.write_bytes(data)
    return workspace.create(root, "data", path, None)


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "main.yaml").write_text("models: {training_steps: 5}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _steps(film_id: str, *overrides: str) -> int:
    return film_workspace.open_film(film_id, None, overrides)[1].models.training_steps


def test_own_settings_hold_for_their_film_alone_and_are_weaker_than_what_a_person_says(root):
    mine, other = _space(root), _space(root, "b.mp4", b"other")
    workspace.save_settings(mine, ["models.training_steps=700"])
    assert (_steps(mine.film_id), _steps(other.film_id)) == (700, 5)
    assert _steps(mine.film_id, "models.training_steps=9") == 9
    local = configuration.save_local(root, mine.film_id, "models", {"training_steps": 8})
    assert _steps(mine.film_id) == 8
    workspace.save_settings(mine, [])
    local.unlink()
    assert _steps(mine.film_id) == 5


def test_a_wrong_own_setting_is_refused_with_its_origin(root):
    space = _space(root)
    workspace.save_settings(space, ["models.training_stepz=700"])
    with pytest.raises(UserError, match=r"the film.s own models\.training_stepz=700"):
        film_workspace.open_film(space.film_id)


def test_own_settings_of_an_earlier_version_do_not_close_a_film(root, caplog):
    space = _space(root)
    older = [
        "captioning.provider=local",
        "extraction.shot_detector=hybrid",
        "extraction.static_motion=0.01",
        "models.training_steps=700",
    ]
    workspace.save_settings(space, older)
    config = film_workspace.open_film(space.film_id)[1]
    assert config.captioning.providers == ("local",)
    assert config.extraction.shot_detector == "accurate"
    assert config.models.training_steps == 700
    assert "extraction.static_motion=0.01 is ignored: the key was replaced by" in caplog.text
    assert space.own_settings() == older
    with pytest.raises(UserError, match=r"--set .*extraction\.static_range"):
        film_workspace.open_film(space.film_id, None, ["extraction.static_motion=0.01"])


def test_the_demos_own_settings_are_settings():
    config = configuration.load(Path("nowhere"), own=run.DEMO_SETTINGS, environment={})
    assert config.models.characters == ("bunny",)


def test_a_known_film_is_run_by_its_id_and_two_that_begin_so_are_refused(root):
    _space(root, "one.mp4", b"1")
    with pytest.raises(UserError, match=r"^--only: |stage"):  # the film was found
        run.run_film(Path("one"), None, RunOptions(only="generate"))
    _space(root, "only.mp4", b"2")
    with pytest.raises(
        UserError, match=r"'on' matches 2 films \(one-.*, only-.*give more characters"
    ):
        run.run_film(Path("on"), None, RunOptions(only="generate"))
    with pytest.raises(UserError, match="two: expected a film, found no such file"):
        run.run_film(Path("two"), None, RunOptions(only="generate"))
