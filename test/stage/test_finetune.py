"""Stage 7 on a film of eight drawn frames and an untrained tiny base."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from bunny import workspace
from bunny.config import Config
from bunny.error import StageError
from bunny.stage.dataset import Dataset
from bunny.stage.finetune import Finetune
from bunny.table import store
from bunny.training import checkpoint

pytestmark = pytest.mark.train


def make(film_dir, base_folder, **models) -> Finetune:
    settings = {
        "base_model": str(base_folder),
        "training_steps": 4,
        "checkpoint_every": 2,
        "batch_size": 2,
        "lora_rank": 2,
        "held_out_share": 0.3,
        **models,
    }
    return Finetune(Config(models=settings), film_dir, film_dir)


def choose(stage: Finetune):
    """Run the stage before on the same film and settings."""
    return Dataset(stage.config, stage.input_dir, stage.output_dir).execute()


@pytest.fixture
def trained(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    choose(stage)
    return stage, stage.execute(), labelled_film


def test_tables_and_adapter(trained):
    _stage, result, film_dir = trained
    assert result.status == "done"
    assert result.tables["training_step"] == 5  # before the first step and after each of four
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    assert (run["character"], run["trigger"], run["status"]) == ("bunny", "bunny", "done")
    num_pictures = store.read(film_dir / "table", "dataset").height
    assert run["num_images"] + run["num_held_out"] == num_pictures > 0
    assert run["base_licence"] == "MIT"
    adapter = workspace.of_film_dir(film_dir).checkpoint / run["adapter_file"]
    assert checkpoint.hash_file(adapter) == run["adapter_hash"]
    facts = json.loads(run["config_json"])
    header = checkpoint.read_metadata(adapter)
    assert header["subject"] == "bunny character"
    assert header["set_hash"] == facts["set_hash"]
    assert facts["learned"]["layers_unchanged"] == 0
    assert sum(facts["coverage"]["shot"].values()) == num_pictures
    assert list((adapter.parent / "sample").glob("*.png"))
    assert "on the toy base" in result.note
    assert header["rights_film"] == "film.mp4, licence not given"
    assert header["rights_base_model"].endswith("(MIT)")
    assert "dropped 0" in result.note  # what the trainer sees of the set


def test_a_licence_given_later_reaches_the_adapter(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    models = make(film_dir, tiny_base_folder).config.models.model_dump()
    config = Config.model_validate({"models": models, "rights": {"film_licence": "CC-BY-3.0"}})
    assert Dataset(config, film_dir, film_dir).execute().status == "done"
    assert Finetune(config, film_dir, film_dir).execute().status == "done"
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    adapter = workspace.of_film_dir(film_dir).checkpoint / run["adapter_file"]
    header = checkpoint.read_metadata(adapter)
    assert header["rights_film"] == "film.mp4, CC-BY-3.0"
    assert "do not publish" not in header["rights_note"]


def test_nothing_to_do_the_second_time_until_something_changes(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    assert make(film_dir, tiny_base_folder).execute().status == "skipped"
    assert not make(film_dir, tiny_base_folder, training_steps=5).can_resume()
    run = store.read(film_dir / "table", "training_run").row(0, named=True)
    adapter = workspace.of_film_dir(film_dir).checkpoint / run["adapter_file"]
    adapter.unlink()
    assert make(film_dir, tiny_base_folder).execute().status == "done"
    assert checkpoint.hash_file(adapter) == run["adapter_hash"]


def test_lost_training_picture_is_named(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    choose(stage)
    (labelled_film / "dataset" / "bunny" / "0001.png").unlink()
    with pytest.raises(StageError, match=r"bunny/0001.png, found none; run the stage dataset"):
        stage.execute()
    assert choose(stage).status == "done"
    assert stage.execute().status == "done"


def test_same_input_same_adapter(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    first = store.read(film_dir / "table", "training_run")
    config = make(film_dir, tiny_base_folder).config
    forced = config.model_copy(
        update={"pipeline": config.pipeline.model_copy(update={"force_rerun": True})}
    )
    Finetune(forced, film_dir, film_dir).execute()
    second = store.read(film_dir / "table", "training_run")
    assert first.drop("seconds").equals(second.drop("seconds"))


def test_film_without_a_set_ends_with_a_reason(labelled_film, tiny_base_folder):
    store.write(labelled_film / "table", "label", store.from_rows("label", []))
    stage = make(labelled_film, tiny_base_folder)
    choose(stage)
    result = stage.execute()
    assert (result.status, result.rows) == ("done", 0)
    assert result.note.startswith("there is no training picture")
    assert make(labelled_film, tiny_base_folder).execute().status == "skipped"


def test_failed_training_becomes_a_row(labelled_film, tiny_base_folder, tmp_path):
    broken = shutil.copytree(tiny_base_folder, tmp_path / "broken")
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({k: w * float("nan") for k, w in load_file(weights).items()}, weights)
    stage = make(labelled_film, broken, training_steps=12)
    choose(stage)
    with pytest.raises(StageError, match="1 of 1 items failed"):
        stage.execute()
    run = store.read(labelled_film / "table", "training_run").row(0, named=True)
    assert (run["status"], run["adapter_file"]) == ("failed", None)
    assert "the loss was no number 5 times in a row" in run["error"]
    assert not make(labelled_film, broken, training_steps=12).can_resume()
