"""Precision, recall and F1 of detected shot boundaries against true ones."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BoundaryScore:
    """Agreement of found and true boundaries."""

    num_true: int
    num_found: int
    num_hit: int
    missed: tuple[tuple[int, int], ...]
    extra: tuple[int, ...]

    @property
    def precision(self) -> float:
        """Share of the found that are true; 1 when nothing was found."""
        return self.num_hit / self.num_found if self.num_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true that were found; 1 when there are none."""
        return self.num_hit / self.num_true if self.num_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score_boundaries(
    found: Sequence[int],
    true: Sequence[int | tuple[int, int]],
    *,
    tolerance: int = 1,
    ignore: Sequence[tuple[int, int]] = (),
) -> BoundaryScore:
    """Match found boundaries to true ones, each at most once, in order.

    Parameters
    ----------
    found : sequence of int
        First frames of shots, without the film's first.
    true : sequence of int or (int, int)
        A cut's first frame, or a gradual transition's half-open span of frames.
    tolerance : int
        Frames by which a boundary may lie off a cut or outside a span.
    ignore : sequence of (int, int)
        Half-open spans in which a found boundary that matches nothing is not counted.
    """
    spans = sorted((t, t + 1) if isinstance(t, int) else tuple(t) for t in true)
    free = sorted(found)
    missed = []
    for first, end in spans:
        near = [f for f in free if first - tolerance <= f < end + tolerance]
        if near:
            free.remove(min(near, key=lambda f: abs(2 * f - (first + end - 1))))
        else:
            missed.append((first, end))
    extra = [f for f in free if not any(first <= f < end for first, end in ignore)]
    num_hit = len(spans) - len(missed)
    return BoundaryScore(
        num_true=len(spans),
        num_found=num_hit + len(extra),
        num_hit=num_hit,
        missed=tuple(missed),
        extra=tuple(extra),
    )
