"""Which frames share a scene, decided as the frames arrive, with a bucket for what fits nowhere.

A frame joins the nearest cluster when its cosine to the centroid reaches `join`. One that is less
alike, but reaches `noise`, starts a cluster of its own: another set-up of a world that is known.
One below `noise` goes to the noise bucket: a flash, a title, a single odd picture. Taken literally
a wholly new place could then never become a scene, so the bucket is looked at first: when the new
frame is as near as `join` to frames that lie there, they found a cluster together. The first frame
of a film founds the first cluster.
"""

from dataclasses import dataclass

import numpy as np

NOISE = -1


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
    totals: list[np.ndarray] = []  # sum of the members of each cluster
    bucket: list[int] = []
    for i, one in enumerate(vector):
        number, nearest = _nearest(one, totals)
        similarity[i] = nearest
        if number is not None and nearest >= threshold.join:
            cluster[i] = number
            totals[number] = totals[number] + one
            continue
        mates = [k for k in bucket if float(vector[k] @ one) >= threshold.join]
        if number is not None and nearest < threshold.noise and not mates:
            bucket.append(i)
            continue
        for k in mates:
            cluster[k], similarity[k] = len(totals), float(vector[k] @ one)
            bucket.remove(k)
        cluster[i], similarity[i] = len(totals), 1.0
        totals.append(one + vector[mates].sum(axis=0))
    return Assignment(cluster=_in_order(cluster), similarity=np.clip(similarity, -1, 1))


def _nearest(one: np.ndarray, totals: list[np.ndarray]) -> tuple[int | None, float]:
    """Nearest centroid and its cosine; centroids are sums scaled to unit length."""
    if not totals:
        return None, 0.0
    centroid = np.stack(totals)
    centroid = centroid / np.maximum(np.linalg.norm(centroid, axis=1, keepdims=True), 1e-12)
    cosine = centroid @ one
    number = int(np.argmax(cosine))
    return number, float(cosine[number])


def _in_order(cluster: np.ndarray) -> np.ndarray:
    """Number clusters by their first frame."""
    order: dict[int, int] = {}
    for number in cluster.tolist():
        if number != NOISE:
            order.setdefault(number, len(order))
    return np.array([order.get(number, NOISE) for number in cluster.tolist()], dtype=np.int64)
