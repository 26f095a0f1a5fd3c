"""Generation plans: prompts, init frames and seeds, for each checkpoint and strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core import file_hash, safe_path
from bunny.core.config import GenerationConfig
from bunny.core.error import UserError
from bunny.generation import request
from bunny.generation.request import GenerationRequest, InitImage, WeightedAdapter
from bunny.training.base import Base

BASE_KEY = "base"
MAX_PICTURES = 100_000  # per call
MAX_SIDE_PX = 16384  # the limit of generation.width
STRENGTH_MAX = 4.0  # as generation.lora_strength; beyond it any adapter draws noise


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An adapter of one step of a fine-tune."""

    step: int
    adapter: WeightedAdapter  # its strength is set by the grid
    file: str  # as the tables name it


@dataclass(frozen=True, kw_only=True)
class GridColumn:
    """Column of a grid: base model alone, or a checkpoint at a strength with blended adapters."""

    key: str  # for names of files
    title: str  # for people
    adapters: tuple[WeightedAdapter, ...] = ()
    checkpoint: Checkpoint | None = None
    strength: float | None = None


def columns(
    checkpoints: Sequence[Checkpoint],
    strengths: Sequence[float],
    blend: Sequence[WeightedAdapter] = (),
) -> list[GridColumn]:
    """The base alone, then each checkpoint at each strength.

    Parameters
    ----------
    blend : sequence of WeightedAdapter
        Put on beside each checkpoint.
    """
    made = [GridColumn(key=BASE_KEY, title="base model alone")]
    beside = "".join(f" + {request.adapter_name(a.path)} {a.strength:g}" for a in blend)
    for checkpoint in sorted(checkpoints, key=lambda c: c.step):
        for strength in dict.fromkeys(strengths):
            made.append(
                GridColumn(
                    key=f"{checkpoint.step:06d}-x{strength:g}",
                    title=f"step {checkpoint.step}, strength {strength:g}{beside}",
                    adapters=(replace(checkpoint.adapter, strength=strength), *blend),
                    checkpoint=checkpoint,
                    strength=strength,
                )
            )
    return made


def run_columns(
    settings: GenerationConfig,
    run: Mapping[str, Any],
    strengths: Sequence[float],
    folder: Path,
    adapter: pl.DataFrame,
    evaluation: pl.DataFrame,
) -> tuple[list[GridColumn], str]:
    """The base alone, then the checkpoints of a fine-tune that the settings choose.

    Parameters
    ----------
    settings : GenerationConfig
        Says which checkpoints, and what is blended in.
    run : mapping
        Row of table `training_run`.
    strengths : sequence of float
        Of each checkpoint; with none the base draws alone.
    folder : Path
        Of the film's checkpoints.
    adapter, evaluation : pl.DataFrame
        The tables; `evaluation` may be empty.

    Returns
    -------
    list of GridColumn
    str
        What the user should know; may be empty.

    Raises
    ------
    UserError
        If a checkpoint or an adapter to blend in is not there.
    """
    found, note = select_checkpoints(
        folder, adapter, evaluation, run["run_id"], settings.checkpoints
    )
    if strengths and not found:
        raise UserError(
            f"{run['character']}: expected an adapter of its fine-tune in table adapter, found "
            "none; run stage finetune again"
        )
    blend = _blended_adapters(folder, adapter, settings.blend, run["character"])
    return columns(found, strengths, blend), note


def check_run_base(base: Base, run: Mapping[str, Any]) -> None:
    """Refuse another base than a fine-tune was trained on.

    Raises
    ------
    UserError
    """
    if run["base_hash"] != base.hash:
        raise UserError(
            f"models.base_model: expected the base model that {run['character']} was trained on "
            f"({run['base_model']}), got {base.name}; run stage finetune again"
        )


def requests(
    settings: GenerationConfig, subject: str, starts: Sequence[InitImage] = ()
) -> list[GenerationRequest]:
    """One request for each prompt, start and seed of the settings, in this order.

    Parameters
    ----------
    subject : str
        Words for the character; they replace ``{trigger}`` in prompts.
    starts : sequence of InitImage
        None: all from noise.

    Raises
    ------
    UserError
        If there would be more than `MAX_PICTURES`.
    """
    check_number(len(settings.prompts) * max(1, len(starts)) * len(settings.seeds))
    return [
        GenerationRequest(
            prompt=prompt.replace("{trigger}", subject),
            seed=seed,
            negative_prompt=settings.negative_prompt,
            num_steps=settings.num_steps,
            guidance_scale=settings.guidance_scale,
            width_px=settings.width,
            height_px=settings.height,
            scheduler=settings.scheduler,
            start=start,
        )
        for prompt in settings.prompts
        for start in list(starts) or [None]
        for seed in settings.seeds
    ]


def check_number(number: int) -> None:
    """Refuse more pictures than one call may draw, before they are planned.

    Raises
    ------
    UserError
    """
    if number > MAX_PICTURES:
        raise UserError(
            f"expected at most {MAX_PICTURES} pictures (prompts x start pictures x seeds), got "
            f"{number}; use fewer seeds or a smaller --count"
        )


