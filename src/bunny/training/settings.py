"""Settings of a LoRA fine-tune, points of its loss curve, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core.config import ModelsConfig
from bunny.core.error import BunnyError, UserError

if TYPE_CHECKING:
    from PIL import Image

WEIGHT_DECAY = 1e-4
MAX_GRADIENT_NORM = 1.0  # longer gradients are scaled down to it

DrawSamples = Callable[..., "list[Image.Image]"]  # (base, prompts, *, seed, num_steps)


class TrainingError(BunnyError):
    """The fine-tune cannot go on; the text says at which step and why."""


class MemoryShortError(UserError):
    """The device or the machine has too little memory; the text says what to lower."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Section `models` of the settings, and what else decides how a fine-tune goes."""

    models: ModelsConfig
    seed: int = 0
    sample_every: int = 0  # steps; 0: no pictures while training
    sample_prompts: tuple[str, ...] = ()
    draw: DrawSamples | None = None  # e.g. `generation.sampler.draw_plain`; None: no pictures
    metadata: Mapping[str, str] = field(default_factory=dict)  # texts of the adapters' headers

    def record(self) -> dict[str, object]:
        """Settings by the names that ``training_run.config_json`` and checkpoints keep."""
        models = self.models
        return {
            "adapter": models.adapter,
            "rank": models.lora_rank,
            "alpha": models.lora_alpha,
            "targets": models.targets,
            "trains_text_encoder": models.trains_text_encoder,
            "learning_rate": models.learning_rate,
            "text_learning_rate": models.text_learning_rate,
            "schedule": models.schedule,
            "warmup_steps": warmup_steps(models),
            "optimizer": models.optimizer,
            "steps": models.training_steps,
            "batch_size": models.batch_size,
            "gradient_accumulation": models.gradient_accumulation,
            "has_gradient_checkpointing": models.has_gradient_checkpointing,
            "precision": models.precision,
            "caption_dropout": models.caption_dropout,
            "flip_share": models.flip_share,
            "min_snr_gamma": models.min_snr_gamma,
            "noise_offset": models.noise_offset,
            "background_weight": models.background_weight,
            "class_weight": models.class_weight,
            "ema_decay": models.ema_decay,
            "patience": models.patience,
            "weight_decay": WEIGHT_DECAY,
            "max_gradient_norm": MAX_GRADIENT_NORM,
            "checkpoint_every": models.checkpoint_every,
            "sample_every": self.sample_every,
            "sample_prompts": self.sample_prompts,
            "seed": self.seed,
        }


def warmup_steps(models: ModelsConfig) -> int:
    """Limit the steps of the warm-up to those of the training."""
    return min(models.warmup_steps, models.training_steps)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One point of the loss curve."""

    step: int
    loss: float | None
    held_out_loss: float | None  # at fixed noise and times, as is the next
    learning_rate: float
    probe_loss: float | None = None  # on training pictures


@dataclass(frozen=True, kw_only=True)
class AdapterCheckpoint:
    """A checkpoint that was also written as an adapter."""

    step: int
    file: Path
    hash: str
    held_out_loss: float | None


@dataclass(frozen=True, kw_only=True)
class LoraResult:
    """Result of a fine-tune."""

    adapter_file: Path
    adapter_hash: str
    curve: tuple[Step, ...]
    seconds: float
    num_adapted: int  # layers with a LoRA
    num_zero: int  # of them, those whose B stayed zero: they learned nothing
    output_change: float  # mean absolute difference of the denoiser's output with and without
    output_size: float  # mean absolute output without, to compare that with
    has_fallen: bool  # the loss on training pictures at fixed noise is under that at the start
    stopped_early: bool = False
    kept: tuple[AdapterCheckpoint, ...] = ()  # one a checkpoint, in order of step
    remarks: tuple[str, ...] = ()  # what else a person should know

    def loss_first(self) -> float | None:
        """Mean loss of the first tenth of the steps."""
        return mean_of_tenth(self.curve, last=False)

    def loss_last(self) -> float | None:
        """Mean loss of the last tenth of the steps."""
        return mean_of_tenth(self.curve, last=True)

    def held_out(self) -> tuple[float | None, float | None]:
        """Held-out loss before and after training."""
        return _ends([s.held_out_loss for s in self.curve])

    def probe(self) -> tuple[float | None, float | None]:
        """Loss on training pictures at fixed noise and times, before and after training."""
        return _ends([s.probe_loss for s in self.curve])


def mean_of_tenth(curve: Sequence[Step], *, last: bool) -> float | None:
    """Mean loss of the first or last tenth (at least one) of the steps that have one.

    Returns
    -------
    float or None
        None when no step has a loss.
    """
    losses = [s.loss for s in curve if s.loss is not None]
    if not losses:
        return None
    count = max(1, len(losses) // 10)
    return float(np.mean(losses[-count:] if last else losses[:count]))


def _ends(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """First and last of the values that are there."""
    known = [v for v in values if v is not None]
    return (known[0], known[-1]) if known else (None, None)
