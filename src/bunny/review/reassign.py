"""Reassignment of items taken out of a cluster: to the next best cluster, or to noise.

Only shots fall into another cluster. A figure falls to noise: to be taken for another character by
mere likeness would put a wrong name into the training set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from bunny.review.anchor import AssetIndex
from bunny.review.snapshot import NOISE, Snapshot

SCALE = 2.0**24  # steps of a vector's number in sums; as fine as a float32 near 1
CHUNK = 2048  # items that are counted at once


class Reassignment:
    """Vectors of shots and the centroids of clusters, each kept as long as its members are there.

    Parameters
    ----------
    vectors : pl.DataFrame or None
        Table `shot_vector`; without it everything falls to noise.
    noise_threshold : float
        Least cosine to a centroid, inclusive.
    """

    def __init__(
        self, content: AssetIndex, vectors: pl.DataFrame | None, noise_threshold: float
    ) -> None:
        self._threshold = noise_threshold
        self._place = np.full(len(content.ids), -1, np.int64)
        self._vector = np.empty((0, 0), np.float32)
        self._total = np.empty((0, 0), np.float64)  # by number, in steps of 1 / SCALE
        self._last = np.full(len(content.ids), NOISE, np.int32)  # where items were counted
        if vectors is None or vectors.is_empty():
            return
        own = vectors.drop_nulls("vector").filter(pl.col("asset_id").is_in(content.ids))
        self._vector = np.asarray(own["vector"].to_numpy(), np.float32).reshape(own.height, -1)
        rows = [content.row[asset_id] for asset_id in own["asset_id"]]
        self._place[rows] = np.arange(own.height)
        self._place[~content.is_scene] = -1
        self._total = np.empty((0, self._vector.shape[1]), np.float64)

    def choose(self, now: Snapshot, items: Sequence[int]) -> dict[int, int]:
        """Find the cluster that each item falls to; who falls to noise is left out.

        Parameters
        ----------
        now : Snapshot
            The items themselves are in `NOISE`.
        """
        items = [i for i in items if self._place[i] >= 0]
        size = np.bincount(now.cluster[self._place >= 0] + 1, minlength=now.next_number + 1)[1:]
        numbers = sorted(n for n, f in now.folders.items() if f.level == "scene" and size[n])
        if not items or not numbers:
            return {}
        centroids = self._centroids(now, numbers)
        alike = self._vector[self._place[items]] @ centroids.T
        found = {}
        for item, row in zip(items, alike, strict=True):
            barred = now.barred(item)
            row = np.where([n in barred for n in numbers], -np.inf, row)
            best = int(row.argmax())
            if row[best] >= self._threshold:
                found[item] = numbers[best]
        return found

    def _centroids(self, now: Snapshot, numbers: Sequence[int]) -> np.ndarray:
        """Unit means of clusters' members (k, d).

        Sums are of whole numbers below 2**53, so that adding and taking away leaves nothing behind:
        each way to a situation gives the same.
        """
        if now.next_number > len(self._total):
            missing = now.next_number - len(self._total)
            self._total = np.pad(self._total, ((0, missing), (0, 0)))
        moved = np.flatnonzero((self._last != now.cluster) & (self._place >= 0))
        self._add(self._last[moved], moved, -1.0)
        self._add(now.cluster[moved], moved, 1.0)
        self._last[moved] = now.cluster[moved]
        total = self._total[list(numbers)]
        length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1.0)
        return (total / length).astype(np.float32)

    def _add(self, numbers: np.ndarray, items: np.ndarray, sign: float) -> None:
        """Add vectors of items to the sums of clusters, or take them away."""
        order = np.argsort(numbers, kind="stable")
        order = order[numbers[order] != NOISE]
        for first in range(0, len(order), CHUNK):
            part = order[first : first + CHUNK]
            whole = np.rint(self._vector[self._place[items[part]]] * np.float32(SCALE))
            known, starts = np.unique(numbers[part], return_index=True)
            self._total[known] += sign * np.add.reduceat(whole, starts, axis=0, dtype=np.float64)
