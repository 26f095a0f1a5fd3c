"""Which frames share a scene, decided over all of them at once: the order does not matter.

Rows are put into an order of their own content first, so that equal distances are taken in the
same turn however the frames came; the result is a function of the set of vectors alone. What is
alone and near nothing goes to the noise bucket, as in the incremental way. Memory is bounded:
`MAX_LINKED` frames are linked with one another, the rest join what was found, and what fits nowhere
is linked in a further round.
"""

import hashlib
from collections.abc import Callable

import numpy as np

from bunny.core.vector import to_unit
from bunny.scene.incremental import NOISE, Assignment, SceneThreshold, assign, in_order

MAX_LINKED = 4000  # its distances take 64 MB as float64 (condensed), 128 MB as a square
STEP = 1e-6  # distances are rounded to it: below is rounding of float32 products
# Of HDBSCAN: a shot gives three frames or more, so two of a kind are a place already.
MIN_CLUSTER_SIZE, MIN_SAMPLES = 2, 1


def group(
    vector: np.ndarray, threshold: SceneThreshold | None = None, method: str = "incremental"
) -> Assignment:
    """Group frames into scenes by one of the methods.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length; in the order of the film, by which scenes are numbered.
    threshold : SceneThreshold, optional
    method : {"incremental", "agglomerative", "hdbscan"}
        `cluster.assign`, or over all frames whatever their order.

    Returns
    -------
    Assignment
        `similarity` is to the centroid at the time of joining when incremental, else to the
        centroid of all members; of noise, to the nearest centroid.

    Raises
    ------
    ValueError
        If there is no such method, or `noise` lies above `join`.

    Notes
    -----
    Agglomerative: average linkage on cosine, so two clusters are one while the mean cosine between
    their members reaches `join`; the frames of a set-up are so alike (0.97) that this is what the
    incremental way asks of a frame and a centroid. HDBSCAN (Campello et al. 2013) first parts what
    lies in different densities; since it knows no threshold, its clusters are then linked inside,
    and with one another, in the same way, and a frame that it calls an outlier joins the nearest
    cluster that it reaches `join` of.
    """
    threshold = threshold or SceneThreshold()
    if method not in METHOD:
        raise ValueError(f"expected one of {', '.join(METHOD)}, got {method!r}")
    if method == "incremental":
        return assign(vector, threshold)
    if threshold.noise > threshold.join:
        raise ValueError(
            f"expected noise threshold <= scene threshold, got {threshold.noise} > {threshold.join}"
        )
    vector = np.asarray(vector, dtype=np.float32)
    if not len(vector):
        return Assignment(cluster=np.empty(0, np.int64), similarity=np.empty(0, np.float32))
    order = _own_order(vector)
    raw = np.empty(len(vector), dtype=np.int64)
    raw[order] = _link_all(vector[order], threshold, METHOD[method])
    return _settle(raw, vector, order, threshold)


def _own_order(vector: np.ndarray) -> np.ndarray:
    """An order that depends on what the rows are, not on where they stand; as good as random."""
    rows = np.ascontiguousarray(vector + np.float32(0))  # -0 and 0 are one
    return np.argsort([hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows])


def _link_all(vector: np.ndarray, threshold: SceneThreshold, link: Callable) -> np.ndarray:
    """Link in rounds of `MAX_LINKED`; between them the rest joins what it is near on average."""
    cut = 1 - threshold.join
    raw = np.full(len(vector), NOISE, dtype=np.int64)
    rest = np.arange(len(vector))
    while len(rest):
        now, rest = rest[:MAX_LINKED], rest[MAX_LINKED:]
        number = link(_distances(vector[now]), cut, vector[now], threshold)
        raw[now] = raw.max() + 1 + number
        if not len(rest):
            break
        groups, of = np.unique(raw[now], return_inverse=True)
        mean = _sums(vector[now], of, len(groups)) / np.bincount(of)[:, None]
        near = vector[rest] @ mean.T
        best = near.argmax(axis=1)
        joins = near[np.arange(len(rest)), best] >= 1 - cut
        raw[rest[joins]] = groups[best[joins]]
        rest = rest[~joins]
    return raw


