"""Items of a film with all corrections, kept up to date with the record and the tables.

Stage review writes doubt 0 for what a person placed. The board shows that as well, but what is
undone on it is the machine's again, and doubtful as the machine's choice is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bunny.caption import shot_caption
from bunny.core.error import UserError
from bunny.review import doubt as review_doubt
from bunny.review import event_log
from bunny.review.event_log import Event
from bunny.review.snapshot import NOISE, SOURCE
from bunny.review.state import ReviewState
from bunny.table import store
from bunny.view.board import query
from bunny.view.board.thumbnail import Picture

CHANGING = (
    "cluster_id",
    "name",
    "source",
    "is_approved",
    "comments",
    "rejected_from",
    "doubt",
    "who",
    "words",
)

WIDE = 16 / 9

CORRECTED = (pl.col("doubt") == 0) & ((pl.col("source") == "person") | pl.col("is_approved"))

logger = logging.getLogger(__name__)


def _update_table(
    table: pl.DataFrame, state: ReviewState, asset_ids: Sequence[str]
) -> pl.DataFrame:
    """The table after an event; the same as `query.number_rows(state.frame())`."""
    if not asset_ids:
        return table
    rows = [_row(state, asset_id) for asset_id in asset_ids]
    dtypes = {"row": pl.UInt32, **{c: table.schema[c] for c in CHANGING if c in rows[0]}}
    table = _replace_columns(table, pl.DataFrame(rows, schema=dtypes, orient="row"))
    figures = pl.col("row").is_in([row["row"] for row in rows]) & (pl.col("level") != "scene")
    shots = table.filter(figures)["shot_index"].unique()
    table = _replace_columns(table, _named_characters(table, shots)) if len(shots) else table
    is_new = pl.col("row").is_in([row["row"] for row in rows])
    is_new |= pl.col("shot_index").is_in(shots.to_list())
    return _replace_columns(table, table.filter(is_new).select("row", query.WORDS.alias("words")))


def _row(state: ReviewState, asset_id: str) -> dict[str, Any]:
    """What may have changed of one item."""
    now, item = state.now, state.item(asset_id)
    number = int(now.cluster[item])
    place = None if number == NOISE else now.folders[number]
    said = bool(now.is_said[item])
    return {
        "row": item,
        "cluster_id": None if place is None else place.cluster_id,
        "name": (place.name or None) if place is not None else None,
        "source": SOURCE[int(now.source[item])],
        "is_approved": bool(now.is_approved[item]),
        "comments": int(now.num_comments[item]),
        "rejected_from": sorted(
            {now.folders[n].cluster_id for n in now.cannot.get(item, ()) if n in now.folders}
        ),
        "doubt": 0.0 if said else state.content.asset["doubt"][item],
    }


def _named_characters(table: pl.DataFrame, shots: pl.Series) -> pl.DataFrame:
    """Named characters of some shots, for each row of them."""
    inside = table.filter(pl.col("shot_index").is_in(shots.to_list()))
    named = inside.filter((pl.col("level") != "scene") & pl.col("name").is_not_null())
    seen = named.group_by("shot_index").agg(pl.col("name").unique().sort().alias("who"))
    found = inside.select("row", "shot_index").join(
        seen, on="shot_index", how="left", maintain_order="left"
    )
    empty = pl.lit([], dtype=pl.List(pl.String))
    return found.select("row", pl.col("who").fill_null(empty))


def _replace_columns(table: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """Take over the columns of `part` in its rows, nulls too."""
    columns = [c for c in part.columns if c != "row"]
    new = part.rename({c: f"{c}_new" for c in columns}).with_columns(pl.lit(True).alias("is_new"))
    joined = table.join(new, on="row", how="left", maintain_order="left")
    return joined.with_columns(
        pl.when("is_new").then(pl.col(f"{c}_new")).otherwise(pl.col(c)).alias(c) for c in columns
    ).select(table.columns)


@dataclass(frozen=True, kw_only=True)
class BoardFilm:
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


def read_film(film_id: str, root: Path) -> BoardFilm:
    """Read table `asset` and where its pictures lie.

    Parameters
    ----------
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
            f"{film_id}: table `asset` not found, so there is nothing to review; run "
            "the film up to stage review first"
        )
    now = _table_version(root)
    caption, frame = (store.read_or_empty(table, name) for name in ("caption", "frame"))
    captions = shot_caption.newest(caption, frame)
    frame = frame.drop_nulls(["file", "width_px", "height_px"])
    columns = ("file", "width_px", "height_px")
    pictures = {r[0]: r[1:] for r in frame.select("frame_id", *columns).iter_rows()}
    shots = {r[0]: r[1:] for r in frame.select("shot_index", *columns).reverse().iter_rows()}
    shapes = [width / height for _, width, height in pictures.values() if height]
    return BoardFilm(
        film_id=film_id,
        root=root,
        asset=store.read(table, "asset"),
        pictures=pictures,
        shots=shots,
        captions=captions,
        shot_vectors=_vectors(table, "shot_vector"),
        figure_vectors=_vectors(table, "figure_vector"),
        version=now,
        aspect=min(2.4, max(0.75, median(shapes))) if shapes else WIDE,
    )


