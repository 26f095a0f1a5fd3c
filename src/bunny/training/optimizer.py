"""Optimizer, learning-rate schedule and gradient scaling of a fine-tune."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bunny.core.error import UserError
from bunny.training.master_weights import MasterWeights
from bunny.training.settings import LoraSettings

COSINE_FLOOR = 0.1  # of the learning rate, at the end of schedule cosine

TEXT_SHARE = 0.1  # of the learning rate, for text encoders, when no rate of theirs is given


def learning_rate_factor(settings: LoraSettings) -> Callable[[int], float]:
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
    return COSINE_FLOOR + (1 - COSINE_FLOOR) / 2 * (1 + math.cos(math.pi * min(1.0, share)))


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


class AdapterOptimizer:
    """Optimizer, learning rate and, in fp16, the scale of the loss.

    Parameters
    ----------
    weights : MasterWeights
        Names that begin with ``text_encoder`` have the text encoders' learning rate.
    settings : LoraSettings
    device : str
    """

    def __init__(self, weights: MasterWeights, settings: LoraSettings, device: str) -> None:
        import torch

        self.weights, self.settings = weights, settings
        self.factor = learning_rate_factor(settings)
        self.rates, groups = _groups(weights, settings)
        self.optimizer = _make(groups, settings)
        is_half = weights.parameters[0].dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.split(":")[0], enabled=is_half)

    def learning_rate(self, step: int) -> float:
        """Of the denoiser, at a step counted from 1."""
        return self.settings.learning_rate * self.factor(step)

    def backward(self, loss: Any) -> None:
        """Add the gradients of one batch."""
        self.scaler.scale(loss).backward()
        self.weights.take_gradients()

    def step(self, step: int) -> bool:
        """Move the weights, unless a gradient is no number; says whether they moved."""
        import torch

        for group, own in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = own * self.factor(step)
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.weights.masters, self.settings.max_gradient_norm)
        is_good = bool(torch.isfinite(norm))
        if is_good:
            self.scaler.step(self.optimizer)
            self.weights.moved()
        self.scaler.update()
        self.weights.forget_gradients()
        return is_good

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def _groups(
    weights: MasterWeights, settings: LoraSettings
) -> tuple[list[float], list[dict[str, Any]]]:
    """Parameter groups and the learning rate of each."""
    text_rate = settings.text_learning_rate or TEXT_SHARE * settings.learning_rate
    own: dict[float, list[Any]] = {settings.learning_rate: []}
    for name, master in zip(weights.names, weights.masters, strict=True):
        is_text = name.startswith("text_encoder")
        own.setdefault(text_rate if is_text else settings.learning_rate, []).append(master)
    return list(own), [{"params": masters, "lr": own_rate} for own_rate, masters in own.items()]


def _make(groups: list[dict[str, Any]], settings: LoraSettings) -> Any:
    """The optimizer of the settings."""
    import torch

    if settings.optimizer == "adamw8bit":
        try:
            from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports] optional
        except ImportError as error:
            raise UserError(
                "models.optimizer: adamw8bit needs bitsandbytes, which is not "
                "installed; install it (pip install bitsandbytes) or use adamw"
            ) from error
        return AdamW8bit(groups, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
