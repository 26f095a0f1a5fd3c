"""Triplets from corrections, and a low-rank adapter trained with triplet loss.

An item that a person placed is the anchor. Positives are confirmed members of its cluster, then
its other members; negatives are the members of other clusters that look most like it, half of them
of the cluster that it was taken from. An item that a person took out of a cluster is a negative of
that cluster's confirmed members.

x becomes x + B A x, scaled to unit length, with A of a few rows: as LoRA does with a layer (Hu et
al. 2021). B begins at zero, so training begins at "no adapter", and is held to it by weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item, linear_map
from bunny.review.learn.item import NOBODY, Items

POSITIVES, NEGATIVES = 4, 8  # of each anchor at most
MAX_ANCHORS = 1000  # placed items that are asked, evenly chosen of more
MAX_LINKS = 100_000


def collect_triplets(items: Items, is_known: np.ndarray | None = None) -> np.ndarray:
    """Make triplets.

    Parameters
    ----------
    is_known : np.ndarray, shape (n,), bool, optional
        Items whose `said` may be used; all that were placed without it.

    Returns
    -------
    np.ndarray, shape (t, 3), int64
        Rows of anchor, positive, negative; by how much the negative is nearer than the positive,
        the hardest first, without repetitions.
    """
    is_known = items.is_said if is_known is None else is_known & items.is_said
    where = item.member_clusters(items, is_known)
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


def constraint_links(items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that people said must and cannot be together.

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


@dataclass(frozen=True, kw_only=True)
class TripletTraining:
    """Training settings of the adapter."""

    steps: int = 300
    margin: float = 0.2  # cosine by which a positive shall be nearer than a negative
    rank: int = 16
    rate: float = 0.01
    hold: float = 0.1  # weight of the mean squared shift B A x of the items trained on
    batch: int = 256  # triplets a step
    first_share: float = 0.25  # of the triplets, hardest first, that training begins with
    seed: int = 0


def train(
    items: Items, is_known: np.ndarray, training: TripletTraining | None = None
) -> linear_map.LinearMap:
    """Train on what people said.

    Parameters
    ----------
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.
    training : TripletTraining, optional

    Returns
    -------
    linear_map.LinearMap
        The identity where there is no triplet.

    Notes
    -----
    Loss max(0, margin - cos(a, p) + cos(a, n)) (Schroff, Kalenichenko & Philbin 2015, with cosines
    for squared distances: of unit vectors one is linear in the other). Triplets come hardest first:
    the share drawn from grows from `first_share` to all over the first half of the steps.
    """
    training = training or TripletTraining()
    triplets = collect_triplets(items, is_known)
    dimension = items.vector.shape[1]
    if not len(triplets):
        return linear_map.identity(dimension)
    used, index = np.unique(triplets, return_inverse=True)
    down, up = _fit(items.vector[used], index.reshape(triplets.shape), training)
    mean = np.zeros(dimension, np.float32)
    return linear_map.LinearMap(mean=mean, down=down, up=up, is_residual=True)


def _fit(vector: np.ndarray, triplets: np.ndarray, training: TripletTraining) -> tuple:
    """A (rank, d) and B (d, rank) after training; the same for the same seed."""
    import torch

    draw = torch.Generator().manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    known = torch.from_numpy(np.ascontiguousarray(vector))
    dimension = vector.shape[1]
    rank = min(training.rank, dimension)
    down = (torch.randn(rank, dimension, generator=draw) / dimension**0.5).requires_grad_()
    up = torch.zeros(dimension, rank, requires_grad=True)
    optimiser = torch.optim.Adam([down, up], lr=training.rate)
    for step in range(training.steps):
        rows = torch.from_numpy(triplets[_draw(rng, len(triplets), step, training)])
        anchor, positive, negative = (_map(known[rows[:, k]], down, up) for k in range(3))
        nearer = (anchor[0] * (negative[0] - positive[0])).sum(dim=1)
        shift = torch.stack([part[1].square().sum(dim=1).mean() for part in (anchor, negative)])
        total = torch.relu(nearer + training.margin).mean() + training.hold * shift.mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    return down.detach().numpy().copy(), up.detach().numpy().copy()


def _map(x, down, up) -> tuple:
    """Mapped vectors of unit length, and by what they were shifted before."""
    import torch

    shift = x @ down.T @ up.T
    return torch.nn.functional.normalize(x + shift, dim=1), shift


def _draw(
    rng: np.random.Generator, number: int, step: int, training: TripletTraining
) -> np.ndarray:
    """Triplets of one step, from the hardest ones first."""
    share = training.first_share + (1 - training.first_share) * min(1, 2 * step / training.steps)
    reach = max(1, min(number, round(share * number)))
    return rng.integers(0, reach, min(training.batch, reach))
