"""Distributed training: the processes of one run, through accelerate or torchrun."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

TIMEOUT = timedelta(hours=12)  # of the others, while the first does what they do not share


class ProcessGroup:
    """The processes of this run; alone when nothing started more.

    Parameters
    ----------
    device : str
        That the base lies on.
    """

    def __init__(self, device: str) -> None:
        self.rank, self.size, self._state = 0, 1, None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=device == "cpu", timeout=TIMEOUT)
            atexit.register(self._state.destroy_process_group)
            self.rank, self.size = self._state.process_index, self._state.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of one dtype by their mean over all processes, in place."""
        average(tensors, self.size)

    def broadcast(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors by those of the first process, in place."""
        if self.size == 1:
            return
        import torch

        for tensor in tensors:
            torch.distributed.broadcast(tensor, src=0)

    def broadcast_object(self, value: T) -> T:
        """Broadcast an object from the first process."""
        if self.size == 1:
            return value
        import torch

        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Go on when all have come here."""
        if self._state is not None:
            self._state.wait_for_everyone()


def average(tensors: Sequence[torch.Tensor], num_processes: int) -> None:
    """Replace tensors of one dtype by their mean over all processes, in place; one message."""
    if num_processes == 1 or not tensors:
        return
    import torch

    flat = torch.cat([t.reshape(-1) for t in tensors])
    torch.distributed.all_reduce(flat)
    flat /= num_processes
    parts = flat.split([t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
