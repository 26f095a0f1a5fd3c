"""Selection of views and crop windows to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from bunny.core.config import FilteringConfig
from bunny.dataset import appearance, crop, facility_location, near_duplicate
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.crop import CropWindow
from bunny.dataset.view import CharacterView


@dataclass(frozen=True, kw_only=True)
class ViewSelection:
    """Result of the selection for every view."""

    verdicts: list[CandidateVerdict]  # one a view; an empty reason says chosen
    gains: dict[int, float]  # of the chosen, by row
    picked: list[tuple[int, CropWindow]]  # row of a view and a window of it


def choose(
    views: Sequence[CharacterView],
    verdicts: Sequence[CandidateVerdict],
    tables: Mapping[str, pl.DataFrame],
    rule: crop.CropSetting,
    filtering: FilteringConfig,
) -> ViewSelection:
    """Choose for variety among the views that nothing speaks against.

    Views that can be shown alone come first; those in which somebody else stays in every window
    fill up to the number asked for.

    Parameters
    ----------
    verdicts : sequence of CandidateVerdict
        From `candidate.judge`; none is chosen that has a reason.
    tables : mapping
        Tables face, embedding and measure, see `appearance.ground_set`.
    filtering : FilteringConfig
        Its `duplicate_distance`.

    Returns
    -------
    ViewSelection
        At most `models.max_images` windows, of at most as many views.
    """
    decided, most = list(verdicts), rule.models.max_images
    found: dict[int, list[CropWindow]] = {}
    for row in _open(decided):
        found[row] = crop.windows(views[row], rule)
        if not found[row]:
            decided[row] = _too_small(views[row], rule)
    _set_duplicates_aside(views, decided, filtering.duplicate_distance)
    gains: dict[int, float] = {}
    free = _open(decided)
    alone = [row for row in free if not all(w.others for w in found[row])]
    crowd = [row for row in free if all(w.others for w in found[row])]
    for rows, reason in ((alone, "surplus"), (crowd, "crowded")):
        gains |= _choose(views, rows, tables, most - len(gains))
        for row in rows:
            if row not in gains:
                decided[row] = CandidateVerdict(reason=reason, detail=f"{most} were wanted")
    order = list(gains)
    picked = crop.pick_windows([found[row] for row in order], most)
    return ViewSelection(verdicts=decided, gains=gains, picked=[(order[i], w) for i, w in picked])


def _open(verdicts: Sequence[CandidateVerdict]) -> list[int]:
    """Rows that nothing speaks against so far."""
    return [row for row, verdict in enumerate(verdicts) if not verdict.reason]


def _too_small(view: CharacterView, rule: crop.CropSetting) -> CandidateVerdict:
    if view.hidden and crop.windows(replace(view, hidden=()), rule):
        what = "somebody who was forgotten is in every picture of it"
        return CandidateVerdict(reason="crowded", detail=what)
    scale = crop.min_upscale(view, rule)
    most = rule.dataset.max_upscale
    what = f"would be enlarged {scale:.1f} times to {crop.READ_PX[0]} px, "
    what += f"dataset.max_upscale is {most:g}"
    return CandidateVerdict(reason="small", detail=what)


def _set_duplicates_aside(
    views: Sequence[CharacterView], decided: list[CandidateVerdict], distance: int
) -> None:
    """Mark every view that shows what a better one shows."""
    free = _open(decided)
    rows = [views[row] for row in free]
    worth = appearance.view_quality(rows)
    order = sorted(range(len(rows)), key=lambda i: (-round(worth[i], 9), rows[i].subject_id))
    aside = near_duplicate.keep_best(near_duplicate.duplicate_features(rows), order, distance)
    for row, kept in aside.items():
        near, other = rows[row], rows[kept]
        where = "frame" if near.frame_id == other.frame_id else "picture"
        decided[free[row]] = CandidateVerdict(
            reason="duplicate", detail=f"the same {where} again", duplicate_of=other.subject_id
        )


def _choose(
    views: Sequence[CharacterView],
    rows: Sequence[int],
    tables: Mapping[str, pl.DataFrame],
    number: int,
) -> dict[int, float]:
    """Rows chosen for variety, in that order, with their gains."""
    if not rows or number <= 0:
        return {}
    own = [views[row] for row in rows]
    ground = appearance.ground_set(own, tables["face"], tables["embedding"], tables["measure"])
    chosen, gains = facility_location.choose(ground, number)
    return {rows[i]: float(np.float32(g)) for i, g in zip(chosen, gains, strict=True)}
