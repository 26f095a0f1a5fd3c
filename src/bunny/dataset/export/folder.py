"""Put an export in its place as a whole, and never over what is not ours."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bunny.core import atomic
from bunny.core.error import UserError

MARK = "export.json"  # says that a folder is an export, and which files are of it
MADE_BY = "diffusion-bunny"


def publish(output: Path, form: str, write: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Let `write` fill a folder beside `output`, then give it the name.

    Parameters
    ----------
    output : Path
        Missing, empty, or an export of ours without anything else in it.
    form : str
        Name of the format, for the mark.
    write : callable
        Gets the empty folder; gives what the mark shall say.

    Returns
    -------
    dict
        What the mark says.

    Raises
    ------
    UserError
        If `output` is a file, or holds what is not of an export.
    """
    check_output(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        said = {"made_by": MADE_BY, "format": form, **write(temporary)}
        files = sorted(p.relative_to(temporary).as_posix() for p in _files(temporary))
        text = json.dumps({**said, "files": files}, ensure_ascii=False, indent=1)
        (temporary / MARK).write_text(text + "\n", encoding="utf-8", newline="\n")
        atomic.replace_folder(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return said


def check_output(output: Path) -> None:
    """Refuse to write over anything but an export of ours.

    Raises
    ------
    UserError
        If `output` is a file, or holds what is not of an export.
    """
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise UserError(
            f"{output}: expected a folder to write, found something else; give another --output"
        )
    if not output.exists() or not any(output.iterdir()):
        return
    mark = _read_mark(output)
    if mark is None:
        raise UserError(
            f"{output}: expected an empty folder or an earlier export, found other files; "
            "give another --output"
        )
    own = {*mark["files"], MARK}
    others = [p for p in _files(output) if p.relative_to(output).as_posix() not in own]
    if others:
        raise UserError(
            f"{output}: expected an earlier export alone, found {len(others)} other files "
            f"({others[0].relative_to(output).as_posix()}); move them or give another --output"
        )


def copy_mask(mask: Path | None, picture: Path, target: Path) -> None:
    """Write a picture's mask; all white, so that everything counts, where it has none."""
    if mask is not None:
        shutil.copyfile(mask, target)
        return
    shape = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_COLOR).shape
    target.write_bytes(cv2.imencode(".png", np.full(shape[:2], 255, np.uint8))[1].tobytes())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with one newline at the end, the same on every system."""
    path.write_bytes((text + "\n").encode())


def _read_mark(folder: Path) -> dict[str, Any] | None:
    """The mark of an export of ours."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(mark, dict) and mark.get("made_by") == MADE_BY
    return mark if is_ours and isinstance(mark.get("files"), list) else None


def _files(folder: Path) -> list[Path]:
    """All that is no folder, links too."""
    return sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
