"""The learning rate of each step, from its number alone."""

from __future__ import annotations

import math
from collections.abc import Callable

from bunny.training.settings import LoraSettings

FLOOR = 0.1  # of the learning rate, at the end of schedule cosine


def factor(settings: LoraSettings) -> Callable[[int], float]:
    """Share of the learning rate that each step has.

    Parameters
    ----------
    settings : LoraSettings
        `schedule` is ``cosine`` (half a cosine down to a tenth), ``constant``, or diffusers'
        ``linear``, ``cosine_with_restarts``, ``polynomial``, which end at 0; each after a linear
        warm-up.

    Returns
    -------
    callable
        Of the step, counted from 1; in [0, 1].
    """
    if settings.schedule == "cosine":
        return lambda step: _cosine(step, settings)
    return _of_diffusers(settings)


def _cosine(step: int, settings: LoraSettings) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    if step <= settings.warmup_steps:
        return step / max(1, settings.warmup_steps)
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return FLOOR + (1 - FLOOR) / 2 * (1 + math.cos(math.pi * min(1.0, share)))


def _of_diffusers(settings: LoraSettings) -> Callable[[int], float]:
    """The factor that diffusers' scheduler of this name multiplies the rate with."""
    import torch
    from diffusers.optimization import get_scheduler

    name = "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=settings.learning_rate)
    schedule = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=settings.warmup_steps,
        num_training_steps=settings.steps + 1,  # so that the last step still moves
    )
    return schedule.lr_lambdas[0]
