"""SHA-256 of files and folders, and their identity by size, times and inode."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bunny.core import atomic

Place = TypeVar("Place")


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_path(path: Path) -> str:
    """SHA-256 of a file, or of names and contents of a folder's files in sorted order."""
    if path.is_file():
        return hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def stamp(stat: os.stat_result) -> str:
    """Size, modification and change time and inode: what no write to a file leaves as it is.

    The change time is the one that cannot be set; under Windows it is the time of creation.
    """
    return f"{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}|{stat.st_ino}"


def identity(path: Path) -> str:
    """SHA-256 over names and stamps of a file, or of a folder's files.

    Files are not opened: while it is the same, so is what `hash_path` gives.
    """
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        stat = file.stat()
        digest.update(f"{file}|{stamp(stat)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def remembered(
    cache: Path,
    kind: str,
    path: Place,
    make_hash: Callable[[Place], str],
    identify: Callable[[Place], str] | None = None,
) -> str:
    """Hash of a file or folder, made again only where it has changed.

    Parameters
    ----------
    cache : Path
        JSON file that the hashes are kept in; made where it is missing.
    kind : str
        Name of what `make_hash` makes.
    make_hash : callable
        From `path` to the hash.
    identify : callable, optional
        From `path` to a text that is another one after a change; by default `identity`.

    Raises
    ------
    OSError
        If a file cannot be read or the cache not be written.
    """
    key, now = f"{kind}|{path}", identify(path) if identify else identity(Path(str(path)))
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known.get(key), list) or known[key][0] != now:
        known[key] = [now, make_hash(path)]
        atomic.write_bytes(cache, json.dumps(known, indent=0).encode())
    return known[key][1]
