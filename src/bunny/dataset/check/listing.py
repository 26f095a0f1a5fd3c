"""What a trainer reads of a folder, and what it makes of the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bunny.dataset.check.file import DOUBT, DROPPED, Problem

TRAIN, HELD_OUT, CLASS = "train", "held-out", "class"
PICTURES = frozenset(  # by extension; what a person would call a picture
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".jxl", ".apng", ".tga", ".ppm", ".pgm", ".pbm", ".jp2"),
    )
)
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
MASKS = frozenset(("mask", "masks"))
JUNK = re.compile(r"^(thumbs\.db|desktop\.ini|\.ds_store|\._.*)$", re.I)
JUNK_FOLDERS = frozenset((".ipynb_checkpoints", "__macosx", ".git", "__pycache__", "@eadir"))
INSIDE = "in a folder inside: only one level is read"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One picture that the trainer reads."""

    file: Path
    caption: str | None
    role: str = TRAIN
    repeats: int = 1


@dataclass(kw_only=True)
class Listing:
    """What a trainer reads, and what it makes of the rest."""

    items: list[Item] = field(default_factory=list)
    problems: list[tuple[Path, Problem]] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)  # of kohya's dataset.toml

    def add(self, file: Path, effect: str, reason: str) -> None:
        """Note what is wrong with a file."""
        self.problems.append((file, Problem(effect=effect, reason=reason)))


def judge_unread(path: Path, folder: Path, listing: Listing, why: str) -> None:
    """Note a file that the trainer does not read: rubbish, or a picture that is lost.

    Parameters
    ----------
    path : Path
    folder : Path
        What was asked about; masks and rubbish are told by the names of folders in it.
    listing : Listing
    why : str
        Why it is not read, if it is a picture.
    """
    parts = [p.lower() for p in path.relative_to(folder).parts]
    if JUNK.match(parts[-1]) or JUNK_FOLDERS & set(parts[:-1]):
        listing.add(path, DOUBT, "a stray file of another program: take it away")
    elif path.suffix.lower() in PICTURES and not MASKS & set(parts[:-1]):
        listing.add(path, DROPPED, why)


def walk(roots: Iterable[Path]) -> list[Path]:
    """All files, links too, in order; links to folders are not followed."""
    found = []
    for root in roots:
        for parent, folders, names in os.walk(root):
            folders.sort()
            found += [Path(parent) / name for name in sorted(names)]
    return found