def _distances(vector: np.ndarray) -> np.ndarray:
    """1 - cosine of all pairs, (n, n) float32, rounded, with zeros on the diagonal."""
    distance = 1 - vector @ vector.T
    distance = np.maximum(np.round(np.maximum(distance, distance.T) / STEP) * STEP, 0)
    np.fill_diagonal(distance, 0)
    return distance.astype(np.float32)


def _link(distance: np.ndarray, cut: float, *_) -> np.ndarray:
    """Average linkage up to a mean distance; group numbers from 0."""
    if len(distance) == 1:
        return np.zeros(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distance, checks=False), "average")
    return fcluster(tree, cut, "distance").astype(np.int64) - 1


def _link_dense(
    distance: np.ndarray, cut: float, vector: np.ndarray, threshold: SceneThreshold
) -> np.ndarray:
    """HDBSCAN, then `_link` inside; outliers join a cluster from `join` on, else stay alone."""
    if len(distance) < 3:
        return _link(distance, cut)
    from sklearn.cluster import HDBSCAN

    dense = HDBSCAN(
        min_cluster_size=MIN_CLUSTER_SIZE,
        min_samples=MIN_SAMPLES,
        metric="precomputed",
        allow_single_cluster=True,
        copy=False,  # of a copy already
    ).fit_predict(distance.astype(np.float64))
    number = np.full(len(distance), NOISE, dtype=np.int64)
    for k in range(dense.max() + 1):
        own = np.flatnonzero(dense == k)
        number[own] = number.max() + 1 + _link(distance[np.ix_(own, own)], cut)
    inside = np.flatnonzero(number >= 0)
    if len(inside):
        number[inside] = _link_parts(distance[np.ix_(inside, inside)], number[inside], cut)
    outlier = np.flatnonzero(number < 0)
    count = int(number.max()) + 1
    if count:
        members = number >= 0
        near = vector[outlier] @ to_unit(_sums(vector[members], number[members], count)).T
        best = near.argmax(axis=1)
        joins = near[np.arange(len(outlier)), best] >= threshold.join
        number[outlier[joins]] = best[joins]
    alone = np.flatnonzero(number < 0)
    number[alone] = count + np.arange(len(alone))
    return number


def _link_parts(distance: np.ndarray, number: np.ndarray, cut: float) -> np.ndarray:
    """Average linkage of groups that are there already, each of the weight of its members."""
    counts = np.bincount(number)
    mean = _sums(_sums(distance, number, len(counts)).T, number, len(counts))
    mean = (mean + mean.T) / (2 * np.outer(counts, counts))
    np.fill_diagonal(mean, 0)
    return _link(mean[np.ix_(number, number)], cut)


METHOD = {"incremental": None, "agglomerative": _link, "hdbscan": _link_dense}


def _settle(
    raw: np.ndarray, vector: np.ndarray, order: np.ndarray, threshold: SceneThreshold
) -> Assignment:
    """Noise for who is alone and near no cluster of several; numbers by the order of the film.

    Where no cluster has several frames there is nothing to be odd against, and nothing is noise.
    """
    _, raw = np.unique(raw, return_inverse=True)
    counts = np.bincount(raw)
    centroid = np.empty((len(counts), vector.shape[1]), np.float32)
    centroid[:] = to_unit(_sums(vector[order], raw[order], len(counts)))
    similarity = np.einsum("nd,nd->n", vector, centroid[raw])
    several = np.flatnonzero(counts > 1)
    alone = np.flatnonzero(counts[raw] == 1)
    if len(several) and len(alone):
        nearest = (vector[alone] @ centroid[several].T).max(axis=1)
        is_noise = nearest < threshold.noise
        raw[alone[is_noise]] = NOISE
        similarity[alone[is_noise]] = nearest[is_noise]
    return Assignment(cluster=in_order(raw), similarity=np.clip(similarity, -1, 1))


def _sums(vector: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """Sum of the members of each group, (count, d)."""
    from scipy.sparse import csr_matrix

    ones = np.ones(len(number), np.float32)
    return csr_matrix((ones, (number, np.arange(len(number)))), (count, len(number))) @ vector
