"""Correction events and their append-only record, one JSON line an event.

An event names things by their content, not by ids, since ids change when a film is detected and
clustered again: an item by when it is seen and where in the picture, a cluster by some of its
members. Events are lines of `feedback.jsonl` in the film's folder; see `review.event_log`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from bunny.core import jsonl
from bunny.core.error import UserError
from bunny.table.schema.review import EventKind, Level

# Seconds, then x0 y0 x1 y1 as shares of the picture.
TimedBox = tuple[float, float, float, float, float]

FILE = "feedback.jsonl"
TICK = timedelta(microseconds=1)  # between two events at least


@dataclass(frozen=True, kw_only=True)
class AssetAnchor:
    """An item by its content: a shot by its span of time, a figure by where it is seen in it."""

    start_s: float
    end_s: float  # half-open
    boxes: tuple[TimedBox, ...] = ()  # of a figure: up to three views, in the picture as shown
    asset_id: str = ""  # at the time; a hint, never trusted alone


@dataclass(frozen=True, kw_only=True)
class ClusterRef:
    """A cluster by what was in it; a named one also by its name."""

    cluster_id: str  # at the time; "" is the noise bucket
    name: str = ""
    exemplars: tuple[AssetAnchor, ...] = ()  # the most central members first
    members: tuple[AssetAnchor, ...] = ()  # of what is named or merged: all that was put there


@dataclass(frozen=True, kw_only=True)
class FrameCaption:
    """A picture by its content, and the words that a person gave it."""

    time_s: float  # of the picture in the film
    source_file: str = ""  # of a folder of pictures; goes before the time
    text: str = ""  # "" gives the picture back to its shot's words, or the machine's


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that one person said.

    | kind | items | cluster | other | text |
    |---|---|---|---|---|
    | assign | moved | where to | | |
    | reject | that are not in it | what they are not in | | |
    | merge | | that stays | that goes into it | |
    | split | that leave it | what is split | | name of the new one, or empty |
    | rename | | which | | new name |
    | approve | that are right where they are | where that is | | |
    | comment | about | about | | the comment |
    | caption_edit | shots | | | the caption |
    | frame_caption_edit | shots of `frames` | | | |
    | undo | | | | |
    """

    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    user: str
    kind: EventKind
    level: Level
    items: tuple[AssetAnchor, ...] = ()
    cluster: ClusterRef | None = None
    other: ClusterRef | None = None
    text: str = ""
    frames: tuple[FrameCaption, ...] = ()  # single pictures and their captions
    reason: str = ""
    origin: str = "board"  # board, cli, propagated, database
    undoes: str = ""  # event_id; an undo that is undone holds again
    seen: int = 0  # events that the person had seen; later ones are what it may conflict with

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a line of the record has them; empty ones are left out."""
        return {key: value for key, value in asdict(self).items() if value not in ("", (), None)}


def order_key(event: Event) -> tuple[datetime, str]:
    """Sort key for replay: the time of an event, then its id.

    Raises
    ------
    ValueError, OverflowError
        As `moment`.
    """
    return (moment(event), event.event_id)


def moment(event: Event) -> datetime:
    """Time of an event in UTC.

    Raises
    ------
    ValueError
        If the time is not ISO 8601. One without a zone is taken for UTC.
    OverflowError
        If it is before the year 1 or after the year 9999.
    """
    time = datetime.fromisoformat(event.time)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def by_id(events: Iterable[Event]) -> dict[str, Event]:
    """Events by their id, the newest first; of several copies of an event the oldest."""
    return {event.event_id: event for event in sorted(events, key=order_key, reverse=True)}


def from_dict(values: Mapping[str, Any]) -> Event:
    """Read an event back.

    Raises
    ------
    UserError
        If a field is missing, unknown or of the wrong kind.
    """
    try:
        own = dict(values)
        own["items"] = tuple(_anchor(item) for item in own.get("items", ()))
        for key in ("cluster", "other"):
            if own.get(key) is not None:
                own[key] = _cluster(own[key])
        own["frames"] = tuple(FrameCaption(**frame) for frame in own.get("frames", ()))
        if own["kind"] not in get_args(EventKind) or own["level"] not in get_args(Level):
            raise ValueError(f"{own['kind']} at level {own['level']}")
        if not own["event_id"] or not own["time"]:
            raise ValueError("no event_id or time")
        event = Event(**own)
        _ = moment(event) + TICK  # a later one must have a time too
        return event
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"event {values.get('event_id', '?')}: not a valid correction ({error}); "
            "fix or remove the line"
        ) from error


def _anchor(values: Mapping[str, Any]) -> AssetAnchor:
    boxes = tuple(tuple(float(v) for v in box) for box in values.get("boxes", ()))
    if any(len(box) != 5 for box in boxes):
        raise ValueError("a box without five numbers")
    return AssetAnchor(**{**values, "boxes": boxes})


def _cluster(values: Mapping[str, Any]) -> ClusterRef:
    lists = {
        key: tuple(_anchor(item) for item in values.get(key, ()))
        for key in ("exemplars", "members")
    }
    return ClusterRef(**{**values, **lists})


def digest(events: Iterable[Event]) -> str:
    """SHA-256 of a set of events, whatever order they were put down in."""
    lines = [json.dumps(e.to_dict(), sort_keys=True) for _, e in sorted(by_id(events).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def append(film_dir: Path, events: Sequence[Event]) -> int:
    """Put events down, all of them or none, and flush them to disk.

    Parameters
    ----------
    film_dir : Path
        Folder of the film.

    Returns
    -------
    int
        How many events the record has now: what `Event.seen` of the next one is.

    Raises
    ------
    UserError
        If another process keeps the record locked, or an event could not be read back.
    """
    entries = [event.to_dict() for event in events]
    for entry in entries:
        from_dict(json.loads(json.dumps(entry)))
    return jsonl.append(Path(film_dir) / FILE, entries)


def read(film_dir: Path, after: int = 0) -> list[Event]:
    """Events in the order in which they were put down.

    Parameters
    ----------
    after : int
        So many of the first are left out.

    Raises
    ------
    UserError
        If a line is no event. A last line without an end, left by a kill, is passed over.
    """
    entries = jsonl.read(Path(film_dir) / FILE, "one event", after=after)
    return [_to_event(values, where) for where, values in entries]


def count(film_dir: Path) -> int:
    """Number of events in the record."""
    return jsonl.count(Path(film_dir) / FILE)


def _to_event(values: dict[str, Any], where: str) -> Event:
    try:
        return from_dict(values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
