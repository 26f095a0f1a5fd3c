"""Stage 6 on a film of eight drawn frames and an untrained tiny base."""

import json
import shutil

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from bunny import workspace
from bunny.config import Config
from bunny.error import StageError, UserError
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


@pytest.fixture
def trained(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    return stage, stage.execute(), labelled_film


def test_tables_and_adapter(trained):
    _stage, result, film_dir = trained
    assert result.status == "done"
    assert result.tables["training_step"] == 5  # before the first step and after each of four
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    assert (run["character"], run["trigger"], run["status"]) == ("bunny", "bunny", "done")
    assert run["num_images"] + run["num_held_out"] == result.rows
    assert run["base_licence"] == "MIT"
    adapter = workspace.of_film_dir(film_dir).checkpoint / run["adapter_file"]
    assert checkpoint.hash_file(adapter) == run["adapter_hash"]
    facts = json.loads(run["config_json"])
    header = checkpoint.read_metadata(adapter)
    assert header["subject"] == "bunny character"
    assert header["set_hash"] == facts["set_hash"]
    assert facts["learned"]["layers_unchanged"] == 0
    assert sum(facts["coverage"]["shot"].values()) == result.rows
    assert list((adapter.parent / "sample").glob("*.png"))
    assert "on the toy base" in result.note


def test_training_pictures_are_split_by_shot(trained):
    _stage, _result, film_dir = trained
    table = store.read(film_dir / "table", "dataset")
    sides = table.group_by("shot_index").agg(pl.col("split").n_unique())
    assert sides["split"].to_list() == [1] * 4
    assert set(table["split"]) == {"train", "held-out"}
    assert all(c.startswith("bunny character in a blue place") for c in table["caption"])
    assert all((film_dir / file).is_file() for file in table["file"])


def test_nothing_to_do_the_second_time_until_something_changes(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    assert make(film_dir, tiny_base_folder).execute().status == "skipped"
    assert not make(film_dir, tiny_base_folder, training_steps=5).can_resume()
    picture = store.read(film_dir / "table", "dataset")["file"][0]
    (film_dir / picture).unlink()
    assert make(film_dir, tiny_base_folder).execute().status == "done"
    assert (film_dir / picture).is_file()


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


def test_film_without_labels_ends_with_a_reason(labelled_film, tiny_base_folder):
    store.write(labelled_film / "table", "label", store.from_rows("label", []))
    result = make(labelled_film, tiny_base_folder).execute()
    assert (result.status, result.rows) == ("done", 0)
    assert result.note.startswith("no kept picture has a labelled character")
    assert make(labelled_film, tiny_base_folder).execute().status == "skipped"


def test_unknown_character_is_named(labelled_film, tiny_base_folder):
    result = make(labelled_film, tiny_base_folder, characters=("anna",)).execute()
    assert result.rows == 0
    assert result.note == "models.characters: no kept picture shows anna; labelled are bunny"


def test_resolution_that_does_not_fit_is_refused(labelled_film, tiny_base_folder):
    with pytest.raises(UserError, match="expected a multiple of 16 for this base, got 40"):
        make(labelled_film, tiny_base_folder, resolution=40).execute()


def test_failed_training_becomes_a_row(labelled_film, tiny_base_folder, tmp_path):
    broken = shutil.copytree(tiny_base_folder, tmp_path / "broken")
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({k: w * float("nan") for k, w in load_file(weights).items()}, weights)
    with pytest.raises(StageError, match="1 of 1 items failed"):
        make(labelled_film, broken, training_steps=12).execute()
    run = store.read(labelled_film / "table", "training_run").row(0, named=True)
    assert (run["status"], run["adapter_file"]) == ("failed", None)
    assert "the loss was no number 5 times in a row" in run["error"]
    assert not make(labelled_film, broken, training_steps=12).can_resume()
