"""Rows of the Postgres tables, made from a film's tables, staged and upserted.

Ids are UUIDs of version 5, made of what a row stands for and never of chance, so publishing again
finds the same rows: RFC 9562, section 5.5.

Rows travel in bulk into temporary tables (`stage`), which takes most of the time and locks nothing
that others read; `upsert` then changes only rows that differ. All of it is
the caller's transaction.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import polars as pl

from bunny.library.publish.connect import Destination, fetch_value, quote
from bunny.library.publish.schema import PostgresTable

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "diffusion-bunny/shots")
NUL = "\0"  # no text of Postgres may hold it
REPLACEMENT = "\ufffd"
PLACE_DIGITS = 3  # of pixels in what ids are made of
LEAST_SPAN_S = 1e-3  # of an item whose time was not put down


def shots(film_id: str, asset: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `shots`: one an item of the library.

    Parameters
    ----------
    asset : pl.DataFrame
        Schema `Asset`.
    frame : pl.DataFrame
        `frame_id`, `frame_index` and `file` of the kept and the extra frames.

    Returns
    -------
    pl.DataFrame
        Columns of `schema.SHOTS_TARGET` among others; `id` stays the same as long as the item
        lies where it does in the film, whatever cluster it is in.
    """
    pictures = frame.select("frame_id", "frame_index", keyframe_path="file")
    whole_shots = asset.filter(pl.col("level") == "scene")
    shot_ids = whole_shots.select("shot_index", shot_id="asset_id").unique("shot_index")
    known = asset.join(pictures, on="frame_id", how="left", maintain_order="left")
    known = known.join(shot_ids, on="shot_index", how="left", maintain_order="left")
    in_noise = pl.col("cluster_id").is_null()
    level = pl.col("level").cast(pl.String)
    start = pl.coalesce("start_s", "timestamp_s")
    return known.with_columns(
        film_id=pl.lit(film_id),
        cluster_type=pl.when(in_noise).then(pl.lit("noise")).otherwise(level),
        similarity_score="similarity",
        timestamp="timestamp_s",
        start_s=start,
        end_s=pl.coalesce("end_s", start + LEAST_SPAN_S),
        id=_item_ids(film_id, known),
    )


def _item_ids(film_id: str, asset: pl.DataFrame) -> pl.Series:
    """One UUID an item: of its level, span of frames, and picture and box of a figure."""
    box = [pl.col(f"{c}_px").round(PLACE_DIGITS).cast(pl.String) for c in ("x0", "y0", "x1", "y1")]
    is_shot = pl.col("level") == "scene"
    parts = [
        pl.col("level").cast(pl.String),
        pl.col("first_frame_index").cast(pl.String),
        pl.col("end_frame_index").cast(pl.String),
        *[pl.when(~is_shot).then(part) for part in (pl.col("frame_id"), *box)],
    ]
    key = pl.concat_str([part.fill_null("") for part in parts], separator="/")
    # two figures in one place are told apart by their order, so that no id is there twice
    keys = asset.select(key=key, asset_id="asset_id").with_columns(
        nth=pl.col("asset_id").rank("ordinal").over("key")
    )
    ids = [_uuid(film_id, key, nth) for key, nth in keys.select("key", "nth").iter_rows()]
    return pl.Series("id", ids, dtype=pl.String)


def training_feedback(
    film_id: str, pairs: pl.DataFrame, published_shots: pl.DataFrame
) -> pl.DataFrame:
    """Rows of table `training_feedback`.

    Parameters
    ----------
    pairs : pl.DataFrame
        Schema `TrainingFeedback`.
    published_shots : pl.DataFrame
        As of `shots`; an item that is not among them has no id, only its asset_id.
    """
    ids = dict(published_shots.select("asset_id", "id").iter_rows())
    own = [
        _uuid(film_id, "pair", anchor, positive)
        for anchor, positive in pairs.select("anchor_id", "positive_id").iter_rows()
    ]
    return pairs.with_columns(
        pl.Series("id", own, dtype=pl.String),
        film_id=pl.lit(film_id),
        anchor_asset_id="anchor_id",
        positive_asset_id="positive_id",
        anchor_id=pl.col("anchor_id").replace_strict(ids, default=None, return_dtype=pl.String),
        positive_id=pl.col("positive_id").replace_strict(ids, default=None, return_dtype=pl.String),
    )


def of_film(film_id: str, name: str, table: pl.DataFrame) -> pl.DataFrame:
    """Rows of one of the film's tables, with `film_id`.

    The film's path is left at its last part: folders of a person's machine are nobody's business.
    """
    if name == "film":
        last = pl.col("path").map_elements(_last_part, return_dtype=pl.String)
        table = table.with_columns(path=last)
    return table.with_columns(film_id=pl.lit(film_id))


