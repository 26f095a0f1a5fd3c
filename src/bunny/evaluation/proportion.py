"""Intervals of shares of pictures: Wilson's for one share, Newcombe's for a difference of two.

Both stay honest where all or none of a few pictures count, where the bootstrap gives an interval
without width (Wilson 1927; Newcombe 1998, "Interval estimation for the difference between
independent proportions", method 10). Pairs from one prompt and seed are treated as independent,
which errs on the wide side.
"""

from __future__ import annotations

import math

from bunny.evaluation.bootstrap import LEVEL, Interval


def wilson(count: int, n: int) -> Interval:
    """Share of pictures with its Wilson interval.

    Parameters
    ----------
    count : int
        Pictures that count, 0 to `n`.

    Raises
    ------
    ValueError
        If `count` is outside 0 to `n`.

    Examples
    --------
    >>> found = wilson(8, 8)
    >>> found.value, round(found.low, 3), found.high
    (1.0, 0.676, 1.0)
    """
    from scipy.stats import binomtest

    if not n:
        return Interval(value=None, low=None, high=None, n=0)
    bounds = binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return Interval(value=count / n, low=float(bounds.low), high=float(bounds.high), n=n)


def of_share(value: float, n: int) -> Interval:
    """Wilson interval of a share that was stored with its number of pictures."""
    return wilson(round(value * n), n)


def difference(one: Interval, other: Interval) -> Interval:
    """`one` less `other` with Newcombe's interval; all None where one of them has no picture."""
    sides = (one.value, one.low, one.high, other.value, other.low, other.high)
    if any(side is None for side in sides):
        return Interval(value=None, low=None, high=None, n=0)
    a, a_low, a_high, b, b_low, b_high = (float(side or 0.0) for side in sides)
    return Interval(
        value=a - b,
        low=a - b - math.hypot(a - a_low, b_high - b),
        high=a - b + math.hypot(a_high - a, b - b_low),
        n=min(one.n, other.n),
    )
