"""Bootstrap intervals of means over pictures that share prompts and seeds.

Pictures of one prompt are alike, and so are pictures from one seed; treating them as independent
makes intervals too narrow. Prompts and seeds are both drawn anew with replacement and a picture
counts as often as its prompt times its seed: the pigeonhole bootstrap (Owen 2007, "The pigeonhole
bootstrap"), which errs on the wide side. Percentile intervals (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

LEVEL = 0.95

PictureKey = TypeVar("PictureKey", bound=tuple[Hashable, Hashable])  # prompt and seed


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its interval; all None where there was nothing. `n` are the values behind it."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def mean(
    values: Sequence[float | None],
    prompts: Sequence[Hashable],
    seeds: Sequence[Hashable],
    *,
    num: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean of values with an interval that respects prompts and seeds.

    Parameters
    ----------
    values : sequence of float or None
        One a picture; None and NaN are left out.
    prompts, seeds : sequences
        Of each picture.
    num : int
        Resamples.
    seed : int
        Of the resampling.

    Returns
    -------
    Interval
        Without bounds where there is one prompt and one seed: nothing can be resampled.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if not len(values) == len(prompts) == len(seeds):
        raise ValueError(
            f"expected a prompt and a seed for each value, got {len(values)} values, "
            f"{len(prompts)} prompts and {len(seeds)} seeds"
        )
    total, count = _tables(values, prompts, seeds)
    n = int(count.sum())
    if not n:
        return Interval(value=None, low=None, high=None, n=0)
    value = float(total.sum() / n)
    if count.shape == (1, 1):
        return Interval(value=value, low=None, high=None, n=n)
    low, high = np.quantile(_resample(total, count, num, seed), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(value=value, low=float(low), high=float(high), n=n)


def difference(
    one: Mapping[PictureKey, float | None],
    other: Mapping[PictureKey, float | None],
    *,
    num: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean of `one` less `other` over the prompts and seeds that both have."""
    keys = [key for key in one if _is_number(one[key]) and _is_number(other.get(key))]
    values = [cast(float, one[key]) - cast(float, other[key]) for key in keys]
    return mean(values, [k[0] for k in keys], [k[1] for k in keys], num=num, seed=seed)


def _tables(values, prompts, seeds) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts of the values, a row a prompt, a column a seed."""
    kept = [(v, p, s) for v, p, s in zip(values, prompts, seeds, strict=True) if _is_number(v)]
    row = {name: i for i, name in enumerate(dict.fromkeys(p for _, p, _ in kept))}
    column = {name: i for i, name in enumerate(dict.fromkeys(s for _, _, s in kept))}
    total = np.zeros((len(row), len(column)))
    count = np.zeros((len(row), len(column)))
    for value, prompt, seed in kept:
        total[row[prompt], column[seed]] += value
        count[row[prompt], column[seed]] += 1
    return total, count


def _resample(total: np.ndarray, count: np.ndarray, num: int, seed: int) -> np.ndarray:
    """Means over prompts and seeds drawn with replacement; those that drew nothing are left out."""
    rng = np.random.default_rng(seed)
    rows, columns = count.shape
    prompt = rng.multinomial(rows, np.full(rows, 1 / rows), size=num).astype(float)
    column = rng.multinomial(columns, np.full(columns, 1 / columns), size=num).astype(float)
    above = np.einsum("br,rc,bc->b", prompt, total, column)
    below = np.einsum("br,rc,bc->b", prompt, count, column)
    return above[below > 0] / below[below > 0]


def _is_number(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
