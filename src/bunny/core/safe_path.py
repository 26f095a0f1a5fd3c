"""Paths that tables, records and manifests name, kept inside their folder (path traversal).

Such a path is relative, with `/`. Whoever wrote it may be a stranger: `is_relative` judges its
text, `join` also follows the links on the way, and both refuse what leads out of the folder.
"""

import os
import re
from pathlib import Path

from bunny.core.error import UserError

# An absolute path, a drive, a zero character or a step upwards, on every system; Windows also goes
# up at two dots that more dots or spaces follow. Polars reads it as well.
LEADS_OUT = r"^[/\\]|^[A-Za-z]:|\x00|(^|[/\\])\.\.[. ]*([/\\]|$)"
_LEADS_OUT = re.compile(LEADS_OUT)


def is_relative(name: str) -> bool:
    """Whether the text of a path leads into the folder that it is joined with.

    Examples
    --------
    >>> is_relative("frame/0001.jpg"), is_relative("../0001.jpg"), is_relative("C:/0001.jpg")
    (True, False, False)
    """
    return _LEADS_OUT.search(name) is None


def join(folder: Path, name: str) -> Path:
    """Join a folder with a path that a table, record or manifest names.

    Parameters
    ----------
    folder : Path
        May be a link itself.
    name : str
        Relative to `folder`; nothing need be there.

    Returns
    -------
    Path
        `folder / name`, its links not resolved.

    Raises
    ------
    UserError
        If the path, or a link on its way, leads out of the folder.
    """
    path = folder / name
    if not is_relative(name):
        raise _outside(folder, name, "found one that leads out of it")
    home = os.path.realpath(folder)
    if not Path(os.path.realpath(path)).is_relative_to(home):
        raise _outside(folder, name, "found a link that leads out of it; copy the file instead")
    return path


def _outside(folder: Path, name: str, found: str) -> UserError:
    return UserError(f"{ascii(name)[1:-1][:200]}: expected a path inside {folder}, {found}")
