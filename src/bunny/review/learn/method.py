"""Methods of learning from corrections, each a linear map and a threshold rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item, linear_map, threshold_rule, triplet
from bunny.review.learn.item import Items

NONE = "none"
METHODS = ("threshold", "triplet", "correlation")
WORDS = {
    NONE: "none",
    "threshold": "thresholds",
    "triplet": "triplet adapter",
    "correlation": "correlation",
}
INNER_PARTS = 3  # into which known groups are dealt to set thresholds

FitMap = Callable[[Items, np.ndarray], linear_map.LinearMap]


@dataclass(frozen=True, kw_only=True)
class FittedMethod:
    """Fitted method: the space in which items are compared, and the thresholds there."""

    method: str
    space: linear_map.LinearMap
    rule: threshold_rule.ThresholdRule


def mapper(method: str, training: triplet.TripletTraining) -> FitMap:
    """The function that learns a method's map from items and which of them are known.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    if method in (NONE, "threshold"):
        return lambda items, is_known: linear_map.identity(items.vector.shape[1])
    if method == "triplet":
        return lambda items, is_known: triplet.train(items, is_known, training)
    if method == "correlation":
        return linear_map.fit_correlation
    raise ValueError(f"expected one of {', '.join(METHODS)}, got {method}")


def learn(
    items: Items, is_known: np.ndarray, method: str, training: triplet.TripletTraining
) -> FittedMethod:
    """Learn a map from known items, and thresholds from known items that were held out.

    Parameters
    ----------
    is_known : np.ndarray, shape (n,), bool

    Notes
    -----
    Thresholds are set on scores by maps that did not see the item's group, since a map flatters
    what it was learned on.
    """
    make = mapper(method, training)
    if method == NONE:
        return FittedMethod(
            method=method, space=make(items, is_known), rule=threshold_rule.ThresholdRule()
        )
    rows, scores = _held_out_scores(items, is_known, make, training.seed)
    rule = threshold_rule.calibrate(scores, items.start[rows], items.barred[rows], items.said[rows])
    return FittedMethod(method=method, space=make(items, is_known), rule=rule)


def _held_out_scores(
    items: Items, is_known: np.ndarray, make: FitMap, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score known items as if nobody had spoken of their group."""
    rows = np.flatnonzero(is_known)
    scores = np.full((len(rows), len(items.clusters)), -1, np.float32)
    for held in group_folds(items.group[rows], INNER_PARTS, seed):
        kept = is_known.copy()
        kept[rows[held]] = False
        mapped = make(items, kept).apply(items.vector)
        scores[held] = score(items, mapped, kept, rows[held])
    return rows, scores


def score(items: Items, mapped: np.ndarray, is_known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Scores (m, c) of items in a space; see `threshold_rule.score`."""
    where = item.member_clusters(items, is_known)
    return threshold_rule.score(mapped, where, is_known, len(items.clusters), rows)


def predict(
    learned: FittedMethod, items: Items, is_known: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predict the clusters of items; see `threshold_rule.decide`."""
    scores = score(items, learned.space.apply(items.vector), is_known, rows)
    return threshold_rule.decide(scores, items.start[rows], items.barred[rows], learned.rule)


def group_folds(group: np.ndarray, parts: int, seed: int) -> list[np.ndarray]:
    """Deal groups out into parts of about equal size, the largest first; ties by chance.

    Parameters
    ----------
    group : np.ndarray, shape (n,), int

    Returns
    -------
    list of np.ndarray
        Indices into `group`; at most `parts`, none empty, a group in one of them.

    Examples
    --------
    >>> [part.tolist() for part in group_folds(np.array([5, 5, 5, 7, 8]), 2, 0)]
    [[0, 1, 2], [3, 4]]
    """
    names, number, size = np.unique(group, return_inverse=True, return_counts=True)
    chance = np.random.default_rng(seed).permutation(len(names))
    load, part = np.zeros(max(1, parts)), np.zeros(len(names), np.int64)
    for one in np.lexsort((chance, -size)):
        part[one] = int(np.argmin(load))
        load[part[one]] += size[one]
    found = [np.flatnonzero(part[number] == k) for k in range(max(1, parts))]
    return [rows for rows in found if len(rows)]
