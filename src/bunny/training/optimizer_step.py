"""One optimizer step: gradients of some batches, clipped, by the rate of the step."""

from __future__ import annotations

from typing import Any

from bunny.core.error import UserError
from bunny.training import learning_rate as training_learning_rate
from bunny.training.master_weights import Weights
from bunny.training.settings import LoraSettings

TEXT_SHARE = 0.1  # of the learning rate, for text encoders, when no rate of theirs is given


class Stepper:
    """Optimizer, learning rate and, in fp16, the scale of the loss.

    Parameters
    ----------
    weights : Weights
        Names that begin with ``text_encoder`` have the text encoders' learning rate.
    settings : LoraSettings
    device : str
    """

    def __init__(self, weights: Weights, settings: LoraSettings, device: str) -> None:
        import torch

        self.weights, self.settings = weights, settings
        self.factor = training_learning_rate.factor(settings)
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


def _groups(weights: Weights, settings: LoraSettings) -> tuple[list[float], list[dict[str, Any]]]:
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
            from bitsandbytes.optim import AdamW8bit
        except ImportError as error:
            raise UserError(
                "models.optimizer: expected bitsandbytes for adamw8bit, it is not installed; "
                "install it (pip install bitsandbytes) or take adamw"
            ) from error
        return AdamW8bit(groups, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
