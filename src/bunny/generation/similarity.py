"""How like the character a drawn picture is: cosine of picture embeddings to held-out crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.core.vector import to_unit

Embed = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Mean similarity with the adapter and of the base alone, on the same prompts and seeds."""

    adapter: float | None
    base: float | None

    @property
    def difference(self) -> float | None:
        """Adapter minus base; above 0 the adapter draws the character better."""
        if self.adapter is None or self.base is None:
            return None
        return self.adapter - self.base


def similarity(
    embed: Embed,
    drawn: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    background: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Mean cosine of each drawn picture to the reference crops.

    Parameters
    ----------
    embed : callable
        Takes uint8 pictures (h, w, 3), colours in the order it wants, and gives vectors (n, d).
    drawn : sequence of np.ndarray
    reference : sequence of np.ndarray
        Crops of the character that were not trained on.
    background : sequence of np.ndarray, optional
        Pictures of the film at large; their mean vector is taken off first, so that what all
        pictures of the film share does not count as likeness.

    Returns
    -------
    np.ndarray, shape (len(drawn),), float32
        In [-1, 1].

    Raises
    ------
    ValueError
        If there is no reference.
    """
    if not len(reference):
        raise ValueError("expected at least one reference picture, found none")
    if not len(drawn):
        return np.zeros(0, dtype=np.float32)
    mean = embed(background).mean(axis=0) if len(background) else 0.0
    one, two = (to_unit(embed(p) - mean, np.float64) for p in (drawn, reference))
    return np.clip((one @ two.T).mean(axis=1), -1, 1).astype(np.float32)


def compare(values: Sequence[float | None], has_adapter: Sequence[bool]) -> Comparison:
    """Mean similarity of the pictures with the adapter and of those without."""
    pairs = [(v, a) for v, a in zip(values, has_adapter, strict=True) if v is not None]
    means = [
        float(np.mean([v for v, a in pairs if a is flag]))
        if any(a is flag for _, a in pairs)
        else None
        for flag in (True, False)
    ]
    return Comparison(adapter=means[0], base=means[1])
