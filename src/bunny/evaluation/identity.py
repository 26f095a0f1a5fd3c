"""Identity of a picture: a recogniser's score on a scale that the film's real pictures set.

A score alone says little, for it depends on the recogniser and on how varied the character is in
its film. So real pictures set both the scale and the threshold: pictures of the character from
shots that the recogniser was not fitted on, and strangers, which are pictures of other characters
and of nobody. The threshold lies halfway between the score that 95 % of the real pictures reach and
the one that 5 % of the strangers reach, both by rank as in split conformal prediction (Vovk et al.
2005), so that at most 5 % of further pictures like these are expected on the wrong side. What
passes it is counted and stored with its interval; `verdict` judges only where both rates hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.evaluation import proportion
from bunny.evaluation.bootstrap import Interval

NOBODY, UNKNOWN = "nobody", "unknown"
MIN_REAL_SHARE, MAX_STRANGER_SHARE = 0.95, 0.05  # recognised; see the module
MIN_PICTURES = (
    19  # needed of each kind: with fewer no rank splits off 5 %: floor((18 + 1) * 0.05) = 0
)
MIN_SHOTS = 4  # needed with the character; pictures of one shot are nearly one picture
MIN_GAP = 1e-6  # between the medians of strangers and the character; below it nothing can be told


@dataclass(frozen=True, kw_only=True)
class IdentityScale:
    """Scores of strangers (0) and of the character itself (1), the threshold, and what passes it.

    `zero` and `one` are medians, `floor` the threshold; `real` and `strangers` the shares of
    pictures recognised as the character, with Wilson intervals.
    """

    zero: float
    one: float
    floor: float
    real: Interval
    strangers: Interval
    num_shots: int

    @property
    def is_calibrated(self) -> bool:
        """Whether there are enough pictures, and both shares are within their limits."""
        return is_calibrated(self.real, self.strangers, self.num_shots)

    def to_identity(self, score: float) -> float:
        """Score on the scale; NaN where nobody was found, or nothing can be told."""
        gap = self.one - self.zero
        return (score - self.zero) / gap if gap > MIN_GAP else float("nan")


def is_calibrated(real: Interval, strangers: Interval, num_shots: int) -> bool:
    """Tell whether a recogniser can judge, from the shares of pictures that it recognises."""
    return (
        num_shots >= MIN_SHOTS
        and min(real.n, strangers.n) >= MIN_PICTURES
        and (real.value or 0.0) >= MIN_REAL_SHARE
        and (strangers.value or 0.0) <= MAX_STRANGER_SHARE
    )


def make_scale(
    real: Sequence[tuple[int, float]],
    strangers: Sequence[float],
    fallback: tuple[float, float] | None = None,
) -> IdentityScale | None:
    """Measure the scale and the threshold of a character.

    Parameters
    ----------
    real : sequence of (int, float)
        Shot and score of each picture of the character, by a recogniser that was not fitted on the
        shot; NaN where nobody was found.
    strangers : sequence of float
        Scores of pictures without the character.
    fallback : (float, float), optional
        Strangers' usual score and threshold of a recogniser whose authors give them: for films
        where nobody else is found, and the least threshold where real pictures allow it.

    Returns
    -------
    IdentityScale or None
        None where no picture of the character has a score, or no stranger and no fallback.
    """
    own = np.array([score for _, score in real], float)
    others = np.array(strangers, float)
    found, met = own[np.isfinite(own)], others[np.isfinite(others)]
    if not len(found) or not (len(met) or fallback):
        return None
    reached = _ranked(np.nan_to_num(own, nan=-np.inf), MAX_STRANGER_SHARE)
    passed = -_ranked(-np.nan_to_num(others, nan=-np.inf), MAX_STRANGER_SHARE)
    floor = (reached + passed) / 2 if np.isfinite(reached + passed) else max(reached, passed)
    if not np.isfinite(floor):
        floor = float(found.min())
    if fallback:
        floor = max(floor, min(fallback[1], float(reached)))
    return IdentityScale(
        zero=float(np.median(met)) if len(met) else fallback[0] if fallback else 0.0,
        one=float(np.median(found)),
        floor=float(floor),
        real=proportion.wilson(int((own >= floor).sum()), len(own)),
        strangers=proportion.wilson(int((others >= floor).sum()), len(others)),
        num_shots=len({shot for shot, _ in real}),
    )


def recognise(
    scores: Mapping[str, float],
    scales: Mapping[str, IdentityScale],
    character: str,
    *,
    is_somebody: bool = True,
) -> str:
    """Say whom a picture shows.

    Parameters
    ----------
    scores : mapping of str to float
        Score of each character.
    character : str
        The one that is judged: it needs its own threshold alone, as it was calibrated.
    is_somebody : bool
        False where nobody was found in the picture.

    Returns
    -------
    str
        `character`, or else the one of the others with a calibrated recogniser that leads on its
        own scale; ``unknown`` where none passes, ``nobody`` where nobody was found.
    """
    if not is_somebody:
        return NOBODY
    found = {
        name: scale.to_identity(scores[name])
        for name, scale in scales.items()
        if scores.get(name, float("nan")) >= scale.floor
    }
    if character in found:
        return character
    others = {name: value for name, value in found.items() if scales[name].is_calibrated}
    return max(sorted(others), key=others.__getitem__) if others else UNKNOWN


def _ranked(values: np.ndarray, share: float) -> float:
    """The value below which at most `share` of further ones are expected; infinite for none."""
    if not len(values):
        return float("inf")
    rank = max(1, int((len(values) + 1) * share + 1e-9))
    return float(np.sort(values)[rank - 1])
