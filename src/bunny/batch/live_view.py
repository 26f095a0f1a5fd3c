"""The view of a batch while it runs: drawn anew on a terminal, or now and then a few lines."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from bunny.batch.batch_status import BatchStatus

LOG_S = 60.0  # between two views where nothing can be drawn anew
MOST_LOGGED = 8  # films of one such view
UP_AND_CLEAR = "\x1b[{}F\x1b[J"  # ECMA-48: cursor to the beginning of a line above, erase below


class LiveView:
    """Shows how a batch stands.

    Parameters
    ----------
    stream : file
        Standard error, of which a terminal shows one block that is drawn anew.
    log_s : float
        Seconds between two views where it is none.
    clock : callable
        Seconds.
    """

    def __init__(
        self, stream: TextIO, log_s: float = LOG_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._log_s, self._clock = stream, log_s, clock
        self._is_drawn = _can_redraw(stream)
        self._height = 0  # lines of the block that is shown
        self._logged_at = clock()

    def show(self, status: BatchStatus) -> None:
        """Show how a batch stands now; without a terminal only when it is time to."""
        lines = list(status.lines())
        if self._is_drawn:
            size = shutil.get_terminal_size()
            lines = _cut(lines, max(2, size.lines - 2))
            self._erase()
            self._write([line[: size.columns - 1] for line in lines])
            self._height = len(lines)
        elif self._clock() - self._logged_at >= self._log_s:
            self._logged_at = self._clock()
            self._write(_cut(lines, 1 + MOST_LOGGED))

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._erase()
        self._write([line])

    def close(self) -> None:
        """Take the block away."""
        self._erase()
        self._stream.flush()

    def _erase(self) -> None:
        if self._height:
            self._stream.write(UP_AND_CLEAR.format(self._height))
        self._height = 0

    def _write(self, lines: list[str]) -> None:
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


def _can_redraw(stream: TextIO) -> bool:
    """Whether lines can be drawn anew: on terminals that take control sequences."""
    is_plain = os.environ.get("TERM") == "dumb"
    if os.name == "nt":  # older consoles of Windows show the sequences themselves
        is_plain = "WT_SESSION" not in os.environ
    return stream.isatty() and not is_plain


def _cut(lines: list[str], most: int) -> list[str]:
    """The first lines, and how many films are not shown."""
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"  and {len(lines) - most + 1} more films"]
