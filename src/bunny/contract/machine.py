"""Thread pool without OpenCV's own threads, progress bar, peak memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm.auto import tqdm

MAX_THREADS = 16  # of a decoder; more frames in flight take memory and win nothing


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from threads of its own: beside others they cost a quarter of the time."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class ContextThreadPool(ThreadPoolExecutor):
    """Threads that work in the context of whoever gave the work: log lines and spans know it."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        """As of `ThreadPoolExecutor`."""
        return super().submit(copy_context().run, fn, *args, **kwargs)


@contextmanager
def thread_pool(num_workers: int) -> Iterator[Executor]:
    """Threads for work on pictures, each on one core.

    Notes
    -----
    Neither OpenCV nor PyTorch nor NumPy's BLAS start threads of their own beside them: one picture
    spread over cores waits at every layer, pictures side by side do not, and they give the same
    numbers on any number of cores.
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")  # who uses it has loaded it before
    before = torch.get_num_threads() if torch else 0
    start = {"initializer": torch.set_num_threads, "initargs": (1,)} if torch else {}
    try:
        with (
            one_opencv_thread(),
            threadpool_limits(1, user_api="blas"),
            ContextThreadPool(max(1, num_workers), **start) as pool,
        ):
            yield pool
    finally:
        if torch:
            torch.set_num_threads(before)


@contextmanager
def progress_bar(
    name: str, unit: str, total: int | None, done: int = 0, *, is_shown: bool = True
) -> Iterator[tqdm]:
    """Show the one progress bar of a stage; of several processes the first shows it.

    Parameters
    ----------
    name, unit : str
        Of the stage and of what it counts.
    total, done : int
        Items in all (None: unknown) and those that an earlier run did.
    is_shown : bool
        False where another process shows it.
    """
    from tqdm.auto import tqdm

    with tqdm(
        total=total,
        initial=done,
        desc=f"{name:9}",
        unit=unit,
        file=sys.stderr,
        disable=not is_shown or int(os.environ.get("RANK", "0")) > 0,
    ) as bar:
        yield bar


def decoder_threads() -> int:
    """Threads of a film's decoder: one more than cores, so that one can wait."""
    if hasattr(os, "sched_getaffinity"):
        return min(MAX_THREADS, len(os.sched_getaffinity(0)) + 1)
    return min(MAX_THREADS, (os.cpu_count() or 1) + 1)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
