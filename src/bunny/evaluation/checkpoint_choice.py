"""Checkpoint choice by the mean score of pictures drawn from separate prompts.

The score of a drawing is its identity, cut to [0, 1] (0 where nobody is found), times its agreement
with the prompt (left out where it is not measured), times 0 where it copies a training picture. So
a checkpoint wins that draws the character, where it was asked to, and not by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.evaluation import bootstrap
from bunny.evaluation.bootstrap import Interval


@dataclass(frozen=True, kw_only=True)
class CheckpointChoice:
    """The chosen step, why, and how surely it beats the last one (None: it is the last)."""

    step: int
    reason: str
    over_last: Interval | None


def score(identity: float | None, agreement: float | None, is_copy: bool | None) -> float:
    """Score of one drawing, in [0, 1]; see the module.

    Examples
    --------
    >>> score(0.8, 0.5, False), score(1.3, None, False), score(0.8, 0.5, True)
    (0.4, 1.0, 0.0)
    """
    if identity is None or not np.isfinite(identity) or is_copy:
        return 0.0
    value = float(np.clip(identity, 0, 1))
    if agreement is None or not np.isfinite(agreement):
        return value
    return value * float(np.clip(agreement, 0, 1))


def spread_steps(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of the steps, evenly from the first to the last, the last always among them.

    Examples
    --------
    >>> spread_steps([100, 200, 300, 400, 500, 600, 700], 3)
    [100, 400, 700]
    """
    ordered = sorted(set(steps))
    if len(ordered) <= most:
        return ordered
    if most == 1:
        return ordered[-1:]
    places = {round(i * (len(ordered) - 1) / (most - 1)) for i in range(most)}
    return [ordered[i] for i in sorted(places)]


def choose(
    scores: Mapping[int, Mapping[bootstrap.PictureKey, float]],
    held_out_loss: Mapping[int, float | None] | None = None,
    *,
    is_measured: bool = True,
    num: int = 1000,
    seed: int = 0,
) -> CheckpointChoice:
    """Choose a checkpoint.

    Parameters
    ----------
    scores : mapping of step to mapping of (prompt, seed) to float
        At least one step; every step above 0.
    held_out_loss : mapping of step to float or None, optional
        Decides where identity could not be measured.
    is_measured : bool
        Whether identity was measured.
    num, seed : int
        Of the bootstrap.

    Returns
    -------
    CheckpointChoice
        The highest mean score, of equals the earliest, where it is surely (its interval over the
        last one's score is above 0) better than the last; else the last, whose learning rate has
        come down. Without identity the lowest held-out loss; without either the last.

    Raises
    ------
    ValueError
        If there is no step.
    """
    if not scores:
        raise ValueError("expected at least one checkpoint, got none")
    steps = sorted(scores)
    last = steps[-1]
    losses = {s: v for s, v in (held_out_loss or {}).items() if v is not None and s in scores}
    means: dict[int, float] = {}
    if is_measured:
        means = {s: float(np.mean(list(scores[s].values()) or [0.0])) for s in steps}
        step = max(steps, key=lambda s: (round(means[s], 9), -s))
        reason = f"highest score on the selection prompts ({means[step]:.2f})"
    elif losses:
        step = min(sorted(losses), key=losses.__getitem__)
        reason = f"lowest held-out loss ({losses[step]:.4f}); identity could not be measured"
    else:
        step, reason = (
            last,
            "the last checkpoint; neither identity nor held-out loss could be measured",
        )
    over = None
    if step != last:
        over = bootstrap.difference(dict(scores[step]), dict(scores[last]), num=num, seed=seed)
    if is_measured and over is not None and not (over.low or 0) > 0:
        reason = (
            f"the last checkpoint; no other is significantly better (step {step} scores "
            f"{means[step]:.2f})"
        )
        step, over = last, None
    return CheckpointChoice(step=step, reason=reason, over_last=over)
