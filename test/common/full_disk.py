"""A disk that fills: the kernel refuses to let a file of this process grow past a size."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_after(num_bytes: int) -> Iterator[None]:
    """Let every write past so many bytes of a file fail with an `OSError`, half of it written.

    Nothing may be printed in the meantime: standard output may be a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def die_after(num_bytes: int) -> None:
    """From now on the kernel kills this process inside a write past so many bytes of a file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python turns it into an error otherwise
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
