"""What a board reads of a film, once, when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import polars as pl

from bunny.core.error import UserError
from bunny.table import store
from bunny.view.board.thumbnail import Picture

WIDE = 16 / 9


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film's library, ready to be shown."""

    film_id: str
    root: Path  # the film's folder
    asset: pl.DataFrame
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # by frame_id
    shots: Mapping[int, Picture] = field(default_factory=dict)  # one of each, by shot_index
    captions: Mapping[int, str] = field(default_factory=dict)  # by shot_index
    shot_vectors: pl.DataFrame | None = None  # table `shot_vector`
    figure_vectors: pl.DataFrame | None = None  # table `figure_vector`
    aspect: float = WIDE  # width by height of its pictures
    version: tuple[int, int] = (0, 0)  # of the table, when it was read


def read(film_id: str, root: Path) -> Film:
    """Read table `asset` and where its pictures lie.

    Parameters
    ----------
    film_id : str
    root : Path
        The film's folder, with `table/`.

    Raises
    ------
    UserError
        If stage review has not run.
    """
    table = root / "table"
    if not store.exists(table, "asset"):
        raise UserError(
            f"{film_id}: expected its library, table `asset`, found none; run the film until "
            "stage review first"
        )
    now = version(root)
    frame = store.read_or_empty(table, "frame").drop_nulls(["file", "width_px", "height_px"])
    columns = ("file", "width_px", "height_px")
    pictures = {r[0]: r[1:] for r in frame.select("frame_id", *columns).iter_rows()}
    shots = {r[0]: r[1:] for r in frame.select("shot_index", *columns).reverse().iter_rows()}
    shapes = [width / height for _, width, height in pictures.values() if height]
    return Film(
        film_id=film_id,
        root=root,
        asset=store.read(table, "asset"),
        pictures=pictures,
        shots=shots,
        captions=_captions(table),
        shot_vectors=_vectors(table, "shot_vector"),
        figure_vectors=_vectors(table, "figure_vector"),
        version=now,
        aspect=min(2.4, max(0.75, median(shapes))) if shapes else WIDE,
    )


def _vectors(table: Path, name: str) -> pl.DataFrame | None:
    return store.read(table, name) if store.exists(table, name) else None


def version(root: Path) -> tuple[int, int]:
    """Time and size of table `asset`; another one means that the film was run again."""
    try:
        stat = (root / "table" / "asset.parquet").stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _captions(table: Path) -> dict[int, str]:
    """The newest caption of each shot's first captioned frame."""
    caption, frame = (store.read_or_empty(table, name) for name in ("caption", "frame"))
    if caption.is_empty() or frame.is_empty():
        return {}
    rows = (
        caption.drop_nulls("text")
        .join(frame.select("frame_id", "shot_index", "frame_index"), on="frame_id")
        .sort(["shot_index", "frame_index", "version"], descending=[False, False, True])
        .unique("shot_index", keep="first", maintain_order=True)
    )
    return dict(rows.select("shot_index", "text").iter_rows())
