"""A numbered table brought up to date where something changed: a long film has 50,000 items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bunny.review.snapshot import NOISE, SOURCE
from bunny.review.state import State
from bunny.view.board import query

CHANGING = (
    *("cluster_id", "name", "source", "is_approved", "comments", "rejected_from", "doubt"),
    *("who", "words"),
)


def update(table: pl.DataFrame, state: State, asset_ids: Sequence[str]) -> pl.DataFrame:
    """The table after an event; the same as `query.number(state.frame())`.

    Parameters
    ----------
    table : pl.DataFrame
        Of `query.number`, before the event.
    state : State
        After it.
    asset_ids : sequence of str
        What the event changed, of `State.apply`.
    """
    if not asset_ids:
        return table
    rows = [_row(state, asset_id) for asset_id in asset_ids]
    dtypes = {"row": pl.UInt32, **{c: table.schema[c] for c in CHANGING if c in rows[0]}}
    table = _put(table, pl.DataFrame(rows, schema=dtypes, orient="row"))
    figures = pl.col("row").is_in([row["row"] for row in rows]) & (pl.col("level") != "scene")
    shots = table.filter(figures)["shot_index"].unique()
    table = _put(table, _who(table, shots)) if len(shots) else table
    is_new = pl.col("row").is_in([row["row"] for row in rows])
    is_new |= pl.col("shot_index").is_in(shots.to_list())
    return _put(table, table.filter(is_new).select("row", query.WORDS.alias("words")))


def _row(state: State, asset_id: str) -> dict[str, Any]:
    """What may have changed of one item."""
    now, item = state.now, state.item(asset_id)
    number = int(now.cluster[item])
    place = None if number == NOISE else now.folders[number]
    said = bool(now.is_said[item])
    return {
        "row": item,
        "cluster_id": None if place is None else place.cluster_id,
        "name": (place.name or None) if place is not None else None,
        "source": SOURCE[int(now.source[item])],
        "is_approved": bool(now.is_approved[item]),
        "comments": int(now.num_comments[item]),
        "rejected_from": _rejected(now.cannot.get(item, ()), now.folders),
        "doubt": 0.0 if said else state.content.asset["doubt"][item],
    }


def _rejected(numbers: Sequence[int], folders: Mapping) -> list[str]:
    return sorted({folders[n].cluster_id for n in numbers if n in folders})


def _who(table: pl.DataFrame, shots: pl.Series) -> pl.DataFrame:
    """Named characters of some shots, for each row of them."""
    inside = table.filter(pl.col("shot_index").is_in(shots.to_list()))
    named = inside.filter((pl.col("level") != "scene") & pl.col("name").is_not_null())
    seen = named.group_by("shot_index").agg(pl.col("name").unique().sort().alias("who"))
    found = inside.select("row", "shot_index").join(
        seen, on="shot_index", how="left", maintain_order="left"
    )
    empty = pl.lit([], dtype=pl.List(pl.String))
    return found.select("row", pl.col("who").fill_null(empty))


def _put(table: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """Take over the columns of `part` in its rows, nulls too."""
    columns = [c for c in part.columns if c != "row"]
    new = part.rename({c: f"{c}_new" for c in columns}).with_columns(pl.lit(True).alias("is_new"))
    joined = table.join(new, on="row", how="left", maintain_order="left")
    return joined.with_columns(
        pl.when("is_new").then(pl.col(f"{c}_new")).otherwise(pl.col(c)).alias(c) for c in columns
    ).select(table.columns)
