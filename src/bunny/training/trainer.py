"""LoRA trainer: the loop over diffusers' and peft's parts, resumed bit for bit on a CPU.

Every step depends on the seed and its number alone, so a resumed run takes the same steps as an
uninterrupted one, bit for bit on a CPU.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny.core.config import ModelsConfig
from bunny.dataset.image_folder import CLASS, TrainingExample
from bunny.training import base as training_base
from bunny.training import checkpoint, lora, optimizer, setup, training_data
from bunny.training import loss as training_loss
from bunny.training.base import Base
from bunny.training.distributed import ProcessGroup
from bunny.training.loss import GradientStep
from bunny.training.optimizer import AdapterOptimizer
from bunny.training.settings import (
    LoraResult,
    MemoryShortError,
    Step,
    TrainingError,
    TrainingSettings,
)

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CPU_MEMORY_ERRORS = ("not enough memory", "can't allocate memory")  # of torch's CPU allocator

logger = logging.getLogger(__name__)

NAN_STEPS_MAX = 5  # in a row, then the run is given up


def train_lora(
    base: Base,
    train: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    folder: Path,
    settings: TrainingSettings,
    *,
    log_dir: Path | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> LoraResult:
    """Train, resume when a checkpoint of the same key lies in `folder`, save the adapters.

    Parameters
    ----------
    base : Base
        Frozen; it carries the adapter while this runs and is given back without it.
    train, held_out : sequence of TrainingExample
        A batch holds pictures of one size; sizes take turns as often as their pictures weigh.
        Pictures of role ``class`` in `train` come on top of each batch, weighed by
        `class_weight`. `held_out` may be empty.
    folder : Path
        Gets ``checkpoint-NNNNNN/`` (the last two), ``step-NNNNNN.safetensors`` (one a
        checkpoint), ``adapter.safetensors`` (the last of them), ``sample/`` and ``cache/``.
    log_dir : Path, optional
        TensorBoard events go there.
    on_step : callable, optional
        Told each finished step.

    Raises
    ------
    TrainingError
        If there is no training picture, the loss or the gradients are no numbers five steps in
        a row, or the adapter changes nothing.
    MemoryShortError
        If it does not fit into memory.
    UserError
        If a setting does not go with the base or the device.
    KeyboardInterrupt
        After the step at hand is finished and kept, when SIGINT or SIGTERM came.

    Notes
    -----
    Started by ``accelerate launch`` or ``torchrun``, all processes call this with the same
    arguments; each takes its share of the batches and only the first writes. torch's global
    random state is set anew at every step.
    """
    if not any(e.role != CLASS for e in train):
        raise TrainingError("expected at least one training picture, found none")

    with explain_out_of_memory(settings.models):
        run = TrainingLoop(base, train, held_out, folder, settings, log_dir)
        try:
            return run.train(on_step)
        finally:
            run.close()


class InterruptHandler:
    """Notes that somebody asked to stop, so that the step at hand is finished and kept.

    A second signal interrupts at once. Outside the main thread signals are left as they are.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> InterruptHandler:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        """Take note of the first; give way at the second."""
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True


@contextmanager
def explain_out_of_memory(models: ModelsConfig) -> Iterator[None]:
    """Turn an allocation that failed into a sentence that names what to lower.

    Raises
    ------
    MemoryShortError
    """
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
            text = str(error).lower()
            if not any(words in text for words in CPU_MEMORY_ERRORS):
                raise
        raise MemoryShortError(_memory_advice(models)) from error


def _memory_advice(models: ModelsConfig) -> str:
    """What can still be lowered."""
    ways = []
    if models.batch_size > 1:
        ways.append(
            f"models.batch_size {models.batch_size} -> {models.batch_size // 2} (and "
            f"models.gradient_accumulation {models.gradient_accumulation} -> "
            f"{2 * models.gradient_accumulation}, so that the effective batch size stays the same)"
        )
    if not models.has_gradient_checkpointing:
        ways.append("models.has_gradient_checkpointing true")
    if models.precision not in ("bf16", "fp16"):
        ways.append("models.precision bf16")
    if models.trains_text_encoder:
        ways.append("models.trains_text_encoder false")
    ways.append("a smaller models.resolution")
    return f"fine-tuning ran out of memory; set {', or '.join(ways)}"


