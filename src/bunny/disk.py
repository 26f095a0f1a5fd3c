"""Files and folders put in their place, also where another program has them open for a moment.

On Windows a file that somebody has open can be neither replaced nor deleted, nor the folder that it
lies in moved. Readers, indexers and virus scanners have one open for a fraction of a second, a
notebook for as long as it runs: so it is tried again for a while, and then said in one sentence.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from bunny.error import UserError

WAIT_S = 5.0  # for another program; reading a large table takes less
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 0.5  # between two tries
# ERROR_ACCESS_DENIED, _SHARING_VIOLATION, _LOCK_VIOLATION, _USER_MAPPED_FILE of Windows; the first
# is also given for what may not be written.
IN_USE = frozenset({5, 32, 33, 1224})


class InUseError(UserError, PermissionError):
    """Another program has a file open all the while."""


def replace(temporary: Path, target: Path) -> None:
    """Give a file that is whole its name, in the place of an older one if there is one.

    Parameters
    ----------
    temporary, target : Path
        In the same folder. A folder may be given too where there is no `target`.

    Raises
    ------
    InUseError
        If another program has one of them open all the while (on Windows).
    """
    _patiently(lambda: temporary.replace(target), target)


def replace_folder(temporary: Path, target: Path) -> None:
    """Give a folder that is whole its name; an older one is moved away, then deleted.

    Parameters
    ----------
    temporary, target : Path
        In the same folder.

    Raises
    ------
    InUseError
        As `replace`; the older one is back in its place, as it was.
    """
    old = target.with_name(f".{target.name}.old")
    remove_folder(old)
    if target.exists():
        rename(target, old)
    try:
        replace(temporary, target)
    except OSError:
        if old.exists():
            rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder and all that is in it; nothing where there is none.

    Raises
    ------
    InUseError
        As `replace`.
    """

    def remove() -> None:
        if folder.exists():
            shutil.rmtree(folder)

    _patiently(remove, folder)


def rename(old: Path, new: Path) -> None:
    """Move a file or folder to a name that nothing has.

    Raises
    ------
    InUseError
        As `replace`.
    """
    _patiently(lambda: old.rename(new), old)


def _patiently(act: Callable[[], object], path: Path) -> None:
    """Act, again for a while where another program is in the way."""
    try:
        act()
        return
    except PermissionError as error:
        if not _is_in_use(error):
            raise
    import tenacity

    try:
        tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_in_use),
            wait=tenacity.wait_exponential(FIRST_WAIT_S, max=LONGEST_WAIT_S),
            stop=tenacity.stop_after_delay(WAIT_S),
            reraise=True,
        )(act)
    except PermissionError as error:
        if not _is_in_use(error):
            raise
        raise InUseError(
            f"{path}: expected to replace it, another program has it open, or it may not be "
            "written; close the notebook or program that has it open and run the same again"
        ) from error


def _is_in_use(error: BaseException) -> bool:
    """Whether Windows refused because somebody has the file open."""
    return isinstance(error, PermissionError) and getattr(error, "winerror", None) in IN_USE
