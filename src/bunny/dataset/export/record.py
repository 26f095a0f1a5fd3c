"""What an export is made of: the pictures of the table ``dataset``, and what is said of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core.error import UserError

# Columns that go along, with what stands for null: `datasets` refuses a column that is null in all
# rows of one split and text in another.
TEXTS = ("image_id", "frame_id", "shot_size", "pose", "place", "light")
NUMBERS = ("shot_index", "width_px", "height_px", "repeats", "upscale")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a set."""

    file: Path
    mask: Path | None = None  # white where the subject is
    caption: str
    is_class: bool = False  # the film without the character
    is_held_out: bool = False
    repeats: int = 1
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class About:
    """What holds for the whole set."""

    character: str
    trigger: str
    class_word: str
    rights: Mapping[str, Any]
    resolution_px: int
    step_px: int = 64
    batch_size: int = 1
    has_txt: bool = False  # a caption beside each picture though the format needs none
    has_jsonl: bool = False

    @property
    def subject(self) -> str:
        """Trigger and class, e.g. ``anna woman``."""
        return f"{self.trigger} {self.class_word}".strip()


def from_table(dataset: pl.DataFrame, film_dir: Path, character: str) -> list[Picture]:
    """Pictures of one character's set, class pictures among them.

    Parameters
    ----------
    dataset : pl.DataFrame
        Table ``dataset``.
    film_dir : Path
        `file` and `mask_file` are relative to it.
    character : str

    Returns
    -------
    list of Picture
        Training pictures before held-out ones before class pictures, in the order of `image_id`.

    Raises
    ------
    UserError
        If the table names a file that is not there.
    """
    rows = dataset.filter(pl.col("character") == character).iter_rows(named=True)
    pictures = [_picture(row, film_dir) for row in rows]
    files = [p for one in pictures for p in (one.file, one.mask) if p is not None]
    gone = [p for p in files if not p.is_file()]
    if gone:
        raise UserError(
            f"training set of {character}: expected {len(files)} files, {len(gone)} are gone "
            f"({gone[0].name} first); run stage dataset again with --force"
        )
    return sorted(pictures, key=lambda p: (p.is_class, p.is_held_out, p.columns["image_id"]))


def with_repeats(pictures: Sequence[Picture], repeats: int | None) -> list[Picture]:
    """Give all pictures of the character the same repeats; None keeps those of the table."""
    from dataclasses import replace

    if repeats is None:
        return list(pictures)
    return [
        p if p.is_class else replace(p, repeats=repeats, columns={**p.columns, "repeats": repeats})
        for p in pictures
    ]


def parts_of(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Sort pictures into ``train``, ``test`` (held out) and ``class``, each in their order."""
    return {
        "train": [p for p in pictures if not p.is_class and not p.is_held_out],
        "test": [p for p in pictures if not p.is_class and p.is_held_out],
        "class": [p for p in pictures if p.is_class],
    }


def resolution_of(pictures: Sequence[Picture], step_px: int = 64) -> int:
    """The resolution that a set's sizes were made for: the side of the largest area in steps.

    Examples
    --------
    >>> one = Picture(file=Path("a.png"), caption="", columns={"width_px": 448, "height_px": 576})
    >>> resolution_of([one])
    512
    """
    areas = [p.columns["width_px"] * p.columns["height_px"] for p in pictures if not p.is_class]
    side = math.sqrt(max(areas, default=step_px**2))
    return max(step_px, round(side / step_px) * step_px)


def to_json(row: Mapping[str, Any]) -> str:
    """One line of ``metadata.jsonl``."""
    return json.dumps(row, ensure_ascii=False)


def _picture(row: Mapping[str, Any], film_dir: Path) -> Picture:
    """One row of the table."""
    return Picture(
        file=film_dir / row["file"],
        mask=film_dir / row["mask_file"] if row.get("mask_file") else None,
        caption=" ".join(row["caption"].split()),
        is_class=row.get("role") == "class",
        is_held_out=row["split"] == "held-out",
        repeats=row["repeats"],
        columns={
            **{name: row.get(name) or "" for name in TEXTS},
            **{name: row[name] for name in NUMBERS[:-1]},
            "upscale": round(float(row["upscale"]), 4),
        },
    )
