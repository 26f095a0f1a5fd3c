"""Pictures that show what a training set repeats and what would fill its gaps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from bunny.dataset.coverage import Coverage
from bunny.view import style
from bunny.view.report import coverage_text
from bunny.view.tile import BOX, Tile

KEYS = ("subject_id", "character")


def alike(root: Path, summaries: Iterable[Coverage]) -> list[Tile]:
    """The most alike pictures, two tiles a pair, the most alike pair of each character first."""
    return [
        Tile(
            file=root / file,
            title=f"{number}{letter}: {pair.distance:.3f} apart",
            note=f"{pair.relation}, {Path(file).stem}",
            tone="bad" if pair.relation == "other shot" else "plain",
        )
        for summary in summaries
        for number, pair in enumerate(summary.pairs, 1)
        for letter, file in (("a", pair.one_file), ("b", pair.other_file))
    ]


def filling(
    root: Path, gaps: pl.DataFrame, candidate: pl.DataFrame, frame: pl.DataFrame, limit: int = 24
) -> list[Tile]:
    """Dropped views that would fill a gap, each once, the widest gap first.

    Parameters
    ----------
    gaps : pl.DataFrame
        As `bunny.dataset.gap.find_gaps` gives them.
    candidate, frame : pl.DataFrame
        Tables of those names. A view whose frame is not stored is a grey tile.
    """
    shown = gaps.drop_nulls(("subject_id", "setting"))
    shown = shown.unique(KEYS, keep="first", maintain_order=True).head(limit)
    boxes = candidate.select(*KEYS, "frame_id", *BOX)
    rows = shown.join(boxes, on=KEYS, how="left", maintain_order="left").join(
        frame.select("frame_id", "file"), on="frame_id", how="left", maintain_order="left"
    )
    return [
        Tile(
            file=root / row["file"] if row["file"] else None,
            title=row["value"],
            note=f"shot {row['shot_index']}, {style.clock(row['timestamp_s'])}: "
            f"{coverage_text.reason_of(row)}",
            box=tuple(row[side] for side in BOX),
            tone="bad",
        )
        for row in rows.iter_rows(named=True)
    ]
