"""Gradient averaging over single-threaded processes.

On a shared machine this beats one process of two threads by far: threads wait for each other some
hundred times a step, processes once. Started by ``python -m torch.distributed.run``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from bunny.training import distributed


def start() -> None:
    """Join the group when this process was started as one of several; else do nothing."""
    import torch

    if "WORLD_SIZE" in os.environ:
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo")


def rank() -> int:
    """Index of this process; 0 when it is alone."""
    import torch.distributed as group

    return group.get_rank() if group.is_initialized() else 0


def size() -> int:
    """How many processes there are."""
    import torch.distributed as group

    return group.get_world_size() if group.is_initialized() else 1


def average_gradients(parameters: Iterable[Any]) -> None:
    """Replace each gradient by its mean over the processes."""
    distributed.average([p.grad for p in parameters if p.grad is not None], size())


def is_any(flag: bool) -> bool:
    """Whether any process says so."""
    import torch

    if size() == 1:
        return flag
    number = torch.tensor(float(flag))
    torch.distributed.all_reduce(number)
    return bool(number > 0)


def share(count: int) -> slice:
    """This process's part of `count` items, in one piece."""
    return slice(count * rank() // size(), count * (rank() + 1) // size())


def gather(part: np.ndarray) -> np.ndarray:
    """Join the parts of all processes in order of rank."""
    import torch.distributed as group

    if size() == 1:
        return part
    parts: list[Any] = [None] * size()
    group.all_gather_object(parts, part)
    return np.concatenate(parts)
