"""JSON-lines records that are only appended to: one JSON object a line.

One rule holds for all of them (corrections, additions, exported timelines, drawn pictures): one
writer at a time by a lock file beside the record; what is appended together is flushed to disk
whole or not at all; a last line without an end, left by a kill, is passed over by readers and cut
off by the next writer. Only where a person is forgotten is a record rewritten (`rewrite`).
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bunny.core import atomic
from bunny.core.error import UserError

WAIT_S = 10.0  # for another's write, which takes milliseconds


def append(
    path: Path, entries: Sequence[Mapping[str, Any]], *, check: Callable[[], None] | None = None
) -> int:
    """Append entries, all of them or none, and flush them to disk.

    Parameters
    ----------
    path : Path
        The record; made when missing, in a folder that exists.
    entries : sequence of mapping
        Values that JSON knows.
    check : callable, optional
        Asked while other writers are kept away; nothing is appended if it raises.

    Returns
    -------
    int
        How many entries the record has now.

    Raises
    ------
    UserError
        If another process keeps the record locked.
    """
    data = b"".join(_to_line(entry) for entry in entries)
    with lock(path):
        if check is not None:
            check()
        _drop_cut_line(path)
        if data:
            _write(path, data)
        return count(path)


def rewrite(
    path: Path, what: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    """Put other entries in the place of all that a record has, whole or not at all.

    Parameters
    ----------
    path : Path
        Nothing happens where there is no such record, or `change` gives back what it got.
    what : str
        What an entry is, for the reader of an error.
    change : callable
        From the entries to those that stay.

    Raises
    ------
    UserError
        If a line is no JSON object, or another process keeps the record locked.
    """
    if not path.exists():
        return
    with lock(path):
        before = [values for _, values in read(path, what)]
        after = change([dict(values) for values in before])
        if after != before:
            atomic.write_bytes(path, b"".join(_to_line(entry) for entry in after))


def read(path: Path, what: str, *, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Entries in the order in which they were appended.

    Parameters
    ----------
    what : str
        What an entry is, for the reader of an error: ``one event``.
    after : int
        So many of the first are left out.

    Returns
    -------
    list of (str, dict)
        Where the entry stands (``feedback.jsonl, line 3``) and its values; nothing where there is
        no file.

    Raises
    ------
    UserError
        If a line is no JSON object. A last line without an end is passed over.
    """
    entries = []
    for number, line in _lines(path)[after:]:
        where = f"{path.name}, line {number}"
        entries.append((where, _parse(line, where, what)))
    return entries


def count(path: Path) -> int:
    """How many entries a record has."""
    return len(_lines(path))


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other writers of a record away.

    Raises
    ------
    UserError
        If another process keeps the record locked.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_name(f".{path.stem}.lock"), timeout=WAIT_S):
            yield
    except Timeout as error:
        raise UserError(
            f"{path}: could not write within {WAIT_S:.0f} s because another process keeps it "
            "locked; stop that process and try again"
        ) from error


def _to_line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(entry), ensure_ascii=False).encode() + b"\n"


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Whole lines that are not empty, with their numbers from 1."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")[:-1]  # what follows the last end was cut off
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _parse(line: bytes, where: str, what: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{where}: expected {what} as JSON, could not read it ({error}); fix or delete that "
            "line"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected {what} as a JSON object; fix or delete that line")
    return values


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
