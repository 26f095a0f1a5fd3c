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
# What is wrong with a path that an error names.
PATH_FAULTS = {
    errno.ENOENT: "found no such file or folder, and cannot make one there; check whether it was "
    "moved or deleted",
    errno.ENOTDIR: "expected a folder on this path, found a file; check the path",
    errno.EEXIST: "expected a folder or a new path, found a file; check the path",
    errno.EISDIR: "expected a file, found a folder; check the path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its links lead in a circle; check the path",
    errno.ESTALE: "the folder is no longer there; check its disk or network drive",
    errno.ENOTCONN: "the folder is no longer there; check its disk or network drive",
    errno.ENXIO: "found a device or socket; check the path",
}
MAX_SHOWN = 400  # characters of a path
RESUME = "then run the same command again to resume"


def describe(error: BaseException) -> str | None:
    """Explain an error of a disk or a path in one sentence; None for any other error.

    Parameters
    ----------
    error : BaseException
        It, or what caused it, may be an `OSError`; libraries in other languages keep the words of
        the system alone.
    """
    found = _find_fault(error)
    if found is not None:
        number, file = found
        place = f"{_shorten(file)}: " if file else ""
        return f"{place}{DISK_FAULTS[number]}, {RESUME}"
    if isinstance(error, OSError) and error.errno in PATH_FAULTS and error.filename is not None:
        return f"{_shorten(error.filename)}: {PATH_FAULTS[error.errno]}"
    return None


def _shorten(path: object) -> str:
    text = str(path)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def is_full(error: BaseException) -> bool:
    """Whether a write failed for want of space."""
    found = _find_fault(error)
    return found is not None and found[0] in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