def parse_blend(text: str) -> tuple[str, float]:
    """A file or character and its strength.

    Raises
    ------
    UserError

    Examples
    --------
    >>> parse_blend("anna:0.5"), parse_blend("lora/style.safetensors")
    (('anna', 0.5), ('lora/style.safetensors', 1.0))
    """
    name, sign, number = text.rpartition(":")
    if not sign or "/" in number or "\\" in number:
        name, number = text, "1"
    try:
        strength = float(number)
    except ValueError:
        strength = -1.0
    if not name or not 0 <= strength <= STRENGTH_MAX:
        raise UserError(
            f"blend {text}: expected <file or character>:<strength from 0 to "
            f"{STRENGTH_MAX:g}>, e.g. anna:0.5"
        )
    return name, strength


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in px.

    Raises
    ------
    UserError

    Examples
    --------
    >>> parse_size("640x384")
    (640, 384)
    """
    width, sign, height = text.lower().partition("x")
    sides = (width, height)
    if not sign or not all(one.isdecimal() and 0 < int(one[:9]) <= MAX_SIDE_PX for one in sides):
        raise UserError(
            f"size {text}: expected <width>x<height> in px, each at most {MAX_SIDE_PX}, e.g. "
            "512x512"
        )
    return int(width), int(height)


def select_checkpoints(
    folder: Path, adapter: pl.DataFrame, evaluation: pl.DataFrame, run_id: str, which: str
) -> tuple[list[Checkpoint], str]:
    """The checkpoints of a fine-tune that are meant.

    Parameters
    ----------
    folder : Path
        Of the film's checkpoints, which the files are relative to.
    adapter, evaluation : pl.DataFrame
        The tables; `evaluation` may be empty.
    which : str
        ``chosen`` (by the evaluation, else the last), ``last``, ``all``, or a step.

    Returns
    -------
    list of Checkpoint
        By step; empty where the run left none.
    str
        What the user should know; may be empty.

    Raises
    ------
    UserError
        If there is no checkpoint of the step.
    """
    rows = adapter.filter(pl.col("run_id") == run_id).sort("step")
    note = ""
    if which == "chosen":
        step = _chosen_step(evaluation, run_id)
        if step is None or step not in rows["step"]:
            note, which = (
                "stage evaluate has not chosen a checkpoint, so the last one is used",
                "last",
            )
        else:
            rows = rows.filter(pl.col("step") == step)
    if which == "last":
        rows = rows.filter(pl.col("is_last")) if rows["is_last"].any() else rows.tail(1)
    elif which.isdecimal():
        steps = rows["step"].to_list()
        rows = rows.filter(pl.col("step") == int(which))
        if rows.is_empty():
            words = ", ".join(map(str, steps)) or "none"
            raise UserError(f"checkpoint {which}: expected the step of a saved adapter ({words})")
    return [_checkpoint(folder, row) for row in rows.to_dicts()], note


def _blended_adapters(
    folder: Path, adapter: pl.DataFrame, texts: Sequence[str], character: str
) -> list[WeightedAdapter]:
    """Adapters that are put on beside a character's own."""
    found = []
    for name, strength in map(parse_blend, texts):
        path = Path(name).expanduser()
        rows = adapter.filter(pl.col("character") == name).sort("is_last", "step")
        if name == character:
            continue
        if path.is_file():
            found.append(
                WeightedAdapter(path=path, hash=file_hash.hash_file(path), strength=strength)
            )
        elif rows.height:
            last = rows.row(-1, named=True)
            file = safe_path.join(folder, last["file"])
            found.append(WeightedAdapter(path=file, hash=last["hash"], strength=strength))
        else:
            names = ", ".join(adapter["character"].unique().sort()) or "none"
            raise UserError(
                f"blend {name}: expected an adapter file or a character with an adapter ({names})"
            )
    return found


def load_init_frames(
    root: Path, frame: pl.DataFrame, names: Sequence[str], strength: float
) -> list[InitImage]:
    """Frames of the film that drawing starts from.

    Parameters
    ----------
    root : Path
        The film's folder.
    frame : pl.DataFrame
        The table.
    names : sequence of str
        Values of frame_id.
    strength : float
        In (0, 1]: the share that is drawn anew.

    Raises
    ------
    UserError
        If there is no such frame, or it has no picture.
    """
    files = dict(frame.select("frame_id", "file").iter_rows())
    missing = [name for name in names if not files.get(name)]
    if missing:
        example = next((name for name, file in files.items() if file), "none")
        raise UserError(
            f"frame {missing[0]}: expected the frame_id of a frame with a picture, e.g. {example}"
        )
    return [
        request.load_init_image(safe_path.join(root, files[name]), strength, name) for name in names
    ]


def _chosen_step(evaluation: pl.DataFrame, run_id: str) -> int | None:
    """The step that the evaluation of a run chose."""
    is_it = (pl.col("run_id") == run_id) & (pl.col("metric") == "chosen")
    found = evaluation.filter(is_it, pl.col("value").is_not_null())["value"]
    return int(found[0]) if len(found) else None


def _checkpoint(folder: Path, row: dict[str, Any]) -> Checkpoint:
    adapter = WeightedAdapter(path=safe_path.join(folder, row["file"]), hash=row["hash"])
    return Checkpoint(step=row["step"], adapter=adapter, file=row["file"])
