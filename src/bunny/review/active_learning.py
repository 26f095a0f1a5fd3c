"""Active learning: questions ranked by how many items an answer is expected to correct.

Three kinds of questions. *Strays*: items that most likely belong to one other cluster, wherever
they lie now; a person who sees them side by side drags them there at once. *Fragments*: a cluster
that nobody named, where others have names; one merger, or one name, moves all of it. *Candidates*:
nameless drawn figures that may be a character; they come first, because a name that is not sure is
not given. A question is worth the number of items that its answer is expected to put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bunny.review.learn import linear_map

NOTHING = -1  # question of an item that there is nothing to ask about
LIKELY = 0.5  # chance of another cluster from which an item counts as stray
SHARPNESS = tuple(float(2 ** (k / 2)) for k in range(2, 13))  # 2 to 64
SAMPLED = 2000  # items by which the sharpness is found
CHUNK = 4096  # rows that are compared at once


@dataclass(frozen=True, kw_only=True)
class ClusterSums:
    """Sums and sizes of clusters, for comparisons that leave an item out of its own."""

    vector: np.ndarray  # (n, d) float32, unit length
    number: np.ndarray  # (n,) int64; negative: the noise bucket
    total: np.ndarray  # (k, d)
    size: np.ndarray  # (k,)

    @classmethod
    def of(cls, vector: np.ndarray, number: np.ndarray, num: int) -> ClusterSums:
        """Sum the vectors of `num` clusters."""
        from scipy.sparse import csr_array

        inside = np.flatnonzero(number >= 0)
        ones = np.ones(len(inside), np.float32)
        member = csr_array((ones, (number[inside], inside)), shape=(num, len(vector)))
        size = np.bincount(number[inside], minlength=num)
        return cls(vector=vector, number=number, total=member @ vector, size=size)


def questions(
    vector: np.ndarray,
    number: np.ndarray,
    is_open: np.ndarray,
    is_named: np.ndarray,
    barred: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find what to ask.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length, of one model.
    number : np.ndarray, shape (n,), int
        Cluster from 0, or negative for the noise bucket.
    is_open : np.ndarray, shape (n,), bool
        Of whom nobody said where they belong.
    is_named : np.ndarray, shape (k,), bool
        Clusters that people know by a name: they are no fragments.
    barred : np.ndarray, shape (m, 2), int, optional
        Rows of item and cluster that a person said do not belong together.

    Returns
    -------
    question : np.ndarray, shape (n,), int64
        Equal for what is asked together: c for strays that may belong to cluster c, k + c for
        cluster c as a fragment; `NOTHING` for items that most likely are where they belong.
    worth : np.ndarray, shape (n,), float64
        Of the item's question; 0 without one.

    Notes
    -----
    Vectors are compared in the space that the clusters themselves give
    (`linear_map.fit_cluster_correlation`): what varies within clusters counts less.
    """
    number = np.asarray(number, np.int64)
    question, worth = np.full(len(number), NOTHING, np.int64), np.zeros(len(number))
    num = len(is_named)
    if not num or not len(number):
        return question, worth
    mapped = linear_map.fit_cluster_correlation(vector, number).apply(vector)
    known = ClusterSums.of(mapped, number, num)
    target, chance = likely_clusters(known, barred=barred)
    is_stray = is_open & (chance >= LIKELY)
    right = np.bincount(target[is_stray], chance[is_stray], minlength=num)
    question[is_stray] = target[is_stray]
    worth[is_stray] = right[target[is_stray]]
    is_rest = is_open & ~is_stray & (number >= 0)
    size = np.bincount(number[is_rest], minlength=num)
    rows = np.flatnonzero(is_rest & _is_fragment(known, is_open, is_named)[number])
    chance = 0.5 + 0.5 * _alike(known, is_named)  # as `doubt.doubt_of` has it of what is in noise
    question[rows] = num + number[rows]
    worth[rows] = (size * chance)[number[rows]]
    question[worth <= 0] = NOTHING
    return question, worth


