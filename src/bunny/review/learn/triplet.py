"""Triplets and pairs from what people said: alike, and not alike, hard ones first.

An item that a person placed is the anchor. Positives are confirmed members of its cluster, then
its other members; negatives are the members of other clusters that look most like it, half of them
of the cluster that it was taken from. An item that a person took out of a cluster is a negative of
that cluster's confirmed members.
"""

from __future__ import annotations

import numpy as np

from bunny.review.learn.item import NOBODY, Items

POSITIVES, NEGATIVES = 4, 8  # of each anchor at most
MAX_ANCHORS = 1000  # placed items that are asked, evenly chosen of more
MAX_LINKS = 100_000


def member(items: Items, is_known: np.ndarray) -> np.ndarray:
    """Cluster of each item as far as the person's word is known, else where the machine has it.

    Parameters
    ----------
    items : Items
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Barred items are nowhere.
    """
    start = items.start.copy()
    rows = np.flatnonzero(start != NOBODY)
    start[rows[items.barred[rows, start[rows]]]] = NOBODY
    return np.where(is_known, items.said, start)


def collect(items: Items, is_known: np.ndarray | None = None) -> np.ndarray:
    """Make triplets.

    Parameters
    ----------
    items : Items
    is_known : np.ndarray, shape (n,), bool, optional
        Items whose `said` may be used; all that were placed without it.

    Returns
    -------
    np.ndarray, shape (t, 3), int64
        Rows of anchor, positive, negative; by how much the negative is nearer than the positive,
        the hardest first, without repetitions.
    """
    is_known = items.is_said if is_known is None else is_known & items.is_said
    where = member(items, is_known)
    found = [_around(items, is_known, where, i) for i in _some(np.flatnonzero(is_known))]
    found += [_expelled(items, is_known, i, c) for i, c in np.argwhere(items.barred)]
    triplets = np.concatenate([np.zeros((0, 3), np.int64), *found])
    if not len(triplets):
        return triplets
    triplets = np.unique(triplets, axis=0)
    return triplets[np.argsort(-hardness(items.vector, triplets), kind="stable")]


def hardness(vector: np.ndarray, triplets: np.ndarray) -> np.ndarray:
    """Cosine to the negative minus cosine to the positive, (t,) in [-2, 2].

    Examples
    --------
    >>> hardness(np.eye(3), np.array([[0, 1, 2], [0, 0, 1]])).tolist()
    [0.0, -1.0]
    """
    anchor = vector[triplets[:, 0]]
    apart = vector[triplets[:, 2]] - vector[triplets[:, 1]]
    return np.einsum("nd,nd->n", anchor, apart)


def links(items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that people said must and cannot be together.

    Parameters
    ----------
    items : Items

    Returns
    -------
    must, cannot : np.ndarray, shape (m, 2), int64
        Rows of items, the smaller first, sorted: placed in one cluster; placed in different ones,
        or one of them barred from where the other was placed. At most `MAX_LINKS` of each, among
        `MAX_ANCHORS` placed items.
    """
    placed = _some(np.flatnonzero(items.is_said))
    one, other = np.triu_indices(len(placed), 1)
    same = items.said[placed[one]] == items.said[placed[other]]
    pairs = np.stack([placed[one], placed[other]], axis=1)
    barred = [
        (min(i, k), max(i, k))
        for i, c in np.argwhere(items.barred)
        for k in placed[items.said[placed] == c]
        if i != k
    ]
    cannot = np.concatenate([pairs[~same], np.array(barred, np.int64).reshape(-1, 2)])
    return pairs[same][:MAX_LINKS], np.unique(cannot, axis=0)[:MAX_LINKS]


def _some(rows: np.ndarray) -> np.ndarray:
    """At most `MAX_ANCHORS` of them, evenly chosen."""
    if len(rows) <= MAX_ANCHORS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_ANCHORS).astype(int)]


def _around(items: Items, is_known: np.ndarray, where: np.ndarray, anchor: int) -> np.ndarray:
    """Triplets of one placed item, (t, 3)."""
    cosine = items.vector @ items.vector[anchor]
    home = items.said[anchor]
    mates = np.flatnonzero(where == home)
    mates = mates[mates != anchor]
    order = np.lexsort((-cosine[mates], ~is_known[mates]))
    positives = mates[order][:POSITIVES]
    others = np.flatnonzero((where != home) & (where != NOBODY))
    others = others[np.argsort(-cosine[others], kind="stable")]
    left = others[where[others] == items.start[anchor]][: NEGATIVES // 2]
    negatives = np.concatenate([left, others[~np.isin(others, left)]])[:NEGATIVES]
    return _cross(anchor, positives, negatives)


def _expelled(items: Items, is_known: np.ndarray, gone: int, cluster: int) -> np.ndarray:
    """Triplets of an item that is not in `cluster` with its confirmed members, (t, 3)."""
    rows = np.flatnonzero(is_known & (items.said == cluster))
    near = rows[np.argsort(-(items.vector[rows] @ items.vector[gone]), kind="stable")]
    near = near[near != gone][: POSITIVES + 1]
    return np.concatenate(
        [np.zeros((0, 3), np.int64)] + [_cross(k, near[near != k], np.array([gone])) for k in near]
    )


def _cross(anchor: int, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Every positive with every negative of an anchor, (p * q, 3)."""
    p, q = np.meshgrid(positives, negatives, indexing="ij")
    return np.stack([np.full(p.size, anchor), p.ravel(), q.ravel()], axis=1).astype(np.int64)
