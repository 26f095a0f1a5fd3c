"""Effects of the settings of finetune, evaluate and generate.

Most are tried on the film of `drawn_shots.py`, on which the stages have run with the settings of
`conftest.DRAWN`; a first value that stands there costs nothing, since its stage is up to date.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from PIL import Image
from setting_effect import Effect, Seen, differ, less, more

from bunny import pipeline
from bunny.core.error import UserError
from bunny.table import store

Drawn = partial(Effect, film="drawn_film")
DATASET, FINETUNE, EVALUATE, GENERATE = ("dataset",), ("finetune",), ("evaluate",), ("generate",)
RATE = 0.01  # learning rate of the film
CLASS_OF_FILM = {"models.class_pictures": "film", "dataset.num_class_images": 2}
TEXT_TOO = {"models.trains_text_encoder": True}
FROM_FRAME = {"generation.init_frames": ["film-00000003"]}
FIRST_STEP = "{root}/data/checkpoint/drawn/bunny/step-000001.safetensors"


def _near(*values: float) -> Any:
    return pytest.approx(list(values), rel=1e-3)


def _note(seen: Seen, stage: str) -> str:
    """What the stage says of its run."""
    return json.loads((seen.space.stage(stage) / "stage.json").read_text())["note"]


# -- what is read of a fine-tune ------------------------------------------------------------------


def _run(seen: Seen) -> dict[str, Any]:
    """The row of the only fine-tune."""
    (row,) = seen.table("training_run").to_dicts()
    return row


def _characters(seen: Seen) -> list[str]:
    """Whom the stage trained on, in the order in which it tells of them."""
    names = [part.split(":")[0] for part in _note(seen, "finetune").split("; ")]
    return [name for name in names if name in seen.table("training_run")["character"]]


def _facts(seen: Seen, key: str) -> Any:
    return json.loads(_run(seen)["config_json"])[key]


def _losses(seen: Seen) -> list[float]:
    """Of each step; the first depends on what is shown and how it counts, not on the adapter."""
    return seen.table("training_step").sort("step")["loss"].drop_nulls().to_list()


def _first_loss(seen: Seen) -> float:
    return _losses(seen)[0]


def _rates(seen: Seen) -> list[float]:
    """The learning rate of each step, as it is recorded."""
    return seen.table("training_step").sort("step")["learning_rate"].to_list()[1:]


def _steps_kept(seen: Seen) -> list[int]:
    return seen.table("adapter")["step"].sort().to_list()


def _weights(seen: Seen, step: int = 0) -> dict[str, Any]:
    """The adapter of a step, of the last by default."""
    from safetensors.torch import load_file

    rows = seen.table("adapter").sort("step")
    file = rows.filter(pl.col("step") == step)["file"] if step else rows["file"]
    return load_file(seen.space.checkpoint / file[-1])


def _ranks(seen: Seen) -> set[int]:
    return {w.shape[0] for name, w in _weights(seen).items() if "lora_A" in name} | {
        w.shape[1] for name, w in _weights(seen).items() if "lora_B" in name
    }


def _has_magnitudes(seen: Seen) -> bool:
    return any("magnitude" in name for name in _weights(seen))


def _parts(seen: Seen) -> set[str]:
    return {name.split(".")[0] for name in _weights(seen)}


def _has_layers_beside_attention(seen: Seen) -> bool:
    return any(".attn" not in name for name in _weights(seen))


def _moved(seen: Seen, part: str = "unet") -> float:
    """The largest value of the B matrices after the first step.

    They start at 0, and Adam's first step moves each weight by the learning rate, whatever its
    gradient; the file has them times alpha / rank.
    """
    own = {n: w for n, w in _weights(seen, 1).items() if n.startswith(f"{part}.")}
    return max(float(w.abs().max()) for name, w in own.items() if "lora_B" in name)


def _rates_and_moved(seen: Seen) -> list[float]:
    return [*_rates(seen), _moved(seen)]


def _kept_for_backward(seen: Seen) -> int:
    """Numbers that a fine-tune keeps of its forward passes for the gradients."""
    import torch

    count = 0

    def keep(tensor: Any) -> Any:
        nonlocal count
        count += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        pipeline.run(seen.space, seen.config, FINETUNE)
    return count


def _outcome(seen: Seen, *stages: str) -> list[str]:
    """Of each stage, that it ran or the beginning of its refusal."""
    said = []
    for stage in stages:
        try:
            pipeline.run(seen.space, seen.config, (stage,))
        except UserError as error:
            said.append(str(error).replace(str(seen.config.models.base_model), "<base>")[:70])
        else:
            said.append("done")
    return said


def _without_bitsandbytes(seen: Seen) -> list[str]:
    with mock.patch.dict(sys.modules, {"bitsandbytes": None}):
        return _outcome(seen, "finetune")


def _held_out(seen: Seen) -> list[float]:
    """The loss on held-out pictures before training and after each step."""
    return seen.table("training_step").sort("step")["held_out_loss"].to_list()


def _stops_when_worse(plain: list[float], patient: list[float]) -> bool:
    """Whether the second run went as the first, up to the first loss that is no better."""
    worse = [i for i in range(1, len(plain)) if plain[i] >= min(plain[:i])]
    return worse[0] < len(plain) - 1 and patient == plain[: worse[0] + 1]


def _losses_and_weights(seen: Seen) -> tuple[list[float], dict[str, Any], dict[str, Any]]:
    """Losses, and the adapters of the two steps."""
    return _losses(seen), _weights(seen, 1), _weights(seen, 2)


def _is_averaged(plain: tuple, averaged: tuple) -> bool:
    """Whether an average of decay 0.1, which begins as the weights after step 1, is kept."""
    import torch

    (losses, first, second), (same, _, found) = plain, averaged
    wanted = {name: 0.1 * first[name] + 0.9 * second[name] for name in second}
    is_near = all(torch.allclose(found[n], w, rtol=1e-4, atol=1e-7) for n, w in wanted.items())
    return losses == same and is_near and not torch.equal(*(_joined(w) for w in (found, second)))


def _joined(weights: dict[str, Any]) -> Any:
    import torch

    return torch.cat([weights[name].flatten() for name in sorted(weights)])


# -- what is read of a training set ---------------------------------------------------------------


def _set_rows(seen: Seen) -> pl.DataFrame:
    return seen.table("dataset").filter(pl.col("role") == "subject")


def _crop_sides(seen: Seen) -> list[float]:
    return _set_rows(seen).select(pl.col("x1_px") - pl.col("x0_px"))["x1_px"].unique().to_list()


def _sides(seen: Seen, files: Iterable[str]) -> set[tuple[int, int]]:
    """Width and height of pictures in the film's folder."""
    found = set()
    for file in files:
        with Image.open(seen.space.root / file) as picture:
            found.add(picture.size)
    return found


