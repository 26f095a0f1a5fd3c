"""Threshold rule that assigns items to clusters by score.

An item stays where the machine has it unless another cluster's score is higher by `move`; one in
the noise bucket, or alone in its cluster, joins the best other cluster from the score `join` on. A
cluster that a person barred is no choice. So with both thresholds out of reach nothing changes:
every method contains "none".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item
from bunny.review.learn.item import NOBODY

NEVER = 3.0  # no score and no difference of scores reaches it
BLOCK = 4096  # items scored at once
MAX_EXEMPLARS = 64  # confirmed members of a cluster that an item is compared with


@dataclass(frozen=True, kw_only=True)
class ThresholdRule:
    """Thresholds on scores, both inclusive."""

    join: float = NEVER
    move: float = NEVER


def score(
    vector: np.ndarray,
    member: np.ndarray,
    is_known: np.ndarray,
    num_clusters: int,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Score of items against clusters: mean of cosine to centroid and to the nearest confirmed
    item.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length.
    member : np.ndarray, shape (n,), int
        Cluster of each, `NOBODY` for none.
    is_known : np.ndarray, shape (n,), bool
        Members that a person confirmed.
    rows : np.ndarray, shape (m,), int, optional
        Items that are scored; all of them without it.

    Returns
    -------
    np.ndarray, shape (m, num_clusters), float32
        An item counts neither in its own centroid nor as its own exemplar. A cluster without
        confirmed members has the cosine to the centroid alone; -1 where it has no members.
    """
    rows = np.arange(len(vector)) if rows is None else rows
    total, count = _totals(vector, member, num_clusters)
    exemplars = _exemplars(vector, member, is_known, total, num_clusters)
    out = np.full((len(rows), num_clusters), -1.0, np.float32)
    for first in range(0, len(rows), BLOCK):
        part = rows[first : first + BLOCK]
        out[first : first + BLOCK] = _score_block(vector, member, part, total, count, exemplars)
    return out


def decide(
    scores: np.ndarray, start: np.ndarray, barred: np.ndarray, rule: ThresholdRule
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assign items to clusters.

    Parameters
    ----------
    scores : np.ndarray, shape (n, c)
    start : np.ndarray, shape (n,), int
    barred : np.ndarray, shape (n, c), bool

    Returns
    -------
    cluster : np.ndarray, shape (n,), int64
        `NOBODY` is the noise bucket.
    similarity : np.ndarray, shape (n,), float32
        Score of that cluster, of the best one in the noise bucket.
    margin : np.ndarray, shape (n,), float32
        To the best other cluster.
    """
    n = len(scores)
    if not n or not scores.shape[1]:
        return start.astype(np.int64), np.full(n, -1, np.float32), np.zeros(n, np.float32)
    allowed, best, top, home, own = _compare(scores, start, barred)
    goes = np.where(own > -1, top - own >= rule.move, top >= rule.join) & (top > -1)
    cluster = np.where(goes, best, home).astype(np.int64)
    shown = np.where(cluster == NOBODY, best, cluster)
    similarity = allowed[np.arange(n), shown]
    others = allowed.copy()
    others[np.arange(n), shown] = -1
    return cluster, similarity, (similarity - others.max(axis=1)).astype(np.float32)


def calibrate(
    scores: np.ndarray, start: np.ndarray, barred: np.ndarray, said: np.ndarray
) -> ThresholdRule:
    """Thresholds by which most items land where people said; of equals, those that move least.

    Parameters
    ----------
    scores, start, barred
        Of items that a person placed, as for `decide`; scores made without the person's word.
    said : np.ndarray, shape (n,), int

    Notes
    -----
    Each threshold lies halfway between the least case it lets pass and the next it does not.
    """
    if not len(scores) or not scores.shape[1]:
        return ThresholdRule()
    _, best, top, home, own = _compare(scores, start, barred)
    gain = np.where(best == said, 1, -1) * ~((best != said) & (home != said) & (home != NOBODY))
    is_settled = own > -1
    moves, joins = is_settled & (best != home), ~is_settled & (best != home)
    return ThresholdRule(
        join=_cut(top[joins], gain[joins]), move=_cut((top - own)[moves], gain[moves])
    )


def _compare(scores: np.ndarray, start: np.ndarray, barred: np.ndarray) -> tuple:
    """Admissible scores, best cluster, its score, home (or noise), score there (-1: no company)."""
    each = np.arange(len(scores))
    allowed = np.where(barred, np.float32(-1), scores)
    best = allowed.argmax(axis=1)
    home = np.where((start != NOBODY) & ~barred[each, start], start, NOBODY)
    own = np.where(home != NOBODY, scores[each, home], np.float32(-1))
    return allowed, best, allowed[each, best], home, own


def _cut(value: np.ndarray, gain: np.ndarray) -> float:
    """The threshold on `value` whose passing cases gain most in sum; `NEVER` if none gains."""
    if not len(value):
        return NEVER
    levels, index = np.unique(-value, return_inverse=True)  # from the highest value down
    total = np.cumsum(np.bincount(index, weights=gain, minlength=len(levels)))
    at = int(np.argmax(total))
    if total[at] <= 0:
        return NEVER
    here = -float(levels[at])
    below = -float(levels[at + 1]) if at + 1 < len(levels) else here
    return (here + below) / 2


def _totals(vector: np.ndarray, member: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums (c, d) and numbers (c,) of the members of each cluster."""
    from scipy.sparse import csr_array

    rows = np.flatnonzero(member != NOBODY)
    ones = np.ones(len(rows), np.float32)
    choose = csr_array((ones, (member[rows], rows)), shape=(num, len(vector)))
    return np.asarray(choose @ vector, np.float32), np.bincount(member[rows], minlength=num)


def _exemplars(
    vector: np.ndarray, member: np.ndarray, is_known: np.ndarray, total: np.ndarray, num: int
) -> list[np.ndarray]:
    """Rows of each cluster's confirmed members, the most central ones where there are many."""
    found = []
    for cluster in range(num):
        rows = np.flatnonzero(is_known & (member == cluster))
        if len(rows) > MAX_EXEMPLARS:
            order = np.argsort(-(vector[rows] @ total[cluster]), kind="stable")
            rows = np.sort(rows[order[:MAX_EXEMPLARS]])
        found.append(rows)
    return found


def _score_block(vector, member, part, total, count, exemplars) -> np.ndarray:
    """Scores (m, c) of the items `part`."""
    own = vector[part]
    centroid = item.unit(total)
    out = own @ centroid.T
    mine = np.flatnonzero(member[part] != NOBODY)
    home = member[part][mine]
    out[mine, home] = np.einsum("nd,nd->n", own[mine], item.unit(total[home] - own[mine]))
    size = np.broadcast_to(count, out.shape).copy()
    size[mine, home] -= 1
    for cluster, rows in enumerate(exemplars):
        if not len(rows):
            continue
        cosine = own @ vector[rows].T
        cosine[part[:, None] == rows[None, :]] = -1
        nearest = cosine.max(axis=1)
        has = (part[:, None] != rows[None, :]).any(axis=1)
        out[has, cluster] = (out[has, cluster] + nearest[has]) / 2
    out[size <= 0] = -1
    return np.clip(out, -1, 1).astype(np.float32)
