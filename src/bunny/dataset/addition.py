"""What a person added to a film's training set: a record that only grows and outlives every run.

`addition.jsonl` in the film's folder has one JSON object a line: an addition, or the taking back of
one. Shots are put down as frames of the film, so a record holds when shots are cut otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bunny.core.error import UserError

FILE = "addition.jsonl"
ANY = "any"  # axis of an addition of whole shots

Span = tuple[int, int]  # frame indices, half-open


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Views of one character that belong into its set because a person says so."""

    addition_id: str  # "a1", "a2", ...
    character: str
    spans: tuple[Span, ...]
    axis: str = ANY  # pose, shot_size, light, place: only views of this `value`
    value: str = ""
    is_sure: bool = False  # the person says it is the character, whatever the label's certainty
    has_duplicates: bool = False  # look-alikes of chosen views too
    interval_s: float = 0.0  # faces are looked for so often in these spans; 0: as everywhere
    time: str = ""  # ISO 8601, UTC
    user: str = ""
    reason: str = ""

    def holds(self, frame_index: int) -> bool:
        """Whether a frame lies in one of the spans."""
        return any(first <= frame_index < end for first, end in self.spans)

    def to_words(self) -> str:
        """All that changes the set, in a few words.

        Examples
        --------
        >>> Addition(addition_id="a1", character="anna", spans=((48, 96),), is_sure=True).to_words()
        'anna: frames 48-95, sure'
        """
        frames = ", ".join(f"{first}-{end - 1}" for first, end in self.spans)
        words = [f"{self.character}: frames {frames}"]
        words += [] if self.axis == ANY else [f"{self.axis} {self.value}"]
        words += ["sure"] * self.is_sure + ["duplicates too"] * self.has_duplicates
        return ", ".join(words)


def read(film_dir: Path) -> list[Addition]:
    """Additions of a film that were not taken back, the oldest first.

    Parameters
    ----------
    film_dir : Path

    Raises
    ------
    UserError
        If a line is no record. A last line without an end, left by a kill, is passed over.
    """
    active: dict[str, Addition] = {}
    for entry in _entries(film_dir / FILE):
        if entry["action"] == "undo":
            active.pop(entry["addition_id"], None)
        else:
            own = {key: value for key, value in entry.items() if key != "action"}
            spans = tuple((int(first), int(end)) for first, end in own.pop("spans"))
            active[own["addition_id"]] = Addition(**own, spans=spans)
    return list(active.values())


def of_character(film_dir: Path, character: str) -> list[Addition]:
    """Those of `read` that are about one character."""
    return [one for one in read(film_dir) if one.character == character]


def next_id(film_dir: Path) -> str:
    """A name that no addition of the film had, taken back ones included."""
    names = {e["addition_id"] for e in _entries(film_dir / FILE) if e["action"] == "add"}
    return f"a{len(names) + 1}"


def add(film_dir: Path, one: Addition) -> None:
    """Put an addition down."""
    _append(film_dir / FILE, {"action": "add", **asdict(one)})


def undo(film_dir: Path, addition_id: str, *, time: str, user: str, reason: str = "") -> None:
    """Put down that an addition no longer holds; its own line stays."""
    entry = {"action": "undo", "addition_id": addition_id}
    _append(film_dir / FILE, {**entry, "time": time, "user": user, "reason": reason})


def to_settings(additions: Sequence[Addition]) -> dict[str, list[str]]:
    """What a stage's fingerprint takes of additions; nothing where there is none."""
    words = sorted(one.to_words() for one in additions)
    return {"added by hand": words} if words else {}


def dense(additions: Sequence[Addition]) -> list[tuple[int, int, float]]:
    """First frame, end and interval in seconds of spans to be looked at more often; sorted."""
    return sorted(
        (first, end, one.interval_s)
        for one in additions
        if one.interval_s
        for first, end in one.spans
    )


def _entries(path: Path) -> list[dict[str, Any]]:
    """Every line, in order."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    found = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last end was cut off
        if line.strip():
            found.append(_parse(line, f"{path.name}, line {number}"))
    return found


def _parse(line: str, where: str) -> dict[str, Any]:
    known = set(Addition.__dataclass_fields__)
    try:
        entry = json.loads(line)
        is_add = entry["action"] == "add"
        needed = {"addition_id", "character", "spans"} if is_add else {"addition_id"}
        extra = set(entry) - known - {"action"}
        if entry["action"] not in ("add", "undo") or not needed <= set(entry) or extra:
            raise ValueError("it is no addition and no undo")
        [(int(first), int(end)) for first, end in entry.get("spans", ())]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{where}: expected a record that `bunny gaps` wrote, could not read it ({error}); "
            "mend or delete that line"
        ) from error
    return entry


def _append(path: Path, entry: dict[str, Any]) -> None:
    """Add one line and flush it; what a kill left of a line before stays on a line of its own."""
    data = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    is_cut = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size
    if is_cut:
        _drop_cut_line(path)
    with path.open("ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _drop_cut_line(path: Path) -> None:
    """Take away a last line that has no end: it was never read."""
    with path.open("rb+") as stream:
        stream.truncate(stream.read().rfind(b"\n") + 1)
