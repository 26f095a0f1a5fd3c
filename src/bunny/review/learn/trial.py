"""Is a method better than none, on corrections that it did not see?

Every group of corrections is held out once. A held-out item counts as right where it lands in the
cluster that a person gave it. A rejection teaches but does not judge: it says only where an item
is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.review.learn import adapter, method
from bunny.review.learn.item import Items

LEVEL = 0.95  # of the interval that a gain must stay above zero in
DRAWS = 4000  # of the bootstrap
MIN_GROUPS = 6  # that a bootstrap over groups needs
MIN_APPROVED = 5  # judged items that the machine had right: without them no harm would be seen


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How methods did on held-out corrections of one level and model."""

    table: pl.DataFrame  # see `judge`
    best: str  # the method to deploy, `method.NONE` where none was better
    reason: str  # one sentence
    learned: method.Learned | None  # of `best`, from all corrections
    num_items: int  # judged
    num_groups: int


def run(
    items: Items,
    methods: Sequence[str] = method.METHODS,
    *,
    held_out_share: float = 0.3,
    training: adapter.Training | None = None,
) -> Trial:
    """Try methods against "none" and learn the best one from everything, if it is better.

    Parameters
    ----------
    items : Items
    methods : sequence of str
        Of `method.METHODS`.
    held_out_share : float
        In (0, 1); groups are dealt into about 1 / share parts, each held out once.
    training : adapter.Training, optional

    Notes
    -----
    Better: the paired bootstrap over groups gives a gain over "none" whose interval lies above 0,
    at a level made stricter by the number of methods tried (Bonferroni). Several parts are used
    so that every correction judges once. An item whose cluster nobody would know of without its
    own group is not judged.
    """
    training = training or adapter.Training()
    rows, is_right = _held_out(items, methods, held_out_share, training)
    is_judged = _judged(items, rows, held_out_share, training.seed)
    rows, is_right = rows[is_judged], {name: v[is_judged] for name, v in is_right.items()}
    group = items.group[rows]
    table = judge(is_right, group, seed=training.seed)
    best, reason = _choose(table, is_right[method.NONE], len(np.unique(group)))
    learned = None
    if best != method.NONE:
        learned = method.learn(items, items.is_said, best, training)
    return Trial(
        table=table,
        best=best,
        reason=reason,
        learned=learned,
        num_items=len(rows),
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
    seed : int

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


def _parts(items: Items, share: float, seed: int) -> list[np.ndarray]:
    """Rows of items that are held out together."""
    rows = np.flatnonzero(items.is_said)
    parts = max(2, math.ceil(1 / share - 1e-9))
    return [rows[part] for part in method.deal(items.group[rows], parts, seed)]


def _held_out(
    items: Items, methods: Sequence[str], share: float, training: adapter.Training
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Every placed item once, and whether each method puts it where the person did."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (method.NONE, *methods)}
    parts = _parts(items, share, training.seed)
    for held in parts:
        is_known = items.is_said.copy()
        is_known[held] = False
        for name, hits in found.items():
            learned = method.learn(items, is_known, name, training)
            cluster, _, _ = method.predict(learned, items, is_known, held)
            hits.append(cluster == items.said[held])
    rows = np.concatenate([np.zeros(0, np.int64), *parts])
    none = np.zeros(0, bool)
    return rows, {name: np.concatenate([none, *hits]) for name, hits in found.items()}


def _judged(items: Items, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whether an item's cluster has a member that is known without its part, (m,) bool."""
    answer = np.zeros(len(rows), bool)
    position = {int(row): i for i, row in enumerate(rows)}
    for held in _parts(items, share, seed):
        others = items.is_said.copy()
        others[held] = False
        where = np.where(others, items.said, items.start)
        for row in held:
            mates = where == items.said[row]
            mates[row] = False
            answer[position[int(row)]] = mates.any() or items.start[row] == items.said[row]
    return answer


def _choose(table: pl.DataFrame, none_right: np.ndarray, num_groups: int) -> tuple[str, str]:
    """The method to deploy, and why."""
    if num_groups < MIN_GROUPS:
        return method.NONE, (
            f"{num_groups} separate corrections can judge, {MIN_GROUPS} are needed: correct more"
        )
    if int(none_right.sum()) < MIN_APPROVED:
        return method.NONE, (
            f"{int(none_right.sum())} of the judged items were right before, {MIN_APPROVED} are "
            "needed to see harm: approve some that are right"
        )
    better = table.filter(pl.col("gain_low") > 0).sort("accuracy", descending=True)
    if better.is_empty():
        return method.NONE, "nothing was better than none beyond its interval"
    row = better.row(0, named=True)
    return row["method"], (
        f"gain {row['gain']:+.3f}, interval {row['gain_low']:+.3f} to {row['gain_high']:+.3f}"
    )
