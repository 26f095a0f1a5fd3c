"""Thumbnails for widgets, of frames and subjects, cached in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core import safe_path
from bunny.table import content_cache
from bunny.table.box import BOX
from bunny.view import contact_sheet
from bunny.view.tile import Tile

SIZE_PX = (120, 90)
JPEG_QUALITY = 70
MAX_THUMBNAILS = 2000  # about 6 MB in the notebook's memory; a widget shows a spread of them
SCHEMA = {"key": pl.String, "jpeg": pl.Binary}

FILE = "thumbnail_subject.parquet"  # in the film's folder; a cache: it may be deleted


def load(cache: Path, tiles: Mapping[str, Tile]) -> dict[str, str]:
    """Give a data URI for each tile, reading only pictures that are not in the cache.

    Parameters
    ----------
    cache : Path
        A parquet file; made or extended.

    Returns
    -------
    dict of id to str
        `data:image/jpeg;base64,…`; a picture that cannot be read gives a grey tile.
    """
    known = content_cache.read(cache, SCHEMA)
    keys = {name: _key(tile) for name, tile in tiles.items()}
    by_file = _newest_of_missing(known) if any("|gone|" in k for k in keys.values()) else {}
    fresh: dict[str, bytes] = {}
    uris: dict[str, str] = {}
    for name, tile in tiles.items():
        key = keys[name]
        jpeg = known.get(key) or by_file.get(_place(tile))
        if jpeg is None:
            jpeg = fresh[key] = _jpeg(tile)
        uris[name] = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    if fresh:
        content_cache.write(cache, SCHEMA, known | fresh)
    return uris


def _jpeg(tile: Tile) -> bytes:
    with io.BytesIO() as stream:
        contact_sheet.thumbnail(tile, SIZE_PX).save(stream, format="JPEG", quality=JPEG_QUALITY)
        return stream.getvalue()


def _key(tile: Tile) -> str:
    """Name of a thumbnail: place, box, size and time of the file; a new picture has another."""
    try:
        stat = tile.file.stat() if tile.file else None
    except OSError:
        stat = None
    version = "gone|" if stat is None else f"{stat.st_size}|{stat.st_mtime_ns}"
    return f"{_place(tile)}|{version}"


def _place(tile: Tile) -> str:
    box = "" if tile.box is None else ",".join(f"{v:.1f}" for v in tile.box)
    return f"{tile.file.name if tile.file else ''}|{box}"


def _newest_of_missing(known: Mapping[str, bytes]) -> dict[str, bytes]:
    """What was last seen at each place, for files that were removed since."""
    return {"|".join(key.split("|")[:2]): jpeg for key, jpeg in known.items()}


class SubjectThumbnails:
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
            row["subject_id"]: Tile(
                file=None if row["file"] is None else safe_path.join(self._root, row["file"]),
                box=tuple(row[c] for c in BOX),
            )
            for row in rows
            if row["subject_id"] not in self._uris
        }
        if tiles:
            self._uris |= load(self._root / FILE, tiles)
        return len(tiles)
