"""Record of exported timelines: one JSON line a file, in `timeline.jsonl`.

A picture is found in timelines by this record alone, wherever their files went afterwards. A file
written again replaces its line.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bunny.core import atomic

FILE = "timeline.jsonl"
LOCK = ".timeline.lock"
WAIT_S = 10


@dataclass(frozen=True, kw_only=True)
class TimelineRecord:
    """One timeline file."""

    file: str  # absolute, where it was written
    form: str
    what: str  # which shots, as it was asked for
    time: str  # ISO 8601
    clips: tuple[tuple[int, int], ...]  # frames from the film's first picture, half-open, in order


def add(film_dir: Path, written: TimelineRecord) -> None:
    """Put a timeline into the record; whole or not at all, one writer at a time."""
    from filelock import FileLock

    with FileLock(film_dir / LOCK, timeout=WAIT_S):
        others = [w for w in read(film_dir) if w.file != written.file]
        lines = [json.dumps(asdict(w), ensure_ascii=False) for w in (*others, written)]
        atomic.write_bytes(film_dir / FILE, ("\n".join(lines) + "\n").encode())


def read(film_dir: Path) -> list[TimelineRecord]:
    """All timelines of a film, oldest first; none where nothing was written."""
    path = film_dir / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_from(json.loads(line)) for line in lines if line.strip()]


def clips_at(written: TimelineRecord, number: int) -> list[int]:
    """Numbers, from 1, of the clips of a timeline that show a frame of the film."""
    pairs = enumerate(written.clips, 1)
    return [index for index, (first, end) in pairs if first <= number < end]


def _from(values: dict) -> TimelineRecord:
    clips = tuple((int(first), int(end)) for first, end in values["clips"])
    return TimelineRecord(**{**values, "clips": clips})
