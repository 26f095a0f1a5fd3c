"""Record of exported timelines: one JSON line an export, in `timeline.jsonl`.

A picture is found in timelines by this record alone, wherever their files went afterwards. Of a
file written again the last line counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from bunny.core import jsonl

FILE = "timeline.jsonl"


@dataclass(frozen=True, kw_only=True)
class TimelineRecord:
    """One timeline file."""

    file: str  # absolute, where it was written
    form: str
    what: str  # which shots, as it was asked for
    time: str  # ISO 8601
    clips: tuple[tuple[int, int], ...]  # frames from the film's first picture, half-open, in order


def add(film_dir: Path, written: TimelineRecord) -> None:
    """Put a timeline into the record."""
    jsonl.append(film_dir / FILE, [asdict(written)])


def read(film_dir: Path) -> list[TimelineRecord]:
    """All timelines of a film, oldest first; none where nothing was written."""
    newest: dict[str, TimelineRecord] = {}
    for _, values in jsonl.read(film_dir / FILE, "one exported timeline"):
        newest.pop(values["file"], None)
        clips = tuple((int(first), int(end)) for first, end in values["clips"])
        newest[values["file"]] = TimelineRecord(**{**values, "clips": clips})
    return list(newest.values())


def clips_at(written: TimelineRecord, number: int) -> list[int]:
    """Numbers, from 1, of the clips of a timeline that show a frame of the film."""
    pairs = enumerate(written.clips, 1)
    return [index for index, (first, end) in pairs if first <= number < end]
