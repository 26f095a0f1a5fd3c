"""Fine-tune a LoRA on the UNet of a base: our own loop over diffusers' parts.

Every step depends on the seed and its index alone, so a resumed run takes the same steps as an
uninterrupted one, bit for bit on a CPU.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunny.error import BunnyError
from bunny.training import checkpoint, objective
from bunny.training.base import Base

logger = logging.getLogger(__name__)

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
CONVOLUTION = (
    "conv1",
    "conv2",
    "conv_shortcut",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
)
HELD_OUT_MAX = 24  # pictures; each costs HELD_OUT_TIMES forward passes an evaluation
HELD_OUT_TIMES = 4
NAN_STEPS_MAX = 5  # in a row, then the run is given up


class TrainingError(BunnyError):
    """The fine-tune cannot go on; the text says at which step and why."""


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How a LoRA is trained."""

    rank: int = 16
    alpha: int = 16
    has_convolution: bool = True  # adapt convolutions and feed-forward layers besides attention
    learning_rate: float = 1e-3
    warmup_steps: int = 20
    steps: int = 400
    batch_size: int = 8
    caption_dropout: float = 0.1
    flip_share: float = 0.0  # of the pictures shown mirrored
    weight_decay: float = 1e-4
    max_gradient_norm: float = 1.0
    checkpoint_every: int = 100
    sample_every: int = 0  # 0: no pictures while training
    sample_prompts: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Example:
    """One training picture as the trainer sees it."""

    picture: np.ndarray  # (height, width, 3), uint8, RGB
    caption: str
    repeats: int = 1


@dataclass(frozen=True, kw_only=True)
class Step:
    """One point of the loss curve."""

    step: int
    loss: float | None
    held_out_loss: float | None
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class LoraResult:
    """What a fine-tune gave."""

    adapter_file: Path
    adapter_hash: str
    curve: tuple[Step, ...]
    seconds: float
    num_adapted: int  # layers with a LoRA
    num_zero: int  # of them, those whose B stayed zero: they learned nothing
    has_fallen: bool  # the mean loss of the last tenth is under that of the first

    def loss_first(self) -> float | None:
        """Mean loss of the first tenth of the steps."""
        return _mean_of_tenth(self.curve, last=False)

    def loss_last(self) -> float | None:
        """Mean loss of the last tenth of the steps."""
        return _mean_of_tenth(self.curve, last=True)

    def held_out(self) -> tuple[float | None, float | None]:
        """Held-out loss before and after training."""
        values = [s.held_out_loss for s in self.curve if s.held_out_loss is not None]
        return (values[0], values[-1]) if values else (None, None)


