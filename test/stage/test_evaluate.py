"""Stage evaluate on a film of drawn frames, an untrained tiny base and adapters made by hand."""

import json

import cv2
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny.core import file_hash, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.evaluation import bootstrap
from bunny.generation import provenance
from bunny.stage.dataset import Dataset
from bunny.stage.evaluate import Evaluate
from bunny.table import store
from bunny.training import base as base_model

pytestmark = pytest.mark.slow

STEPS = (5, 10)
SEEDS = [1, 2]


def make(film_dir, base_folder, *, seed=0, **evaluation) -> Evaluate:
    settings = {
        "choose_prompts": ["{trigger} in a forest"],
        "report_prompts": ["{trigger} on a beach", "{trigger} in the snow"],
        "seeds": SEEDS,
        "num_steps": 2,
        "num_bootstrap": 50,
        **evaluation,
    }
    models = {"base_model": str(base_folder), "held_out_share": 0.3}
    return Evaluate(Config(seed=seed, models=models, evaluation=settings), film_dir, film_dir)


def write_adapter(base, path, scale: float) -> str:
    """A LoRA of rank 2 on attention, its B matrices filled with `scale`; its hash."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    base.family.denoiser.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets))
    weights = {
        k: v.detach().clone() for k, v in get_peft_model_state_dict(base.family.denoiser).items()
    }
    for name, weight in weights.items():
        weight.fill_(scale if "lora_B" in name else 0.05)
    base.family.denoiser.delete_adapters("default")
    path.parent.mkdir(parents=True, exist_ok=True)
    StableDiffusionPipeline.save_lora_weights(
        path.parent, unet_lora_layers=weights, weight_name=path.name
    )
    return file_hash.hash_file(path)


def write_rows(film_dir, name, rows) -> None:
    store.write(film_dir / "table", name, store.from_rows(name, rows))


@pytest.fixture
def tuned(labelled_film, tiny_base_folder):
    """The film's folder with a training set, a finished run and two checkpoints of it."""
    film_dir, stage = labelled_film, make(labelled_film, tiny_base_folder)
    Dataset(stage.config, film_dir, film_dir).execute()
    base = base_model.load_base(str(tiny_base_folder), device="cpu")
    folder = workspace.from_film_dir(film_dir).checkpoint
    rows = []
    for step in STEPS:
        file = f"bunny/step-{step:06d}.safetensors"
        made = write_adapter(base, folder / file, 0.05 * step)
        row = {"run_id": "film-bunny", "step": step, "character": "bunny", "file": file}
        rows.append({**row, "hash": made, "is_last": step == STEPS[-1], "held_out_loss": 1 / step})
    write_rows(film_dir, "adapter", rows)
    run = plain_row.training_run(
        "bunny",
        rows[-1],
        run_id="film-bunny",
        base_model=str(tiny_base_folder),
        base_hash=base.hash,
        config_json=json.dumps({"settings": {"rank": 2}}),
        num_images=4,
        num_held_out=4,
        num_steps=STEPS[-1],
    )
    write_rows(film_dir, "training_run", [run])
    return film_dir


def test_the_command_proves_once_and_with_force_again(bunny, tuned, tiny_base_folder):
    given = {
        "models.base_model": tiny_base_folder,
        "models.held_out_share": 0.3,
        "evaluation.num_steps": 1,
        "evaluation.num_bootstrap": 10,
        "evaluation.seeds": "[1]",
        "evaluation.choose_prompts": "[a]",
        "evaluation.report_prompts": "[b]",
    }
    settings = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    call = ("evaluate", "--data-dir", tuned.parents[1], *settings)
    said = []
    for more in ((), (), ("--force",)):
        code, out, err = bunny(*call, "--json", *more)
        assert code == 0, err
        said.append(json.loads(out.splitlines()[-1]))
    assert [one["status"] for one in said] == ["done", "skipped", "done"]
    assert said[0]["evaluation"] == said[1]["evaluation"] and said[0]["evaluation"]


def test_every_checkpoint_is_judged_and_one_is_reported(tuned, tiny_base_folder):
    made = make(tuned, tiny_base_folder, seed=5, num_bootstrap=11, guidance_scale=3.0)
    result = made.execute()
    assert (result.status, result.failed) == ("done", 0)
    picture = store.read(tuned / "table", "evaluation_picture")
    drawn = picture.filter(pl.col("prompt_set") != "real")
    # base and two checkpoints x 1 prompt x 2 seeds; then base and the chosen x (2 + 2) x 2
    assert drawn.filter(pl.col("prompt_set") == "choose")["step"].sort().to_list() == [
        0,
        0,
        5,
        5,
        10,
        10,
    ]
    assert drawn.height == 6 + 2 * 4 * len(SEEDS)
    facts = [provenance.read_provenance(tuned / file) for file in drawn["file"]]
    told = {(one["num_steps"], one["guidance_scale"], one["seed"]) for one in facts}
    assert told == {(2, 3.0, seed) for seed in SEEDS}
    evaluation = store.read(tuned / "table", "evaluation")
    (chosen,) = evaluation.filter(pl.col("metric") == "chosen")["value"].to_list()
    assert chosen in STEPS
    report = drawn.filter(pl.col("prompt_set") == "report")
    assert sorted(report["step"].unique()) == [0, chosen]
    identity = evaluation.filter(
        pl.col("metric") == "identity",
        pl.col("prompt_set") == "report",
        pl.col("step") == chosen,
        pl.col("about") == "",
    ).row(0, named=True)
    of_chosen = report.filter(pl.col("step") == chosen)
    values, *where = (of_chosen[c].to_list() for c in ("identity", "prompt", "seed"))
    by_five, by_zero = (bootstrap.mean(values, *where, num=11, seed=seed) for seed in (5, 0))
    assert identity["value"] == pytest.approx(np.mean(values), abs=1e-5)
    assert (identity["low"], identity["high"]) == pytest.approx((by_five.low, by_five.high))
    assert (by_five.low, by_five.high) != pytest.approx((by_zero.low, by_zero.high))
    assert identity["low"] <= identity["value"] <= identity["high"]
    has_agreement = "agreement" in evaluation["metric"].to_list()
    assert has_agreement != ("prompt agreement was not measured" in result.note)


