"""A map that makes views of one identity correlate: the linear form of multiview correlation.

Members of a cluster are views of one identity. Directions in which two views of one identity vary
together are kept, those in which they vary apart are made small.
"""

from __future__ import annotations

import numpy as np

from bunny.review.learn import triplet, vector_map
from bunny.review.learn.item import NOBODY, Items

UNSURE = 0.1  # weight of a pair in which no person spoke, beside one in which both were placed
SHRINKAGE = 0.2  # of the within-set covariance towards a multiple of the identity
FLOOR = 0.1  # weight of directions in which views of one identity do not correlate
RANK = 256  # directions, of those in which items differ most, that are looked at
MAX_LOOKED_AT = 1500  # items by which these are found


def fit(items: Items, is_known: np.ndarray) -> vector_map.Space:
    """Learn from clusters as they stand, what people confirmed first.

    Parameters
    ----------
    items : Items
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.

    Returns
    -------
    space.Space
        The identity where no cluster has two members.

    Notes
    -----
    Somandepalli, Hebbar & Narayanan 2021, "Robust character labeling in movie videos"
    (arXiv 2008.11289), found multiview correlation to adapt face vectors better than triplets. The
    objective is the ratio of the sum of covariances between views of one identity, R_B, to that
    within views, R_W (multiset CCA; Parra, Haufe & Dmochowski 2018, "Correlated components
    analysis", arXiv 1801.08881, who show its kinship with Fisher's discriminant). Theirs is
    maximised by a deep network; this is the linear solution R_B v = rho R_W v, with one map for all
    views, R_W shrunk towards a multiple of the identity, and each cluster weighing as many views as
    it has. Long vectors are brought to their `RANK` principal directions first. Components are
    scaled by sqrt(max(rho, FLOOR)) rather than cut off, so that what no cluster told apart yet
    stays comparable.
    """
    where = triplet.member(items, is_known)
    return fit_clusters(items.vector, where, np.where(is_known, 1.0, np.sqrt(UNSURE)))


def fit_clusters(
    vector: np.ndarray, where: np.ndarray, weight: np.ndarray | None = None
) -> vector_map.Space:
    """As `fit`, of plain arrays.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length.
    where : np.ndarray, shape (n,), int
        Cluster from 0; `NOBODY` for none.
    weight : np.ndarray, shape (n,), optional
        Square root of how much a view's pairs count; alike without it.

    Returns
    -------
    space.Space
        The identity where no cluster has two members.
    """
    from scipy.linalg import eigh

    weight = np.ones(len(where)) if weight is None else weight
    rows = np.flatnonzero(where > NOBODY)
    sizes = np.bincount(where[rows], minlength=1)
    rows = rows[sizes[where[rows]] > 1]
    if not len(rows):
        return vector_map.identity(vector.shape[1])
    mean = vector.mean(axis=0).astype(np.float32)
    basis = _directions(vector - mean)
    centred = (vector[rows] - mean) @ basis
    between, within = _covariances(centred.astype(np.float64), where[rows], weight[rows])
    size = len(within)
    own = np.trace(within) / size
    within = (1 - SHRINKAGE) * within + SHRINKAGE * own * np.eye(size)
    rho, component = eigh(between, within)
    scale = np.sqrt(np.clip(rho, FLOOR, 1))
    down = ((component * scale).T @ basis.T).astype(np.float32)
    up = np.eye(size, dtype=np.float32)
    return vector_map.Space(mean=mean, down=down, up=up, is_residual=False)


def _directions(centred: np.ndarray) -> np.ndarray:
    """The principal directions (d, r) of vectors (n, d), r at most `RANK`."""
    dimension = centred.shape[1]
    if dimension <= RANK:
        return np.eye(dimension)
    step = -(-len(centred) // MAX_LOOKED_AT)
    _, length, axes = np.linalg.svd(centred[::step], full_matrices=False)
    is_used = (np.arange(len(length)) < RANK) & (length > 1e-4 * length[0])
    return axes[is_used].T


def _covariances(
    vector: np.ndarray, number: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R_B and R_W: mean product of two views of one cluster, and of a view with itself, (d, d).

    With weights w, the sum over pairs i != j of w_i w_j x_i x_j' is s s' - sum w_i^2 x_i x_i', s
    the weighted sum; divided by the weight of the others that a view has on average.
    """
    between = np.zeros((vector.shape[1],) * 2)
    within = np.zeros_like(between)
    mass = 0.0
    for one in np.unique(number):
        rows = number == one
        w, x = weight[rows], vector[rows]
        mates = (w.sum() ** 2 - (w**2).sum()) / w.sum()
        share = w.sum() - (w**2).sum() / w.sum()  # n - 1 of n alike views
        own = (x * w[:, None]).T @ x
        total = w @ x
        squares = (x * (w**2)[:, None]).T @ x
        between += share * (np.outer(total, total) - squares) / (mates * w.sum())
        within += share * own / w.sum()
        mass += share
    return between / mass, within / mass
