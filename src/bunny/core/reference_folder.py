"""Reference pictures of a film: the user's folder joined with characters named in the film.

`bunny characters --name person-02=anna` cuts pictures of a person out of the film. They lie in the
film's own folder `named/<name>/`; nothing is ever written among the user's files. As soon as there
is one, stages read `reference/` of the film's folder, which holds copies of both.

    <film's folder>/named/<name>/from_film_*.png   cut out of the film; delete to take a name back
                   /reference/                     copies of the user's pictures and of those
"""

from contextlib import suppress
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from bunny.core import atomic, json_file
from bunny.core.error import UserError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
SOURCE_TEXTS = ("film", "content_hash", "reference_hash")
NAMED, JOINED = "named", "reference"
PREFIX = "from_film_"


def list_pictures(folder: Path | None) -> list[Path]:
    """Reference pictures at any depth, sorted; none when there is no folder."""
    if folder is None or not folder.is_dir():
        return []
    found = (p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(p for p in found if p.is_file())


class UsedReferences(TypedDict):
    """What `source.json` says of a film's references."""

    references: str | None  # the folder that stages read
    given_references: NotRequired[str | None]  # the user's, only where they differ


class SourceRecord(UsedReferences):
    """The `source.json` of a film: what it is made from."""

    film: str
    content_hash: str
    reference_hash: str


def read_source(root: Path) -> SourceRecord:
    """Read the `source.json` of a film's folder.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    path = root / "source.json"
    with suppress(OSError, ValueError):
        found = {"reference_hash": "", **json_file.read_object(path)}
        folders = (found.get("references"), found.get("given_references"))
        if all(isinstance(found.get(key), str) for key in SOURCE_TEXTS) and all(
            folder is None or isinstance(folder, str) for folder in folders
        ):
            return cast("SourceRecord", found)
    raise UserError(
        f"{path}: expected the record of a film, could not read it; delete it, then run the film"
    )


def user_folder(known: UsedReferences) -> Path | None:
    """The user's own folder, from what `source.json` says; None when it is gone or never was."""
    kept = known.get("given_references", known.get("references"))
    return Path(kept) if kept and Path(kept).is_dir() else None


def update(root: Path, user: Path | None) -> UsedReferences:
    """Bring the joined folder up to date; gives what `source.json` says of references.

    Parameters
    ----------
    root : Path
        The film's folder.
    user : Path or None
        The folder that the user gave.
    """
    own = root / NAMED
    if not list_pictures(own):
        return {"references": None if user is None else str(user)}
    joined = root / JOINED
    _copy(joined, [folder for folder in (user, own) if folder is not None])
    return {"references": str(joined), "given_references": None if user is None else str(user)}


def _copy(target: Path, folders: list[Path]) -> None:
    """Make `target` hold copies of the pictures of `folders` and nothing else."""
    for folder in folders:
        for path in list_pictures(folder):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"{path}: expected a picture inside {folder}, found a link that points "
                    "outside; copy the picture into the folder"
                )
    wanted = {p.relative_to(f).as_posix(): p for f in folders for p in list_pictures(f)}
    for path in list_pictures(target):
        if path.relative_to(target).as_posix() not in wanted:
            path.unlink()
    for name, source in wanted.items():
        data = source.read_bytes()
        path = target / name
        if not path.exists() or path.read_bytes() != data:
            atomic.write_bytes(path, data)
