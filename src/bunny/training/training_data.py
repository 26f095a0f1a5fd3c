"""Encoded training data, and the batch order, which depends on seed and number alone.

A resumed run needs no record of what was shown, and several processes share out the batches by
their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from bunny.dataset.image_folder import CLASS, TrainingExample
from bunny.training import latent_batch
from bunny.training.base import Base
from bunny.training.distributed import ProcessGroup
from bunny.training.latent_batch import EncodedCaptions, LatentBucket, LatentCache
from bunny.training.settings import TrainingSettings

T = TypeVar("T")

HELD_OUT_MAX = 24  # pictures; each costs `loss.FIXED_TIMESTEPS` forward passes an evaluation
PROBE_MAX = 8  # training pictures looked at alike, to tell learning from noise

CACHE_FOLDER = "cache"  # folder in the run's


class BatchOrder:
    """Batches of one size each; sizes take turns by weight, pictures in shuffled rounds.

    Parameters
    ----------
    repeats : sequence of sequence of int
        For each size, how often each of its pictures is shown in a round.
    batch_size : int
        Pictures a batch.
    num_batches : int
        Batches that will be asked for.

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
        self.turns = weighted_round_robin([len(r) for r in self.rounds], num_batches)
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


def weighted_round_robin(weights: Sequence[int], count: int) -> np.ndarray:
    """Weighted round-robin order, in which each source appears in proportion to its weight.

    Parameters
    ----------
    weights : sequence of int
        Above 0.

    Returns
    -------
    np.ndarray, shape (count,), int
        Index into `weights`: each time of the one that is furthest behind its share.

    Examples
    --------
    >>> weighted_round_robin([3, 1], 4).tolist()
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


@dataclass(frozen=True, kw_only=True)
class OrderedBuckets:
    """Buckets that batches are taken from, one size a batch."""

    buckets: Sequence[LatentBucket]
    order: BatchOrder


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Encoded pictures and words."""

    subject: OrderedBuckets
    prior: OrderedBuckets | None  # class pictures
    held_out: Sequence[LatentBucket]
    probe: Sequence[LatentBucket]
    phrases: EncodedCaptions | None  # None: captions are encoded anew each step


def encode(
    base: Base,
    train: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    settings: TrainingSettings,
    num_batches: int,
    cache: LatentCache,
) -> TrainingData:
    """Encode what a fine-tune looks at, or read it from the cache.

    Parameters
    ----------
    train, held_out : sequence of TrainingExample
        `train` has class pictures too, by their role.
    num_batches : int
        Of all steps and processes.
    """
    models = settings.models
    subject = [e for e in train if e.role != CLASS]
    prior = [e for e in train if e.role == CLASS] if models.class_weight > 0 else []
    has_flips = models.flip_share > 0

    def encode_buckets(examples: Sequence[TrainingExample], flips: bool) -> list[LatentBucket]:
        return [
            latent_batch.encode_bucket(
                base,
                group,
                has_flips=flips,
                background_weight=models.background_weight,
                cache=cache,
            )
            for group in latent_batch.group_by_size(examples)
        ]

    def ordered(examples: Sequence[TrainingExample], salt: int) -> OrderedBuckets:
        made = encode_buckets(examples, has_flips)
        repeats = [[e.repeats for e in d.examples] for d in made]
        order = BatchOrder(repeats, models.batch_size, num_batches, settings.seed + salt)
        return OrderedBuckets(buckets=made, order=order)

    captions = [
        text
        for example in (*train, *held_out)
        for text in latent_batch.every_caption(example, has_flips=has_flips)
    ]
    phrases = None
    if not models.trains_text_encoder:
        phrases = latent_batch.encode_captions(base, captions, cache)
    return TrainingData(
        subject=ordered(subject, 0),
        prior=ordered(prior, 1) if prior else None,
        held_out=encode_buckets(_take_evenly(held_out, HELD_OUT_MAX), False),
        probe=encode_buckets(_take_evenly(subject, PROBE_MAX), False),
        phrases=phrases,
    )


def _take_evenly(examples: Sequence[T], most: int) -> list[T]:
    """At most `most` of them, evenly from first to last.

    Examples
    --------
    >>> _take_evenly([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    if len(examples) <= most:
        return list(examples)
    return [examples[i * len(examples) // most] for i in range(most)]


def encode_on_first(
    make: Callable[[LatentCache], TrainingData], folder: Path, processes: ProcessGroup
) -> TrainingData:
    """Encode in the first process, so that the others only read; forget what is not used.

    Parameters
    ----------
    make : callable
        Encodes the data, given a cache.
    folder : Path
        Of the run.
    """
    cache = LatentCache(folder / CACHE_FOLDER)
    if not processes.is_first:
        processes.wait()
        return make(cache)
    made = make(cache)
    cache.drop_others()
    processes.wait()
    return made
