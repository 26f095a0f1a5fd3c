"""Thresholds from settings: as given, or moved together until about `keep_about` frames stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import polars as pl

from bunny.core.config import FilteringConfig, filter_preset
from bunny.quality import flag, reason

# Settings that are recorded: those that decide about frames.
RECORDED = (
    *filter_preset.THRESHOLD_CURVE,
    "drop_kinds",
    "duplicate_distance",
    "duplicate_structure",
    "batch_size",
    "keep_best_per_batch",
)


@dataclass(frozen=True, kw_only=True)
class ThresholdSolution:
    """Thresholds and what they do."""

    threshold: FilteringConfig  # the settings, with the solved thresholds
    decision: flag.FilterDecision
    num_kept: int
    strictness: float | None = None  # solved; None when the thresholds are as given
    note: str = ""  # one sentence on what was solved


class ThresholdRecord(TypedDict):
    """Record of a solution that is stored beside the stage's tables."""

    preset: str
    keep_about: int
    strictness: float | None
    num_kept: int
    threshold: dict[str, object]  # the settings `RECORDED`
    note: str


def flag_frames(
    measure: pl.DataFrame, filtering: FilteringConfig
) -> tuple[pl.DataFrame, ThresholdSolution]:
    """Decide about a film's frames.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`.

    Returns
    -------
    quality : pl.DataFrame
        As of `flag.flag`, in the order of `frame_id`.
    solution : ThresholdSolution
    """
    prepared = flag.prepare(measure)
    groups = flag.group_duplicates(
        prepared, filtering.duplicate_distance, filtering.duplicate_structure
    )
    solution = solve(prepared, groups, filtering)
    return flag.add_decision(measure.sort("frame_id"), prepared, solution.decision), solution


def solve(
    prepared: flag.PreparedMeasures, groups: np.ndarray, filtering: FilteringConfig
) -> ThresholdSolution:
    """Thresholds as settings say, or those that keep about `keep_about` frames.

    The preset's thresholds move together along `filter_preset.THRESHOLD_CURVE`, from generous on;
    those that somebody chose (that differ from the preset's) stay where they are. The stricter, the
    fewer groups of frames are kept, so bisection finds the strictness whose number is nearest.
    Without chosen thresholds no frame is kept newly at a higher strictness: the best of a group and
    of a batch is the one that is good up to the highest strictness, so it goes last.

    Parameters
    ----------
    groups : np.ndarray, shape (readable,), int64
    """
    wanted = filtering.keep_about
    if not wanted:
        return _solution(prepared, groups, filtering)
    chosen = filter_preset.overridden_keys(dict(filtering))

    def at(level: float) -> ThresholdSolution:
        free = {k: v for k, v in filter_preset.thresholds_at(level).items() if k not in chosen}
        return _solution(prepared, groups, filtering.model_copy(update=free))

    own = reason.measure_strictness(prepared.measure, frozenset(chosen))
    count = _counter(prepared, groups, own, at)
    best = _nearest(_levels(own), wanted, count)
    found = at(best)
    return replace(found, strictness=best, note=_note(found, best, wanted, chosen))


def to_json(solution: ThresholdSolution) -> ThresholdRecord:
    """Record of a solution: JSON values."""
    threshold = solution.threshold
    return {
        "preset": threshold.preset,
        "keep_about": threshold.keep_about,
        "strictness": solution.strictness,
        "num_kept": solution.num_kept,
        "threshold": {name: getattr(threshold, name) for name in RECORDED},
        "note": solution.note,
    }


def read_threshold(path: Path) -> FilteringConfig:
    """Settings with the thresholds that a stage recorded, from the JSON of `to_json`."""
    record = json.loads(path.read_text(encoding="utf-8"))
    about = {key: record[key] for key in ("preset", "keep_about")}
    return FilteringConfig(**about, **record["threshold"])


def _solution(
    prepared: flag.PreparedMeasures, groups: np.ndarray, filtering: FilteringConfig
) -> ThresholdSolution:
    """Decision at these thresholds."""
    decision = flag.decide(prepared, groups, filtering)
    num_kept = int((decision.code == reason.CODE["kept"]).sum())
    return ThresholdSolution(threshold=filtering, decision=decision, num_kept=num_kept)


def _counter(
    prepared: flag.PreparedMeasures,
    groups: np.ndarray,
    own: np.ndarray,
    at: Callable[[float], ThresholdSolution],
) -> Callable[[float], int]:
    """How many frames are kept at a level: groups that have a frame good up to there."""
    loosest = at(filter_preset.LOWEST)
    if loosest.threshold.batch_size > 1:  # batches look across groups: decide at each step
        return lambda level: at(level).num_kept
    code = loosest.decision.code[prepared.order]
    passes = (code == reason.CODE["kept"]) | (code == reason.CODE["duplicate"])
    top = np.full(groups.size, -np.inf)
    np.maximum.at(top, groups[passes], own[prepared.order][passes])
    top = np.sort(top[top > -np.inf])
    return lambda level: int(top.size - np.searchsorted(top, level))


def _levels(own: np.ndarray) -> np.ndarray:
    """Strictnesses that differ in what they let pass: generous, and one between each two frames."""
    steps = np.unique(own[~np.isnan(own) & (own > filter_preset.PRESET_STRICTNESS["generous"])])
    edges = np.concatenate(
        [[filter_preset.PRESET_STRICTNESS["generous"]], steps, [filter_preset.HIGHEST]]
    )
    return np.unique(np.append(edges[:1], (edges[:-1] + edges[1:]) / 2))


def _nearest(levels: np.ndarray, wanted: int, count: Callable[[float], int]) -> float:
    """The level whose falling count is nearest to `wanted`; of equals the more generous one.

    A level that keeps nothing is no answer.
    """
    low, high = 0, levels.size  # count(levels[low]) >= wanted, or low is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(levels[middle]) >= wanted else (low, middle)
    if high == levels.size:
        return float(levels[low])
    over, fewer = count(levels[low]) - wanted, count(levels[high])
    is_nearer = fewer > 0 and wanted - fewer < over
    return float(levels[high] if is_nearer else levels[low])


def _note(found: ThresholdSolution, level: float, wanted: int, chosen: set[str]) -> str:
    """Say what was asked and what was found."""
    moved = [key for key in filter_preset.THRESHOLD_CURVE if key not in chosen]
    words = ", ".join(f"{key} {getattr(found.threshold, key):.3g}" for key in moved)
    fixed = f"; {', '.join(sorted(chosen))} as configured" if chosen else ""
    if found.num_kept < wanted and level <= filter_preset.PRESET_STRICTNESS["generous"]:
        return (
            f"keep_about {wanted}: even the most generous thresholds keep only "
            f"{found.num_kept} frames ({words}{fixed})"
        )
    return (
        f"keep_about {wanted}: {found.num_kept} frames kept at strictness {level:.3f} "
        f"({words}{fixed})"
    )
