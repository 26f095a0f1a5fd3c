"""Records of running films: where each runs, how far it is and how long it still takes.

    <folder>/<12 hexadecimal digits>.json    one a film, while it runs

Whoever starts the film's process makes the record, the process says every few seconds how far it
is, and its end removes it. A record that nobody has renewed for `LOST_S` is of a lost worker. On a
disk that machines share, all of them see which films run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bunny.core import atomic
from bunny.core.error import BunnyError

BEAT_S = 3.0  # between two records of a process
LOST_S = 30.0  # without one; clocks of machines that share a disk may differ by less


@dataclass(frozen=True, kw_only=True)
class RunningFilm:
    """One film that runs."""

    film: str  # as the batch names it
    node: str  # the machine; on Ray with the node's id
    attempt: int  # from 1
    phase: str  # of `film_list.FilmTask`
    started_at: str  # UTC, ISO 8601, of this attempt
    seen_at: str  # when the record was written
    process: int | None = None
    stage: str = ""  # "" before the first and after the last
    stage_number: int = 0  # of `num_stages` that have something to do
    num_stages: int = 0
    share: float = 0.0  # of the run's time that has passed, in [0, 1]
    seconds_left: float | None = None  # of this run; None: not known yet

    @property
    def elapsed_s(self) -> float:
        """Seconds from its start until the record was written."""
        return max(0.0, _seconds_between(self.started_at, self.seen_at))


def path_of(folder: Path, film: str) -> Path:
    """Place of a film's record."""
    return folder / f"{hashlib.sha256(film.encode()).hexdigest()[:12]}.json"


def now() -> str:
    """This moment as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(path: Path, record: RunningFilm) -> None:
    """Write a record whole."""
    atomic.write_bytes(path, json.dumps(asdict(record)).encode())


def remove(path: Path) -> None:
    """Remove a record; one that another program holds open stays and is old soon."""
    with contextlib.suppress(OSError, BunnyError):
        atomic.remove_file(path)


def read(path: Path) -> RunningFilm | None:
    """Read a record; None where there is none, or one of another version."""
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return RunningFilm(**known)
    except (OSError, ValueError, TypeError):
        return None


def read_all(folder: Path, at: str | None = None) -> Iterator[RunningFilm]:
    """Records that were renewed within `LOST_S`, in order of their start.

    Parameters
    ----------
    folder : Path
        Of the records.
    at : str, optional
        The moment as `now` gives it; None: now.
    """
    at = at or now()
    found = [record for path in folder.glob("*.json") if (record := read(path))]
    for record in sorted(found, key=lambda one: (one.started_at, one.film)):
        if _seconds_between(record.seen_at, at) < LOST_S:
            yield record


def _seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
