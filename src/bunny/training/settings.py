"""Settings of a LoRA fine-tune, points of its loss curve, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bunny.core.error import BunnyError, UserError


class TrainingError(BunnyError):
    """The fine-tune cannot go on; the text says at which step and why."""


class MemoryShortError(UserError):
    """The device or the machine has too little memory; the text says what to lower."""


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Training settings of a LoRA."""

    adapter: str = "lora"  # lora, dora
    rank: int = 16
    alpha: int = 16
    targets: str = "all"  # attention; all: feed-forward layers and convolutions too
    trains_text_encoder: bool = False
    learning_rate: float = 1e-3
    text_learning_rate: float = 0.0  # 0: a tenth of `learning_rate`
    schedule: str = "cosine"  # see `optimizer.learning_rate_factor`
    warmup_steps: int = 20
    optimizer: str = "adamw"  # adamw8bit needs bitsandbytes
    steps: int = 400
    batch_size: int = 8  # pictures of the character; as many class pictures come on top
    gradient_accumulation: int = 1  # batches whose gradients make one step
    has_gradient_checkpointing: bool = False
    precision: str = "auto"  # auto, fp32, bf16, fp16; LoRA weights are kept in 32 bits always
    caption_dropout: float = 0.1
    flip_share: float = 0.0  # of the pictures shown mirrored
    min_snr_gamma: float = 5.0  # 0: noise levels weigh alike
    noise_offset: float = 0.0
    background_weight: float = 1.0  # of the loss outside the mask; 1: masks are not used
    class_weight: float = 1.0
    ema_decay: float = 0.0  # above 0 the adapter is a moving average
    patience: int = 0  # checkpoints without a better held-out loss; 0: never stop early
    weight_decay: float = 1e-4
    max_gradient_norm: float = 1.0
    checkpoint_every: int = 100
    sample_every: int = 0  # 0: no pictures while training
    sample_prompts: tuple[str, ...] = ()
    seed: int = 0


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

    Parameters
    ----------
    curve : sequence of Step
    last : bool

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
