"""A small adapter over frozen vectors, trained with triplet loss.

x becomes x + B A x, scaled to unit length, with A of a few rows: as LoRA does with a layer (Hu et
al. 2021). B begins at zero, so training begins at "no adapter", and is held to it by weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item, triplet, vector_map
from bunny.review.learn.item import Items


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the adapter is trained."""

    steps: int = 300
    margin: float = 0.2  # cosine by which a positive shall be nearer than a negative
    rank: int = 16
    rate: float = 0.01
    hold: float = 0.1  # weight of the mean squared shift B A x of the items trained on
    batch: int = 256  # triplets a step
    first_share: float = 0.25  # of the triplets, hardest first, that training begins with
    seed: int = 0


def train(items: Items, is_known: np.ndarray, training: Training | None = None) -> vector_map.Space:
    """Train on what people said.

    Parameters
    ----------
    items : Items
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.
    training : Training, optional

    Returns
    -------
    space.Space
        The identity where there is no triplet.

    Notes
    -----
    Loss max(0, margin - cos(a, p) + cos(a, n)) (Schroff, Kalenichenko & Philbin 2015, with cosines
    for squared distances: of unit vectors one is linear in the other). Triplets come hardest first:
    the share drawn from grows from `first_share` to all over the first half of the steps.
    """
    training = training or Training()
    triplets = triplet.collect(items, is_known)
    dimension = items.vector.shape[1]
    if not len(triplets):
        return vector_map.identity(dimension)
    used, index = np.unique(triplets, return_inverse=True)
    down, up = _fit(items.vector[used], index.reshape(triplets.shape), training)
    mean = np.zeros(dimension, np.float32)
    return vector_map.Space(mean=mean, down=down, up=up, is_residual=True)


def loss(vector: np.ndarray, triplets: np.ndarray, margin: float) -> float:
    """Mean triplet loss of unit vectors (n, d) over rows (t, 3) of anchor, positive, negative."""
    return float(np.maximum(0, margin + triplet.hardness(item.unit(vector), triplets)).mean())


def _fit(vector: np.ndarray, triplets: np.ndarray, training: Training) -> tuple:
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


def _draw(rng: np.random.Generator, number: int, step: int, training: Training) -> np.ndarray:
    """Triplets of one step, from the hardest ones first."""
    share = training.first_share + (1 - training.first_share) * min(1, 2 * step / training.steps)
    reach = max(1, min(number, round(share * number)))
    return rng.integers(0, reach, min(training.batch, reach))