def test_held_out_pictures_of_the_film_are_recognised(tuned, tiny_base_folder):
    make(tuned, tiny_base_folder, has_other_characters=False).execute()
    picture = store.read(tuned / "table", "evaluation_picture")
    real = picture.filter(pl.col("prompt_set") == "real")
    assert real.height > 0
    share = (real["recognised"] == "bunny").mean()
    assert share > 0.6  # of strangers one in twenty passes, by the floor's definition


def test_another_figure_of_the_film_is_no_bunny(tuned, tiny_base_folder):
    """Three shots with a red box called pip: it is a stranger, and is drawn as well."""
    rng = np.random.default_rng(0)
    frames, labels = store.read(tuned / "table", "frame"), store.read(tuned / "table", "label")
    more: dict[str, list[dict]] = {"frame": [], "label": []}
    for number in range(8, 14):
        picture = np.full((96, 128, 3), rng.integers(60, 200, 3), np.uint8)
        cv2.rectangle(picture, (40, 30), (80, 70), (20, 20, 200), -1)
        cv2.line(picture, (40, 50), (80, 50), (255, 255, 255), 4)
        file, frame_id, shot = f"frame/{number:08d}.png", f"film-{number:08d}", number // 2
        cv2.imwrite(str(tuned / file), picture)
        place = {"frame_id": frame_id, "shot_index": shot}
        more["frame"].append(
            {**frames.row(0, named=True), **place, "file": file, "frame_index": number}
        )
        box = {"x0_px": 40, "y0_px": 30, "x1_px": 81, "y1_px": 71}
        more["label"].append(
            {
                **labels.row(0, named=True),
                **place,
                **box,
                "character": "pip",
                "subject_id": f"{frame_id}-r0",
            }
        )
    write_rows(tuned, "frame", frames.to_dicts() + more["frame"])
    write_rows(tuned, "label", labels.to_dicts() + more["label"])
    make(tuned, tiny_base_folder).execute()
    picture = store.read(tuned / "table", "evaluation_picture")
    real = picture.filter(pl.col("prompt_set") == "real", pl.col("character") == "pip")
    assert real.height == 6
    rates = store.read(tuned / "table", "evaluation").filter(
        pl.col("metric") == "strangers recognised", pl.col("character") == "bunny"
    )
    assert rates["n"].item() >= 6  # pip is a stranger to the bunny
    (found,) = store.read(tuned / "table", "evaluation").filter(pl.col("metric") == "shots")["n"]
    assert found == 8  # too few to judge, however many are recognised
    sets = picture.filter(pl.col("step") == 0)["prompt_set"].unique().to_list()
    assert {"pair", "other"} <= set(sets)
    asked = picture.filter(pl.col("prompt_set") == "pair")["prompt"].unique().to_list()
    assert "bunny character and pip character on a beach" in asked


def test_the_same_pictures_are_not_drawn_twice(tuned, tiny_base_folder):
    make(tuned, tiny_base_folder).execute()
    before = {p: p.stat().st_mtime_ns for p in (tuned / "evaluation").rglob("*.png")}
    assert make(tuned, tiny_base_folder).execute().status == "skipped"
    again = make(tuned, tiny_base_folder, num_bootstrap=60)
    assert not again.can_resume()
    assert again.execute().status == "done"  # other intervals, the same drawings
    assert {p: p.stat().st_mtime_ns for p in (tuned / "evaluation").rglob("*.png")} == before
    lost = min(before)
    lost.unlink()
    assert not make(tuned, tiny_base_folder, num_bootstrap=60).can_resume()
    assert make(tuned, tiny_base_folder, num_bootstrap=60).execute().status == "done"
    assert lost.is_file()


def test_without_checkpoints_the_last_adapter_is_judged(tuned, tiny_base_folder):
    write_rows(tuned, "adapter", [])
    make(tuned, tiny_base_folder).execute()
    evaluation = store.read(tuned / "table", "evaluation")
    assert evaluation.filter(pl.col("metric") == "chosen")["value"].to_list() == [10.0]


def test_another_base_is_refused(tuned, tiny_base_folder):
    run = store.read(tuned / "table", "training_run").with_columns(base_hash=pl.lit("0" * 64))
    store.write(tuned / "table", "training_run", run)
    with pytest.raises(UserError, match="expected the base model that bunny was trained on"):
        make(tuned, tiny_base_folder).execute()


def test_the_evaluation_is_told_the_seed_and_how_sure_others_are(labelled_film):
    config = Config(seed=5, dataset={"min_confidence": 0.8})
    told = Evaluate(config, labelled_film, labelled_film)._evaluator_settings()
    assert (told.seed, told.min_confidence) == (5, 0.8)


def test_a_film_without_a_fine_tune_ends_with_a_reason(labelled_film, tiny_base_folder):
    for name in ("training_run", "adapter", "candidate", "dataset"):
        write_rows(labelled_film, name, [])
    result = make(labelled_film, tiny_base_folder).execute()
    assert (result.status, result.rows) == ("done", 0)
    assert result.note == "no finished fine-tune, so nothing to evaluate"
