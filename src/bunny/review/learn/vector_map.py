"""Maps of unit vectors to unit vectors, in which items are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bunny.review.learn import item


@dataclass(frozen=True, kw_only=True)
class Space:
    """A linear map: x becomes `(x - mean) + up @ down @ (x - mean)`, scaled to unit length.

    With `is_residual` false the first term is left out. Empty `down` and `up` and no mean: vectors
    stay as they are.
    """

    mean: np.ndarray  # (d,) float32
    down: np.ndarray  # (r, d) float32
    up: np.ndarray  # (k, r) float32; k = d when it is residual
    is_residual: bool

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """Map unit vectors (n, d) to unit vectors (n, k).

        Raises
        ------
        ValueError
            If the vectors have another length than those it was learned on.
        """
        vector = np.asarray(vector, np.float32)
        if vector.shape[-1] != len(self.mean):
            raise ValueError(f"expected vectors of {len(self.mean)}, got {vector.shape[-1]}")
        centred = vector - self.mean
        mapped = centred @ self.down.T @ self.up.T
        return item.unit(centred + mapped if self.is_residual else mapped)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays to be kept in a file."""
        return {"mean": self.mean, "down": self.down, "up": self.up}


def identity(dimension: int) -> Space:
    """The map that changes nothing.

    Examples
    --------
    >>> identity(2).apply(np.array([[0.6, 0.8]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    return Space(
        mean=np.zeros(dimension, np.float32),
        down=np.zeros((0, dimension), np.float32),
        up=np.zeros((dimension, 0), np.float32),
        is_residual=True,
    )


def from_arrays(arrays: Mapping[str, np.ndarray], *, is_residual: bool) -> Space:
    """Read back what `Space.to_arrays` gave.

    Raises
    ------
    ValueError
        If shapes do not belong together or a number is not finite.
    """
    mean, down, up = (np.asarray(arrays[name], np.float32) for name in ("mean", "down", "up"))
    rank, dimension = down.shape if down.ndim == 2 else (-1, -1)
    fits = mean.shape == (dimension,) and up.ndim == 2 and up.shape[1] == rank
    if not fits or (is_residual and up.shape[0] != dimension):
        raise ValueError(f"shapes {mean.shape}, {down.shape}, {up.shape} are no map")
    if not all(np.isfinite(part).all() for part in (mean, down, up)):
        raise ValueError("a number of the map is not finite")
    return Space(mean=mean, down=down, up=up, is_residual=is_residual)
