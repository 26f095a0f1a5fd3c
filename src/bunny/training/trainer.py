"""Fine-tune a LoRA or DoRA on a base: our own loop over diffusers' and peft's parts.

The parts of it lie in `bunny.training.tune`; this is its face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bunny.training.base import Base
from bunny.training.latent_batch import by_size
from bunny.training.settings import (
    CLASS,
    SUBJECT,
    Example,
    Kept,
    LoraResult,
    LoraSettings,
    MemoryShortError,
    Step,
    TrainingError,
)

__all__ = [
    "CLASS",
    "SUBJECT",
    "Example",
    "Kept",
    "LoraResult",
    "LoraSettings",
    "MemoryShortError",
    "Step",
    "TrainingError",
    "by_size",
    "train_lora",
]


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
    """Train, resume when a checkpoint of the same key lies in `folder`, save the adapters.

    Parameters
    ----------
    base : Base
        Frozen; it carries the adapter while this runs and is given back without it.
    train, held_out : sequence of Example
        A batch holds pictures of one size; sizes take turns as often as their pictures weigh.
        Pictures of role ``class`` in `train` come on top of each batch, weighed by
        `class_weight`. `held_out` may be empty.
    folder : Path
        Gets ``checkpoint-NNNNNN/`` (the last two), ``step-NNNNNN.safetensors`` (one a
        checkpoint), ``adapter.safetensors`` (the last of them), ``sample/`` and ``cache/``.
    settings : LoraSettings
    metadata : dict, optional
        Texts kept in the adapters' headers, e.g. trigger and base.
    log_dir : Path, optional
        TensorBoard events go there.
    on_step : callable, optional
        Told each finished step.

    Returns
    -------
    LoraResult

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
    from bunny.training import interrupt
    from bunny.training.loop import Run

    with interrupt.memory_told(settings):
        run = Run(base, train, held_out, folder, settings, metadata or {}, log_dir)
        try:
            return run.train(on_step)
        finally:
            run.close()
