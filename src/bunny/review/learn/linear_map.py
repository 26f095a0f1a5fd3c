"""Linear maps of embeddings, and the fit by linear multiview correlation.

Members of a cluster are views of one identity. Directions in which two views of one identity vary
together are kept, those in which they vary apart are made small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item
from bunny.review.learn.item import NOBODY, Items

UNSURE = 0.1  # weight of a pair in which no person spoke, beside one in which both were placed
SHRINKAGE = 0.2  # of the within-set covariance towards a multiple of the identity
FLOOR = 0.1  # weight of directions in which views of one identity do not correlate
RANK = 256  # directions, of those in which items differ most, that are looked at
MAX_LOOKED_AT = 1500  # items by which these are found


@dataclass(frozen=True, kw_only=True)
class LinearMap:
    """A linear map: x becomes `(x - mean) + up @ down @ (x - mean)`, scaled to unit length.

    With `is_residual` false the first term is left out. Empty `down` and `up` and no mean: vectors
    stay as they are.
    """

    mean: np.ndarray  # (d,) float32
    down: np.ndarray  # (r, d) float32
    up: np.ndarray  # (k, r) float32; k = d when it is residual
    is_residual: bool

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """Map unit vectors (n, d) to unit vectors (n, k).

        Raises
        ------
        ValueError
            If the vectors have another length than those it was learned on.
        """
        vector = np.asarray(vector, np.float32)
        if vector.shape[-1] != len(self.mean):
            raise ValueError(
                f"expected embeddings of length {len(self.mean)}, got {vector.shape[-1]}"
            )
        centred = vector - self.mean
        mapped = centred @ self.down.T @ self.up.T
        return item.unit(centred + mapped if self.is_residual else mapped)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays to be kept in a file."""
        return {"mean": self.mean, "down": self.down, "up": self.up}


def identity(dimension: int) -> LinearMap:
    """The map that changes nothing.

    Examples
    --------
    >>> identity(2).apply(np.array([[0.6, 0.8]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    return LinearMap(
        mean=np.zeros(dimension, np.float32),
        down=np.zeros((0, dimension), np.float32),
        up=np.zeros((dimension, 0), np.float32),
        is_residual=True,
    )


def from_arrays(arrays: Mapping[str, np.ndarray], *, is_residual: bool) -> LinearMap:
    """Read back what `LinearMap.to_arrays` gave.

    Raises
    ------
    ValueError
        If shapes do not belong together or a number is not finite.
    """
    mean, down, up = (np.asarray(arrays[name], np.float32) for name in ("mean", "down", "up"))
    rank, dimension = down.shape if down.ndim == 2 else (-1, -1)
    fits = mean.shape == (dimension,) and up.ndim == 2 and up.shape[1] == rank
    if not fits or (is_residual and up.shape[0] != dimension):
        raise ValueError(
            f"shapes {mean.shape}, {down.shape} and {up.shape} do not form a linear map"
        )
    if not all(np.isfinite(part).all() for part in (mean, down, up)):
        raise ValueError("the linear map contains NaN or infinity")
    return LinearMap(mean=mean, down=down, up=up, is_residual=is_residual)


def fit_correlation(items: Items, is_known: np.ndarray) -> LinearMap:
    """Learn from clusters as they stand, what people confirmed first.

    Parameters
    ----------
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.

    Returns
    -------
    LinearMap
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
    where = item.member_clusters(items, is_known)
    return fit_cluster_correlation(items.vector, where, np.where(is_known, 1.0, np.sqrt(UNSURE)))


def fit_cluster_correlation(
    vector: np.ndarray, where: np.ndarray, weight: np.ndarray | None = None
) -> LinearMap:
    """As `fit_correlation`, of plain arrays.

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
    LinearMap
        The identity where no cluster has two members.
    """
    from scipy.linalg import eigh

    weight = np.ones(len(where)) if weight is None else weight
    rows = np.flatnonzero(where > NOBODY)
    sizes = np.bincount(where[rows], minlength=1)
    rows = rows[sizes[where[rows]] > 1]
    if not len(rows):
        return identity(vector.shape[1])
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
    return LinearMap(mean=mean, down=down, up=up, is_residual=False)


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
