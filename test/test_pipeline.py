"""What makes a stage stale, and what `bunny status` says of it, on a film that is done."""

import json
import os
import shutil

import bare_film
import pytest

from bunny import pipeline
from bunny.command import film_workspace
from bunny.contract import state_cache
from bunny.core import workspace
from bunny.core.config import Config


def test_without_names_the_stages_that_are_set_run(tmp_path):
    """On a film without frames, whose tables are all empty."""
    space = bare_film.make(tmp_path)
    config = Config(pipeline={"stages": ["cluster"]})
    for status in ("done", "skipped"):
        (found,) = pipeline.run(space, config)
        assert (found.name, found.status) == ("cluster", status)


def test_without_a_base_a_run_ends_at_the_set_unless_more_is_asked_for():
    training = ("finetune", "evaluate", "generate")
    config = Config()
    assert config.models.base_model == ""
    assert not set(training) & set(pipeline.choose_stages(config))
    assert pipeline.choose_stages(config)[-1] == "pair"
    assert pipeline.choose_stages(config, ("finetune",)) == ("finetune",)
    assert "finetune" in pipeline.choose_stages(config, (), "evaluate")
    toy = Config(models={"base_model": "toy"})
    assert pipeline.choose_stages(toy)[-3:] == training


def test_status_as_json_says_who_writes(small_project, bunny, monkeypatch, tmp_path):
    others = shutil.ignore_patterns(".*.tmp")  # tests beside this one use the film itself
    monkeypatch.chdir(shutil.copytree(small_project.folder, tmp_path / "project", ignore=others))
    code, out, _ = bunny("status", "--json")
    [film] = json.loads(out)["films"]
    assert code == 0
    assert film["running"] is None
    assert [(one["name"], one["state"]) for one in film["stages"]] == [
        (name, "done") for name in pipeline.STAGE
    ]
    space, _ = film_workspace.open_film(None, None, [])
    with workspace.lock(space):
        [film] = json.loads(bunny("status", "--json")[1])["films"]
    assert film["running"]["process"] == os.getpid()
    assert json.loads(bunny("status", "--json")[1])["films"][0]["running"] is None


@pytest.fixture(scope="module")
def own_project(small_project, tmp_path_factory):
    """A copy of the small film, in which states may be removed."""
    others = shutil.ignore_patterns(".*.tmp", state_cache.FILE)  # tests beside this one use it
    return shutil.copytree(
        small_project.folder, tmp_path_factory.mktemp("own") / "project", ignore=others
    )


@pytest.mark.parametrize("name", pipeline.STAGE)
def test_a_raised_version_makes_its_stage_run_again(own_project, bunny, monkeypatch, name):
    monkeypatch.chdir(own_project)
    code, out, _ = bunny("status")
    states = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert code == 0 and {line.split()[1] for line in states.values()} == {"done"}
    space, config = film_workspace.open_film(None, None, [])
    kind = type(pipeline.make_stage(name, space, config))
    cache = space.root / "stage" / state_cache.FILE
    cache.unlink()  # it goes by the files of the package, which are the same here
    monkeypatch.setattr(kind, "version", kind.version + 1)
    assert not pipeline.make_stage(name, space, config).can_resume()
    states = {line.split()[0]: line for line in bunny("status")[1].splitlines()[1:]}
    assert states[name].split()[1] == "stale" and "the stage's code changed" in states[name]
    order = list(pipeline.STAGE)
    before = order[: order.index(name)]
    assert {states[one].split()[1] for one in before} <= {"done"}
    cache.unlink()
