"""Optimizer, learning-rate schedule and gradient scaling of a fine-tune, and the 32-bit weights it
moves.

Master weights are in 32 bits, with a moving average (EMA), whatever the base computes in. Where the
base computes in 16 bits its layers do so throughout, and what is learned is added to 32-bit masters
that they are copied from: half the activations, and no cast at each layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bunny.core.config import ModelsConfig
from bunny.core.error import UserError
from bunny.training.settings import MAX_GRADIENT_NORM, WEIGHT_DECAY, warmup_steps

if TYPE_CHECKING:
    import torch

    from bunny.training.family.contract import Family

COSINE_FLOOR = 0.1  # of the learning rate, at the end of schedule cosine

TEXT_SHARE = 0.1  # of the learning rate, for text encoders, when no rate of theirs is given


class MasterWeights:
    """Trained weights of an adapter.

    Parameters
    ----------
    parameters : mapping of str to torch.nn.Parameter
        As the layers have them.
    dtype : torch.dtype
        That the layers compute in; the parameters are set to it.
    ema_decay : float
        Above 0 an average is kept: decay (1 + n) / (10 + n) at step n, up to this one.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], dtype: torch.dtype, ema_decay: float
    ) -> None:
        import torch

        self.names = list(parameters)
        self.parameters: list[Any] = list(parameters.values())
        for parameter in self.parameters:
            parameter.data = parameter.data.float()
        self.masters = self.parameters
        if dtype != torch.float32:
            self.masters = [p.detach().clone().requires_grad_() for p in self.parameters]
            for parameter in self.parameters:
                parameter.data = parameter.data.to(dtype)
        self.average = None
        if ema_decay > 0:
            from diffusers.training_utils import EMAModel

            self.average = EMAModel(self.masters, decay=ema_decay, foreach=True)

    @property
    def is_lowered(self) -> bool:
        """Whether layers hold copies in fewer bits."""
        return self.masters is not self.parameters

    def take_gradients(self) -> None:
        """Add the layers' gradients to those of the masters, in 32 bits."""
        if not self.is_lowered:
            return
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            if parameter.grad is not None:
                own = parameter.grad.float()
                master.grad = own if master.grad is None else master.grad.add_(own)
                parameter.grad = None

    def gradients(self) -> list[torch.Tensor]:
        """Gradients of the masters, to be averaged over processes."""
        return [m.grad for m in self.masters if m.grad is not None]

    def forget_gradients(self) -> None:
        """Drop the gradients of masters and layers."""
        for weight in (*self.masters, *self.parameters):
            weight.grad = None

    def moved(self) -> None:
        """Take note that the optimizer changed the masters."""
        if self.is_lowered:
            self._show([m.detach() for m in self.masters])
        if self.average is not None:
            self.average.step(self.masters)

    def final(self) -> dict[str, torch.Tensor]:
        """Weights for an adapter written now: the average if there is one; 32 bits."""
        values = self.masters if self.average is None else self.average.shadow_params
        return dict(zip(self.names, (v.detach() for v in values), strict=True))

    @contextmanager
    def shown(self, *, in_full: bool = False) -> Iterator[None]:
        """The layers with the `final` weights, for a while; `in_full`: in 32 bits, to be saved."""
        import torch

        if self.average is None and not (self.is_lowered and in_full):
            yield
            return
        before = [p.data for p in self.parameters]
        for parameter, value in zip(self.parameters, self.final().values(), strict=True):
            dtype = torch.float32 if in_full else parameter.dtype
            parameter.data = value.to(dtype, copy=True)
        try:
            yield
        finally:
            for parameter, value in zip(self.parameters, before, strict=True):
                parameter.data = value

    def state(self) -> dict[str, Any]:
        """All that is needed to go on, copied."""
        masters = {
            n: m.detach().cpu().clone() for n, m in zip(self.names, self.masters, strict=True)
        }
        return {"weights": masters, "average": self.average and self.average.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        import torch

        with torch.no_grad():
            for name, master in zip(self.names, self.masters, strict=True):
                master.copy_(state["weights"][name])
        if self.is_lowered:
            self._show([m.detach() for m in self.masters])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
            self.average.to(device=self.masters[0].device)

    def _show(self, values: list[torch.Tensor]) -> None:
        """Copy values into the layers."""
        import torch

        with torch.no_grad():
            torch._foreach_copy_(self.parameters, values)  # pyright: ignore[reportPrivateImportUsage] no other name


def cast_base(family: Family, dtype: torch.dtype) -> Callable[[], None]:
    """Let a family's denoiser and text encoders compute in fewer bits; gives what undoes it.

    Parameters
    ----------
    family : Family
        One that was loaded in `dtype` stays as it is.
    """
    before = family.dtype
    if before == dtype:
        return lambda: None
    modules = (family.denoiser, *family.text_encoders.values())
    kept = [(w, w.data.cpu()) for m in modules for w in m.parameters() if w.is_floating_point()]
    for weight, _ in kept:
        weight.data = weight.data.to(dtype)
    family.dtype = dtype

    def put_back() -> None:
        for weight, value in kept:
            weight.data = value.to(weight.device)
        family.dtype = before

    return put_back


def learning_rate_factor(models: ModelsConfig) -> Callable[[int], float]:
    """Share of the learning rate that each step has.

    Parameters
    ----------
    models : ModelsConfig
        `schedule` is ``cosine`` (half a cosine down to a tenth), ``constant``, or diffusers'
        ``linear``, ``cosine_with_restarts``, ``polynomial``, which end at 0; each after a linear
        warm-up.

    Returns
    -------
    callable
        Of the step, counted from 1; in [0, 1].
    """
    if models.schedule == "cosine":
        return lambda step: _cosine(step, models)
    return _of_diffusers(models)


def _cosine(step: int, models: ModelsConfig) -> float:
    """Linear warm-up, then half a cosine down to a tenth."""
    warmup = warmup_steps(models)
    if step <= warmup:
        return step / max(1, warmup)
    share = (step - warmup) / max(1, models.training_steps - warmup)
    return COSINE_FLOOR + (1 - COSINE_FLOOR) / 2 * (1 + math.cos(math.pi * min(1.0, share)))


def _of_diffusers(models: ModelsConfig) -> Callable[[int], float]:
    """The factor that diffusers' scheduler of this name multiplies the rate with."""
    import torch
    from diffusers.optimization import get_scheduler

    name = "constant_with_warmup" if models.schedule == "constant" else models.schedule
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=models.learning_rate)
    schedule = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=warmup_steps(models),
        num_training_steps=models.training_steps + 1,  # so that the last step still moves
    )
    return schedule.lr_lambdas[0]


