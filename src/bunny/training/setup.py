"""Preparation of a base for training: memory, speed, TensorBoard, sample pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core import atomic, image_file
from bunny.core.config import ModelsConfig
from bunny.training import lora
from bunny.training.base import Base
from bunny.training.family.contract import Family
from bunny.training.settings import DrawSamples, Step
from bunny.training.training_data import TrainingData

if TYPE_CHECKING:
    import torch
    from torch.utils.tensorboard import SummaryWriter

CHANNELS_LAST_MAX = 2**29  # bytes of weights that are laid out anew on a CPU
SAMPLE_STEPS = 12  # of the sampler, for pictures while training
EVENTS = "events.out.tfevents.*"  # files of TensorBoard
SCALARS = ("loss", "held_out_loss", "probe_loss", "learning_rate")  # of a step


def move_encoders_off(family: Family, models: ModelsConfig) -> None:
    """Take VAE and text encoders that are not trained off a GPU; nothing on a CPU."""
    if family.device == "cpu":
        return
    import torch

    is_kept = family.trainable_text if models.trains_text_encoder else ()
    others = [part for name, part in family.text_encoders.items() if name not in is_kept]
    for part in (family.vae, *others):
        part.to("cpu")
    if family.device.startswith("cuda"):
        torch.cuda.empty_cache()


def speed_up(family: Family, parts: lora.Components, models: ModelsConfig) -> Callable[[], None]:
    """Gradient checkpointing where asked for, the faster layout; gives what undoes it.

    Parameters
    ----------
    parts : mapping
        That carry the adapter.
    """
    import torch

    undo = ExitStack()
    denoiser = family.denoiser
    if models.has_gradient_checkpointing:
        denoiser.enable_gradient_checkpointing()
        undo.callback(denoiser.disable_gradient_checkpointing)
        for name, part in parts.items():
            if name != family.denoiser_key:
                part.activation_checkpointing_enable({"use_reentrant": False})
                undo.callback(part.activation_checkpointing_disable)
    # Peft's DoRA wants its kernels as they are.
    if models.adapter == "lora" and (family.device != "cpu" or _is_small(denoiser)):
        denoiser.to(memory_format=torch.channels_last)
        undo.callback(denoiser.to, memory_format=torch.contiguous_format)
    if family.device.startswith("cuda"):
        undo.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
        torch.backends.cudnn.benchmark = True  # sizes repeat, so trying kernels pays
    return undo.close


def event_writer(log_dir: Path | None, curve: Sequence[Step], folder: Path) -> SummaryWriter | None:
    """A TensorBoard writer that begins with the steps that are done, or None.

    Events of earlier runs are removed: a run that goes on, or anew, shows each step once.

    Parameters
    ----------
    log_dir : Path or None
        Of the events.
    curve : sequence of Step
        Those of the checkpoint that training goes on from.
    folder : Path
        Of the run; sample pictures up to that step are shown again.
    """
    if log_dir is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    for path in sorted(log_dir.glob(EVENTS)):
        atomic.remove_file(path)
    writer = SummaryWriter(str(log_dir))
    for step in curve:
        add_step(writer, step)
    last = curve[-1].step if curve else -1
    for path in sorted((folder / "sample").glob("step-*.png")):
        step, index = (int(part) for part in path.stem.split("-")[1:])
        picture = image_file.read(path)
        if step <= last and picture is not None:
            writer.add_image(f"sample/{index}", picture[..., ::-1], step, dataformats="HWC")
    return writer


def add_step(writer: SummaryWriter, step: Step) -> None:
    """Add what is known of a step to TensorBoard."""
    for name in SCALARS:
        value = getattr(step, name)
        if value is not None:
            writer.add_scalar(name, value, step.step)


def draw_samples(
    draw: DrawSamples,
    base: Base,
    prompts: Sequence[str],
    folder: Path,
    step: int,
    writer: SummaryWriter | None,
) -> None:
    """Draw the sample prompts as the model is now, to ``sample/`` and TensorBoard.

    Parameters
    ----------
    folder : Path
        Of the run.
    """
    pictures = draw(base, prompts, seed=0, num_steps=SAMPLE_STEPS)
    for index, picture in enumerate(pictures):
        path = folder / "sample" / f"step-{step:06d}-{index}.png"
        atomic.write_file(path, partial(picture.save, format="PNG"))
        if writer:
            writer.add_image(f"sample/{index}", np.asarray(picture), step, dataformats="HWC")


def unused_settings(models: ModelsConfig, data: TrainingData) -> tuple[str, ...]:
    """Settings that had nothing to work on."""
    said = []
    if models.patience and not data.held_out:
        said.append("models.patience had no effect: no picture is held out")
    buckets = [*data.subject.buckets, *data.held_out]
    if models.background_weight < 1 and all(d.emphasis is None for d in buckets):
        said.append("models.background_weight had no effect: no picture has a mask")
    return tuple(said)


def _is_small(denoiser: torch.nn.Module) -> bool:
    """Whether another layout, which is a copy of weights that were mapped from a file, is cheap.

    On a CPU the toy becomes 4 to 9 % faster; SD 1.5's shape does not, and takes 2.2 GiB more.
    """
    return sum(p.numel() * p.element_size() for p in denoiser.parameters()) <= CHANNELS_LAST_MAX
