"""Exit codes of `bunny`: which code an error, or the films of a command, end the process with."""

from collections.abc import Iterable

from bunny.core import disk_full
from bunny.core.error import BunnyError, UserError

DONE = 0
FAILED = 1  # through no fault of the user's, or nothing could be made
USER_FAULT = 2  # the user can fix it, as in a command line that typer refuses
STOPPED = 130  # by Ctrl+C: 128 and the signal's number, as shells count

FILM_STATUS = {DONE: "done", USER_FAULT: "refused", STOPPED: "stopped"}


def of_error(error: BaseException) -> int:
    """Return the code that an error ends a command with.

    Returns
    -------
    int
        `USER_FAULT` for what the user can fix, a full disk among it; else `FAILED`.
    """
    if isinstance(error, BunnyError):
        return USER_FAULT if isinstance(error, UserError) else FAILED
    return USER_FAULT if disk_full.describe(error) else FAILED


def of_several(codes: Iterable[int]) -> int:
    """Return the code of a command on several films or sets.

    Returns
    -------
    int
        `DONE` if all are, `USER_FAULT` if the user can fix all that are not, else `FAILED`.
    """
    left = set(codes) - {DONE}
    return DONE if not left else USER_FAULT if left == {USER_FAULT} else FAILED


def film_status(code: int) -> str:
    """Return what became of a film whose run ended with a code: done, refused, stopped, failed."""
    return FILM_STATUS.get(code, "failed")


def of_films(status: Iterable[str]) -> int:
    """Return the code of a command that ran films, from the status of each."""
    return of_several({"done": DONE, "refused": USER_FAULT}.get(one, FAILED) for one in status)