def train_lora(
    base: Base,
    train: Sequence[Example],
    held_out: Sequence[Example],
    folder: Path,
    settings: LoraSettings,
    *,
    metadata: dict[str, str] | None = None,
    log_dir: Path | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> LoraResult:
    """Train, resume when a checkpoint of the same key lies in `folder`, save the adapter.

    Parameters
    ----------
    base : Base
        Frozen; its UNet carries the LoRA while this runs and is given back without it.
    train, held_out : sequence of Example
        A batch holds pictures of one size; a size is drawn as often as its pictures weigh.
        `held_out` may be empty.
    folder : Path
        Gets ``checkpoint-NNNNNN/``, ``sample/`` and ``adapter.safetensors``.
    settings : LoraSettings
    metadata : dict, optional
        Texts kept in the adapter's header, e.g. trigger and base.
    log_dir : Path, optional
        TensorBoard events go there.
    on_step : callable, optional
        Told each finished step.

    Raises
    ------
    TrainingError
        If there is no training picture, or the loss is no number five steps in a row.
    """
    if not train:
        raise TrainingError("expected at least one training picture, found none")
    run = _Run(base, train, held_out, folder, settings, metadata or {}, log_dir)
    try:
        return run.train(on_step)
    finally:
        run.close()


class _Run:
    """The state of one fine-tune: UNet with LoRA, optimizer, cached latents and words."""

    def __init__(
        self,
        base: Base,
        train: Sequence[Example],
        held_out: Sequence[Example],
        folder: Path,
        settings: LoraSettings,
        metadata: dict[str, str],
        log_dir: Path | None,
    ) -> None:
        import torch

        self.base, self.folder, self.settings, self.metadata = base, folder, settings, metadata
        torch.manual_seed(settings.seed)
        _add_lora(base.unet, settings)
        self.parameters = [p for p in base.unet.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scheduler = objective.noise_schedule(base.scheduler)
        has_flips = settings.flip_share > 0
        train_groups, held_out_groups = by_size(train), by_size(held_out[:HELD_OUT_MAX])
        self.train_sets = [objective.cache(base, g, has_flips=has_flips) for g in train_groups]
        self.held_out_sets = [objective.cache(base, g, has_flips=False) for g in held_out_groups]
        weights = [np.array([e.repeats for e in g], dtype=float) for g in train_groups]
        self.shares = [w / w.sum() for w in weights]
        self.size_share = np.array([w.sum() for w in weights]) / sum(w.sum() for w in weights)
        self.writer = _writer(log_dir)
        self.curve: list[Step] = []
        self.key = checkpoint.key_of(
            {"settings": asdict(settings), "metadata": metadata, "base": base.hash},
            [e.picture for e in (*train, *held_out)],
            [e.caption for e in (*train, *held_out)],
        )

    def train(self, on_step: Callable[[Step], None] | None) -> LoraResult:
        """Take the steps that are left."""
        begun = time.monotonic()
        seconds_before = self._resume()
        if not self.curve:
            self._note(Step(step=0, loss=None, held_out_loss=self._held_out(), learning_rate=0.0))
        bad = 0
        for step in range(len(self.curve), self.settings.steps + 1):
            loss = self._step(step)
            bad = 0 if math.isfinite(loss) else bad + 1
            if bad >= NAN_STEPS_MAX:
                raise TrainingError(
                    f"step {step}: the loss was no number {bad} times in a row; "
                    "lower models.learning_rate"
                )
            is_last = step == self.settings.steps
            is_kept = is_last or step % self.settings.checkpoint_every == 0
            done = Step(
                step=step,
                loss=loss if math.isfinite(loss) else None,
                held_out_loss=self._held_out() if is_kept else None,
                learning_rate=learning_rate(step, self.settings),
            )
            self._note(done)
            if is_kept:
                self._save_checkpoint(step, seconds_before + time.monotonic() - begun)
            if self.settings.sample_every and step % self.settings.sample_every == 0:
                self._sample(step)
            if on_step:
                on_step(done)
        return self._finish(seconds_before + time.monotonic() - begun)

    def close(self) -> None:
        """Give the base back as it was."""
        self.base.unet.unload_lora()
        self.base.unet.requires_grad_(False)
        self.base.unet.eval()
        if self.writer:
            self.writer.close()

    def _step(self, step: int) -> float:
        """One optimizer step; a loss that is no number changes nothing."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.settings)
        rng = np.random.default_rng([self.settings.seed, step])
        size = int(rng.choice(len(self.shares), p=self.size_share)) if self.shares[1:] else 0
        share = self.shares[size]
        chosen = rng.choice(len(share), size=self.settings.batch_size, p=share)
        flips = rng.random(len(chosen)) < self.settings.flip_share
        is_dropped = rng.random(len(chosen)) < self.settings.caption_dropout
        latents, words = self.train_sets[size].batch(chosen, flips, is_dropped)
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + step)
        self.base.unet.train()
        loss = objective.loss(self.base, self.scheduler, latents, words, generator)
        if not torch.isfinite(loss):
            self.optimizer.zero_grad(set_to_none=True)
            return float("nan")
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_gradient_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _held_out(self) -> float | None:
        """Loss on the held-out pictures with the same noise and times at every call."""
        if not self.held_out_sets:
            return None
        self.base.unet.eval()
        total = sum(
            len(held_out)
            * objective.fixed_loss(
                self.base, self.scheduler, held_out, HELD_OUT_TIMES, self.settings.seed
            )
            for held_out in self.held_out_sets
        )
        loss = total / sum(map(len, self.held_out_sets))
        return loss if math.isfinite(loss) else None

    def _note(self, step: Step) -> None:
        """Add a point to the curve and to TensorBoard."""
        self.curve.append(step)
        if not self.writer:
            return
        for name in ("loss", "held_out_loss", "learning_rate"):
            value = getattr(step, name)
            if value is not None:
                self.writer.add_scalar(name, value, step.step)

    def _save_checkpoint(self, step: int, seconds: float) -> None:
        state = {
            "lora": checkpoint.lora_state(self.base.unet),
            "optimizer": self.optimizer.state_dict(),
            "curve": [asdict(s) for s in self.curve],
            "seconds": seconds,
        }
        checkpoint.save(self.folder, step, self.key, state)

    def _resume(self) -> float:
        """Take up the newest whole checkpoint of this key; give the seconds spent so far."""
        state = checkpoint.load_newest(self.folder, self.key)
        if state is None:
            return 0.0
        checkpoint.set_lora_state(self.base.unet, state["lora"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curve = [Step(**s) for s in state["curve"]]
        logger.info("fine-tune goes on after step %d", self.curve[-1].step)
        return float(state["seconds"])

    def _sample(self, step: int) -> None:
        """Draw the sample prompts as the model is now."""
        from bunny.training import generate

        self.base.unet.eval()
        pictures = generate.draw_plain(
            self.base, self.settings.sample_prompts, seed=0, num_steps=12
        )
        for index, picture in enumerate(pictures):
            path = self.folder / "sample" / f"step-{step:06d}-{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
            if self.writer:
                self.writer.add_image(
                    f"sample/{index}", np.asarray(picture), step, dataformats="HWC"
                )

    def _finish(self, seconds: float) -> LoraResult:
        """Save the adapter and say honestly what it learned."""
        path = self.folder / "adapter.safetensors"
        checkpoint.save_adapter(self.base.unet, path, self.metadata)
        sizes = checkpoint.b_sizes(self.base.unet)
        first, last = (_mean_of_tenth(self.curve, last=flag) for flag in (False, True))
        return LoraResult(
            adapter_file=path,
            adapter_hash=checkpoint.hash_file(path),
            curve=tuple(self.curve),
            seconds=seconds,
            num_adapted=len(sizes),
            num_zero=sum(size == 0 for size in sizes.values()),
            has_fallen=first is not None and last is not None and last < first,
        )


def by_size(examples: Sequence[Example]) -> list[list[Example]]:
    """Group examples whose pictures have one size, in order of first appearance; none is lost."""
    groups: dict[tuple[int, ...], list[Example]] = {}
    for example in examples:
        groups.setdefault(example.picture.shape[:2], []).append(example)
    return list(groups.values())


def learning_rate(step: int, settings: LoraSettings) -> float:
    """Linear warm-up, then half a cosine down to a tenth; `step` counts from 1."""
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / max(1, settings.warmup_steps)
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, share))))


def _add_lora(unet: Any, settings: LoraSettings) -> None:
    """Put an untrained LoRA on the UNet."""
    from peft import LoraConfig

    targets = [*ATTENTION, *(CONVOLUTION if settings.has_convolution else ())]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        init_lora_weights="gaussian",
        target_modules=targets,
    )
    unet.add_adapter(config)


def _writer(log_dir: Path | None) -> Any:
    """A TensorBoard writer, or None."""
    if log_dir is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(log_dir))


def _mean_of_tenth(curve: Sequence[Step], *, last: bool) -> float | None:
    """Mean loss of the first or last tenth (at least one) of the steps that have one."""
    losses = [s.loss for s in curve if s.loss is not None]
    if not losses:
        return None
    count = max(1, len(losses) // 10)
    return float(np.mean(losses[-count:] if last else losses[:count]))
