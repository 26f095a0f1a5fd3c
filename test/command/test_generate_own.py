"""A film's own settings, and a known film named by its id."""

from pathlib import Path

import pytest

from bunny.command import film_workspace, run
from bunny.command.option.film import RunOptions
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.config import RightsConfig, describe, own_setting
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
    assert config.captioning.providers == ("tags",)
    assert "captioning.provider=local is ignored: the key was replaced by" in caplog.text
    assert config.extraction.shot_detector == "accurate"
    assert config.models.training_steps == 700
    assert "extraction.static_motion=0.01 is ignored: the key was replaced by" in caplog.text
    assert space.own_settings() == older
    with pytest.raises(UserError, match=r"--set .*extraction\.static_range"):
        film_workspace.open_film(space.film_id, None, ["extraction.static_motion=0.01"])


@pytest.mark.parametrize(
    "text",
    [
        "captioning.providers=[local]",
        "captioning.allow_upload=true",
        "captioning.local.endpoint_url=http://198.51.100.1/v1",
        "captioning={providers: [local], allow_upload: true}",
        "captioning.local={model: seer}",
        "captioning.clip.vocabulary=/etc/passwd",
        "captioning.replacements=/etc/passwd",
        "identification.provider=openai",
        "clip.caption_provider=openai",
        "models.base_model=somebody/model",
        "models={base_model: somebody/model}",
        "detection.drawn_detector=somebody/model",
        "generation.blend=[/home/me/other.safetensors]",
        "evaluation.text_model=somebody/model",
        "search.text_model=somebody/model",
        "review.needs_approval=false",
        "aws.profile=work",
        "project.data_dir=s3://bucket/x",
        "pipeline.stages=[]",
        " captioning.allow_upload = true",
    ],
)
def test_a_films_folder_does_not_say_where_data_goes_and_what_is_loaded(root, caplog, text):
    space = _space(root)
    workspace.save_settings(space, [text, "models.training_steps=700"])
    config = film_workspace.open_film(space.film_id)[1]
    alone = configuration.load(root, film_id=space.film_id)
    models = alone.models.model_copy(update={"training_steps": 700})
    assert config == alone.model_copy(update={"models": models})
    key = text.partition("=")[0].strip()
    [line] = [one for one in caplog.messages if "own settings of" in one]
    assert f"own settings of {key} are ignored" in line


def test_settings_that_name_something_to_load_or_to_ask_are_the_users_alone():
    """A new setting that is a free text or a provider is judged here before a film may give it."""
    words = {  # texts that name nothing to load and nobody to ask
        "generation.negative_prompt",
        "captioning.trigger_word",
        "captioning.class_word",
        *(f"rights.{name}" for name in RightsConfig.model_fields),
    }
    lists = {"models.characters", "generation.prompts", "generation.init_frames"}
    lists |= {f"evaluation.{kind}_prompts" for kind in ("choose", "report")}
    lists |= {f"captioning.{kind}_tags" for kind in ("keep", "prune")} | {"generation.strengths"}
    for one in describe.every_setting():
        held, _ = own_setting.split([f"{one.key}=x"])
        if one.is_section or not held or one.key in words | lists:
            continue
        is_number = isinstance(one.default, tuple) and isinstance(
            (*one.default, "")[0], int | float
        )
        assert one.allowed or is_number or not isinstance(one.default, str | tuple), one.key
        assert "provider" not in one.key and "openai" not in one.allowed, one.key


@pytest.mark.parametrize("data", ["{}", "[1]", "nonsense", '"models.training_steps=700"'])
def test_a_record_of_own_settings_that_is_none_is_refused(root, data):
    space = _space(root)
    (space.root / "own_setting.json").write_text(data)
    with pytest.raises(UserError, match=r"own_setting\.json: expected a JSON list of settings"):
        film_workspace.open_film(space.film_id)


def test_the_demos_own_settings_are_settings():
    assert own_setting.split(run.DEMO_SETTINGS) == (list(run.DEMO_SETTINGS), [])
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
