"""Items and events as the dictionaries that a board is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import polars as pl

from bunny.review.event_log import Event
from bunny.view import style
from bunny.view.board import action

ASSIGNED = {"machine": "automatically", "learned": "by learned matching", "person": "by a person"}
MAX_CHANGED = 400  # rows told one by one; above, the browser asks again for what it shows
SENT_COLUMNS = ("cluster_id", "name", "doubt", "is_approved", "source", "comments", "rejected_from")


class BoardNews(TypedDict):
    """A sentence about somebody else's correction."""

    text: str
    is_conflict: bool  # with this person's


class NextSteps(TypedDict):
    """Next undo and redo of a person, in words; None: nothing."""

    undo: str | None
    redo: str | None


def item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that a cell shows for an item.

    Parameters
    ----------
    row : mapping
        Of a numbered table, see `query.number_rows`.
    """
    return {
        "row": row["row"],
        "asset": row["asset_id"],
        "cluster": row["cluster_id"] or "",
        "name": row["name"],
        "perhaps": _suggested_name(row),
        "doubt": round(row["doubt"], 3),
        "question": row["question"] if row["doubt"] > 0 else None,  # what is settled asks nothing
        "approved": row["is_approved"],
        "source": row["source"],
        "comments": row["comments"],
        "rejected": len(row["rejected_from"]),
        "who": row["who"],
        "shot": row["shot_index"],
        "time": row["timestamp_s"],
    }


def facts(row: Mapping[str, Any], caption: str) -> list[list[str]]:
    """All details of an item, as pairs of a word and a text; empty ones are left out.

    Parameters
    ----------
    row : mapping
        Of table `asset`.
    caption : str
        Of its shot.
    """
    found = {
        "cluster": row["name"] or row["cluster_id"] or "noise",
        "perhaps": _suggested_name(row) or "",
        "assigned": ASSIGNED.get(row["source"], row["source"]),
        "suggested": row["machine_cluster_id"] or "noise",
        "similarity": "" if row["similarity"] is None else f"{row['similarity']:.3f}",
        "margin": "" if row["margin"] is None else f"{row['margin']:.3f}",
        "doubt": f"{row['doubt']:.2f}",
        "at": style.clock(row["timestamp_s"]),
        "frames": f"{row['first_frame_index']} to {row['end_frame_index'] - 1}",
        "with": ", ".join(row["who"]),
        "rejected from": ", ".join(row["rejected_from"]),
        "caption": caption,
    }
    return [[key, text] for key, text in found.items() if text]


def changed(before: pl.DataFrame, now: pl.DataFrame) -> dict[str, Any]:
    """Items that are not as they were; too many are only said to be stale.

    Parameters
    ----------
    before, now : pl.DataFrame
        Numbered tables of the same rows.
    """
    is_other = pl.any_horizontal(
        pl.col(c).ne_missing(pl.lit(before[c]).alias(f"{c}_before")) for c in SENT_COLUMNS
    )
    found = now.filter(is_other)
    if found.height > MAX_CHANGED:
        return {"is_stale": True}
    return {"items": [item(row) for row in found.iter_rows(named=True)]}


def news(event: Event, events: Sequence[Event]) -> BoardNews:
    """Correction that somebody else made; `events` is the record."""
    return {"text": f"{event.user} {action.describe(event, events)}", "is_conflict": False}


def steps(events: Sequence[Event], user: str) -> NextSteps:
    """Say what a person's next undo and redo are."""
    past, back = action.undo_and_redo(events, user)
    known = {e.event_id: e for e in events}
    return {
        "undo": None if past is None else action.describe(past),
        "redo": None if back is None else action.describe(known[back.undoes]),
    }


def _suggested_name(row: Mapping[str, Any]) -> str | None:
    """Who a nameless figure may be, as `query.SUGGESTED_NAME`."""
    is_open = row["name"] is None and row["doubt"] > 0
    return row["perhaps"] if is_open and row["perhaps"] not in row["rejected_from"] else None
