"""The record of what people said: a file that only grows, one event a line.

People correct while a run goes on, so the record has a lock of its own, held for one write only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bunny.core.error import UserError
from bunny.review import event as events_
from bunny.review.event import Event

FILE = "feedback.jsonl"
LOCK = ".feedback.lock"
WAIT_S = 10.0  # for another's write, which takes milliseconds


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
            f"{path}: expected to write within {WAIT_S:.0f} s, another process keeps it locked; "
            "stop it and try again"
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
    """How many events the record has."""
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
            f"{where}: expected one event as JSON, could not read it ({error}); mend or delete "
            "that line"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected one event as a JSON object; mend or delete that line")
    try:
        return events_.from_dict(values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _to_line(event: Event) -> bytes:
    """One line of JSON that is known to be read back as the same event."""
    line = json.dumps(event.to_dict(), ensure_ascii=False).encode()
    events_.from_dict(json.loads(line))
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
