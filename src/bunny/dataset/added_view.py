"""Obeys what a person added to a set: views come in that a threshold left out, all else stays.

The choice and the split are made first as if nothing had been added, so they do not depend on
additions; what is added comes on top of `models.max_images`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bunny.dataset import appearance, crop, near_duplicate, split
from bunny.dataset.addition import ANY, Addition
from bunny.dataset.candidate import Verdict
from bunny.dataset.crop import Window
from bunny.dataset.select import Choice
from bunny.dataset.view import View

NEVER = "unreadable"  # a reason that nobody can lift
UNLABELLED = "unlabelled"  # reason of look-alikes, which are no candidates until they are added
UNSURE = ("doubtful", UNLABELLED)
LIFTED = "added by hand; else"  # begins the detail of a view that was added


def is_meant(view: View, one: Addition) -> bool:
    """Whether an addition is about a view: its frame, and its value on the axis if one is named."""
    return one.holds(view.frame_index) and (
        one.axis == ANY or value_of(view, one.axis) == one.value
    )


def value_of(view: View, axis: str) -> str | None:
    """Value of a view on an axis; of axis `pose and size` both, as `gap.find_gaps` joins them."""
    if axis == "pose and size":
        return f"{view.pose}, {view.shot_size}"
    return getattr(view, axis)


def is_lifted(view: View, reason: str, additions: Sequence[Addition]) -> bool:
    """Whether an addition lifts the reason that a view was left out for.

    Doubt about who it is needs a person who is sure; look-alikes must be asked for.
    """
    if not reason or reason == NEVER:
        return False
    return any(
        (one.is_sure or reason not in UNSURE) and (one.has_duplicates or reason != "duplicate")
        for one in additions
        if is_meant(view, one)
    )


def extend(
    views: Sequence[View],
    made: Choice,
    additions: Sequence[Addition],
    rule: crop.Rule,
    duplicate_distance: int,
) -> Choice:
    """Add to a choice what was added by hand.

    Parameters
    ----------
    views : sequence of View
    made : Choice
        From `choice.choose` over them.
    additions : sequence of Addition
        Of their character.
    rule : crop.Rule
        `max_upscale` does not hold for what is added.
    duplicate_distance : int
        Bits, as of `choice.Setting`.

    Returns
    -------
    Choice
        All that was picked before, then one window of each added view. Of added views that show
        what a chosen or another added one shows, none comes in unless look-alikes were asked for.
    """
    rows = [
        row
        for row, verdict in enumerate(made.verdicts)
        if is_lifted(views[row], verdict.reason, additions)
    ]
    if not rows:
        return made
    aside = _duplicates(views, rows, made, additions, duplicate_distance)
    verdicts = list(made.verdicts)
    for row, kept in aside.items():
        verdicts[row] = Verdict(
            reason="duplicate",
            detail="added by hand, but the same picture again",
            duplicate_of=views[kept].subject_id,
        )
    taken = [row for row in rows if row not in aside]
    for row in taken:
        before = made.verdicts[row]
        was = f"{before.reason}: {before.detail}" if before.detail else before.reason
        verdicts[row] = Verdict(detail=f"{LIFTED} {was}")
    found = [_windows(views[row], additions, rule) for row in taken]
    picked = [(taken[i], window) for i, window in crop.pick(found, len(taken))]
    return Choice(verdicts=verdicts, gains=made.gains, picked=[*made.picked, *picked])


def added_rows(made: Choice) -> set[int]:
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
    views: Sequence[View],
    rows: Sequence[int],
    made: Choice,
    additions: Sequence[Addition],
    distance: int,
) -> dict[int, int]:
    """Added rows that show what stays: to the row that shows it already."""
    worth = appearance.worth_of([views[row] for row in rows])
    order = sorted(range(len(rows)), key=lambda i: (-round(worth[i], 9), views[rows[i]].subject_id))
    kept = list(made.gains)
    aside: dict[int, int] = {}
    signs = near_duplicate.signs_of(views)
    for row in (rows[i] for i in order):
        alike = near_duplicate.are_alike(signs, row, np.array(kept, np.int64), distance)
        if any(one.has_duplicates for one in additions if is_meant(views[row], one)):
            alike &= signs.frame[kept] == signs.frame[row]  # one frame is trained on once, always
        found = np.flatnonzero(alike)
        if len(found):
            aside[row] = kept[found[0]]
        else:
            kept.append(row)
    return aside


def _windows(view: View, additions: Sequence[Addition], rule: crop.Rule) -> list[Window]:
    """Windows of an added view, however small; of a size that was asked for where there is one."""
    found = crop.windows(view, rule) or crop.windows(view, replace(rule, max_upscale=float("inf")))
    sizes = {
        one.value.split(", ")[-1]
        for one in additions
        if one.axis in ("shot_size", "pose and size") and is_meant(view, one)
    }
    return [window for window in found if window.shot_size in sizes] or found
