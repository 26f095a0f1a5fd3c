"""Facility-location selection: greedy submodular maximisation over views of a character.

The worth of a set is the sum of three parts, each monotone and submodular; so is their sum, and
the greedy choice of k views is worth at least 1 - 1/e of the best k (Nemhauser, Wolsey, Fisher
1978, "An analysis of approximations for maximizing submodular set functions"):

- how well it stands for all views (facility location): each view counts by the most alike chosen
  one; views of crowded cells of the pose x size x place x light grid count less, so that a rare
  view is not outvoted by a hundred common ones;
- how evenly it fills each value of each attribute (a square root of the count, as in Lin, Bilmes
  2011, "A class of submodular functions for document summarization"): the soft quota that keeps
  one pose or place from taking the set;
- how good each view is by itself (sharp, sure, alone).

Gains only shrink as the set grows, so a view's part in the coverage is taken again only when an
older, larger value of it would win (Minoux 1978, "Accelerated greedy algorithms").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVER_WEIGHT, SPREAD_WEIGHT, WORTH_WEIGHT = 1.0, 1.0, 0.1
BLOCK = 1024  # rows of likeness computed at a time
MOST_ASKED = 4000  # views that the coverage is measured on; of more an even sample speaks for all
LEVELS = 255  # likeness is kept in 8 bits: n * 4000 bytes


@dataclass(frozen=True, kw_only=True)
class GroundSet:
    """Views to choose from, one row a view.

    `vector` is (n, d) float32 of at most unit length, of which cosines are likeness; `cell` (n, a)
    int holds a value of each of a attributes; `worth` (n,) float lies in [0, 1].
    """

    vector: np.ndarray
    cell: np.ndarray
    worth: np.ndarray

    def __len__(self) -> int:
        return len(self.vector)


def choose(ground: GroundSet, number: int) -> tuple[list[int], list[float]]:
    """Choose up to `number` views greedily.

    Parameters
    ----------
    number : int
        How many; all when there are not more.

    Returns
    -------
    chosen : list of int
        Rows, in the order of choice; of equals the first.
    gain : list of float
        What each added to the worth of those before it, never rising.
    """
    number = min(number, len(ground))
    state = _GreedyState(ground, number)
    bound = state.first_covers()  # of what a view adds to the coverage; it only shrinks
    chosen: list[int] = []
    gains: list[float] = []
    for _ in range(number):
        total = bound + state.own()
        total[chosen] = -np.inf
        fresh = np.zeros(len(ground), bool)
        row = int(np.argmax(total))
        while not fresh[row]:
            cover = min(bound[row], state.cover_gain(row))
            total[row] += cover - bound[row]
            bound[row], fresh[row] = cover, True
            row = int(np.argmax(total))
        chosen.append(row)
        gains.append(float(total[row]))
        state.add(row)
    return chosen, gains


def join_vectors(parts: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
    """Join parts into vectors whose cosine is the weighted mean of the parts' cosines.

    Parameters
    ----------
    parts : sequence of (float, np.ndarray of shape (n, d))
        Weight and rows; a row of NaN is not known and is like nothing. Each part is taken relative
        to its mean, so that what all views share does not make them alike.

    Returns
    -------
    np.ndarray, shape (n, sum of d), float32
        At most unit length.
    """
    total = sum(weight for weight, _ in parts)
    joined = []
    for weight, rows in parts:
        rows = np.asarray(rows, np.float32)
        is_known = np.isfinite(rows).all(axis=1)
        known = rows[is_known]
        if len(known) > 1:
            known = known - known.mean(axis=0)
        unit = np.zeros_like(rows)
        unit[is_known] = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-6)
        joined.append(np.sqrt(weight / total) * unit)
    return np.concatenate(joined, axis=1)


class _GreedyState:
    """The chosen so far: how well each view is covered, how often each value was taken."""

    def __init__(self, ground: GroundSet, number: int) -> None:
        self.ground, self.number = ground, max(1, number)
        count = len(ground)
        asked = np.arange(count)
        if count > MOST_ASKED:
            asked = np.sort(np.random.default_rng(0).choice(count, MOST_ASKED, replace=False))
        share = _shares(ground.cell)[asked]
        self.share = share / max(share.sum(), 1e-12) / LEVELS
        self.like = np.empty((count, len(asked)), np.uint8)
        for start in range(0, count, BLOCK):
            near = ground.vector[start : start + BLOCK] @ ground.vector[asked].T
            self.like[start : start + BLOCK] = np.rint(LEVELS * np.clip(near, 0, 1))
        self.cover = np.zeros(len(asked), np.uint8)
        self.count = [np.zeros(int(c.max(initial=0)) + 1) for c in ground.cell.T]

    def cover_gain(self, row: int) -> float:
        """Coverage that a view adds."""
        more = np.maximum(self.like[row], self.cover) - self.cover
        return COVER_WEIGHT * float(self.share @ more.astype(np.float32))

    def first_covers(self) -> np.ndarray:
        """Coverage that each view adds while none is chosen."""
        return np.array([self.cover_gain(row) for row in range(len(self.ground))], float)

    def own(self) -> np.ndarray:
        """The part of gains that needs no comparison with other views."""
        total = WORTH_WEIGHT * self.ground.worth / self.number
        for count, values in zip(self.count, self.ground.cell.T, strict=True):
            step = np.sqrt(count + 1) - np.sqrt(count)
            scale = SPREAD_WEIGHT / np.sqrt(self.number * len(count)) / len(self.count)
            total = total + scale * step[values]
        return total

    def add(self, row: int) -> None:
        """Take a view into the set."""
        np.maximum(self.cover, self.like[row], out=self.cover)
        for count, value in zip(self.count, self.ground.cell[row], strict=True):
            count[value] += 1


def _shares(cell: np.ndarray) -> np.ndarray:
    """Weight of each view in the coverage: a cell counts by the root of its number; sums to 1."""
    if not len(cell):
        return np.empty(0, np.float32)
    _, which, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(count[which.ravel()])
    return (weight / weight.sum()).astype(np.float32)
