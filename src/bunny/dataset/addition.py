"""Additions made by hand: the JSON-lines record, and the selection and split extended by it.

`addition.jsonl` in the film's folder has one JSON object a line: an addition, or the taking back of
one. Shots are put down as frames of the film, so a record holds when shots are cut otherwise.

The choice and the split are made first as if nothing had been added, so they do not depend on
additions; what is added comes on top of `models.max_images`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bunny.core import jsonl
from bunny.core.error import UserError
from bunny.dataset import appearance, crop, near_duplicate, split
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.crop import CropWindow
from bunny.dataset.select import ViewSelection
from bunny.dataset.view import CharacterView

FILE = "addition.jsonl"
WHAT = "a record that `bunny gaps` wrote"
ANY_AXIS = "any"  # axis of an addition of whole shots

Span = tuple[int, int]  # frame indices, half-open

UNREADABLE = "unreadable"  # a reason that nobody can lift
UNLABELLED = "unlabelled"  # reason of look-alikes, which are no candidates until they are added
UNSURE = ("doubtful", UNLABELLED)
ADDED_DETAIL = "added by hand; else"  # begins the detail of a view that was added


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Views of one character that belong into its set because a person says so."""

    addition_id: str  # "a1", "a2", ...
    character: str
    spans: tuple[Span, ...]
    axis: str = ANY_AXIS  # pose, shot_size, light, place: only views of this `value`
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
        words += [] if self.axis == ANY_AXIS else [f"{self.axis} {self.value}"]
        words += ["sure"] * self.is_sure + ["including duplicates"] * self.has_duplicates
        return ", ".join(words)


def read(film_dir: Path) -> list[Addition]:
    """Additions of a film that were not taken back, the oldest first.

    Raises
    ------
    UserError
        If a line is no record. A last line without an end, left by a kill, is passed over.
    """
    active: dict[str, Addition] = {}
    for entry in _entries(film_dir):
        if entry["action"] == "undo":
            active.pop(entry["addition_id"], None)
        else:
            own = {key: value for key, value in entry.items() if key != "action"}
            spans = tuple((int(first), int(end)) for first, end in own.pop("spans"))
            active[own["addition_id"]] = Addition(**own, spans=spans)
    return list(active.values())


def next_id(film_dir: Path) -> str:
    """A name that no addition of the film had, taken back ones included."""
    names = {e["addition_id"] for e in _entries(film_dir) if e["action"] == "add"}
    return f"a{len(names) + 1}"


def add(film_dir: Path, one: Addition) -> None:
    """Put an addition down."""
    jsonl.append(film_dir / FILE, [{"action": "add", **asdict(one)}])


def undo(film_dir: Path, addition_id: str, *, time: str, user: str, reason: str = "") -> None:
    """Put down that an addition no longer holds; its own line stays."""
    entry = {"action": "undo", "addition_id": addition_id}
    entry |= {"time": time, "user": user, "reason": reason}
    jsonl.append(film_dir / FILE, [entry])


def fingerprint_settings(additions: Sequence[Addition]) -> dict[str, list[str]]:
    """Additions as part of a stage's fingerprint; empty if there are none."""
    words = sorted(one.to_words() for one in additions)
    return {"added by hand": words} if words else {}


def dense_spans(additions: Sequence[Addition]) -> list[tuple[int, int, float]]:
    """First frame, end and interval in seconds of spans to be looked at more often; sorted."""
    return sorted(
        (first, end, one.interval_s)
        for one in additions
        if one.interval_s
        for first, end in one.spans
    )


def _entries(film_dir: Path) -> list[dict[str, Any]]:
    """Every line, in order."""
    entries = jsonl.read(film_dir / FILE, WHAT)
    for where, entry in entries:
        _check_entry(entry, where)
    return [entry for _, entry in entries]


def _check_entry(entry: dict[str, Any], where: str) -> None:
    known = set(Addition.__dataclass_fields__)
    try:
        is_add = entry["action"] == "add"
        needed = {"addition_id", "character", "spans"} if is_add else {"addition_id"}
        extra = set(entry) - known - {"action"}
        if entry["action"] not in ("add", "undo") or not needed <= set(entry) or extra:
            raise ValueError("it is neither an addition nor an undo")
        [(int(first), int(end)) for first, end in entry.get("spans", ())]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{where}: expected {WHAT}, could not read it ({error}); fix or delete that line"
        ) from error


def _applies_to(view: CharacterView, one: Addition) -> bool:
    """Whether an addition is about a view: its frame, and its value on the axis if one is named."""
    return one.holds(view.frame_index) and (
        one.axis == ANY_AXIS or _axis_value(view, one.axis) == one.value
    )


def _axis_value(view: CharacterView, axis: str) -> str | None:
    """Value of a view on an axis; of axis `pose and size` both, as `gap.find_gaps` joins them."""
    if axis == "pose and size":
        return f"{view.pose}, {view.shot_size}"
    return getattr(view, axis)


