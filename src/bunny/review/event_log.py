"""Correction events and their append-only record, one JSON line an event.

An event names things by their content, not by ids, since ids change when a film is detected and
clustered again: an item by when it is seen and where in the picture, a cluster by some of its
members. Events are lines of `feedback.jsonl` in the film's folder; see `review.event_log`.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock, Timeout

from bunny.core.error import UserError

EventKind = Literal[
    "assign", "reject", "merge", "split", "rename", "approve", "comment", "caption_edit", "undo"
]
Level = Literal["scene", "character"]
TimedBox = tuple[
    float, float, float, float, float
]  # time_s, then x0 y0 x1 y1 as shares of the picture

FILE = "feedback.jsonl"
LOCK = ".feedback.lock"
WAIT_S = 10.0  # for another's write, which takes milliseconds


@dataclass(frozen=True, kw_only=True)
class AssetAnchor:
    """An item by its content: a shot by its span of time, a figure by where it is seen in it."""

    start_s: float
    end_s: float  # half-open
    boxes: tuple[
        TimedBox, ...
    ] = ()  # of a figure: up to three views, in the film's picture as shown
    asset_id: str = ""  # at the time; a hint, never trusted alone


@dataclass(frozen=True, kw_only=True)
class ClusterRef:
    """A cluster by what was in it; a named one also by its name."""

    cluster_id: str  # at the time; "" is the noise bucket
    name: str = ""
    exemplars: tuple[AssetAnchor, ...] = ()  # the most central members first
    members: tuple[
        AssetAnchor, ...
    ] = ()  # all that the machine put there, of what is named or merged


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
    ValueError
        If the time is not ISO 8601. One without a zone is taken for UTC.
    """
    time = datetime.fromisoformat(event.time)
    return (time.replace(tzinfo=UTC) if time.tzinfo is None else time, event.event_id)


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
        if own["kind"] not in get_args(EventKind) or own["level"] not in get_args(Level):
            raise ValueError(f"{own['kind']} at level {own['level']}")
        if not own["event_id"] or not own["time"]:
            raise ValueError("no event_id or time")
        event = Event(**own)
        order_key(event)
        return event
    except (AttributeError, KeyError, TypeError, ValueError) as error:
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


def append(film_dir: Path, events: Sequence[Event]) -> int:
    """Put events down, all of them or none, and flush them to disk.

    Parameters
    ----------
    film_dir : Path
        Folder of the film.
    events : sequence of Event

    Returns
    -------
    int
        How many events the record has now: what `Event.seen` of the next one is.

    Raises
    ------
    UserError
        If another process keeps the record locked, or an event could not be read back.
    """
    lines = [_to_line(event) for event in events]
    path = Path(film_dir) / FILE
    try:
        with FileLock(Path(film_dir) / LOCK, timeout=WAIT_S):
            _drop_cut_line(path)
            if lines:
                _write(path, b"".join(lines))
            return _count(path)
    except Timeout as error:
        raise UserError(
            f"{path}: locked by another process for more than {WAIT_S:.0f} s; stop "
            "that process and try again"
        ) from error


def read(film_dir: Path, after: int = 0) -> list[Event]:
    """Events in the order in which they were put down.

    Parameters
    ----------
    film_dir : Path
    after : int
        So many of the first are left out.

    Raises
    ------
    UserError
        If a line is no event. A last line without an end, left by a kill, is passed over.
    """
    lines = _lines(Path(film_dir) / FILE)
    return [_parse(line, number) for number, line in lines[after:]]


def count(film_dir: Path) -> int:
    """Number of events in the record."""
    return _count(Path(film_dir) / FILE)


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Whole lines that are not empty, with their numbers from 1."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")[:-1]  # what follows the last end was cut off
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _count(path: Path) -> int:
    return len(_lines(path))


def _parse(line: bytes, number: int) -> Event:
    where = f"{FILE}, line {number}"
    try:
        values: Any = json.loads(line)
    except ValueError as error:
        raise UserError(
            f"{where}: expected one correction as JSON, could not read it ({error}); "
            "fix or delete that line"
        ) from error
    if not isinstance(values, dict):
        raise UserError(
            f"{where}: expected one correction as a JSON object; fix or delete that line"
        )
    try:
        return from_dict(values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _to_line(event: Event) -> bytes:
    """One line of JSON that is known to be read back as the same event."""
    line = json.dumps(event.to_dict(), ensure_ascii=False).encode()
    from_dict(json.loads(line))
    return line + b"\n"


def _drop_cut_line(path: Path) -> None:
    """Take away a last line that has no end: it was never read."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) != b"\n":
            stream.seek(0)
            stream.truncate(stream.read().rfind(b"\n") + 1)


def _write(path: Path, data: bytes) -> None:
    before = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        if path.exists():
            os.truncate(path, before)  # a full disk took some of the lines; all or none
        raise
