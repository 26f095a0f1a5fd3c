"""Small pictures of subjects, cut when they are first shown and kept in one file.

A film may have tens of thousands of faces; only those on the page are ever cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bunny.view import thumbnail, tile

FILE = "thumbnail_subject.parquet"  # in the film's folder; a cache: it may be deleted


class Shelf:
    """Holds the small pictures that were shown so far.

    Parameters
    ----------
    root : Path
        The film's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._uris: dict[str, str] = {}

    def get(self, subject_id: str) -> str | None:
        """Its picture as a data URI; None when `fill` has not been asked for it."""
        return self._uris.get(subject_id)

    def fill(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Make the pictures that are missing; gives how many those were.

        Parameters
        ----------
        rows : iterable of mapping
            `subject_id`, `file` (None: no picture is stored, a grey tile is shown) and the box.
        """
        tiles = {
            row["subject_id"]: tile.Tile(
                file=None if row["file"] is None else self._root / row["file"],
                box=tuple(row[c] for c in tile.BOX),
            )
            for row in rows
            if row["subject_id"] not in self._uris
        }
        if tiles:
            self._uris |= thumbnail.load(self._root / FILE, tiles)
        return len(tiles)
