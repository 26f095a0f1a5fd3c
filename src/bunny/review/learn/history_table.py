"""The replayed library as the tables that learning reads, whatever stage review wrote."""

from __future__ import annotations

import polars as pl

from bunny.review.learn.item import TELLING
from bunny.review.state import State

_SCHEMA = {
    "event_id": pl.String,
    "time": pl.String,
    "kind": pl.String,
    "origin": pl.String,
    "asset_ids": pl.List(pl.String),
    "is_undone": pl.Boolean,
}


def feedback(state: State) -> pl.DataFrame:
    """Events that hold, with the items that they mean today.

    Parameters
    ----------
    state : State

    Returns
    -------
    pl.DataFrame
        `event_id`, `time`, `kind`, `origin`, `asset_ids`, `is_undone` as in table feedback.
    """
    rows = [
        (e.event_id, e.time, e.kind, e.origin, state.touched(e.event_id)[0], False)
        for e in state.events
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def count(feedback: pl.DataFrame) -> int:
    """Corrections of items by a person: assigned, approved, split off or rejected."""
    kinds = (*TELLING, "reject")
    is_own = pl.col("kind").cast(pl.String).is_in(kinds) & (pl.col("origin") != "propagated")
    return feedback.filter(is_own & ~pl.col("is_undone")).height