class TrainingLoop:
    """The state of one fine-tune: the base with its adapter, optimizer, encoded material.

    Parameters
    ----------
    base : Base
        Given back as it was by `close`.
    folder : Path
        Gets checkpoints, adapters, samples and the cache.
    log_dir : Path or None
        For TensorBoard.
    """

    def __init__(
        self,
        base: Base,
        train: Sequence[TrainingExample],
        held_out: Sequence[TrainingExample],
        folder: Path,
        settings: TrainingSettings,
        log_dir: Path | None,
    ) -> None:
        self.base, self.family = base, base.family
        self.settings, self.models = settings, settings.models
        self.processes = ProcessGroup(base.device)
        self.undo = ExitStack()
        try:
            self._prepare(train, held_out, folder)
        except BaseException:
            self.undo.close()
            raise
        key = checkpoint.key_of(base, train, held_out, settings, self.processes.size)
        self.checkpoint_writer = checkpoint.CheckpointWriter(
            folder, key, base, self.parts, settings.metadata, self.processes
        )
        self.log_dir = log_dir if self.processes.is_first else None
        self.writer: SummaryWriter | None = None
        self.curve: list[Step] = []

    def _prepare(
        self, train: Sequence[TrainingExample], held_out: Sequence[TrainingExample], folder: Path
    ) -> None:
        """Encode, put the adapter on, make the optimizer."""
        import torch

        models, processes = self.models, self.processes
        batches = models.training_steps * models.gradient_accumulation * processes.size
        self.data = training_data.encode_on_first(
            lambda cache: training_data.encode(
                self.base, train, held_out, self.settings, batches, cache
            ),
            folder,
            processes,
        )
        setup.move_encoders_off(self.family, models)
        chosen = training_base.choose_precision(models.precision, self.base.device)
        dtype = training_base.dtype_of(chosen, self.base.device)
        self.undo.callback(optimizer.cast_base(self.family, dtype))
        torch.manual_seed(self.settings.seed)
        self.parts = lora.attach(self.base, models)
        self.undo.callback(lora.detach, self.parts)
        self.undo.callback(setup.speed_up(self.family, self.parts, models))
        self.weights = optimizer.MasterWeights(
            lora.trainable_parameters(self.parts), dtype, models.ema_decay
        )
        processes.broadcast([m.detach() for m in self.weights.masters])
        self.optimizer = AdapterOptimizer(self.weights, models, self.base.device)
        self.gradient_step = GradientStep(self.family, self.data, self.settings, self.optimizer)

    def close(self) -> None:
        """Give the base back as it was."""
        self.undo.close()
        if self.writer:
            self.writer.close()

    def train(self, on_step: Callable[[Step], None] | None) -> LoraResult:
        """Take the steps that are left."""
        begun = time.monotonic() - self._resume()
        self.writer = setup.event_writer(self.log_dir, self.curve, self.checkpoint_writer.folder)
        if not self.curve:
            start = Step(step=0, loss=None, held_out_loss=None, learning_rate=0.0)
            self._note(self._measured(start))
        bad, step = 0, self.curve[-1].step
        with InterruptHandler() as watch:
            while step < self.models.training_steps and not self._is_over():
                step += 1
                loss, has_moved, is_stopped = self._step(step, watch.is_asked)
                bad = 0 if has_moved else bad + 1
                self._check(step, loss, bad)
                self._after(step, loss, begun, is_stopped)
                if on_step:
                    on_step(self.curve[-1])
                if is_stopped and step < self.models.training_steps:
                    logger.info("fine-tuning interrupted; checkpoint saved after step %d", step)
                    raise KeyboardInterrupt
        return self._result(time.monotonic() - begun)

    def _after(self, step: int, loss: float, begun: float, is_stopped: bool) -> None:
        """Note a finished step; measure and keep it where it is due."""
        every = self.settings.sample_every
        is_last = step == self.models.training_steps
        is_kept = is_last or step % self.models.checkpoint_every == 0
        done = Step(
            step=step,
            loss=loss if math.isfinite(loss) else None,
            held_out_loss=None,
            learning_rate=self.optimizer.learning_rate(step),
        )
        self._note(self._measured(done) if is_kept else done)
        if is_kept:
            self.checkpoint_writer.save_adapter(step, self.weights)
        if is_kept or is_stopped:
            seconds = time.monotonic() - begun
            self.checkpoint_writer.save_state(
                step, self.curve, seconds, self.weights, self.optimizer
            )
        if every and step % every == 0 and self.processes.is_first:
            self._draw_samples(step)

    def _step(self, step: int, is_asked: bool) -> tuple[float, bool, bool]:
        """Mean loss of a step, whether the weights moved, whether somebody asked to stop."""
        import torch

        accumulation = self.models.gradient_accumulation
        for part in self.parts.values():
            part.train()
        total = torch.zeros((), device=self.base.device)
        for turn in range(accumulation):
            index = ((step - 1) * accumulation + turn) * self.processes.size + self.processes.rank
            total += self.gradient_step.accumulate(index)
        sums = torch.stack([total, torch.full_like(total, float(is_asked))])
        self.processes.average([sums, *self.weights.gradients()])
        loss, asked = sums.tolist()
        if not math.isfinite(loss):
            self.weights.forget_gradients()
            return loss, False, asked > 0
        has_moved = self.optimizer.step(step) or self.optimizer.scaler.is_enabled()
        return loss, has_moved, asked > 0

    # -- measuring, keeping, telling ------------------------------------------------------------

    def _measured(self, step: Step) -> Step:
        """A point of the curve with the losses at fixed noise and times."""
        for part in self.parts.values():
            part.eval()
        seed = self.settings.seed
        with self.weights.shown():
            held_out = training_loss.mean_fixed_noise_loss(
                self.family, self.data.held_out, self.gradient_step.words, seed
            )
            probe = training_loss.mean_fixed_noise_loss(
                self.family, self.data.probe, self.gradient_step.words, seed
            )
        return self.processes.broadcast_object(
            replace(step, held_out_loss=held_out, probe_loss=probe)
        )

    def _is_over(self) -> bool:
        """Whether the held-out loss says that it is enough."""
        return training_loss.should_stop_early(self.curve, self.models.patience)

    def _check(self, step: int, loss: float, bad: int) -> None:
        """Give up a run whose loss or gradients are no numbers time and again."""
        if bad >= NAN_STEPS_MAX:
            what = "gradients were" if math.isfinite(loss) else "loss was"
            raise TrainingError(
                f"step {step}: the {what} NaN or infinite {bad} times in a row; lower "
                "models.learning_rate"
            )

    def _note(self, step: Step) -> None:
        """Add a point to the curve and to TensorBoard."""
        self.curve.append(step)
        if self.writer:
            setup.add_step(self.writer, step)

    def _resume(self) -> float:
        """Take up the newest whole checkpoint of this key; give the seconds spent so far."""
        state = self.checkpoint_writer.newest()
        self.processes.wait()
        if state is None:
            return 0.0
        self.weights.load(state["weights"])
        self.optimizer.load(state["stepper"])
        self.curve = [Step(**s) for s in state["curve"]]
        logger.info("resuming fine-tuning after step %d", self.curve[-1].step)
        return float(state["seconds"])

    def _draw_samples(self, step: int) -> None:
        """Draw the sample prompts as the model is now."""
        draw = self.settings.draw
        if draw is None:
            return
        for part in self.parts.values():
            part.eval()
        with self.weights.shown():
            setup.draw_samples(
                draw,
                self.base,
                self.settings.sample_prompts,
                self.checkpoint_writer.folder,
                step,
                self.writer,
            )
        setup.move_encoders_off(self.family, self.models)

    def _result(self, seconds: float) -> LoraResult:
        """Save the adapter and say honestly what it learned."""
        for part in self.parts.values():
            part.eval()
        with self.weights.shown():
            change, size = training_loss.output_change(
                self.family,
                self.parts,
                self.data.probe[0],
                self.gradient_step.words,
                self.settings.seed,
            )
        if not change > 0:
            raise TrainingError(
                f"the adapter still has no effect after {self.curve[-1].step} steps; "
                "raise models.learning_rate or models.training_steps"
            )
        norms = lora.b_norms(self.weights.final())
        kept = self.checkpoint_writer.finish(self.curve, self.weights)
        result = LoraResult(
            adapter_file=self.checkpoint_writer.adapter_file,
            adapter_hash=kept[-1].hash,
            kept=kept,
            curve=tuple(self.curve),
            seconds=seconds,
            num_adapted=len(norms),
            num_zero=sum(norm == 0 for norm in norms.values()),
            output_change=change,
            output_size=size,
            has_fallen=False,
            stopped_early=self.curve[-1].step < self.models.training_steps,
            remarks=setup.unused_settings(self.models, self.data),
        )
        first, last = result.probe()
        has_fallen = first is not None and last is not None and last < first
        return replace(result, has_fallen=has_fallen)