def likely_clusters(
    known: ClusterSums, sharpness: float | None = None, barred: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest other cluster of each item, and the chance that it belongs there.

    Parameters
    ----------
    sharpness : float, optional
        Without it the one by which items most likely are where they are.
    barred : np.ndarray, shape (m, 2), int, optional

    Returns
    -------
    target : np.ndarray, shape (n,), int64
    chance : np.ndarray, shape (n,), float64
        In [0, 1]; 0 where there is no other cluster.

    Notes
    -----
    Chances go by n_c exp(sharpness cos(x, c)), with n_c and the centroid c without x itself: the
    conditional of a Chinese restaurant process of von Mises-Fisher components (Neal 2000, "Markov
    chain sampling methods for Dirichlet process mixture models"; Banerjee et al. 2005). So a
    small cluster has to be that much more alike to hold an item against a large one. A new cluster
    has the weight of one member at cosine 0; it is a choice for items that are alone.
    """
    sharpness = find_sharpness(known) if sharpness is None else sharpness
    n = len(known.number)
    target, chance = np.zeros(n, np.int64), np.zeros(n)
    for first in range(0, n, CHUNK):
        rows = np.arange(first, min(n, first + CHUNK))
        cosine, size = _compare(known, rows, barred)
        weight, home = _weights(known, rows, cosine, size, sharpness)
        others = weight.copy()
        inside = np.flatnonzero(home >= 0)
        others[inside, home[inside]] = 0
        best = others.argmax(axis=1)
        target[rows], chance[rows] = best, others[np.arange(len(rows)), best]
    return target, chance


def find_sharpness(known: ClusterSums) -> float:
    """The sharpness by which items most likely are where they are, one of `SHARPNESS`.

    Notes
    -----
    Greatest pseudo-likelihood (Besag 1975) over items that are not alone; the middle of the range
    where all are.
    """
    size = np.where(known.number >= 0, known.size[np.maximum(known.number, 0)], 0)
    rows = np.flatnonzero(size > 1)
    if not len(rows):
        return SHARPNESS[len(SHARPNESS) // 2]
    rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLED, len(rows))).astype(int)]
    cosine, size = _compare(known, rows, None)
    found = []
    for sharpness in SHARPNESS:
        weight, home = _weights(known, rows, cosine, size, sharpness)
        found.append(np.log(np.maximum(weight[np.arange(len(rows)), home], 1e-30)).mean())
    return SHARPNESS[int(np.argmax(found))]


def candidates(perhaps: Sequence[str | None], is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ask about nameless figures that may be a character, all of one character together.

    Parameters
    ----------
    perhaps : sequence of str or None, length n
        The character that each item may be.
    is_open : np.ndarray, shape (n,), bool
        Of whom nobody said where they belong.

    Returns
    -------
    question : np.ndarray, shape (n,), int64
        Equal for one character, from 0 in order of their names; `NOTHING` for other items.
    worth : np.ndarray, shape (n,), float64
        Items of the question; 0 without one.

    Examples
    --------
    >>> candidates(["pip", None, "bunny", "pip"], np.array([True, True, True, True]))
    (array([ 1, -1,  0,  1]), array([2., 0., 1., 2.]))
    """
    asked = [name if free else None for name, free in zip(perhaps, is_open, strict=True)]
    place = {name: i for i, name in enumerate(sorted({name for name in asked if name}))}
    number = [NOTHING if name is None else place.get(name, NOTHING) for name in asked]
    question = np.array(number, np.int64)
    size = np.bincount(question[question != NOTHING], minlength=max(1, len(place)))
    return question, np.where(question != NOTHING, size[question], 0).astype(np.float64)


def rank(question: np.ndarray, worth: np.ndarray, is_first: np.ndarray | None = None) -> np.ndarray:
    """Number questions by worth, the most worth first.

    Parameters
    ----------
    question, worth : np.ndarray, shape (n,)
        As of `questions`.
    is_first : np.ndarray, shape (n,), bool, optional
        Items whose questions come before all others.

    Returns
    -------
    np.ndarray, shape (n,), int64
        0, 1, ...; of equal worth the smaller question first; `NOTHING` stays.

    Examples
    --------
    >>> rank(np.array([7, -1, 3, 7]), np.array([2.0, 0, 5.0, 2.0])).tolist()
    [1, -1, 0, 1]
    """
    rows = np.flatnonzero(question != NOTHING)
    turn = np.full(len(question), NOTHING, np.int64)
    each, at, inverse = np.unique(question[rows], return_index=True, return_inverse=True)
    later = np.zeros(len(each)) if is_first is None else ~is_first[rows][at]
    order = np.lexsort((each, -worth[rows][at], later))
    place = np.empty(len(each), np.int64)
    place[order] = np.arange(len(each))
    turn[rows] = place[inverse]
    return turn


def _compare(known: ClusterSums, rows: np.ndarray, barred: np.ndarray | None) -> tuple:
    """Cosines to centroids (m, k) and sizes (m, k), both without the item itself."""
    own = known.vector[rows]
    length = np.maximum(np.linalg.norm(known.total, axis=1), 1e-12)
    cosine = own @ (known.total / length[:, None]).T
    size = np.tile(known.size.astype(np.float32), (len(rows), 1))
    inside = np.flatnonzero(known.number[rows] >= 0)
    home = known.number[rows][inside]
    rest = known.total[home] - own[inside]
    far = np.maximum(np.linalg.norm(rest, axis=1), 1e-12)
    cosine[inside, home] = np.einsum("nd,nd->n", own[inside], rest) / far
    size[inside, home] -= 1
    if barred is not None and len(barred):
        here = barred[(barred[:, 0] >= rows[0]) & (barred[:, 0] <= rows[-1])]
        size[np.searchsorted(rows, here[:, 0]), here[:, 1]] = 0
    return cosine, size


def _weights(known: ClusterSums, rows, cosine, size, sharpness: float) -> tuple:
    """Chances (m, k) of all clusters, and where items are (m,), -1 for noise."""
    with np.errstate(divide="ignore"):
        score = np.where(size > 0, np.log(size) + sharpness * cosine, -np.inf)
    home = known.number[rows]
    alone = (home < 0) | (size[np.arange(len(rows)), np.maximum(home, 0)] <= 0)
    top = np.maximum(score.max(axis=1), np.where(alone, 0.0, -np.inf))
    top = np.where(np.isfinite(top), top, 0.0)[:, None]
    weight = np.exp(score - top)
    total = weight.sum(axis=1) + np.where(alone, np.exp(-top[:, 0]), 0)
    return weight / np.maximum(total, 1e-30)[:, None], home


def _is_fragment(known: ClusterSums, is_open: np.ndarray, is_named: np.ndarray) -> np.ndarray:
    """Clusters (k,) that nobody named, where others have names, and whose members are open."""
    spoken = known.number[(known.number >= 0) & ~is_open]
    return is_named.any() & ~is_named & (np.bincount(spoken, minlength=len(is_named)) == 0)


def _alike(known: ClusterSums, is_named: np.ndarray) -> np.ndarray:
    """Cosine (k,) of a cluster to the most alike named or larger one, in [0, 1]."""
    length = np.maximum(np.linalg.norm(known.total, axis=1), 1e-12)
    centroid = known.total / length[:, None]
    standing = np.lexsort((np.arange(len(is_named)), -known.size, ~is_named))
    place = np.empty(len(standing), np.int64)
    place[standing] = np.arange(len(standing))
    found = np.zeros(len(is_named))
    for first in range(0, len(found), CHUNK):
        part = slice(first, first + CHUNK)
        cosine = np.where(place[None, :] < place[part, None], centroid[part] @ centroid.T, 0.0)
        found[part] = cosine.max(axis=1, initial=0.0)
    return np.clip(found, 0, 1)