def _set_sides(seen: Seen) -> set[tuple[int, int]]:
    return _sides(seen, _set_rows(seen)["file"])


def _num_held_out(seen: Seen) -> int:
    return _set_rows(seen).filter(pl.col("split") == "held-out").height


def _class_pictures(seen: Seen) -> tuple[int, int]:
    """Class pictures that were trained on, and those of them that the base drew."""
    drawn = (seen.space.checkpoint / "bunny" / "class").rglob("*.png")
    return _facts(seen, "num_class_pictures"), len(list(drawn))


# -- what is read of drawings ---------------------------------------------------------------------


def _files(seen: Seen, table: str) -> list[str]:
    """Drawn pictures of table picture or evaluation_picture, in the order of their ids."""
    rows = seen.table(table).sort("picture_id")
    if table == "evaluation_picture":
        rows = rows.filter(pl.col("prompt_set") != "real")
    return rows["file"].drop_nulls().to_list()


def _told(seen: Seen, key: str, table: str = "picture") -> list[Any]:
    """The different values of one fact in the PNGs of a table."""
    found = set()
    for file in _files(seen, table):
        with Image.open(seen.space.root / file) as picture:
            found.add(json.loads(picture.info["provenance"])[key])
    return sorted(found, key=str)


def _pixels(seen: Seen, table: str = "picture") -> list[str]:
    """A digest of each drawing's pixels."""
    found = []
    for file in _files(seen, table):
        with Image.open(seen.space.root / file) as picture:
            found.append(hashlib.sha256(picture.tobytes()).hexdigest()[:8])
    return found


def _told_and_pixels(key: str, table: str = "picture") -> Any:
    return lambda seen: (_told(seen, key, table), _pixels(seen, table))


def _tells(*values: Any) -> Any:
    """Holds where the PNGs tell each value and every picture became another one."""

    def holds(*seen: tuple[list, list[str]]) -> bool:
        told = [[value] for value in values]
        drawn = [pixels for _, pixels in seen]
        return [found for found, _ in seen] == told and not set(drawn[0]) & set(drawn[1])

    return holds


