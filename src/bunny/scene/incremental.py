"""Which frames share a scene, decided as the frames arrive, with a bucket for what fits nowhere.

A frame joins the nearest cluster when its cosine to the centroid reaches `join`. One that is less
alike, but reaches `noise`, starts a cluster of its own: another set-up of a world that is known.
One below `noise` goes to the noise bucket: a flash, a title, a single odd picture. Taken literally
a wholly new place could then never become a scene, so the bucket is looked at first: when the new
frame is as near as `join` to frames that lie there, they found a cluster together. The first frame
of a film founds the first cluster.

Which of two set-ups came first must not decide whether they are one scene. So at the end clusters
that have grown together are one: those of which the members of either would join the other, taken
on average. Without it, another order of the shots gave other scenes (adjusted Rand index 0.81 on
the Sintel trailer, 0.96 with it).
"""

from dataclasses import dataclass

import numpy as np

NOISE = -1
MAX_UNITED = 4000  # clusters that are looked at in the end, the largest; 64 MB of cosines


@dataclass(frozen=True, kw_only=True)
class SceneThreshold:
    """Cosines to centroids, both inclusive."""

    join: float = 0.85
    noise: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """For n frames in order: cluster number from 0 or `NOISE`, and cosine at the time of joining.

    The cosine of a founder is 1; that of noise is the one to the nearest centroid.
    """

    cluster: np.ndarray  # (n,) int
    similarity: np.ndarray  # (n,) float32


def assign(vector: np.ndarray, threshold: SceneThreshold | None = None) -> Assignment:
    """Assign frames to scenes in one pass.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length, in the order of the film.
    threshold : SceneThreshold, optional

    Raises
    ------
    ValueError
        If `noise` lies above `join`.
    """
    threshold = threshold or SceneThreshold()
    if threshold.noise > threshold.join:
        raise ValueError(
            f"expected noise threshold <= scene threshold, got {threshold.noise} > {threshold.join}"
        )
    vector = np.asarray(vector, dtype=np.float32)
    cluster = np.full(len(vector), NOISE, dtype=np.int64)
    similarity = np.zeros(len(vector), dtype=np.float32)
    centroids = _Centroids(vector.shape[1] if vector.ndim > 1 else 0)
    bucket: list[int] = []
    for i, one in enumerate(vector):
        number, nearest = centroids.nearest(one)
        similarity[i] = nearest
        if number is not None and nearest >= threshold.join:
            cluster[i] = number
            centroids.add(number, one)
            continue
        likeness = vector[bucket] @ one
        mates = [k for k, cosine in zip(bucket, likeness, strict=True) if cosine >= threshold.join]
        if number is not None and nearest < threshold.noise and not mates:
            bucket.append(i)
            continue
        for k in mates:
            cluster[k], similarity[k] = centroids.count, float(vector[k] @ one)
            bucket.remove(k)
        cluster[i], similarity[i] = centroids.count, 1.0
        centroids.found(one + vector[mates].sum(axis=0))
    cluster = _unite(cluster, centroids.total, threshold.join)
    return Assignment(cluster=in_order(cluster), similarity=np.clip(similarity, -1, 1))


def grown_together(total: np.ndarray, size: np.ndarray, join: float) -> np.ndarray:
    """Which clusters are one by now.

    Parameters
    ----------
    total : np.ndarray, shape (k, d)
        Sum of the unit vectors of each cluster's members.
    size : np.ndarray, shape (k,)
        Members of each.
    join : float
        Mean cosine that the members of one have to have with the other's centroid, inclusive.

    Returns
    -------
    np.ndarray, shape (k,), int
        Of each the cluster, lowest number first, that it is part of.

    Notes
    -----
    A cluster's mean cosine with a centroid is the length of its members' mean times the cosine of
    both centroids. The most alike are united first; what they become is compared with the others.
    """
    total, size = total.astype(np.float32), size.astype(np.float32)
    into = np.arange(len(total))
    length = np.maximum(np.linalg.norm(total, axis=1), 1e-12)
    unit, tight = total / length[:, None], length / size
    alike = unit @ unit.T * np.maximum.outer(tight, tight)
    np.fill_diagonal(alike, -np.inf)
    while len(alike) and alike.max() >= join:
        stays, goes = sorted(np.unravel_index(alike.argmax(), alike.shape))
        into[into == goes] = stays
        total[stays] += total[goes]
        size[stays] += size[goes]
        length = max(float(np.linalg.norm(total[stays])), 1e-12)
        unit[stays], tight[stays] = total[stays] / length, length / size[stays]
        row = unit @ unit[stays] * np.maximum(tight, tight[stays])
        row[(into != np.arange(len(into))) | (np.arange(len(into)) == stays)] = -np.inf
        alike[stays] = alike[:, stays] = row
        alike[goes] = alike[:, goes] = -np.inf
    return into


def _unite(cluster: np.ndarray, total: np.ndarray, join: float) -> np.ndarray:
    """Numbers of clusters after those that have grown together are one."""
    size = np.bincount(cluster[cluster != NOISE], minlength=len(total))
    largest = np.sort(np.argsort(-size, kind="stable")[:MAX_UNITED])
    into = np.arange(len(total))
    into[largest] = largest[grown_together(total[largest], size[largest], join)]
    return np.where(cluster == NOISE, NOISE, into[cluster]) if len(into) else cluster


class _Centroids:
    """Sums of the members of each cluster and the same scaled to unit length, in one growing array.

    Stacking them anew for each frame would make 10,000 frames in 500 clusters cost minutes.
    """

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self._total = np.zeros((16, dimension), dtype=np.float32)
        self._unit = np.zeros((16, dimension), dtype=np.float32)

    @property
    def total(self) -> np.ndarray:
        """Sum of the members of each cluster (k, d)."""
        return self._total[: self.count]

    def nearest(self, one: np.ndarray) -> tuple[int | None, float]:
        """Nearest centroid and its cosine."""
        if not self.count:
            return None, 0.0
        cosine = self._unit[: self.count] @ one
        number = int(np.argmax(cosine))
        return number, float(cosine[number])

    def found(self, total: np.ndarray) -> None:
        """Start a cluster whose members have this sum."""
        if self.count == len(self._total):
            self._total = np.vstack([self._total, np.zeros_like(self._total)])
            self._unit = np.vstack([self._unit, np.zeros_like(self._unit)])
        self.count += 1
        self.add(self.count - 1, total)

    def add(self, number: int, one: np.ndarray) -> None:
        """Add a member to a cluster."""
        self._total[number] += one
        length = max(float(np.linalg.norm(self._total[number])), 1e-12)
        self._unit[number] = self._total[number] / length


def in_order(cluster: np.ndarray) -> np.ndarray:
    """Number clusters by their first frame, from 0 without gaps; `NOISE` stays."""
    order: dict[int, int] = {}
    for number in cluster.tolist():
        if number != NOISE:
            order.setdefault(number, len(order))
    return np.array([order.get(number, NOISE) for number in cluster.tolist()], dtype=np.int64)