def for_transport(table: pl.DataFrame, target: PostgresTable) -> pl.DataFrame:
    """Columns of `target` in its order and in types that the driver can send.

    Columns that the table lacks become null, texts lose NUL characters, arrays become lists,
    nested values JSON; UInt64 travels as text.
    """
    return table.select(
        _sendable(table, column.name, column.type).alias(column.name) for column in target.columns
    )


def _sendable(table: pl.DataFrame, name: str, kind: str) -> pl.Expr:
    if name not in table.columns:
        return pl.lit(None, dtype=pl.String)
    dtype, column = table.schema[name], pl.col(name)
    if kind == "jsonb" and dtype.is_nested():
        return column.map_elements(_to_json, return_dtype=pl.String)
    if isinstance(dtype, pl.Array | pl.List):
        inner = pl.String if isinstance(dtype.inner, pl.Enum) else dtype.inner
        values = column.cast(pl.List(inner))
        return values.list.eval(_clean(pl.element())) if inner == pl.String else values
    if isinstance(dtype, pl.Enum | pl.Categorical | pl.UInt64):
        return column.cast(pl.String)
    if kind == "jsonb":  # JSON as text writes NUL as an escape
        return _clean(column).str.replace_all("\\u0000", "\\ufffd", literal=True)
    return _clean(column) if dtype == pl.String else column


def _clean(texts: pl.Expr) -> pl.Expr:
    return texts.str.replace_all(NUL, REPLACEMENT, literal=True)


def _to_json(value: object) -> str:
    plain = value.to_list() if isinstance(value, pl.Series) else value
    return json.dumps(plain).replace("\\u0000", "\\ufffd")


def _last_part(path: str) -> str:
    """Name of a file, on whichever system its path was written."""
    return PurePosixPath(PureWindowsPath(path).name).name


def _uuid(*parts: object) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join(map(str, parts))))


@dataclass(frozen=True, kw_only=True)
class RowChanges:
    """Numbers of rows of a table that were added, changed and removed, and of all rows now."""

    table: str
    added: int
    changed: int
    removed: int
    total: int

    def is_any(self) -> bool:
        """Whether anything was done."""
        return bool(self.added or self.changed or self.removed)


def stage(cursor: Cursor, target: PostgresTable, table: pl.DataFrame) -> None:
    """Send rows into a temporary table that falls with the connection.

    Parameters
    ----------
    table : pl.DataFrame
        With the columns of `target` as `rows` makes them; others are left out.
    """
    sent = for_transport(table, target)
    cursor.adbc_ingest(stage_name(target), sent, mode="create", temporary=True)


def upsert(cursor: Cursor, place: Destination, target: PostgresTable, film_id: str) -> RowChanges:
    """Take over what was staged for a film: rows that differ are written, rows gone removed.

    Raises
    ------
    adbc_driver_manager.Error
        What the server refuses; see `connect.explain`.
    """
    name, staged = place.table(target.name), f"pg_temp.{quote(stage_name(target))}"
    keys = " AND ".join(
        f"new.{quote(c.name)}::{c.type} = old.{quote(c.name)}"
        for c in target.columns
        if c.name in target.key
    )
    removed = fetch_value(
        cursor,
        f"WITH gone AS (DELETE FROM {name} old WHERE old.film_id = $1 "
        f"AND NOT EXISTS (SELECT FROM {staged} new WHERE {keys}) RETURNING 1) "
        "SELECT count(*) FROM gone",
        film_id,
    )
    cursor.execute(_upsert_sql(name, staged, target))
    ((added, changed),) = cursor.fetchall()
    total = fetch_value(cursor, f"SELECT count(*) FROM {staged}")
    cursor.execute(f"DROP TABLE {staged}")
    return RowChanges(table=target.name, added=added, changed=changed, removed=removed, total=total)


def _upsert_sql(name: str, staged: str, target: PostgresTable) -> str:
    """Insert, or update where something differs; xmax is 0 in a row that was not there before."""
    columns = ", ".join(quote(c.name) for c in target.columns)
    values = ", ".join(f"{quote(c.name)}::{c.type}" for c in target.columns)
    rest = [quote(c.name) for c in target.columns if c.name not in target.key]
    update = "DO NOTHING"
    if rest:
        sets = ", ".join(f"{c} = excluded.{c}" for c in rest)
        old, new = (", ".join(f"{t}.{c}" for c in rest) for t in ("old", "excluded"))
        update = f"DO UPDATE SET {sets} WHERE ROW({old}) IS DISTINCT FROM ROW({new})"
    return (
        f"WITH written AS (INSERT INTO {name} AS old ({columns}) SELECT {values} FROM {staged} "
        f"ON CONFLICT ({', '.join(map(quote, target.key))}) {update} "
        "RETURNING old.xmax = 0 AS is_new) "
        "SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written"
    )


def stage_name(target: PostgresTable) -> str:
    """The temporary table of `stage`."""
    return f"bunny_stage_{target.name}"
