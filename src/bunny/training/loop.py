"""The loop of a fine-tune.

Every step depends on the seed and its number alone, so a resumed run takes the same steps as an
uninterrupted one, bit for bit on a CPU.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bunny.training import (
    held_out_loss,
    lora,
    master_weights,
    precision,
    run_files,
    setup,
    training_data,
)
from bunny.training.base import Base
from bunny.training.distributed import Crowd
from bunny.training.gradient import Learner
from bunny.training.interrupt import Watch
from bunny.training.optimizer_step import Stepper
from bunny.training.settings import Example, LoraResult, LoraSettings, Step, TrainingError

logger = logging.getLogger(__name__)

NAN_STEPS_MAX = 5  # in a row, then the run is given up


class Run:
    """The state of one fine-tune: the base with its adapter, optimizer, encoded material.

    Parameters
    ----------
    base : Base
        Given back as it was by `close`.
    train, held_out : sequence of Example
    folder : Path
        Gets checkpoints, adapters, samples and the cache.
    settings : LoraSettings
    metadata : dict
        Texts of the adapters' headers.
    log_dir : Path or None
        For TensorBoard.
    """

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
        self.base, self.family, self.settings = base, base.family, settings
        self.crowd = Crowd(base.device)
        self.undo = ExitStack()
        try:
            self._prepare(train, held_out, folder)
        except BaseException:
            self.undo.close()
            raise
        key = run_files.key_of(base, train, held_out, settings, metadata, self.crowd.size)
        self.keeper = run_files.Keeper(folder, key, base, self.parts, metadata, self.crowd)
        self.writer = setup.event_writer(log_dir if self.crowd.is_first else None)
        self.curve: list[Step] = []

    def _prepare(self, train: Sequence[Example], held_out: Sequence[Example], folder: Path) -> None:
        """Encode, put the adapter on, make the optimizer."""
        import torch

        settings, crowd = self.settings, self.crowd
        batches = settings.steps * settings.gradient_accumulation * crowd.size
        self.material = setup.encode(
            lambda cache: training_data.make(self.base, train, held_out, settings, batches, cache),
            folder,
            crowd,
        )
        setup.move_encoders_off(self.family, settings)
        chosen = master_weights.choose_precision(settings.precision, self.base.device)
        dtype = precision.dtype_of(chosen, self.base.device)
        self.undo.callback(master_weights.lower(self.family, dtype))
        torch.manual_seed(settings.seed)
        self.parts = lora.put_on(self.base, settings)
        self.undo.callback(lora.take_off, self.parts)
        self.undo.callback(setup.speed_up(self.family, self.parts, settings))
        self.weights = master_weights.Weights(lora.trainable(self.parts), dtype, settings.ema_decay)
        crowd.agree([m.detach() for m in self.weights.masters])
        self.stepper = Stepper(self.weights, settings, self.base.device)
        self.learner = Learner(self.family, self.material, settings, self.stepper)

    def close(self) -> None:
        """Give the base back as it was."""
        self.undo.close()
        if self.writer:
            self.writer.close()

    def train(self, on_step: Callable[[Step], None] | None) -> LoraResult:
        """Take the steps that are left."""
        begun = time.monotonic() - self._resume()
        if not self.curve:
            start = Step(step=0, loss=None, held_out_loss=None, learning_rate=0.0)
            self._note(self._measured(start))
        bad, step = 0, self.curve[-1].step
        with Watch() as watch:
            while step < self.settings.steps and not self._is_over():
                step += 1
                loss, has_moved, is_stopped = self._step(step, watch.is_asked)
                bad = 0 if has_moved else bad + 1
                self._check(step, loss, bad)
                self._after(step, loss, begun, is_stopped)
                if on_step:
                    on_step(self.curve[-1])
                if is_stopped and step < self.settings.steps:
                    logger.info("fine-tune stopped and kept after step %d", step)
                    raise KeyboardInterrupt
        return self._result(time.monotonic() - begun)

    def _after(self, step: int, loss: float, begun: float, is_stopped: bool) -> None:
        """Note a finished step; measure and keep it where it is due."""
        settings = self.settings
        is_last = step == settings.steps
        is_kept = is_last or step % settings.checkpoint_every == 0
        done = Step(
            step=step,
            loss=loss if math.isfinite(loss) else None,
            held_out_loss=None,
            learning_rate=self.stepper.learning_rate(step),
        )
        self._note(self._measured(done) if is_kept else done)
        if is_kept:
            self.keeper.keep_adapter(step, self.weights)
        if is_kept or is_stopped:
            seconds = time.monotonic() - begun
            self.keeper.keep_state(step, self.curve, seconds, self.weights, self.stepper)
        if settings.sample_every and step % settings.sample_every == 0 and self.crowd.is_first:
            self._draw_samples(step)

    def _step(self, step: int, is_asked: bool) -> tuple[float, bool, bool]:
        """Mean loss of a step, whether the weights moved, whether somebody asked to stop."""
        import torch

        accumulation = self.settings.gradient_accumulation
        for part in self.parts.values():
            part.train()
        total = torch.zeros((), device=self.base.device)
        for turn in range(accumulation):
            index = ((step - 1) * accumulation + turn) * self.crowd.size + self.crowd.rank
            total += self.learner.learn(index)
        told = torch.stack([total, torch.full_like(total, float(is_asked))])
        self.crowd.average([told, *self.weights.gradients()])
        loss, asked = told.tolist()
        if not math.isfinite(loss):
            self.weights.forget_gradients()
            return loss, False, asked > 0
        has_moved = self.stepper.step(step) or self.stepper.scaler.is_enabled()
        return loss, has_moved, asked > 0

    # -- measuring, keeping, telling ------------------------------------------------------------

    def _measured(self, step: Step) -> Step:
        """A point of the curve with the losses at fixed noise and times."""
        for part in self.parts.values():
            part.eval()
        seed = self.settings.seed
        with self.weights.shown():
            held_out = held_out_loss.fixed_loss(
                self.family, self.material.held_out, self.learner.words, seed
            )
            probe = held_out_loss.fixed_loss(
                self.family, self.material.probe, self.learner.words, seed
            )
        return self.crowd.told_by_first(replace(step, held_out_loss=held_out, probe_loss=probe))

    def _is_over(self) -> bool:
        """Whether the held-out loss says that it is enough."""
        return held_out_loss.is_over(self.curve, self.settings.patience)

    def _check(self, step: int, loss: float, bad: int) -> None:
        """Give up a run whose loss or gradients are no numbers time and again."""
        if bad >= NAN_STEPS_MAX:
            what = "gradients were" if math.isfinite(loss) else "loss was"
            raise TrainingError(
                f"step {step}: the {what} no number {bad} times in a row; "
                "lower models.learning_rate"
            )

    def _note(self, step: Step) -> None:
        """Add a point to the curve and to TensorBoard."""
        self.curve.append(step)
        if not self.writer:
            return
        for name in ("loss", "held_out_loss", "probe_loss", "learning_rate"):
            value = getattr(step, name)
            if value is not None:
                self.writer.add_scalar(name, value, step.step)

    def _resume(self) -> float:
        """Take up the newest whole checkpoint of this key; give the seconds spent so far."""
        state = self.keeper.newest()
        self.crowd.wait()
        if state is None:
            return 0.0
        self.weights.load(state["weights"])
        self.stepper.load(state["stepper"])
        self.curve = [Step(**s) for s in state["curve"]]
        logger.info("fine-tune goes on after step %d", self.curve[-1].step)
        return float(state["seconds"])

    def _draw_samples(self, step: int) -> None:
        """Draw the sample prompts as the model is now."""
        for part in self.parts.values():
            part.eval()
        with self.weights.shown():
            setup.draw_samples(self.base, self.settings, self.keeper.folder, step, self.writer)
        setup.move_encoders_off(self.family, self.settings)

    def _result(self, seconds: float) -> LoraResult:
        """Save the adapter and say honestly what it learned."""
        for part in self.parts.values():
            part.eval()
        with self.weights.shown():
            change, size = held_out_loss.output_change(
                self.family,
                self.parts,
                self.material.probe[0],
                self.learner.words,
                self.settings.seed,
            )
        if not change > 0:
            raise TrainingError(
                f"the adapter changes nothing after {self.curve[-1].step} steps; raise "
                "models.learning_rate or models.training_steps"
            )
        norms = lora.b_norms(self.weights.final())
        result = LoraResult(
            **self.keeper.finish(self.curve, self.weights),
            curve=tuple(self.curve),
            seconds=seconds,
            num_adapted=len(norms),
            num_zero=sum(norm == 0 for norm in norms.values()),
            output_change=change,
            output_size=size,
            has_fallen=False,
            stopped_early=self.curve[-1].step < self.settings.steps,
            remarks=setup.remarks(self.settings, self.material),
        )
        first, last = result.probe()
        has_fallen = first is not None and last is not None and last < first
        return replace(result, has_fallen=has_fallen)
