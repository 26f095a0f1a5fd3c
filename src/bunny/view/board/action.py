"""From what somebody did on the screen to events of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bunny.core.error import UserError
from bunny.review import conflict, create_event
from bunny.review.event import Event
from bunny.review.state import State
from bunny.view.board import history

ABOUT_ITEMS = ("assign", "propagate", "reject", "split", "approve", "comment", "caption")
ABOUT_CLUSTERS = ("merge", "rename")


def make_events(
    state: State, items: pl.DataFrame, wanted: Mapping[str, Any], *, user: str, seen: int, **say
) -> list[Event]:
    """Events for one action; items of several clusters may need one each.

    Parameters
    ----------
    state : State
    items : pl.DataFrame
        Chosen rows of table `asset`.
    wanted : mapping
        `action`; `cluster` (id, of assign, propagate, merge: the one that stays, rename), `other`
        (of merge: the one that goes), `text` (of split: the new name or empty; of rename, comment,
        caption).
    user, seen
        As in `Event`.
    **say
        More fields of `make.Say`.

    Returns
    -------
    list of Event
        Not yet in the record.

    Raises
    ------
    UserError
        For an action that there is not, or that can do nothing.
    """
    action, say = wanted.get("action"), {"user": user, "seen": seen, **say}
    ids, text = items["asset_id"].to_list(), str(wanted.get("text", "")).strip()
    if action in ABOUT_ITEMS and not ids:
        raise UserError(f"{action}: expected items, none were chosen; choose some first")
    if action in ("assign", "propagate"):
        origin = "propagated" if action == "propagate" else "board"
        return [create_event.assign(state, ids, str(wanted["cluster"]), **say, origin=origin)]
    if action == "reject":
        return _reject(state, ids, say)
    if action == "approve":
        return [
            create_event.approve(state, own, cluster_id, **say)
            for cluster_id, own in create_event.by_cluster(state, ids).items()
        ]
    if action == "split":
        return [create_event.split(state, ids, text, **say)]
    if action == "comment":
        return [create_event.comment(state, ids, text, **say)]
    if action == "caption":
        return [create_event.caption_edit(state, ids, text, **say)]
    level = str(wanted.get("level", "scene"))
    if action == "merge":
        stays, goes = str(wanted["cluster"]), str(wanted["other"])
        return [create_event.merge(state, stays, goes, level=level, **say)]
    if action == "rename":
        return [create_event.rename(state, str(wanted["cluster"]), text, level=level, **say)]
    known = ", ".join((*ABOUT_ITEMS, *ABOUT_CLUSTERS))
    raise UserError(f"action: expected one of {known}, got {action}")


def conflicts(state: State, record: Sequence[Event], done: Sequence[Event]) -> list[dict[str, Any]]:
    """What others did to the same items or clusters since this person looked.

    Parameters
    ----------
    state : State
    record : sequence of Event
        All of it, with `done`.
    done : sequence of Event
        Just put down. All stay in the record, and what was said later holds.

    Returns
    -------
    list of dict
        `text` for the person and `is_conflict`.
    """
    others = {e.event_id: e for event in done for e in conflict.unseen(record, event, state)}
    return [
        {
            "text": f"Meanwhile {other.user} {history.describe(other, record)}. Both are kept; "
            "yours came later and holds.",
            "is_conflict": True,
        }
        for other in others.values()
    ]


def _reject(state: State, ids: Sequence[str], say: Mapping[str, Any]) -> list[Event]:
    """One event for each cluster that the items are taken out of."""
    inside = create_event.by_cluster(state, ids)
    inside.pop("", None)
    if not inside:
        raise UserError(
            "reject: expected items of a cluster, these are in the noise bucket already"
        )
    return [
        create_event.reject(state, own, cluster_id, **say) for cluster_id, own in inside.items()
    ]
