"""What is drawn: prompts, starts and seeds, by the base alone and at each step and strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bunny.core.error import UserError
from bunny.generation import request
from bunny.generation.request import Adapter, Drawing, Start

BASE_KEY = "base"
STRENGTH_MAX = 4.0  # as generation.lora_strength; beyond it any adapter draws noise


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An adapter of one step of a fine-tune."""

    step: int
    adapter: Adapter  # its strength is set by the grid
    file: str  # as the tables name it


@dataclass(frozen=True, kw_only=True)
class Column:
    """What draws: the base alone, or a checkpoint at a strength with what is blended in."""

    key: str  # for names of files
    title: str  # for people
    adapters: tuple[Adapter, ...] = ()
    checkpoint: Checkpoint | None = None
    strength: float | None = None

    @property
    def blend(self) -> tuple[Adapter, ...]:
        """The adapters beside the checkpoint's own."""
        return self.adapters[1:] if self.checkpoint else self.adapters


def columns(
    checkpoints: Sequence[Checkpoint], strengths: Sequence[float], blend: Sequence[Adapter] = ()
) -> list[Column]:
    """The base alone, then each checkpoint at each strength.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
    strengths : sequence of float
    blend : sequence of Adapter
        Put on beside each checkpoint.

    Returns
    -------
    list of Column
    """
    made = [Column(key=BASE_KEY, title="base alone")]
    beside = "".join(f" + {request.name_of(a.path)} {a.strength:g}" for a in blend)
    for checkpoint in sorted(checkpoints, key=lambda c: c.step):
        for strength in dict.fromkeys(strengths):
            made.append(
                Column(
                    key=f"{checkpoint.step:06d}-x{strength:g}",
                    title=f"step {checkpoint.step}, strength {strength:g}{beside}",
                    adapters=(replace(checkpoint.adapter, strength=strength), *blend),
                    checkpoint=checkpoint,
                    strength=strength,
                )
            )
    return made


def drawings(
    like: Drawing, prompts: Sequence[str], seeds: Sequence[int], starts: Sequence[Start] = ()
) -> list[Drawing]:
    """One drawing for each prompt, start and seed, in this order.

    Parameters
    ----------
    like : Drawing
        Has all else.
    prompts : sequence of str
    seeds : sequence of int
    starts : sequence of Start
        None: all from noise.

    Returns
    -------
    list of Drawing
    """
    begun = list(starts) or [None]
    return [
        replace(like, prompt=prompt, seed=seed, start=start)
        for prompt in prompts
        for start in begun
        for seed in seeds
    ]


def row_title(drawing: Drawing) -> str:
    """Words beside a row of the grid: what all its pictures share but seed and model."""
    start = drawing.start
    if start is None:
        return drawing.prompt
    return f"{drawing.prompt}, from {start.frame_id or start.path.name}"


def table_of(
    pictures: Mapping[tuple[int, str], Any], wanted: Sequence[Drawing], drawn_by: Sequence[Column]
) -> dict[str, Any]:
    """Arguments of `grid.draw_grid`: a row for each prompt and start, a column for each seed.

    Parameters
    ----------
    pictures : mapping
        By index of the drawing and key of the column; PIL.Image.Image.
    wanted : sequence of Drawing
    drawn_by : sequence of Column

    Returns
    -------
    dict
        ``rows``, ``titles``, ``row_titles`` and ``groups``.
    """
    seeds = list(dict.fromkeys(d.seed for d in wanted))
    lines = list(dict.fromkeys(row_title(d) for d in wanted))
    place = {(row_title(d), d.seed): index for index, d in enumerate(wanted)}
    at = [(column, seed) for column in drawn_by for seed in seeds]
    return {
        "rows": [[pictures.get((place.get((t, s), -1), c.key)) for c, s in at] for t in lines],
        "titles": [f"seed {seed}" for _column, seed in at],
        "row_titles": lines,
        "groups": [column.title for column, _seed in at],
    }


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
            f"blend {text}: expected <file or character>:<strength from 0 to {STRENGTH_MAX:g}>, "
            "e.g. anna:0.5"
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
    if not sign or not width.isdecimal() or not height.isdecimal() or not int(width) * int(height):
        raise UserError(f"size {text}: expected <width>x<height> in px, e.g. 512x512")
    return int(width), int(height)
