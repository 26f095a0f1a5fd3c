"""Edit pairs: two pictures of a shot, some seconds apart, and an instruction for the change.

The opposite of reference pairs: the background stays (measured by `alignment`), the character
changes, and the words say what changed, nothing else (InstructMove, 2024). A pair without a change
that is sure is left out, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bunny.core.config.pair import PairConfig
from bunny.dataset import mask
from bunny.pair import alignment, change
from bunny.pair.alignment import Alignment
from bunny.pair.source import CharacterFrame

MOVED, UNALIGNED, UNCHANGED, UNSURE = "moved", "unaligned", "unchanged", "unsure"
UNREADABLE, SURPLUS = "unreadable", "surplus"
MAX_MEASURED = 6  # pairs of a shot whose pixels are read
MIN_CHANGE = 0.02  # of luma inside the character's box; below it nothing moved
MAX_CHANGE = 0.35  # above it another picture stands there
MAX_SCALE = 0.03  # the camera's zoom
MIN_AGREEMENT = 0.5  # of the background's details; 0.9 and more where the camera stood still

Read = Callable[[str], np.ndarray | None]


@dataclass(frozen=True, kw_only=True)
class EditPair:
    """A picture before and one after, or why they are no pair."""

    before: CharacterFrame
    after: CharacterFrame
    alignment: Alignment | None = None
    clauses: tuple[str, ...] = ()
    reason: str | None = None  # null: taken


def choose_pairs(
    frames: Sequence[CharacterFrame], read: Read, who: str, wanted: PairConfig
) -> list[EditPair]:
    """Choose and measure pairs of one character.

    Parameters
    ----------
    frames : sequence of CharacterFrame
        Of one character, in film order.
    read : callable
        From a picture's file to its pixels (BGR), None where it cannot be read.
    who : str
        What the character is called in captions.

    Returns
    -------
    list of EditPair
        All that were measured, in film order; of each shot the pair with the most said of it is
        taken, the others are ``surplus``.
    """
    shots: dict[int, list[CharacterFrame]] = {}
    for frame in frames:
        if frame.confidence >= wanted.min_confidence:
            shots.setdefault(frame.shot_index, []).append(frame)
    made: list[EditPair] = []
    num_taken = 0
    for own in shots.values():
        judged = [_judge(one, two, read, who, wanted) for one, two in _spans(own, wanted)]
        good = [pair for pair in judged if pair.reason is None]
        best = max(good, key=_worth, default=None)
        is_room = num_taken < wanted.max_pairs
        num_taken += best is not None and is_room
        made += [
            replace(p, reason=SURPLUS) if p.reason is None and not (p is best and is_room) else p
            for p in judged
        ]
    return made


def _spans(
    frames: Sequence[CharacterFrame], wanted: PairConfig
) -> list[tuple[CharacterFrame, CharacterFrame]]:
    """Pairs of a shot that are some seconds apart and of one size, the widest apart first."""
    least, most = wanted.edit_seconds
    found = [
        (one, two)
        for i, one in enumerate(frames)
        for two in frames[i + 1 :]
        if least <= two.timestamp_s - one.timestamp_s <= most and one.size == two.size
    ]
    found.sort(key=lambda p: (p[0].timestamp_s - p[1].timestamp_s, p[0].frame_id))
    return found[:MAX_MEASURED]


def _judge(
    before: CharacterFrame, after: CharacterFrame, read: Read, who: str, wanted: PairConfig
) -> EditPair:
    """Measure one pair and say whether it is one."""
    pair = EditPair(before=before, after=after)
    pictures = [read(frame.file) for frame in (before, after)]
    if pictures[0] is None or pictures[1] is None or pictures[0].shape != pictures[1].shape:
        return replace(pair, reason=UNREADABLE)
    boxes = [mask.figure_box(b, f.state.is_face) for f in (before, after) for b in f.boxes]
    found = alignment.align(pictures[0], pictures[1], boxes)
    if found is None:
        return replace(pair, reason=UNALIGNED)
    pair = replace(pair, alignment=found)
    reason = _reason(found, after.size[0], wanted)
    if reason:
        return replace(pair, reason=reason)
    clauses = change.describe_change(before.state, after.state, after.size[0], who)
    if not clauses:
        return replace(pair, reason=UNSURE)
    return replace(pair, clauses=tuple(clauses))


def _reason(found: Alignment, width_px: int, wanted: PairConfig) -> str | None:
    """Why two aligned pictures are no pair; None where they are."""
    if found.shift_px > wanted.max_shift * width_px or abs(found.scale - 1) > MAX_SCALE:
        return MOVED
    if found.residual > wanted.max_residual or found.agreement < MIN_AGREEMENT:
        return UNALIGNED
    if found.change > MAX_CHANGE:
        return UNSURE
    return UNCHANGED if found.change < MIN_CHANGE else None


def _worth(pair: EditPair) -> tuple[int, float, str]:
    """More said first, then the steadier background."""
    residual = pair.alignment.residual if pair.alignment else 1.0
    return min(2, len(pair.clauses)), -residual, pair.before.frame_id
