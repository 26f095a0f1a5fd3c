"""Nested cross-validation of learning methods on corrections, by groups.

Every group of corrections is held out once. A held-out item that a person placed counts as right
where it lands in that cluster; one that a person only took out of clusters counts as right anywhere
but there.

The method is chosen on some corrections and reported on others: every part of the groups is left
out of everything once, learning and choosing alike, and judges what was chosen without it (nested
cross-validation; Varma & Simon 2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from bunny.review.learn import method, triplet
from bunny.review.learn.item import NOBODY, Items

LEVEL = 0.95  # of the interval that a gain must stay above zero in
DRAWS = 4000  # of the bootstrap
INNER_SHARE = 0.5  # held out at once where a method is chosen only to be reported on
MIN_GROUPS = 6  # that a bootstrap over groups needs
CHOSEN = "chosen"  # name of the report's row
MIN_APPROVED = 5  # judged items that the machine had right: without them no harm would be seen


@dataclass(frozen=True, kw_only=True)
class MethodTrial:
    """Results of the methods on held-out corrections of one level and model."""

    table: pl.DataFrame  # see `judge`; the method is chosen on it
    report: dict  # row of `judge`: whatever was chosen, on what neither trained nor chose it
    best: str  # the method to deploy, `method.NONE` where none was better
    reason: str  # one sentence
    learned: method.FittedMethod | None  # of `best`, from all corrections
    num_items: int  # judged
    num_groups: int


def run(
    items: Items,
    methods: Sequence[str] = method.METHODS,
    *,
    held_out_share: float = 0.3,
    training: triplet.TripletTraining | None = None,
) -> MethodTrial:
    """Try methods against "none" and learn the best one from everything, if it is better.

    Parameters
    ----------
    methods : sequence of str
        Of `method.METHODS`.
    held_out_share : float
        In (0, 1); groups are dealt into about 1 / share parts, each held out once.
    training : triplet.TripletTraining, optional

    Notes
    -----
    Chosen is the most accurate method whose gain over "none" has an interval above 0 by the paired
    bootstrap over groups, at a level made stricter by the number of methods tried (Bonferroni).
    It is deployed only if `report` has its interval above 0 too. An item whose cluster nobody
    would know of without its own group is not judged.
    """
    training = training or triplet.TripletTraining()
    held = _held_out(items, methods, held_out_share, training)
    group = items.group[held.rows]
    table = judge(held.is_right, group, seed=training.seed)
    is_placed = items.is_said[held.rows]
    none_right = int(held.is_right[method.NONE][is_placed].sum())
    best, reason = _choose(table, none_right, len(np.unique(group)))
    report = _row(CHOSEN, [None] * 6)
    if best != method.NONE:
        report = _report(items, methods, held_out_share, training)
        best, reason = _stand(best, report)
    learned = None
    if best != method.NONE:
        learned = method.learn(items, items.is_said, best, training)
    return MethodTrial(
        table=table,
        report=report,
        best=best,
        reason=reason,
        learned=learned,
        num_items=len(held.rows),
        num_groups=len(np.unique(group)),
    )


def judge(is_right: dict[str, np.ndarray], group: np.ndarray, *, seed: int = 0) -> pl.DataFrame:
    """Accuracy of methods and their gain over "none", with intervals.

    Parameters
    ----------
    is_right : dict of str to np.ndarray, shape (n,), bool
        With `method.NONE` among them.
    group : np.ndarray, shape (n,), int
        Drawn together by the bootstrap.

    Returns
    -------
    pl.DataFrame
        `method`, `accuracy`, `low`, `high` (95 %), `gain`, `gain_low`, `gain_high` (stricter by the
        number of methods); null where nothing was judged.
    """
    names = list(is_right)
    if not len(group):
        return pl.DataFrame([_row(name, [None] * 6) for name in names], schema=_SCHEMA)
    right = np.stack([is_right[name] for name in names]).astype(float)  # (methods, n)
    number = np.unique(group, return_inverse=True)[1]
    size = np.bincount(number).astype(float)
    hits = np.stack([np.bincount(number, weights=one) for one in right])  # (methods, groups)
    drawn = np.random.default_rng(seed).multinomial(
        len(size), np.full(len(size), 1 / len(size)), DRAWS
    )
    share = (drawn @ hits.T) / (drawn @ size)[:, None]  # (draws, methods)
    gain = share - share[:, [names.index(method.NONE)]]
    plain = (1 - LEVEL) / 2
    strict = plain / max(1, len(names) - 1)
    mean = right.mean(axis=1)
    rows = []
    for k, name in enumerate(names):
        low, high = np.quantile(share[:, k], (plain, 1 - plain))
        gain_low, gain_high = np.quantile(gain[:, k], (strict, 1 - strict))
        more = mean[k] - mean[names.index(method.NONE)]
        rows.append(_row(name, [mean[k], low, high, more, gain_low, gain_high]))
    return pl.DataFrame(rows, schema=_SCHEMA)


_SCHEMA = {
    "method": pl.String,
    **dict.fromkeys(("accuracy", "low", "high", "gain", "gain_low", "gain_high"), pl.Float64),
}


def _row(name: str, values: Sequence[float | None]) -> dict:
    each = [None if v is None else float(v) for v in values]
    return dict(zip(_SCHEMA, [name, *each], strict=True))


@dataclass(frozen=True, kw_only=True)
class _Held:
    """Judged items, and by method which of them were right when they were held out."""

    rows: np.ndarray  # (m,) int64
    is_right: dict[str, np.ndarray]  # (m,) bool each


def _held_out(
    items: Items, methods: Sequence[str], share: float, training: triplet.TripletTraining
) -> _Held:
    """Every item that a person placed or took out of a cluster once, by every method."""
    names = (method.NONE, *methods)
    rows, hits = [np.zeros(0, np.int64)], {name: [np.zeros(0, bool)] for name in names}
    for held in _parts(items, share, training.seed):
        known = _hide(items, held)
        judged = held[_is_judged(items, known, held)]
        rows.append(judged)
        for name in names:
            hits[name].append(_hits(items, known, judged, name, training))
    found = {name: np.concatenate(each) for name, each in hits.items()}
    return _Held(rows=np.concatenate(rows), is_right=found)


def _report(
    items: Items, methods: Sequence[str], share: float, training: triplet.TripletTraining
) -> dict[str, float]:
    """Row of `judge`: every part judges what was chosen and learned without it."""
    rows, none, chosen = ([] for _ in range(3))
    for held in _parts(items, share, training.seed):
        known = _hide(items, held)
        judged = held[_is_judged(items, known, held)]
        inner = _held_out(known, methods, INNER_SHARE, training).is_right
        best = max(inner, key=lambda name: (inner[name].sum(), name == method.NONE))
        rows.append(judged)
        none.append(_hits(items, known, judged, method.NONE, training))
        chosen.append(_hits(items, known, judged, best, training))
    right = {method.NONE: np.concatenate(none), CHOSEN: np.concatenate(chosen)}
    return judge(right, items.group[np.concatenate(rows)], seed=training.seed).row(1, named=True)


def _parts(items: Items, share: float, seed: int) -> list[np.ndarray]:
    """Rows of items that are held out together."""
    rows = np.flatnonzero(items.is_said | items.barred.any(axis=1))
    parts = max(2, math.ceil(1 / share - 1e-9))
    return [rows[part] for part in method.group_folds(items.group[rows], parts, seed)]


def _hide(items: Items, held: np.ndarray) -> Items:
    """Items as if nobody had spoken of those that are held out."""
    said, barred, fixed = items.said.copy(), items.barred.copy(), items.is_fixed.copy()
    said[held], barred[held], fixed[held] = NOBODY, False, False
    return replace(items, said=said, barred=barred, is_fixed=fixed)


def _hits(
    items: Items, known: Items, rows: np.ndarray, name: str, training: triplet.TripletTraining
) -> np.ndarray:
    """Whether a method that knows `known` puts items where the person wants them, (m,) bool."""
    learned = method.learn(known, known.is_said, name, training)
    cluster, _, _ = method.predict(learned, known, known.is_said, rows)
    is_barred = (cluster != NOBODY) & items.barred[rows, cluster]
    return np.where(items.is_said[rows], cluster == items.said[rows], ~is_barred)


def _is_judged(items: Items, known: Items, rows: np.ndarray) -> np.ndarray:
    """Whether an item's cluster has a member without its part, (m,) bool; or it was taken out."""
    where = np.where(known.is_said, known.said, known.start)
    size = np.bincount(where[where != NOBODY], minlength=len(items.clusters))
    said = items.said[rows]
    mates = size[said] - (where[rows] == said)
    return (said == NOBODY) | (mates > 0) | (items.start[rows] == said)


def _choose(table: pl.DataFrame, none_right: int, num_groups: int) -> tuple[str, str]:
    """The method to deploy if it stands the report, and why none does."""
    if num_groups < MIN_GROUPS:
        return method.NONE, (
            f"only {num_groups} separate corrections to validate on, {MIN_GROUPS} are "
            "needed: make more corrections"
        )
    if none_right < MIN_APPROVED:
        return method.NONE, (
            f"only {none_right} of the validation items were right before, "
            f"{MIN_APPROVED} are needed to detect harm: approve some correct items"
        )
    better = table.filter(pl.col("gain_low") > 0).sort("accuracy", descending=True)
    if better.is_empty():
        return method.NONE, "no method was better than none by more than its confidence interval"
    return better["method"][0], ""


def _stand(best: str, report: dict) -> tuple[str, str]:
    """The method to deploy by the report, and why."""
    gain = (
        f"gain {report['gain']:+.3f}, 95 % interval {report['gain_low']:+.3f} to "
        f"{report['gain_high']:+.3f}, on corrections not used to train or choose it"
    )
    if report["gain_low"] > 0:
        return best, gain
    return method.NONE, f"{method.WORDS[best]} looked best, but not significantly: {gain}"