def _column(name: str) -> Any:
    return lambda seen: seen.table("picture")[name].unique().sort().to_list()


def _strengths(seen: Seen) -> tuple[list[float], list[str]]:
    """The strengths of table picture, and the pixels of what adapters drew."""
    rows = seen.table("picture").drop_nulls("strength").sort("picture_id")
    drawn = dict(zip(_files(seen, "picture"), _pixels(seen), strict=True))
    return rows["strength"].unique().sort().to_list(), [drawn[file] for file in rows["file"]]


def _blends(seen: Seen) -> tuple[list[float], list[str]]:
    """The strengths of what is blended in, and the pixels of what adapters drew."""
    beside = [one for text in _column("blend")(seen) if text for one in json.loads(text)]
    return [one["strength"] for one in beside], _strengths(seen)[1]


def _other_pixels(*told: list) -> Any:
    """Holds where the first part of what is seen is this, and every picture became another one."""

    def holds(*seen: tuple[list, list[str]]) -> bool:
        is_told = [found for found, _ in seen] == list(told)
        return is_told and not set(seen[0][1]) & set(seen[1][1])

    return holds


def _step_drawn(seen: Seen) -> list[int]:
    """Steps of the checkpoints that draw, after an evaluation that chose the first."""
    chosen = pl.col("metric") == "chosen"
    rows = seen.table("evaluation").with_columns(
        value=pl.when(chosen).then(1.0).otherwise(pl.col("value"))
    )
    store.write(seen.space.table, "evaluation", rows)
    pipeline.run(seen.space, seen.config, GENERATE)
    return seen.table("picture")["step"].drop_nulls().unique().sort().to_list()


def _flags(seen: Seen) -> tuple[list, int]:
    """What the checker says of the pictures, and how many are shown."""
    return _column("is_flagged")(seen), len(_files(seen, "picture"))


# -- what is read of a proof ----------------------------------------------------------------------


def _proof(seen: Seen, column: str, *sets: str) -> list[Any]:
    """The different values of a column of evaluation_picture, of all sets or of some."""
    rows = seen.table("evaluation_picture")
    rows = rows.filter(pl.col("prompt_set").cast(pl.String).is_in(sets)) if sets else rows
    return rows[column].cast(pl.String).drop_nulls().unique().sort().to_list()


def _proof_of(column: str, *sets: str) -> Any:
    return lambda seen: _proof(seen, column, *sets)


def _intervals(seen: Seen) -> list[tuple]:
    rows = seen.table("evaluation").drop_nulls("low")
    return rows.sort(["step", "prompt_set", "metric", "about"]).select("low", "high").rows()


def _eyes(seen: Seen) -> str:
    """What the stage says that drawings were seen by."""
    return _note(seen, "evaluate").split("similarity measured by ")[1].split(";")[0]


def _num_agreements(seen: Seen) -> int:
    return seen.table("evaluation_picture")["agreement"].count()


def _cast(seen: Seen) -> tuple[list[str], list[str]]:
    """Sets that were drawn, and whose real pictures were looked at."""
    return _proof(seen, "prompt_set"), _proof(seen, "character", "real")


# -- what several stages do -----------------------------------------------------------------------


def _base_everywhere(seen: Seen) -> list[Any]:
    """The base of the fine-tune, of proof and pictures, and the sides that follow from it."""
    names = [_run(seen)["base_model"], *_told(seen, "base_model", "evaluation_picture")]
    names += _told(seen, "base_model")
    sides = [_set_sides(seen)]
    sides += [_sides(seen, _files(seen, table)) for table in ("evaluation_picture", "picture")]
    return [[Path(name).name for name in names], sides]


def _precision_everywhere(seen: Seen) -> tuple[float, list[str], list[str]]:
    return _first_loss(seen), _told(seen, "dtype", "evaluation_picture"), _told(seen, "dtype")


