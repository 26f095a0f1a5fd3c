"""Atomic writes of files and folders, and file names that every system takes.

On Windows a file that somebody has open can be neither replaced nor deleted, nor the folder that it
lies in moved. Readers, indexers and virus scanners have one open for a fraction of a second, a
notebook for as long as it runs: so it is tried again for a while, and then said in one sentence.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bunny.core.error import UserError

WAIT_S = 5.0  # for another program; reading a large table takes less
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 0.5  # between two tries
# ERROR_ACCESS_DENIED, _SHARING_VIOLATION, _LOCK_VIOLATION, _USER_MAPPED_FILE of Windows; the first
# is also given for what may not be written.
IN_USE = frozenset({5, 32, 33, 1224})
LEFTOVER_S = 3600.0  # a write takes seconds
LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # names by `write_file`
GONE = ".gone"  # ends the name of what is being removed: a kill leaves no half of it in its place
NAME_BYTES = 240  # file systems take 255, of which the names of temporary files need some
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DEVICE = re.compile(  # names that Windows keeps for devices, with any extension
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE
)


class InUseError(UserError, PermissionError):
    """Another program has a file open all the while."""


def portable_name_error(name: str) -> str:
    """Why a file or folder cannot have a name on every system; empty when it can.

    Parameters
    ----------
    name : str
        Of the file alone, without folders.

    Examples
    --------
    >>> portable_name_error("anna"), portable_name_error("aux.png")
    ('', 'is a reserved device name on Windows')
    >>> portable_name_error("10:30"), portable_name_error("Mr.")
    ("contains ':', which file names cannot contain", 'ends in a dot or a space')
    """
    found = FORBIDDEN.search(name)
    if found:
        return f"contains {found[0]!r}, which file names cannot contain"
    if name.endswith((".", " ")):
        return "ends in a dot or a space"
    if len(name.encode("utf-8", "replace")) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    return "is a reserved device name on Windows" if DEVICE.fullmatch(name) else ""


def cut_name(name: str, most_bytes: int = NAME_BYTES) -> str:
    """The beginning of a name that has at most so many bytes, by which file systems count.

    Examples
    --------
    >>> cut_name("anna", 3), cut_name("日本語", 8)
    ('ann', '日本')
    """
    return name.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


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
    UserError
        As `check_target`.
    """
    check_target(target)
    _patiently(lambda: temporary.replace(target), target)


def check_target(path: Path) -> None:
    """Refuse to put a file in the place of a device, a pipe or a socket.

    Raises
    ------
    UserError
        If `path` is one of these.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(
            f"{path}: expected a file or a new path, found a device, pipe or socket; give another "
            "output file"
        )


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
    old = _name_of_gone(target)
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

    A kill on the way leaves it whole or under another, hidden name.

    Raises
    ------
    InUseError
        As `replace`.
    """
    gone = folder if folder.suffix == GONE else _name_of_gone(folder)

    def remove() -> None:
        if gone.is_dir():
            shutil.rmtree(gone)
        if gone != folder and folder.is_dir():
            folder.rename(gone)
            shutil.rmtree(gone)

    _patiently(remove, folder)


def remove_file(path: Path) -> None:
    """Delete a file; nothing where there is none.

    Raises
    ------
    InUseError
        As `replace`.
    """
    _patiently(lambda: path.unlink(missing_ok=True), path)


def rename(old: Path, new: Path) -> None:
    """Move a file or folder to a name that nothing has.

    Raises
    ------
    InUseError
        As `replace`.
    """
    _patiently(lambda: old.rename(new), old)


def _name_of_gone(folder: Path) -> Path:
    """The hidden name that a folder has while it is removed."""
    return folder.with_name(f".{folder.name}{GONE}")


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
            f"{path}: cannot replace this file, because another program has it open or it is "
            "write-protected; close that notebook or program and run the command again"
        ) from error


def _is_in_use(error: BaseException) -> bool:
    """Whether Windows refused because somebody has the file open."""
    return isinstance(error, PermissionError) and getattr(error, "winerror", None) in IN_USE


def write_bytes(path: Path, data: bytes) -> None:
    """Write any bytes atomically, see `write_file`."""
    write_file(path, lambda temporary: temporary.write_bytes(data))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically: under a temporary name, flushed to disk, renamed.

    Parameters
    ----------
    path : Path
        Its folder is made when missing.
    write : callable
        Writes the whole content to the path that it is given, of a file that is there and empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        _publish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path, older_s: float = LEFTOVER_S) -> int:
    """Delete temporary files that killed writes left in a folder, at any depth; gives how many.

    Parameters
    ----------
    folder : Path
        Nothing is done where there is none.
    older_s : float
        Seconds since they were last written to; younger ones may be somebody's write.
    """
    num = 0
    for path in folder.rglob(".*.tmp"):
        try:
            is_left = LEFTOVER.fullmatch(path.name) and path.is_file()
            if is_left and time.time() - path.stat().st_mtime > older_s:
                path.unlink()
                num += 1
        except OSError:  # gone meanwhile, or not ours to delete
            continue
    return num


def _publish(temporary: Path, path: Path) -> None:
    """Flush `temporary` to disk and give it its name, readable as any new file would be."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    replace(temporary, path)
