"""Time left of a batch, by what its ended films took for each second of film.

A waiting film is expected to take ``rate * length`` seconds, where

    rate = seconds that ended films took / seconds of film that these have

and a running one what its own process says. Films are then laid, in their order, on the worker
that is free first; the batch ends when the last worker does. With two workers of which one is busy
for 10 s and one for 40 s, and two waiting films of 30 s: the first begins after 10 s and ends after
40, the second begins after 40 and ends after 70. Where fine-tunes are apart and
need a GPU, those that are left take at least ``number * mean / GPUs``, one after the other on each.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from bunny.batch.film_list import FINETUNE, FINETUNE_STAGES, PREPARE
from bunny.batch.film_record import RunningFilm
from bunny.contract.progress import COSTS


@dataclass(kw_only=True)
class FilmPace:
    """What films that ended took."""

    seconds: float = 0.0  # of their runs
    length_s: float = 0.0  # of the films
    finetune_s: list[float] = field(default_factory=list)  # of runs of phase `FINETUNE`

    def note(self, seconds: float, length_s: float, finetune_s: float | None = None) -> None:
        """Count a film that ended; one that was found done says nothing and is not to be given.

        Parameters
        ----------
        seconds : float
            Of all its attempts.
        length_s : float
            Of the film.
        finetune_s : float, optional
            Of its phase `FINETUNE`, where it is divided.
        """
        self.seconds += seconds
        self.length_s += length_s
        if finetune_s is not None:
            self.finetune_s.append(finetune_s)

    def rate(self, running: Iterable[tuple[RunningFilm, float]] = ()) -> float | None:
        """Seconds for each second of film; None where nothing tells.

        Parameters
        ----------
        running : iterable of (RunningFilm, float)
            Films that run and their lengths in seconds: while none has ended, these are believed.
        """
        if self.length_s > 0:
            return self.seconds / self.length_s
        told = [
            (film.elapsed_s + film.seconds_left, length)
            for film, length in running
            if film.seconds_left is not None
        ]
        total = sum(length for _, length in told)
        return sum(seconds for seconds, _ in told) / total if total else None

    def mean_finetune_s(self) -> float:
        """Seconds that a phase `FINETUNE` takes; before one ended, those of two cores."""
        if self.finetune_s:
            return fmean(self.finetune_s)
        return sum(COSTS[stage].fixed_s for stage in FINETUNE_STAGES)


def estimate(
    pace: FilmPace,
    running: Sequence[tuple[RunningFilm, float]],
    waiting_s: Sequence[float],
    num_workers: int,
    num_finetunes: int = 0,
) -> float | None:
    """Seconds until a batch ends.

    Parameters
    ----------
    running : sequence of (RunningFilm, float)
        Films that run, and their lengths in seconds.
    waiting_s : sequence of float
        Lengths of films that wait, in their order, in seconds.
    num_workers : int
        Films at once.
    num_finetunes : int
        Fine-tunes at once, where films are divided into two phases; 0: they are not.

    Returns
    -------
    float or None
        None while nothing tells how long films take.
    """
    rate = pace.rate(running)
    if rate is None:
        return None if waiting_s or running else 0.0
    finetune_s = pace.mean_finetune_s()
    left = [film_seconds_left(film, length, rate, finetune_s) for film, length in running]
    free = left + [0.0] * max(0, num_workers - len(left))
    heapq.heapify(free)
    for length in waiting_s:
        heapq.heapreplace(free, free[0] + rate * length)
    ends = max(free, default=0.0)
    if num_finetunes:
        to_come = len(waiting_s) + sum(film.phase == PREPARE for film, _ in running)
        now = [one for (film, _), one in zip(running, left, strict=True) if film.phase == FINETUNE]
        ends = max(ends, (to_come * finetune_s + sum(now)) / num_finetunes)
    return ends


def film_seconds_left(film: RunningFilm, length_s: float, rate: float, finetune_s: float) -> float:
    """Seconds that a running film still takes, with its fine-tune where that comes later.

    Parameters
    ----------
    length_s : float
        Of the film.
    rate : float
        Seconds for each second of film.
    finetune_s : float
        Of a phase `FINETUNE`.
    """
    if film.seconds_left is None:
        whole = finetune_s if film.phase == FINETUNE else rate * length_s
        return max(0.0, whole - film.elapsed_s)
    return film.seconds_left + (finetune_s if film.phase == PREPARE else 0.0)
