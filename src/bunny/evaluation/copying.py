"""Copies of training pictures among generated ones, by nearest cosine against a baseline.

Held-out pictures are of the same film and were never trained on, so how near they come to training
pictures is how near a picture comes without copying. A drawing nearer than nearly all of them is
flagged. Mirrored training pictures count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BASELINE_QUANTILE = (
    0.99  # quantile of held-out pictures' nearest cosines above which a drawing is flagged
)
CERTAIN_COPY = 0.98  # cosine that is a copy whatever the film: the same picture, stored again


@dataclass(frozen=True, kw_only=True)
class NearestCosines:
    """Nearest cosines: of training pictures to those of other shots, of held-out ones to training.

    `threshold` is the cosine from which a drawing counts as a copy; None: nothing to go by.
    """

    train: np.ndarray
    held_out: np.ndarray
    threshold: float | None


def nearest(vector: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the most similar training picture of each drawing.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Of unit length.
    train : np.ndarray, shape (v, k, d)
        Of unit length; v views of each of k training pictures, e.g. as it is and mirrored.

    Returns
    -------
    index : np.ndarray, shape (n,), int64
        Of the k training pictures.
    cosine : np.ndarray, shape (n,), float64
    """
    if not len(vector) or not train.size:
        return np.zeros(len(vector), np.int64), np.full(len(vector), np.nan)
    cosine = (train.astype(float) @ vector.T.astype(float)).max(axis=0)  # (k, n)
    return cosine.argmax(axis=0), np.minimum(cosine.max(axis=0), 1.0)


def baseline(train: np.ndarray, shot: np.ndarray, held_out: np.ndarray) -> NearestCosines:
    """Measure how near pictures of a film come to each other without copying.

    Parameters
    ----------
    train : np.ndarray, shape (v, k, d)
        As `nearest`.
    shot : np.ndarray, shape (k,)
        Of each training picture.
    held_out : np.ndarray, shape (m, d)

    Returns
    -------
    NearestCosines
        The threshold is the 0.99 quantile of the held-out pictures' nearest cosines (fewer than
        ten: of training pictures' too), at most `CERTAIN_COPY`.
    """
    cosine = (train @ train[0].T).max(axis=0) if train.size else np.empty((0, 0))
    other = shot[:, None] != shot[None, :]
    own = np.where(other, cosine, -np.inf).max(axis=0, initial=-np.inf)
    own = own[np.isfinite(own)]
    outside = nearest(held_out, train)[1] if len(held_out) else np.empty(0)
    outside = outside[np.isfinite(outside)]
    base = outside if len(outside) >= 10 else np.concatenate([outside, own])
    threshold = (
        min(CERTAIN_COPY, float(np.quantile(base, BASELINE_QUANTILE))) if len(base) else None
    )
    return NearestCosines(train=own, held_out=outside, threshold=threshold)
