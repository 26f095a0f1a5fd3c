"""The order in which pictures are shown: by the seed and the batch's number alone.

A resumed run needs no record of what was shown, and several processes share out the batches by
their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Order:
    """Batches of one size each; sizes take turns by weight, pictures in shuffled rounds.

    Parameters
    ----------
    repeats : sequence of sequence of int
        For each size, how often each of its pictures is shown in a round.
    batch_size : int
        Pictures a batch.
    num_batches : int
        Batches that will be asked for.
    seed : int

    Notes
    -----
    Every round of a size shows each picture as often as its repeats say, so none is dropped
    and none preferred, however few do not fill a batch: a batch runs on into the next round.
    """

    def __init__(
        self, repeats: Sequence[Sequence[int]], batch_size: int, num_batches: int, seed: int
    ) -> None:
        self.rounds = [np.repeat(np.arange(len(r)), r) for r in repeats]
        self.batch_size, self.seed = batch_size, seed
        self.turns = take_turns([len(r) for r in self.rounds], num_batches)
        self.before = np.zeros_like(self.turns)  # batches of the same size before each
        for size in range(len(self.rounds)):
            own = self.turns == size
            self.before[own] = np.arange(own.sum())

    def batch(self, index: int) -> tuple[int, np.ndarray]:
        """Size and pictures of batch `index`, counted from 0."""
        size = int(self.turns[index])
        every = self.rounds[size]
        start = int(self.before[index]) * self.batch_size
        places = np.arange(start, start + self.batch_size)
        numbers = places // len(every)
        shuffled = {
            int(n): np.random.default_rng([self.seed, size, int(n)]).permutation(every)
            for n in np.unique(numbers)
        }
        return size, np.array(
            [shuffled[int(n)][p % len(every)] for p, n in zip(places, numbers, strict=True)]
        )


def take_turns(weights: Sequence[int], count: int) -> np.ndarray:
    """Whose turn it is each time, so that all come as often as they weigh.

    Parameters
    ----------
    weights : sequence of int
        Above 0.
    count : int

    Returns
    -------
    np.ndarray, shape (count,), int
        Index into `weights`: each time of the one that is furthest behind its share.

    Examples
    --------
    >>> take_turns([3, 1], 4).tolist()
    [0, 0, 1, 0]
    """
    share = np.asarray(weights, dtype=float) / sum(weights)
    taken = np.zeros(len(share))
    turns = np.zeros(count, dtype=int)
    if len(share) == 1:
        return turns
    for index in range(count):
        turns[index] = int(np.argmax(share * (index + 1) - taken))
        taken[turns[index]] += 1
    return turns
