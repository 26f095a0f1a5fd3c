"""Vendi score, nearest neighbours and alike pairs of picture vectors."""

from __future__ import annotations

import math

import numpy as np

BLOCK = 1024  # rows compared at once; bounds memory to BLOCK * n numbers
TINY = 1e-12  # eigenvalues below are rounding


def vendi_score(vector: np.ndarray, order: float = 1.0) -> float:
    """As how many wholly different pictures these are varied.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        One vector a picture, none of length 0. Their cosine is the likeness.
    order : float
        Of the entropy, in (0, inf]. 1 is Shannon's; with `math.inf` only the commonest look
        counts: 1 over its share.

    Returns
    -------
    float
        In [1, n]: 1 when all are the same, n when all are at right angles; 0 for no pictures.

    Raises
    ------
    ValueError
        If a vector has no length, or `order` is not positive.

    Notes
    -----
    exp of the von Neumann entropy of K / n, K the matrix of cosines: Friedman and Dieng 2023,
    "The Vendi Score: A Diversity Evaluation Metric for Machine Learning"; other orders: Pasarkar
    and Dieng 2024, "Cousins of the Vendi Score". K / n and the d x d matrix of the same vectors
    have the same eigenvalues above 0, so the smaller of the two is solved.
    """
    if not order > 0:
        raise ValueError(f"order: expected a number above 0, got {order}")
    unit = unit_rows(vector)
    if not len(unit):
        return 0.0
    matrix = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    share = np.linalg.eigvalsh(matrix / len(unit))
    share = share[share > TINY]
    share /= share.sum()
    if order == 1:
        return float(np.exp(-(share * np.log(share)).sum()))
    if math.isinf(order):
        return float(1 / share.max())
    return float((share**order).sum() ** (1 / (1 - order)))


def nearest(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the most similar other picture of each.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        n at least 2; none of length 0.

    Returns
    -------
    index : np.ndarray, shape (n,), int64
    distance : np.ndarray, shape (n,), float64
        1 minus cosine, in [0, 2]; 0 is the same.
    """
    unit = unit_rows(vector)
    if len(unit) < 2:
        raise ValueError(f"expected at least 2 embeddings, got {len(unit)}")
    index = np.empty(len(unit), np.int64)
    distance = np.empty(len(unit))
    for start in range(0, len(unit), BLOCK):
        cosine = unit[start : start + BLOCK] @ unit.T
        row = np.arange(len(cosine))
        cosine[row, start + row] = -np.inf
        index[start + row] = cosine.argmax(axis=1)
        distance[start + row] = 1 - cosine.max(axis=1)
    return index, np.clip(distance, 0, 2)


def alike_pairs(index: np.ndarray, distance: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Pairs of a picture and its nearest, the most alike first, no picture in two of them.

    Parameters
    ----------
    index, distance : np.ndarray, shape (n,)
        As `nearest` gives them.
    count : int
        Pairs at most.
    """
    used: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for one in np.argsort(distance, kind="stable"):
        pair = int(one), int(index[one])
        if len(pairs) < count and used.isdisjoint(pair):
            used.update(pair)
            pairs.append(pair)
    return pairs


def closest_between(one: np.ndarray, other: np.ndarray) -> float | None:
    """Smallest distance, 1 minus cosine, from a vector of one group to one of the other.

    Parameters
    ----------
    one, other : np.ndarray, shapes (n, d) and (m, d)

    Returns
    -------
    float or None
        In [0, 2]; None when a group is empty.
    """
    if not len(one) or not len(other):
        return None
    first, second = unit_rows(one), unit_rows(other)
    best = max(
        float((first[start : start + BLOCK] @ second.T).max())
        for start in range(0, len(first), BLOCK)
    )
    return min(2.0, max(0.0, 1 - best))


def unit_rows(vector: np.ndarray) -> np.ndarray:
    """Scale each row to length 1.

    Returns
    -------
    np.ndarray, shape (n, d), float64

    Raises
    ------
    ValueError
        If it is not a matrix, or a row has no length.
    """
    matrix = np.asarray(vector, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"expected one embedding per picture, shape (n, d), got {matrix.shape}")
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not (length > 0).all():
        raise ValueError(
            "expected embeddings of finite length above 0, got one that is 0 or not finite"
        )
    return matrix / length
