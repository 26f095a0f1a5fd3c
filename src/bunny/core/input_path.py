"""Paths that people give: films, folders of references, outputs; refused in a sentence."""

import errno
import os
from pathlib import Path

from bunny.core import atomic, film_file, image_file
from bunny.core.error import UserError
from bunny.core.film_file import FilmAddress, FilmPlace
from bunny.core.reference_folder import PICTURE_SUFFIXES


def check_film(path: FilmPlace) -> FilmPlace:
    """Refuse what cannot be a film before anything is made.

    Raises
    ------
    UserError
        No such file, no picture in a folder, not readable, empty.
    """
    check_path(path)
    if isinstance(path, FilmAddress):
        film_file.check(path)
        return path
    if not path.exists():
        raise UserError(f"{path}: expected a film, found no such file; check the path")
    if path.is_dir():
        if not any(p.suffix.lower() in image_file.SUFFIXES for p in path.iterdir()):
            raise UserError(
                f"{path}: expected a film or a folder of pictures, found a folder "
                "without pictures; give the film file itself"
            )
        return path.resolve()
    if not path.is_file():
        raise UserError(
            f"{path}: expected a regular file, found another kind; copy the film to a file"
        )
    if not os.access(path, os.R_OK):
        raise UserError(
            f"{path}: cannot read this film (permission denied); change its permissions"
        )
    if path.stat().st_size == 0:
        raise UserError(f"{path}: expected a film, found a file of 0 bytes; copy it again")
    return path.resolve()


def check_path(path: FilmPlace) -> None:
    """Refuse what no file can be called here.

    Raises
    ------
    UserError
        If it is too long, holds a zero character, or is not UTF-8, which tables are.
    """
    shown, fault = ascii(str(path))[:80], ""
    try:
        str(path).encode("utf-8")
        Path(str(path)).stat()
    except UnicodeEncodeError:
        fault = f"{shown}: expected a path in UTF-8, found bytes that are not"
    except ValueError:
        fault = f"{shown}: expected a path, found a zero character in it"
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            fault = f"{shown}...: expected a path, found a name that is too long"
    if fault:
        raise UserError(f"{fault}; check the path or rename the file")


def check_references(path: Path | None) -> Path | None:
    """Refuse a reference folder that is missing or holds no picture."""
    if path is None:
        return None
    if not path.is_dir():
        raise UserError(
            f"{path}: expected a folder with <name>.jpg or <name>/*.jpg, found "
            f"{'a file' if path.exists() else 'no such folder'}; give the folder"
        )
    if not any(p.suffix.lower() in PICTURE_SUFFIXES for p in path.rglob("*")):
        raise UserError(
            f"{path}: expected reference pictures ({', '.join(sorted(PICTURE_SUFFIXES))}), "
            "found none; add <name>.jpg or <name>/*.jpg"
        )
    return path.resolve()


def check_output_file(path: Path) -> None:
    """Refuse what cannot become a file: a folder, a device, a path that leads through a file.

    Raises
    ------
    UserError
        As `check_output_folder`, too.
    """
    check_output_folder(path.parent)
    check_path(path)
    if path.is_dir():
        raise UserError(f"{path}: expected an output file, got a folder; add a file name")
    atomic.check_target(path)


def check_output_folder(path: Path) -> None:
    """Refuse what cannot become a folder: a file, a path that leads through one.

    Raises
    ------
    UserError
        Also for a path that `check_path` refuses.
    """
    check_path(path)
    known = next((p for p in (path, *path.parents) if p.exists()), path)
    if known.exists() and not known.is_dir():
        raise UserError(
            f"{path}: expected an output folder, but {known} is not a folder; give another path"
        )
