"""Effects of settings of finetune, evaluate and generate that only a whole run shows.

They are tried on the film of `drawn_shots.py`, on which the stages have run with the settings of
`conftest.DRAWN`; a first value that stands there costs nothing, since its stage is up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import polars as pl
import pytest
from PIL import Image
from setting_effect import Effect, Seen, differ, less, more

from bunny import pipeline
from bunny.evaluation import figure_recogniser

Drawn = partial(Effect, film="drawn", is_slow=True)
FINETUNE, EVALUATE = ("finetune",), ("evaluate",)
DRAWINGS = ("evaluation_picture", "picture")  # tables
RATE = 0.01  # learning rate of the film


# -- what is read of a fine-tune ------------------------------------------------------------------


def _losses(seen: Seen) -> list[float]:
    """Of each step; the first depends on what is shown and how it counts, not on the adapter."""
    return seen.table("training_step").sort("step")["loss"].drop_nulls().to_list()


def _first_loss(seen: Seen) -> float:
    return _losses(seen)[0]


def _weights(seen: Seen, step: int) -> dict[str, Any]:
    """The adapter of a step."""
    from safetensors.torch import load_file

    (file,) = seen.table("adapter").filter(step=step)["file"]
    return load_file(seen.space.checkpoint / file)


def _moved(seen: Seen) -> list[float]:
    """The largest value of the B matrices after the first step.

    They start at 0, and Adam's first step moves each weight by the learning rate, whatever its
    gradient; the file has them times alpha / rank.
    """
    weights = _weights(seen, 1)
    return [max(float(w.abs().max()) for name, w in weights.items() if "lora_B" in name)]


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


def _sides(seen: Seen, files: Iterable[str]) -> set[tuple[int, int]]:
    """Width and height of pictures in the film's folder."""
    found = set()
    for file in files:
        with Image.open(seen.space.root / file) as picture:
            found.add(picture.size)
    return found


# -- what is read of drawings ---------------------------------------------------------------------


def _files(seen: Seen, table: str) -> list[str]:
    """Drawn pictures of table picture or evaluation_picture, in the order of their ids."""
    rows = seen.table(table).sort("picture_id")
    if table == "evaluation_picture":
        rows = rows.filter(pl.col("prompt_set") != "real")
    return rows["file"].drop_nulls().to_list()


# -- what is read of a proof ----------------------------------------------------------------------


def _proof(seen: Seen, column: str, name: str = "") -> list[Any]:
    """The different values of a column of evaluation_picture, of all sets or of one."""
    rows = seen.table("evaluation_picture").with_columns(pl.col("prompt_set").cast(pl.String))
    rows = rows.filter(prompt_set=name) if name else rows
    return rows[column].drop_nulls().unique().sort().to_list()


def _eyes(seen: Seen) -> str:
    """What the stage says that drawings were seen by."""
    record = json.loads((seen.space.stage("evaluate") / "stage.json").read_text())
    return record["note"].split("; recognised by ")[1].split(";")[0]


def _num_agreements(seen: Seen) -> int:
    return seen.table("evaluation_picture")["agreement"].count()


def _cast(seen: Seen) -> tuple[list[str], list[str]]:
    """Sets that were drawn, and whose real pictures were looked at."""
    return _proof(seen, "prompt_set"), _proof(seen, "character", "real")


def _sizes_drawn(seen: Seen) -> list[set[tuple[int, int]]]:
    """Sizes of what is drawn in each stage, which follow from the base."""
    return [_sides(seen, _files(seen, table)) for table in DRAWINGS]


EFFECT: dict[str, Effect] = {
    # -- models: what is trained on -----------------------------------------------------------
    "models.base_model": Drawn(
        ("{root}/base/sd", "{root}/base/sd64"),
        _sizes_drawn,
        stages=("dataset", "finetune", "evaluate", "generate"),
        gives=([{(32, 32)}] * 2, [{(64, 64)}] * 2),
    ),
    "models.lora_alpha": Drawn(
        (2, 6),
        _moved,
        stages=FINETUNE,
        gives=(pytest.approx([RATE], rel=1e-3), pytest.approx([3 * RATE], rel=1e-3)),
    ),
    # -- models: the steps --------------------------------------------------------------------
    "models.batch_size": Drawn(
        (1, 3),
        _kept_for_backward,
        given={"models.training_steps": 1},
        holds=more,
        says="numbers kept for the gradients of a step",
    ),
    "models.gradient_accumulation": Drawn(
        (1, 2),
        _kept_for_backward,
        given={"models.training_steps": 1},
        holds=lambda one, two: two == 2 * one > 0,
        says="numbers kept for the gradients of a step",
    ),
    "models.has_gradient_checkpointing": Drawn(
        (False, True),
        _kept_for_backward,
        given={"models.training_steps": 1},
        holds=lambda plain, saved: plain > 2 * saved > 0,
        says="numbers kept for the gradients of a step",
    ),
    "models.ema_decay": Drawn((0.0, 0.1), _losses_and_weights, stages=FINETUNE, holds=_is_averaged),
    # -- models: the loss ---------------------------------------------------------------------
    "models.caption_dropout": Drawn((0.0, 1.0), _first_loss, stages=FINETUNE, holds=differ),
    "models.flip_share": Drawn((0.0, 1.0), _first_loss, stages=FINETUNE, holds=differ),
    "models.min_snr_gamma": Drawn((0.0, 0.5), _first_loss, stages=FINETUNE, holds=less),
    "models.noise_offset": Drawn((0.0, 1.0), _first_loss, stages=FINETUNE, holds=more),
    "models.background_weight": Drawn(
        (1.0, 0.0),
        _first_loss,
        given={"dataset.mask": "grabcut", "dataset.min_mask_quality": 0},
        stages=("dataset", "finetune"),
        holds=differ,
    ),
    "models.class_weight": Drawn(
        (0.5, 2.0),
        _first_loss,
        given={"models.class_pictures": "film", "dataset.num_class_images": 2},
        stages=("dataset", "finetune"),
        holds=more,
    ),
    # -- evaluation ---------------------------------------------------------------------------
    "evaluation.max_checkpoints": Drawn(
        (1, 2),
        lambda seen: _proof(seen, "step", "choose"),
        stages=EVALUATE,
        gives=([0, 2], [0, 1, 2]),
    ),
    "evaluation.identity": Drawn(
        ("picture", "face"),
        _eyes,
        stages=EVALUATE,
        gives=(figure_recogniser.NAME, "dlib behind yunet"),
    ),
    "evaluation.text_model": Drawn(
        values=("", "{root}/base/clip"),
        stages=EVALUATE,
        look=_num_agreements,
        gives=(0, 6),  # base and checkpoint, each for choosing, for the report and for the class
    ),
    "evaluation.has_other_characters": Drawn(
        (False, True),
        _cast,
        stages=EVALUATE,
        gives=(
            (["choose", "class", "real", "report"], ["bunny"]),
            (["choose", "class", "other", "pair", "real", "report"], ["bunny", "pip"]),
        ),
    ),
}
