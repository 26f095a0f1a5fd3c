"""Actions on the board as review events, with undo, redo and conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import polars as pl

from bunny.core.error import UserError
from bunny.review import create_event, undo
from bunny.review.event_log import Event, Level, order_key
from bunny.review.state import ReviewState

ITEM_WORD = {"scene": "shot", "character": "figure"}

ABOUT_ITEMS = ("assign", "propagate", "reject", "split", "approve", "comment", "caption")
ABOUT_CLUSTERS = ("merge", "rename")


def undo_and_redo(events: Sequence[Event], user: str) -> tuple[Event | None, Event | None]:
    """Next corrections that this person would undo and redo.

    Returns
    -------
    tuple
        The person's last correction that holds, and the last undo of theirs that holds and came
        after their last correction: undoing that one brings the correction back.
    """
    gone = undo.undone(events)
    own = sorted((e for e in events if e.user == user), key=order_key)
    done = [e for e in own if e.kind != "undo"]
    held = [e for e in done if e.event_id not in gone]
    known = {e.event_id for e in done}
    back = [e for e in own if e.kind == "undo" and e.undoes in known and e.event_id not in gone]
    is_newest = bool(back) and order_key(back[-1]) > order_key(done[-1])
    return (held[-1] if held else None), (back[-1] if is_newest else None)


def describe(event: Event, events: Sequence[Event] = ()) -> str:
    """One correction in a few words, without who did it.

    Parameters
    ----------
    events : sequence of Event
        Among which to look for what an undo takes back.
    """
    things = f"{len(event.items)} {ITEM_WORD[event.level]}{'' if len(event.items) == 1 else 's'}"
    target = _name(event.cluster)
    if event.kind == "undo":
        past = next((e for e in events if e.event_id == event.undoes), None)
        return "undid a correction" if past is None else f"undid: {describe(past, events)}"
    texts = {
        "assign": f"moved {things} to {target}",
        "reject": f"rejected {things} from {target}",
        "merge": f"merged {_name(event.other)} into {target}",
        "split": f"split {things} into {event.text or 'a new cluster'}",
        "rename": f"renamed {target} to {event.text}",
        "approve": f"approved {things}",
        "comment": f"commented on {things}: {event.text}",
        "caption_edit": f"wrote the caption of {things}",
        "frame_caption_edit": f"wrote the captions of {len(event.frames)} pictures in {things}",
    }
    return texts[event.kind]


def _name(cluster) -> str:
    if cluster is None:
        return "the noise bucket"
    return cluster.name or cluster.cluster_id or "the noise bucket"


def make_events(
    state: ReviewState,
    items: pl.DataFrame,
    wanted: Mapping[str, Any],
    context: create_event.EventContext,
) -> list[Event]:
    """Events for one action; items of several clusters may need one each.

    Parameters
    ----------
    items : pl.DataFrame
        Chosen rows of table `asset`.
    wanted : mapping
        `action`; `cluster` (id, of assign, propagate, merge: the one that stays, rename), `other`
        (of merge: the one that goes), `text` (of split: the new name or empty; of rename, comment,
        caption).

    Returns
    -------
    list of Event
        Not yet in the record.

    Raises
    ------
    UserError
        For an action that there is not, or that can do nothing.
    """
    action = wanted.get("action")
    ids, text = items["asset_id"].to_list(), str(wanted.get("text", "")).strip()
    if action in ABOUT_ITEMS and not ids:
        raise UserError(f"{action}: no items are selected; select at least one first")
    if action in ("assign", "propagate"):
        origin = "propagated" if action == "propagate" else "board"
        return [
            create_event.assign(state, replace(context, origin=origin), ids, str(wanted["cluster"]))
        ]
    if action == "reject":
        return _reject(state, context, ids)
    if action == "approve":
        return [
            create_event.approve(state, context, own, cluster_id)
            for cluster_id, own in create_event.by_cluster(state, ids).items()
        ]
    if action == "split":
        return [create_event.split(state, context, ids, text)]
    if action == "comment":
        return [create_event.comment(state, context, ids, text)]
    if action == "caption":
        return [create_event.caption_edit(state, context, ids, text)]
    level = cast(Level, str(wanted.get("level", "scene")))
    if action == "merge":
        stays, goes = str(wanted["cluster"]), str(wanted["other"])
        return [create_event.merge(state, context, stays, goes, level=level)]
    if action == "rename":
        return [create_event.rename(state, context, str(wanted["cluster"]), text, level=level)]
    known = ", ".join((*ABOUT_ITEMS, *ABOUT_CLUSTERS))
    raise UserError(f"unknown action {action!r}: expected one of {known}")


def conflicts(
    state: ReviewState, record: Sequence[Event], done: Sequence[Event]
) -> list[dict[str, Any]]:
    """Changes that others made to the same items or clusters since this person loaded them.

    Parameters
    ----------
    record : sequence of Event
        All of it, with `done`.
    done : sequence of Event
        Just put down. All stay in the record, and what was said later holds.

    Returns
    -------
    list of dict
        `text` for the person and `is_conflict`.
    """
    others = {
        e.event_id: e for event in done for e in create_event.unseen_conflicts(record, event, state)
    }
    return [
        {
            "text": f"In the meantime {other.user} {describe(other, record)}. Both "
            "corrections are kept; yours is later and takes effect.",
            "is_conflict": True,
        }
        for other in others.values()
    ]


def _reject(
    state: ReviewState, context: create_event.EventContext, ids: Sequence[str]
) -> list[Event]:
    """One event for each cluster that the items are taken out of."""
    inside = create_event.by_cluster(state, ids)
    inside.pop("", None)
    if not inside:
        raise UserError(
            "reject: these items are already in the noise bucket; expected items of a cluster"
        )
    return [
        create_event.reject(state, context, own, cluster_id) for cluster_id, own in inside.items()
    ]
