"""Errors whose text a user reads: one sentence with what was expected, what came, what to do."""

import errno

# What a disk refuses, and the words for it; libraries in C and Rust give the words alone.
DISK_FAULTS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the system lets no file grow so large; check the limits of this account and disk",
    errno.EROFS: "the folder is read-only; give another --data-dir, or mount it for writing",
    errno.EACCES: "permission was denied; change the permissions, or give another --data-dir",
    errno.EPERM: "permission was denied; change the permissions, or give another --data-dir",
    errno.EIO: "the disk failed; check it",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
}


class BunnyError(Exception):
    """Base of every error that is shown without a traceback."""


class UserError(BunnyError):
    """The input, a setting or the environment is wrong and the user can fix it."""


class StageError(BunnyError):
    """A stage cannot go on through no fault of the user's."""


def describe_disk_fault(error: BaseException) -> str | None:
    """What a disk refused, in one sentence; None where it was something else.

    Parameters
    ----------
    error : BaseException
        It, or what caused it, may be an `OSError`; libraries in other languages keep the words of
        the system alone.
    """
    seen: BaseException | None = error
    while seen is not None:
        for number, words in DISK_FAULTS.items():
            if isinstance(seen, OSError) and seen.errno == number:
                place = f"{seen.filename}: " if seen.filename else ""
                return f"{place}{words}, then run the same command again to resume"
            if f"(os error {number})" in str(seen):
                return f"{words}, then run the same command again to resume"
        seen = seen.__cause__ or seen.__context__
    return None
