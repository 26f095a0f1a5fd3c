"""Stage finetune on a film of eight drawn frames and an untrained tiny base."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from bunny.core import file_hash, workspace
from bunny.core.config import Config, ModelsConfig
from bunny.core.error import StageError, UserError
from bunny.dataset import approval
from bunny.stage.dataset import Dataset
from bunny.stage.finetune import Finetune
from bunny.table import store
from bunny.training.adapter_file import safetensors_file
from bunny.training.settings import TrainingSettings

pytestmark = pytest.mark.slow


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
    adapter = workspace.from_film_dir(film_dir).checkpoint / run["adapter_file"]
    assert file_hash.hash_file(adapter) == run["adapter_hash"]
    facts = json.loads(run["config_json"])
    header = safetensors_file.read_texts(adapter)
    assert header["subject"] == "bunny character"
    assert header["set_hash"] == facts["set_hash"]
    assert facts["learned"]["layers_unchanged"] == 0
    assert sum(facts["coverage"]["shot"].values()) == num_pictures
    assert facts["learned"]["output_change"] > 0
    assert list((adapter.parent / "sample").glob("*.png"))
    assert "on the toy base" in result.note
    assert header["rights_film"] == "film.mp4, licence not given"
    assert header["rights_base_model"].endswith("(MIT)")
    assert "dropped 0" in result.note  # what the trainer sees of the set


def test_each_checkpoint_has_a_row_and_a_file(trained):
    stage, result, film_dir = trained
    rows = store.read(film_dir / "table", "adapter").sort("step").to_dicts()
    assert result.tables["adapter"] == 2
    assert [(r["step"], r["is_last"]) for r in rows] == [(2, False), (4, True)]
    space = workspace.from_film_dir(film_dir)
    for row in rows:
        assert row["hash"] == file_hash.hash_file(space.checkpoint / row["file"])
        assert row["character"] == "bunny"
        assert safetensors_file.read_texts(space.checkpoint / row["file"])["step"] == str(
            row["step"]
        )
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    assert (rows[1]["run_id"], rows[1]["hash"]) == (run["run_id"], run["adapter_hash"])
    curve = store.read(film_dir / "table", "training_step").sort("step")
    held_out = dict(zip(curve["step"], curve["held_out_loss"], strict=True))
    assert [r["held_out_loss"] for r in rows] == [held_out[2], held_out[4]]
    assert curve["probe_loss"].null_count() == 2  # measured at 0, 2 and 4
    (space.checkpoint / rows[0]["file"]).unlink()
    assert not stage.has_files()


def test_masks_and_class_pictures_of_the_film_reach_the_trainer(labelled_film, tiny_base_folder):
    """Two frames without the character give the class pictures."""
    label = store.read(labelled_film / "table", "label")
    store.write(labelled_film / "table", "label", label[:-2])
    models = {"background_weight": 0.2, "class_pictures": "film", "held_out_share": 0.0}
    stage = make(labelled_film, tiny_base_folder, **models)
    dataset = {"mask": "grabcut", "min_mask_quality": 0, "num_class_images": 2}
    config = Config.model_validate({"models": stage.config.models, "dataset": dataset})
    assert Dataset(config, labelled_film, labelled_film).execute().status == "done"
    rows = store.read(labelled_film / "table", "dataset")
    assert rows["mask_file"].drop_nulls().len() > 0
    assert rows.filter(role="class").height == 2
    result = Finetune(config, labelled_film, labelled_film).execute()
    assert "2 class pictures" in result.note
    assert "no picture has a mask" not in result.note
    (run,) = store.read(labelled_film / "table", "training_run").to_dicts()
    assert json.loads(run["config_json"])["num_class_pictures"] == 2


def test_class_pictures_drawn_by_the_base(labelled_film, tiny_base_folder):
    stage = make(
        labelled_film,
        tiny_base_folder,
        class_pictures="drawn",
        num_class_pictures=2,
        training_steps=2,
    )
    choose(stage)
    assert "2 class pictures" in stage.execute().note
    run_folder = workspace.from_film_dir(labelled_film).checkpoint / "bunny"
    assert len(list((run_folder / "class").rglob("*.png"))) == 2


def test_class_pictures_that_the_set_lacks_are_asked_for(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder, class_pictures="film")
    choose(stage)
    with pytest.raises(UserError, match=r"set dataset\.num_class_images above 0"):
        stage.execute()
    weightless = make(labelled_film, tiny_base_folder, class_pictures="film", class_weight=0.0)
    assert weightless.execute().status == "done"  # nothing is asked for that counts nothing


def test_every_setting_of_the_trainer_is_handed_on(labelled_film, tiny_base_folder):
    alike = {
        "adapter": "dora",
        "targets": "attention",
        "trains_text_encoder": True,
        "learning_rate": 0.002,
        "text_learning_rate": 0.0003,
        "schedule": "linear",
        "batch_size": 1,
        "gradient_accumulation": 2,
        "precision": "fp32",
        "patience": 5,
        "has_gradient_checkpointing": True,
        "caption_dropout": 0.3,
        "flip_share": 0.25,
        "min_snr_gamma": 3.0,
        "noise_offset": 0.1,
        "background_weight": 0.5,
        "class_weight": 0.7,
        "ema_decay": 0.5,
        "checkpoint_every": 3,
    }
    others = {"lora_rank": 3, "lora_alpha": 5, "training_steps": 3, "warmup_steps": 2}
    models = {"base_model": str(tiny_base_folder), "held_out_share": 0.3, **alike, **others}
    config = Config(models=models, seed=11)
    Dataset(config, labelled_film, labelled_film).execute()
    Finetune(config, labelled_film, labelled_film).execute()
    (run,) = store.read(labelled_film / "table", "training_run").to_dicts()
    used = json.loads(run["config_json"])["settings"]
    expected = {**alike, "rank": 3, "alpha": 5, "steps": 3, "warmup_steps": 2, "seed": 11}
    assert {key: used[key] for key in expected} == expected
    defaults = TrainingSettings(models=ModelsConfig()).record()
    unchanged = {key for key in defaults if used[key] == defaults[key]}
    assert unchanged == {"optimizer", "weight_decay", "max_gradient_norm"}


def test_a_warm_up_is_no_longer_than_the_training(trained):
    (run,) = store.read(trained[2] / "table", "training_run").to_dicts()
    assert json.loads(run["config_json"])["settings"]["warmup_steps"] == 4  # 20 were asked for


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lora_rank", 3),
        ("patience", 2),
        ("noise_offset", 0.1),
        ("background_weight", 0.5),
        ("optimizer", "adamw8bit"),
        ("warmup_steps", 9),
        ("training_steps", 5),
    ],
)
def test_another_setting_makes_the_stage_stale(labelled_film, tiny_base_folder, key, value):
    other = make(labelled_film, tiny_base_folder, **{key: value})
    assert other.fingerprint() != make(labelled_film, tiny_base_folder).fingerprint()


def test_a_licence_given_later_reaches_the_adapter(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    models = make(film_dir, tiny_base_folder).config.models.model_dump()
    config = Config.model_validate({"models": models, "rights": {"film_licence": "CC-BY-3.0"}})
    assert Dataset(config, film_dir, film_dir).execute().status == "done"
    assert Finetune(config, film_dir, film_dir).execute().status == "done"
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    adapter = workspace.from_film_dir(film_dir).checkpoint / run["adapter_file"]
    header = safetensors_file.read_texts(adapter)
    assert header["rights_film"] == "film.mp4, CC-BY-3.0"
    assert "do not publish" not in header["rights_note"]


def test_nothing_to_do_the_second_time_until_something_changes(trained, tiny_base_folder):
    _stage, _result, film_dir = trained
    assert make(film_dir, tiny_base_folder).execute().status == "skipped"
    assert not make(film_dir, tiny_base_folder, training_steps=5).can_resume()
    run = store.read(film_dir / "table", "training_run").row(0, named=True)
    adapter = workspace.from_film_dir(film_dir).checkpoint / run["adapter_file"]
    adapter.unlink()
    assert make(film_dir, tiny_base_folder).execute().status == "done"
    assert file_hash.hash_file(adapter) == run["adapter_hash"]


def test_lost_training_picture_is_named(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    choose(stage)
    (labelled_film / "dataset" / "bunny" / "0001.png").unlink()
    with pytest.raises(StageError, match=r"bunny/0001.png, found none; run stage dataset"):
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
    assert result.note.startswith("no training pictures")
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
    assert "the loss was NaN or infinite 5 times in a row" in run["error"]
    assert not make(labelled_film, broken, training_steps=12).can_resume()


def test_a_set_is_trained_once_somebody_approved_it(labelled_film, tiny_base_folder):
    """The adapter says who; one that was trained before the approval is stale after it."""
    plain = make(labelled_film, tiny_base_folder)
    settings = {**plain.config.model_dump(), "review": {"needs_approval": True}}
    stage = Finetune(Config(**settings), labelled_film, labelled_film)
    choose(stage)
    with pytest.raises(UserError, match="expected an approved training set of bunny"):
        stage.execute()
    table = store.read(labelled_film / "table", "dataset")
    approval.record(table, labelled_film, ["bunny"], by="Mia", at="2026-11-23T12:00:00+00:00")
    stage = Finetune(Config(**settings), labelled_film, labelled_film)
    assert stage.execute().status == "done"
    (run,) = store.read(labelled_film / "table", "training_run").to_dicts()
    adapter = workspace.from_film_dir(labelled_film).checkpoint / run["adapter_file"]
    header = safetensors_file.read_texts(adapter)
    assert (header["approved_by"], header["approved_at"]) == ("Mia", "2026-11-23T12:00:00+00:00")
    assert header["approved_set"] == approval.read(labelled_film)[0].set_hash
    assert stage.can_resume()
    approval.record(table, labelled_film, ["bunny"], by="Ben", at="2026-11-24T12:00:00+00:00")
    assert not stage.can_resume()
    assert "approvals" not in plain.settings()  # who does not ask for it has nothing stale
