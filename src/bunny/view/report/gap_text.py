"""Gaps of a training set and the shots that would fill them, as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bunny.dataset import added_view, gap_fill
from bunny.view import style
from bunny.view.report import coverage_text

MAX_WAYS = 5  # named for each gap
TO_DO = {
    None: "comes in with --add",
    "sure": "look at it; if it is the character, comes in with --add … --sure",
    "duplicates": "like a chosen one; comes in with --add … --duplicates",
    "frames": "more of its frames are looked at with --add and the shot's number",
    "never": "cannot be used",
}


def ways_of(
    gap: Mapping[str, Any], ways: pl.DataFrame, shots: pl.DataFrame
) -> list[dict[str, Any]]:
    """The ways to fill one gap, with the shots' times in seconds and what to do.

    Parameters
    ----------
    gap : mapping
        `character`, `axis`, `value`.
    ways : pl.DataFrame
        From `fill.find_ways`.
    shots : pl.DataFrame
        Table shot.
    """
    times = shots.select("shot_index", "start_s", "end_s")
    own = ways.filter(*(pl.col(key) == gap[key] for key in ("character", "axis", "value")))
    rows = own.drop("character", "axis", "value").join(
        times, on="shot_index", how="left", maintain_order="left"
    )
    return [row | {"to_do": TO_DO[row["needs"]]} for row in rows.iter_rows(named=True)]


def sentences(gap: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines about one gap.

    Parameters
    ----------
    gap : mapping
        `character`, `axis`, `value`, `num_pictures`, `num_wanted`, `said_by`, `detail`.
    ways : sequence of mapping
        From `ways_of`.
    """
    name = gap_fill.name_of(gap["axis"], gap["value"])
    head = f"{gap['character']} {name}: {gap['num_pictures']} in the set"
    if gap["num_wanted"] is not None:
        head += f", {gap['num_wanted']} wanted"
    head += f"; {gap['detail']}" if gap["detail"] else ""
    if not ways:
        return [f"{head}; no view of the film would fill it"]
    rest = sum(way["num_views"] for way in ways[MAX_WAYS:])
    more = [f"  and {plural(rest, 'view')} more in other shots; --json lists them"] if rest else []
    return [head, *[f"  {_way(way)}" for way in ways[:MAX_WAYS]], *more]


def plural(number: int, word: str) -> str:
    """A number and its word."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _way(way: Mapping[str, Any]) -> str:
    where = f"shot {way['shot_index']} ({_clock(way)})"
    if way["reason"] == gap_fill.SPARSE:
        return f"{where}: looked at {way['detail']}; {way['to_do']}"
    why = (
        "without a name" if way["reason"] == added_view.UNLABELLED else coverage_text.reason_of(way)
    )
    return f"{where}: {plural(way['num_views'], 'view')}, {why}; {way['to_do']}"


def _clock(way: Mapping[str, Any]) -> str:
    if way["start_s"] is None:
        return style.clock(way["timestamp_s"])
    return f"{style.clock(way['start_s'])}-{style.clock(way['end_s'])}"
