"""What ends a fine-tune before its last step: a signal, or too little memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bunny.training.settings import LoraSettings, MemoryShortError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CPU_WORDS = ("not enough memory", "can't allocate memory")  # of torch's CPU allocator


class Watch:
    """Notes that somebody asked to stop, so that the step at hand is finished and kept.

    A second signal interrupts at once. Outside the main thread signals are left as they are.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Watch:
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
def memory_told(settings: LoraSettings) -> Iterator[None]:
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
            if not any(words in text for words in CPU_WORDS):
                raise
        raise MemoryShortError(_advice(settings)) from error


def _advice(settings: LoraSettings) -> str:
    """What can still be lowered."""
    ways = []
    if settings.batch_size > 1:
        ways.append(
            f"models.batch_size {settings.batch_size} -> {settings.batch_size // 2} (and "
            f"models.gradient_accumulation {settings.gradient_accumulation} -> "
            f"{2 * settings.gradient_accumulation}, so that a step stays the same)"
        )
    if not settings.has_gradient_checkpointing:
        ways.append("models.has_gradient_checkpointing true")
    if settings.precision not in ("bf16", "fp16"):
        ways.append("models.precision bf16")
    if settings.trains_text_encoder:
        ways.append("models.trains_text_encoder false")
    ways.append("a smaller models.resolution")
    return f"the fine-tune does not fit into memory; set {', or '.join(ways)}"