class AdapterOptimizer:
    """Optimizer, learning rate and, in fp16, the scale of the loss.

    Parameters
    ----------
    weights : MasterWeights
        Names that begin with ``text_encoder`` have the text encoders' learning rate.
    """

    def __init__(self, weights: MasterWeights, models: ModelsConfig, device: str) -> None:
        import torch

        self.weights, self.models = weights, models
        self.factor = learning_rate_factor(models)
        self.rates, groups = _groups(weights, models)
        self.optimizer = _make(groups, models)
        is_half = weights.parameters[0].dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.split(":")[0], enabled=is_half)

    def learning_rate(self, step: int) -> float:
        """Of the denoiser, at a step counted from 1."""
        return self.models.learning_rate * self.factor(step)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of one batch."""
        self.scaler.scale(loss).backward()
        self.weights.take_gradients()

    def step(self, step: int) -> bool:
        """Move the weights, unless a gradient is no number; says whether they moved."""
        import torch

        for group, own in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = own * self.factor(step)
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.weights.masters, MAX_GRADIENT_NORM)
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
    weights: MasterWeights, models: ModelsConfig
) -> tuple[list[float], list[dict[str, Any]]]:
    """Parameter groups and the learning rate of each."""
    text_rate = models.text_learning_rate or TEXT_SHARE * models.learning_rate
    own: dict[float, list[torch.Tensor]] = {models.learning_rate: []}
    for name, master in zip(weights.names, weights.masters, strict=True):
        is_text = name.startswith("text_encoder")
        own.setdefault(text_rate if is_text else models.learning_rate, []).append(master)
    return list(own), [{"params": masters, "lr": own_rate} for own_rate, masters in own.items()]


def _make(groups: list[dict[str, Any]], models: ModelsConfig) -> torch.optim.Optimizer:
    """The optimizer of the models."""
    import torch

    if models.optimizer == "adamw8bit":
        try:
            from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports] optional
        except ImportError as error:
            raise UserError(
                "models.optimizer: adamw8bit needs bitsandbytes, which is not "
                "installed; install it (pip install bitsandbytes) or use adamw"
            ) from error
        return AdamW8bit(groups, weight_decay=WEIGHT_DECAY)
    return torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
