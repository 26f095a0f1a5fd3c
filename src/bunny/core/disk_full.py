"""Full disks, and what else a disk refuses: how it is recognised, and what a user is told."""

from __future__ import annotations

import errno

from bunny.core.error import UserError

# What a disk refuses, and the words for it; libraries in C and Rust give the words alone.
DISK_FAULTS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the file would exceed the size limit; check the limits of this account and disk",
    errno.EROFS: "the folder is read-only; give another --data-dir, or mount it for writing",
    errno.EACCES: "permission was denied; change the permissions, or give another --data-dir",
    errno.EPERM: "permission was denied; change the permissions, or give another --data-dir",
    errno.EIO: "the disk failed; check it",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
}
RESUME = "then run the same command again to resume"


def describe(error: BaseException) -> str | None:
    """What a disk refused, in one sentence; None where it was something else.

    Parameters
    ----------
    error : BaseException
        It, or what caused it, may be an `OSError`; libraries in other languages keep the words of
        the system alone.
    """
    found = _find_fault(error)
    if found is None:
        return None
    number, file = found
    place = f"{file}: " if file else ""
    return f"{place}{DISK_FAULTS[number]}, {RESUME}"


def write_error(what: str, error: BaseException) -> UserError:
    """The error of a write that failed.

    Parameters
    ----------
    what : str
        Begins the sentence: what could not be written, and where.
    error : BaseException
        See `describe`; of another one its own words are repeated. Polars keeps the system's to
        itself, so that what is no `OSError` is probably a full disk.
    """
    found = _find_fault(error)
    if found is not None:
        return UserError(f"{what}: {DISK_FAULTS[found[0]]}, {RESUME}")
    guess = "" if isinstance(error, OSError) else ", probably because the disk is full"
    words = (error.strerror if isinstance(error, OSError) else None) or error
    return UserError(
        f"{what} ({words}){guess}; free some space or give another --data-dir, {RESUME}"
    )


def _find_fault(error: BaseException) -> tuple[int, str | None] | None:
    """Number of the first fault in a chain of causes, and the file if it names one."""
    seen: BaseException | None = error
    while seen is not None:
        for number in DISK_FAULTS:
            if isinstance(seen, OSError) and seen.errno == number:
                return number, seen.filename
            if f"(os error {number})" in str(seen):
                return number, None
        seen = seen.__cause__ or seen.__context__
    return None