def _vectors(table: Path, name: str) -> pl.DataFrame | None:
    return store.read(table, name) if store.exists(table, name) else None


def _table_version(root: Path) -> tuple[int, int]:
    """Time and size of table `asset`; another one means that the film was run again."""
    try:
        stat = (root / "table" / "asset.parquet").stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def restore_doubt(
    asset: pl.DataFrame,
    vectors: Mapping[str, pl.DataFrame | None],
    floor: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Write the doubt of the machine's choice for items that a person had placed.

    Parameters
    ----------
    asset : pl.DataFrame
        Table `asset`.
    vectors : mapping of level to pl.DataFrame or None
        Tables `shot_vector` and `figure_vector`.
    floor : mapping of level to float, optional
        As in `doubt.measure`; default `doubt.FLOOR`.

    Returns
    -------
    pl.DataFrame
        `asset` with `doubt` in (0, 1] for them, 0.5 without a vector. What named a figure surely
        (`certainty` of `doubt.measure`) is known to stage review alone: until it runs, a figure's
        doubt is from its vectors.
    """
    said = asset.select(CORRECTED.fill_null(False)).to_series().to_numpy()
    if not said.any():
        return asset
    row = {asset_id: i for i, asset_id in enumerate(asset["asset_id"])}
    cluster = asset["machine_cluster_id"].rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    found = np.full(asset.height, 0.5)
    for level, table in vectors.items():
        if table is None:
            continue
        for part in table.drop_nulls("vector").partition_by("model"):
            own = np.array([row.get(i, -1) for i in part["asset_id"]], np.int64)
            vector = np.asarray(part["vector"].to_numpy(), np.float32).reshape(len(own), -1)
            own, vector = own[own >= 0], vector[own >= 0]
            if said[own].any():
                alike = review_doubt.compare(vector, cluster[own])
                found[own] = review_doubt.doubt_of(
                    *alike, cluster[own] >= 0, (floor or review_doubt.FLOOR)[level]
                )
    doubt = np.where(said, np.clip(found, 0, 1), asset["doubt"].to_numpy())
    return asset.with_columns(pl.Series("doubt", doubt, dtype=pl.Float32))


class BoardItems:
    """Items that the boards of a film show.

    Parameters
    ----------
    noise_threshold : float
        As stage review has it.

    Attributes
    ----------
    film : BoardFilm
    state : ReviewState
        Items where they are now.
    events : list of Event
        The record, in its order.
    table : pl.DataFrame
        `query.number_rows(state.frame())`; another object after each change.
    """

    def __init__(self, film: BoardFilm, noise_threshold: float) -> None:
        self._noise = noise_threshold
        self._open(film)

    def catch_up(self) -> bool:
        """Take in what is new in the record, or in the tables; says whether anything was."""
        if _table_version(self.film.root) != self.film.version:
            logger.info("%s: the review tables were rebuilt; loading them again", self.film.film_id)
            self._open(read_film(self.film.film_id, self.film.root))
            return True
        path = self.film.root / event_log.FILE
        size = path.stat().st_size if path.exists() else 0
        if size == self._size:
            return False
        self._size = size
        new = event_log.read(self.film.root, after=len(self.events))
        if not new:
            return False
        self.events += new
        if len(self.events) == len(new):
            self.state.replay(self.events)
            self.table = self._frame()
            return True
        for event in new:
            self.table = _update_table(self.table, self.state, self.state.apply(event))
        return True

    def commit(self, events: Sequence[Event]) -> None:
        """Put events down; what others put there meanwhile comes in with them."""
        event_log.append(self.film.root, events)
        self.catch_up()

    def _open(self, film: BoardFilm) -> None:
        """Begin with a film's tables; rows of before stand for other items."""
        self.film = film
        vectors = {"scene": film.shot_vectors, "character": film.figure_vectors}
        asset = restore_doubt(film.asset, vectors, review_doubt.level_floor(self._noise))
        self.state = ReviewState.of(asset, film.shot_vectors, noise_threshold=self._noise)
        self.events: list[Event] = []
        self._size = -1  # bytes of the record when it was read last
        self.table = self._frame()
        self.catch_up()

    def _frame(self) -> pl.DataFrame:
        """The library as it is now; comments are copied, since the state counts on in its own."""
        return query.number_rows(self.state.frame().with_columns(pl.col("comments") + 0))
