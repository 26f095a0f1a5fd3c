"""Review events exchanged with dashboards: theirs received, ours sent.

A dashboard's row is data from a stranger: it is read by parameters, checked, and refused with a
note that the dashboard can show. Nothing of it is ever put into a statement.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.library.publish import rows as publish_rows
from bunny.library.publish.connect import Destination, fetch_rows, fetch_value, quote
from bunny.library.publish.rows import NAMESPACE
from bunny.library.publish.schema import (
    DASHBOARD_KINDS,
    MAX_TEXT,
    REVIEW_EVENT,
    REVIEW_EVENT_TARGET,
    SHOTS,
)

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

MAX_EVENTS = 10_000  # taken at a time; the rest waits for the next
_BOX = 5  # numbers a view
_VIEWS = 3  # of a figure that an event keeps


@dataclass(frozen=True, kw_only=True)
class ReceivedEvents:
    """Events that came in, as plain values of `review.event_log.Event`, and the refused ones."""

    events: Sequence[Mapping[str, Any]]
    refused: Mapping[str, str]  # event_id of the row: note


def lock(cursor: Cursor, place: Destination) -> None:
    """Let dashboards wait with writing until the transaction ends, so that no row is overlooked."""
    cursor.execute(f"LOCK TABLE {place.table(REVIEW_EVENT)} IN SHARE ROW EXCLUSIVE MODE")


def receive_events(
    cursor: Cursor, place: Destination, film_id: str, known: Iterable[str], *, exemplars: int
) -> ReceivedEvents:
    """Read what dashboards wrote about a film and the record does not have.

    Parameters
    ----------
    known : iterable of str
        `event_id` of every event of the record.
    exemplars : int
        So many members stand for the cluster that an approval is about.
    """
    known = {_row_id(event_id) for event_id in known}
    seen = fetch_value(
        cursor,
        f"SELECT count(*) FROM {place.table(REVIEW_EVENT)} "
        "WHERE film_id = $1 AND status IN ('taken', 'pushed')",
        film_id,
    )
    events, refused, clusters = [], {}, {}
    for row in _new_rows(cursor, place, film_id):
        if row["event_id"] in known:
            continue
        note = _why_refused(row)
        if note:
            refused[row["event_id"]] = note
            continue
        cluster = None
        if row["kind"] == "approve":
            place_of = (row["level"], row["cluster_id"])
            if place_of not in clusters:
                clusters[place_of] = _cluster(cursor, place, film_id, row, exemplars)
            cluster = clusters[place_of]
        events.append(_event(row, cluster, seen))
    return ReceivedEvents(events=events, refused=refused)


def mark_received(
    cursor: Cursor, place: Destination, film_id: str, taken: ReceivedEvents, known: Iterable[str]
) -> None:
    """Say in the dashboards' rows what became of them.

    Parameters
    ----------
    cursor, place, film_id
        As of `receive_events`.
    known : iterable of str
        `event_id` of every event of the record, now with those that were taken.
    """
    rows = [("refused", note, event_id) for event_id, note in taken.refused.items()]
    rows += [("taken", None, _row_id(event_id)) for event_id in known]
    table = pl.DataFrame(rows, schema=["status", "note", "event_id"], orient="row").cast(pl.String)
    cursor.adbc_ingest("bunny_stage_mark", table, mode="create", temporary=True)
    cursor.execute(
        f"UPDATE {place.table(REVIEW_EVENT)} e SET status = m.status, note = m.note "
        "FROM pg_temp.bunny_stage_mark m WHERE e.event_id = m.event_id::uuid "
        "AND e.film_id = $1 AND e.origin = 'database' AND e.status <> m.status",
        (film_id,),
    )
    cursor.execute("DROP TABLE pg_temp.bunny_stage_mark")


def send_events(
    cursor: Cursor,
    place: Destination,
    film_id: str,
    events: Sequence[Mapping[str, Any]],
    item_of: Mapping[str, str],
) -> int:
    """Add our events to the table; those that are there stay as they are.

    Parameters
    ----------
    cursor, place, film_id
        As of `receive_events`.
    events : sequence of mapping
        `review.event_log.Event.to_dict` of the whole record.
    item_of : mapping
        Column `id` of `shots`, by asset_id.

    Returns
    -------
    int
        How many were new to the database.
    """
    rows = [_event_row(event, film_id, item_of) for event in events]
    names = [name for name in REVIEW_EVENT_TARGET.names() if name != "note"]
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    publish_rows.stage(cursor, REVIEW_EVENT_TARGET, table)
    types = {column.name: column.type for column in REVIEW_EVENT_TARGET.columns}
    staged = f"pg_temp.{quote(publish_rows.stage_name(REVIEW_EVENT_TARGET))}"
    count = fetch_value(
        cursor,
        f"WITH new AS (INSERT INTO {place.table(REVIEW_EVENT)} ({', '.join(map(quote, names))}) "
        f"SELECT {', '.join(f'{quote(n)}::{types[n]}' for n in names)} FROM {staged} "
        "ON CONFLICT (event_id) DO NOTHING RETURNING 1) SELECT count(*) FROM new",
    )
    cursor.execute(f"DROP TABLE {staged}")
    return count


def _new_rows(cursor: Cursor, place: Destination, film_id: str) -> list[dict[str, Any]]:
    """Rows of dashboards with the item that they are about, oldest first."""
    cursor.execute(
        "SELECT e.event_id::text, e.kind, e.text, e.reason, "
        "coalesce(nullif(e.user_name, ''), e.created_by) AS user, "
        "to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00' "
        "AS time, s.asset_id, s.level, s.cluster_id, s.name, s.start_s, s.end_s, s.boxes "
        f"FROM {place.table(REVIEW_EVENT)} e "
        f"LEFT JOIN {place.table(SHOTS)} s ON s.id = e.item_id AND s.film_id = e.film_id "
        "WHERE e.film_id = $1 AND e.origin = 'database' AND e.status = 'new' "
        f"ORDER BY e.created_at, e.event_id LIMIT {MAX_EVENTS}",
        (film_id,),
    )
    return fetch_rows(cursor)


def _why_refused(row: Mapping[str, Any]) -> str:
    """One sentence for the dashboard; empty: nothing is wrong."""
    if row["level"] is None:
        return "no item of this film has this item_id"
    if row["start_s"] is None or row["end_s"] is None:
        return "this item has no times in the film; publish it again"
    if row["kind"] not in DASHBOARD_KINDS:
        return f"expected kind {' or '.join(DASHBOARD_KINDS)}"
    if row["kind"] == "comment" and not (row["text"] or "").strip():
        return "a comment needs a text, got an empty one"
    if max(len(row["text"] or ""), len(row["reason"] or "")) > MAX_TEXT:
        return f"expected at most {MAX_TEXT} characters"
    return ""


def _event(row: Mapping[str, Any], cluster: Mapping | None, seen: int) -> dict[str, Any]:
    """Plain values of an event, as lines of the record have them."""
    event = {
        "event_id": uuid.UUID(row["event_id"]).hex,
        "time": row["time"],
        "user": row["user"],
        "kind": row["kind"],
        "level": row["level"],
        "items": [_anchor(row)],
        "cluster": cluster,
        "text": (row["text"] or "").strip() if row["kind"] == "comment" else "",
        "reason": (row["reason"] or "").strip(),
        "origin": "database",
        "seen": seen,
    }
    return {key: value for key, value in event.items() if value not in ("", None)}


def _anchor(row: Mapping[str, Any]) -> dict[str, Any]:
    flat = row["boxes"] or []
    boxes = [flat[i : i + _BOX] for i in range(0, len(flat) - len(flat) % _BOX, _BOX)]
    if len(boxes) > _VIEWS:
        boxes = [boxes[0], boxes[len(boxes) // 2], boxes[-1]]
    anchor = {"start_s": row["start_s"], "end_s": row["end_s"], "asset_id": row["asset_id"] or ""}
    return {**anchor, "boxes": boxes} if boxes else anchor


def _cluster(
    cursor: Cursor, place: Destination, film_id: str, row: Mapping, exemplars: int
) -> dict:
    """A cluster as the dashboard saw it: id, name and its most central members."""
    if row["cluster_id"] is None:
        return {"cluster_id": ""}
    cursor.execute(
        f"SELECT asset_id, start_s, end_s, boxes FROM {place.table(SHOTS)} "
        "WHERE film_id = $1 AND level = $2 AND cluster_id = $3 AND start_s IS NOT NULL "
        "AND end_s IS NOT NULL ORDER BY similarity_score DESC NULLS LAST, id LIMIT $4",
        (film_id, row["level"], row["cluster_id"], exemplars),
    )
    members = [_anchor(member) for member in fetch_rows(cursor)]
    cluster = {"cluster_id": row["cluster_id"], "name": row["name"] or "", "exemplars": members}
    return {key: value for key, value in cluster.items() if value not in ("", [])}


def _event_row(event: Mapping[str, Any], film_id: str, item_of: Mapping[str, str]) -> list:
    """One row of ours, in the order of the target's columns without `note`."""
    ids = [item_of.get(item.get("asset_id", "")) for item in event.get("items", ())]
    values = {
        "event_id": _row_id(event["event_id"]),
        "film_id": film_id,
        "item_id": ids[0] if len(ids) == 1 else None,
        "kind": event["kind"],
        "text": event.get("text"),
        "reason": event.get("reason"),
        "created_by": event["user"],
        "user_name": event["user"],
        "created_at": event["time"],
        "origin": event.get("origin", "board"),
        "status": "pushed",
        "event": json.dumps(event),
    }
    return [values[name] for name in REVIEW_EVENT_TARGET.names() if name != "note"]


def _row_id(event_id: str) -> str:
    """The row's UUID for an event: its own where it is one."""
    try:
        return str(uuid.UUID(event_id))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, event_id))