EFFECT: dict[str, Effect] = {
    # -- models: what is trained on -----------------------------------------------------------
    "models.base_model": Drawn(
        values=("{root}/base/sd", "{root}/base/sd64"),
        stages=("dataset", "finetune", "evaluate", "generate"),
        look=_base_everywhere,
        gives=([["sd"] * 3, [{(32, 32)}] * 3], [["sd64"] * 3, [{(64, 64)}] * 3]),
    ),
    "models.family": Drawn(
        values=("auto", "sdxl"),
        look=lambda seen: _outcome(seen, "finetune", "evaluate", "generate"),
        gives=(
            ["done"] * 3,
            ["base model <base>: expected the family sdxl (models.family), found sd;"[:70]] * 3,
        ),
    ),
    "models.characters": Drawn(
        values=(("bunny",), ("pip", "bunny")),
        stages=("dataset", "finetune"),
        look=_characters,
        gives=(["bunny"], ["pip", "bunny"]),
    ),
    "models.resolution": Drawn(
        values=(0, 64), stages=DATASET, look=_set_sides, gives=({(32, 32)}, {(64, 64)})
    ),
    "models.max_images": Drawn(
        values=(5, 3), stages=DATASET, look=lambda seen: _set_rows(seen).height, gives=(5, 3)
    ),
    "models.crop_margin": Drawn(
        # The box is 30x40 px of 128x96: squares of 40 px, with the margin, and of 96 px where that
        # is a quarter larger than the one before.
        values=(0.2, 0.5),
        given={"dataset.has_wider_crops": True},
        stages=DATASET,
        look=_crop_sides,
        gives=([40, 56, 96], [40, 80]),
    ),
    "models.held_out_share": Drawn(
        values=(0.0, 0.5), stages=DATASET, look=_num_held_out, gives=(0, 3)
    ),
    # -- models: the adapter ------------------------------------------------------------------
    "models.adapter": Drawn(
        values=("lora", "dora"), stages=FINETUNE, look=_has_magnitudes, gives=(False, True)
    ),
    "models.lora_rank": Drawn(values=(2, 3), stages=FINETUNE, look=_ranks, gives=({2}, {3})),
    "models.lora_alpha": Drawn(
        values=(2, 6),
        stages=FINETUNE,
        look=lambda seen: [_moved(seen)],
        gives=(_near(RATE), _near(3 * RATE)),
    ),
    "models.targets": Drawn(
        values=("attention", "all"),
        stages=FINETUNE,
        look=_has_layers_beside_attention,
        gives=(False, True),
    ),
    "models.trains_text_encoder": Drawn(
        values=(False, True),
        stages=FINETUNE,
        look=_parts,
        gives=({"unet"}, {"unet", "text_encoder"}),
    ),
    "models.text_learning_rate": Drawn(
        values=(0.0, 0.003),  # 0: a tenth of the other
        given=TEXT_TOO,
        stages=FINETUNE,
        look=lambda seen: [_moved(seen, "text_encoder"), _moved(seen)],
        gives=(_near(RATE / 10, RATE), _near(0.003, RATE)),
    ),
    # -- models: the steps --------------------------------------------------------------------
    "models.learning_rate": Drawn(
        values=(RATE, 0.004),
        stages=FINETUNE,
        look=_rates_and_moved,
        gives=(_near(RATE, RATE, RATE), _near(0.004, 0.004, 0.004)),
    ),
    "models.schedule": Drawn(
        # Of 2 steps: linear falls to 0 at step 3; cosine is half way down to 0.1 at step 1.
        values=("constant", "linear", "cosine"),
        stages=FINETUNE,
        look=_rates_and_moved,
        gives=(
            _near(RATE, RATE, RATE),
            _near(RATE * 2 / 3, RATE / 3, RATE * 2 / 3),
            _near(RATE * 0.55, RATE * 0.1, RATE * 0.55),
        ),
    ),
    "models.warmup_steps": Drawn(
        values=(0, 2),
        stages=FINETUNE,
        look=_rates_and_moved,
        gives=(_near(RATE, RATE, RATE), _near(RATE / 2, RATE, RATE / 2)),
    ),
    "models.optimizer": Drawn(
        values=("adamw", "adamw8bit"),
        look=_without_bitsandbytes,
        gives=(
            ["done"],
            ["models.optimizer: adamw8bit needs bitsandbytes, which is not installed"[:70]],
        ),
    ),
    "models.training_steps": Drawn(
        values=(2, 3),
        stages=FINETUNE,
        look=lambda seen: (_run(seen)["num_steps"], len(_losses(seen))),
        gives=((2, 2), (3, 3)),
    ),
    "models.checkpoint_every": Drawn(
        values=(1, 2), stages=FINETUNE, look=_steps_kept, gives=([1, 2], [2])
    ),
    "models.batch_size": Drawn(
        values=(1, 3),
        given={"models.training_steps": 1},
        look=_kept_for_backward,
        holds=more,
        says="numbers kept for the gradients of a step",
    ),
    "models.gradient_accumulation": Drawn(
        values=(1, 2),
        given={"models.training_steps": 1},
        look=_kept_for_backward,
        holds=lambda one, two: two == 2 * one > 0,
        says="numbers kept for the gradients of a step",
    ),
    "models.has_gradient_checkpointing": Drawn(
        values=(False, True),
        given={"models.training_steps": 1},
        look=_kept_for_backward,
        holds=lambda plain, saved: plain > 2 * saved > 0,
        says="numbers kept for the gradients of a step",
    ),
    "models.precision": Drawn(
        values=("auto", "bf16"),
        stages=("finetune", "evaluate", "generate"),
        look=_precision_everywhere,
        holds=lambda full, half: (
            full[0] != half[0]
            and full[1:] == (["float32"], ["float32"])
            and half[1:] == (["bfloat16"], ["bfloat16"])
        ),
    ),
    "models.ema_decay": Drawn(
        values=(0.0, 0.1), stages=FINETUNE, look=_losses_and_weights, holds=_is_averaged
    ),
    "models.patience": Drawn(
        values=(0, 1),
        given={"models.learning_rate": 0.1, "models.training_steps": 3},  # worse after step 2
        stages=FINETUNE,
        look=_held_out,
        holds=_stops_when_worse,
        says="held-out losses, of which the first that is no better ends the training",
    ),
    # -- models: the loss ---------------------------------------------------------------------
    "models.caption_dropout": Drawn(
        values=(0.0, 1.0), stages=FINETUNE, look=_first_loss, holds=differ
    ),
    "models.flip_share": Drawn(values=(0.0, 1.0), stages=FINETUNE, look=_first_loss, holds=differ),
    "models.min_snr_gamma": Drawn(values=(0.0, 0.5), stages=FINETUNE, look=_first_loss, holds=less),
    "models.noise_offset": Drawn(values=(0.0, 1.0), stages=FINETUNE, look=_first_loss, holds=more),
    "models.background_weight": Drawn(
        values=(1.0, 0.0),
        given={"dataset.mask": "grabcut"},
        stages=("dataset", "finetune"),
        look=_first_loss,
        holds=differ,
    ),
    "models.class_pictures": Drawn(
        values=("none", "film", "drawn"),
        given={"dataset.num_class_images": 2, "models.num_class_pictures": 3},
        stages=("dataset", "finetune"),
        look=_class_pictures,
        gives=((0, 0), (2, 0), (3, 3)),
    ),
    "models.class_weight": Drawn(
        values=(0.0, 0.5, 2.0),
        given=CLASS_OF_FILM,
        stages=("dataset", "finetune"),
        look=lambda seen: (_facts(seen, "num_class_pictures"), _first_loss(seen)),
        holds=lambda none, some, much: (
            (none[0], some[0], much[0]) == (0, 2, 2) and some[1] < much[1]
        ),
    ),
    "models.num_class_pictures": Drawn(
        values=(1, 3),
        given={"models.class_pictures": "drawn"},
        stages=FINETUNE,
        look=_class_pictures,
        gives=((1, 1), (3, 3)),
    ),
    # -- generation ---------------------------------------------------------------------------
    "generation.prompts": Drawn(
        values=(("{trigger} in the snow",), ("{trigger}", "a red bear")),
        stages=GENERATE,
        look=_column("prompt"),
        gives=(["bunny character in the snow"], ["a red bear", "bunny character"]),
    ),
    "generation.negative_prompt": Drawn(
        values=("", "bunny in the snow"),
        stages=GENERATE,
        look=_told_and_pixels("negative_prompt"),
        holds=_tells("", "bunny in the snow"),
    ),
    "generation.seeds": Drawn(
        values=((1, 2), (7,)), stages=GENERATE, look=_column("seed"), gives=([1, 2], [7])
    ),
    "generation.num_steps": Drawn(
        values=(2, 3),
        stages=GENERATE,
        look=_told_and_pixels("num_steps"),
        holds=_tells(2, 3),
    ),
    "generation.guidance_scale": Drawn(
        values=(3.0, 20.0),
        stages=GENERATE,
        look=_told_and_pixels("guidance_scale"),
        holds=_tells(3.0, 20.0),
    ),
    "generation.lora_strength": Drawn(
        values=(1.0, 3.0), stages=GENERATE, look=_strengths, holds=_other_pixels([1.0], [3.0])
    ),
    "generation.strengths": Drawn(
        values=((), (0.5, 2.0)),
        stages=GENERATE,
        look=_strengths,
        holds=_other_pixels([1.0], [0.5, 2.0]),
    ),
    "generation.checkpoints": Drawn(
        values=("chosen", "last", "all"), look=_step_drawn, gives=([1], [2], [1, 2])
    ),
    "generation.scheduler": Drawn(
        values=("base", "ddpm"),
        stages=GENERATE,
        look=_told_and_pixels("scheduler_class"),
        holds=_tells("DDIMScheduler", "DDPMScheduler"),
    ),
    "generation.width": Drawn(
        values=(0, 48),
        stages=GENERATE,
        look=lambda seen: _sides(seen, _files(seen, "picture")),
        gives=({(32, 32)}, {(48, 32)}),
    ),
    "generation.height": Drawn(
        values=(0, 48),
        stages=GENERATE,
        look=lambda seen: _sides(seen, _files(seen, "picture")),
        gives=({(32, 32)}, {(32, 48)}),
    ),
    "generation.batch_size": Drawn(
        values=(8, 1),
        stages=GENERATE,
        look=lambda seen: _told(seen, "batch_size"),
        gives=([2], [1]),
    ),
    "generation.blend": Drawn(
        values=((), (f"{FIRST_STEP}:3",)),
        stages=GENERATE,
        look=_blends,
        holds=_other_pixels([], [3.0]),
    ),
    "generation.init_frames": Drawn(
        values=((), ("film-00000003",)),
        stages=GENERATE,
        look=_told_and_pixels("init_frame"),
        holds=_tells(None, "film-00000003"),
    ),
    "generation.init_strength": Drawn(
        values=(0.5, 1.0),
        given=FROM_FRAME,
        stages=GENERATE,
        look=_told_and_pixels("init_strength"),
        holds=_tells(0.5, 1.0),
    ),
    "generation.has_safety_checker": Drawn(
        values=(False, True),  # the base's flags every picture
        stages=GENERATE,
        look=_flags,
        gives=(([None], 4), ([True], 0)),
    ),
    # -- evaluation ---------------------------------------------------------------------------
    "evaluation.choose_prompts": Drawn(
        values=(("{trigger} in a forest",), ("{trigger}", "{trigger} at night")),
        stages=EVALUATE,
        look=_proof_of("prompt", "choose"),
        gives=(["bunny character in a forest"], ["bunny character", "bunny character at night"]),
    ),
    "evaluation.report_prompts": Drawn(
        values=(("{trigger} on a beach",), ("{trigger}", "{trigger} at night")),
        stages=EVALUATE,
        look=_proof_of("prompt", "report"),
        gives=(["bunny character on a beach"], ["bunny character", "bunny character at night"]),
    ),
    "evaluation.seeds": Drawn(
        values=((11,), (3, 4)), stages=EVALUATE, look=_proof_of("seed"), gives=(["11"], ["3", "4"])
    ),
    "evaluation.num_steps": Drawn(
        values=(1, 2),
        stages=EVALUATE,
        look=_told_and_pixels("num_steps", "evaluation_picture"),
        holds=_tells(1, 2),
    ),
    "evaluation.guidance_scale": Drawn(
        values=(3.0, 20.0),
        stages=EVALUATE,
        look=_told_and_pixels("guidance_scale", "evaluation_picture"),
        holds=_tells(3.0, 20.0),
    ),
    "evaluation.num_bootstrap": Drawn(
        values=(10, 40),
        given={"evaluation.seeds": [11, 12, 13]},
        stages=EVALUATE,
        look=_intervals,
        holds=differ,
    ),
    "evaluation.max_checkpoints": Drawn(
        values=(1, 2),
        stages=EVALUATE,
        look=_proof_of("step", "choose"),
        gives=(["0", "2"], ["0", "1", "2"]),
    ),
    "evaluation.identity": Drawn(
        values=("picture", "face"),
        stages=EVALUATE,
        look=_eyes,
        gives=("whitened colour and edge channels", "dlib behind yunet"),
    ),
    "evaluation.text_model": Drawn(
        values=("", "{root}/base/clip"),
        stages=EVALUATE,
        look=_num_agreements,
        gives=(0, 6),  # base and checkpoint, each for choosing, for the report and for the class
    ),
    "evaluation.has_other_characters": Drawn(
        values=(False, True),
        stages=EVALUATE,
        look=_cast,
        gives=(
            (["choose", "class", "real", "report"], ["bunny"]),
            (["choose", "class", "other", "pair", "real", "report"], ["bunny", "pip"]),
        ),
    ),
}
NOT_SEEN: dict[str, str] = {}