def overrides(view: CharacterView, reason: str, additions: Sequence[Addition]) -> bool:
    """Whether an addition lifts the reason that a view was left out for.

    Doubt about who it is needs a person who is sure; look-alikes must be asked for.
    """
    if not reason or reason == UNREADABLE:
        return False
    return any(
        (one.is_sure or reason not in UNSURE) and (one.has_duplicates or reason != "duplicate")
        for one in additions
        if _applies_to(view, one)
    )


def extend_selection(
    views: Sequence[CharacterView],
    made: ViewSelection,
    additions: Sequence[Addition],
    rule: crop.CropSetting,
    duplicate_distance: int,
) -> ViewSelection:
    """Add to a choice what was added by hand.

    Parameters
    ----------
    made : ViewSelection
        From `select.choose` over them.
    additions : sequence of Addition
        Of their character.
    rule : crop.CropSetting
        `dataset.max_upscale` does not hold for what is added.
    duplicate_distance : int
        `filtering.duplicate_distance`.

    Returns
    -------
    ViewSelection
        All that was picked before, then one window of each added view. Of added views that show
        what a chosen or another added one shows, none comes in unless look-alikes were asked for.
    """
    rows = [
        row
        for row, verdict in enumerate(made.verdicts)
        if overrides(views[row], verdict.reason, additions)
    ]
    if not rows:
        return made
    aside = _duplicates(views, rows, made, additions, duplicate_distance)
    verdicts = list(made.verdicts)
    for row, kept in aside.items():
        verdicts[row] = CandidateVerdict(
            reason="duplicate",
            detail="added by hand, but the same picture again",
            duplicate_of=views[kept].subject_id,
        )
    taken = [row for row in rows if row not in aside]
    for row in taken:
        before = made.verdicts[row]
        was = f"{before.reason}: {before.detail}" if before.detail else before.reason
        verdicts[row] = CandidateVerdict(detail=f"{ADDED_DETAIL} {was}")
    found = [_windows(views[row], additions, rule) for row in taken]
    picked = [(taken[i], window) for i, window in crop.pick_windows(found, len(taken))]
    return ViewSelection(verdicts=verdicts, gains=made.gains, picked=[*made.picked, *picked])


def added_rows(made: ViewSelection) -> set[int]:
    """Rows of a choice that came in by hand."""
    return {row for row, _ in made.picked if row not in made.gains}


def extend_split(
    side: Mapping[int, str], shots: Collection[int], group: Mapping[int, int]
) -> dict[int, str]:
    """Say on which side added shots are, those that are in the set already staying where they are.

    Parameters
    ----------
    side : mapping
        Shot to ``train`` or ``held-out``, of the set without additions.
    shots : collection of int
        Shots of what was added.
    group : mapping
        Group of every shot of both, see `split.group_shots`.

    Returns
    -------
    dict
        Every shot to its side. An added shot goes to the side of its group, a group of its own is
        trained on. Where an added shot joins groups of both sides, the joined group is trained on,
        or held out when nothing else would be held out and something else is trained on.
    """
    sides: dict[int, set[str]] = {}
    for shot, name in side.items():
        sides.setdefault(group[shot], set()).add(name)
    is_lost = {split.HELD_OUT} not in sides.values() and {split.TRAIN} in sides.values()
    both = split.HELD_OUT if is_lost else split.TRAIN
    final = {root: names.pop() if len(names) == 1 else both for root, names in sides.items()}
    return {shot: final.get(group[shot], split.TRAIN) for shot in sorted({*side, *shots})}


def _duplicates(
    views: Sequence[CharacterView],
    rows: Sequence[int],
    made: ViewSelection,
    additions: Sequence[Addition],
    distance: int,
) -> dict[int, int]:
    """Added rows that show what stays: to the row that shows it already."""
    worth = appearance.view_quality([views[row] for row in rows])
    order = sorted(range(len(rows)), key=lambda i: (-round(worth[i], 9), views[rows[i]].subject_id))
    kept = list(made.gains)
    aside: dict[int, int] = {}
    signs = near_duplicate.duplicate_features(views)
    for row in (rows[i] for i in order):
        alike = near_duplicate.are_alike(signs, row, np.array(kept, np.int64), distance)
        if any(one.has_duplicates for one in additions if _applies_to(views[row], one)):
            alike &= signs.frame[kept] == signs.frame[row]  # one frame is trained on once, always
        found = np.flatnonzero(alike)
        if len(found):
            aside[row] = kept[found[0]]
        else:
            kept.append(row)
    return aside


def _windows(
    view: CharacterView, additions: Sequence[Addition], rule: crop.CropSetting
) -> list[CropWindow]:
    """Windows of an added view, however small; of a size that was asked for where there is one."""
    found = crop.windows(view, rule)
    if not found:
        free = rule.dataset.model_copy(update={"max_upscale": float("inf")})
        found = crop.windows(view, replace(rule, dataset=free))
    sizes = {
        one.value.split(", ")[-1]
        for one in additions
        if one.axis in ("shot_size", "pose and size") and _applies_to(view, one)
    }
    return [window for window in found if window.shot_size in sizes] or found
