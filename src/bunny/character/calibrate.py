"""The threshold that holds for one film, from what the film itself shows of strangers.

How like strangers are to each other differs from film to film: with the light, the lenses, how
alike the cast looks. Two kinds of strangers come for nothing: two faces of one frame, and a track
against the references of all characters but its nearest. The threshold at which few of them would
pass is mixed with the configured one, the more so the more of them there are, and may not leave it
far.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

FALSE_ACCEPT = 2e-4  # share of strangers that may pass
TAIL = NormalDist().inv_cdf(1 - FALSE_ACCEPT)  # standard deviations to it, 3.54
TO_DEVIATION = 1.4826  # from the median absolute deviation of a Gaussian to its standard one
ENOUGH = 50  # strangers at which film and setting count alike
LEAST = 10  # below, the setting alone
MAX_STEP = 0.08  # that the threshold may move
TWIN = 0.7  # two faces of a frame more alike than this are a mirror, a screen, a poster


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a film's strangers say, before any setting is known."""

    threshold: float | None  # None: too few
    num_same: int
    num_different: int  # independent ones: pairs of a frame and tracks held against others
    num_twins: int  # pairs of a frame that were left out


def estimate(pair: pl.DataFrame, stranger: np.ndarray | None = None) -> Estimate:
    """Find where few strangers of a film would pass.

    Parameters
    ----------
    pair : pl.DataFrame
        Rows of table `pair`.
    stranger : np.ndarray, shape (n, k), optional
        Similarity of n tracks to the characters that they are not; columns of one row count as
        one stranger. NaN is left out.

    Notes
    -----
    Median and median absolute deviation, and the tail of a Gaussian: few films have the thousands
    of strangers that would show the tail itself, and a mirror among them would be all of it. The
    two kinds are weighted by their numbers.
    """
    kind = pair["kind"].cast(pl.String)
    between = pair.filter(kind == "same-frame")["similarity"].to_numpy()
    is_twin = between > TWIN
    groups = [between[~is_twin]]
    numbers = [len(groups[0])]
    if stranger is not None and stranger.size:
        is_known = ~np.isnan(stranger)
        groups.append(stranger[is_known])
        numbers.append(int(is_known.any(axis=1).sum()))
    found = [(reach(g), n) for g, n in zip(groups, numbers, strict=True) if n >= LEAST]
    weight = sum(n for _, n in found)
    return Estimate(
        threshold=sum(value * n for value, n in found) / weight if weight else None,
        num_same=int((kind == "same-track").sum()),
        num_different=sum(numbers),
        num_twins=int(is_twin.sum()),
    )


def reach(similarity: np.ndarray) -> float:
    """Similarity that a share of `FALSE_ACCEPT` of such strangers passes, by a Gaussian tail.

    Examples
    --------
    >>> round(reach(np.array([-0.1, 0.0, 0.1])), 3)
    0.525
    """
    middle = float(np.median(similarity))
    deviation = TO_DEVIATION * float(np.median(np.abs(similarity - middle)))
    return middle + TAIL * deviation


def threshold(found: Estimate, configured: float) -> float:
    """Threshold that holds, given the configured one.

    Notes
    -----
    With n strangers the film counts n / (n + 50); the step is at most 0.08 either way.
    """
    if found.threshold is None:
        return configured
    share = found.num_different / (found.num_different + ENOUGH)
    step = share * (found.threshold - configured)
    return configured + float(np.clip(step, -MAX_STEP, MAX_STEP))


def describe(found: Estimate, configured: float) -> str:
    """One sentence about what a threshold rests on."""
    twins = f"; {found.num_twins} pairs of one frame too alike to count" * (found.num_twins > 0)
    if found.threshold is None:
        return (
            f"{found.num_different} strangers in the film are too few to measure; "
            f"the setting {configured:.2f} holds{twins}"
        )
    return (
        f"strangers of this film reach {found.threshold:.2f}, the setting is {configured:.2f}, "
        f"{found.num_different} strangers{twins}"
    )
