"""Brings one film's rows in the database to what they are here: no more, no less.

Rows travel in bulk into temporary tables (`stage`), which takes most of the time and locks nothing
that others read; `merge` then changes only rows that differ. All of it is the caller's transaction.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from bunny.library.publish import rows
from bunny.library.publish.connect import quote
from bunny.library.publish.schema import Target
from bunny.library.publish.target import Place, one


@dataclass(frozen=True, kw_only=True)
class Change:
    """How many rows of a table were added, changed and removed, of how many there are now."""

    table: str
    added: int
    changed: int
    removed: int
    total: int

    def is_any(self) -> bool:
        """Whether anything was done."""
        return bool(self.added or self.changed or self.removed)


def stage(cursor: Any, target: Target, table: pl.DataFrame) -> None:
    """Send rows into a temporary table that falls with the connection.

    Parameters
    ----------
    cursor : adbc_driver_manager.dbapi.Cursor
    target : Target
    table : pl.DataFrame
        With the columns of `target` as `rows` makes them; others are left out.
    """
    sent = rows.for_transport(table, target)
    cursor.adbc_ingest(stage_name(target), sent, mode="create", temporary=True)


def merge(cursor: Any, place: Place, target: Target, film_id: str) -> Change:
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
    removed = one(
        cursor,
        f"WITH gone AS (DELETE FROM {name} old WHERE old.film_id = $1 "
        f"AND NOT EXISTS (SELECT FROM {staged} new WHERE {keys}) RETURNING 1) "
        "SELECT count(*) FROM gone",
        film_id,
    )
    cursor.execute(_upsert(name, staged, target))
    added, changed = cursor.fetchone()
    total = one(cursor, f"SELECT count(*) FROM {staged}")
    cursor.execute(f"DROP TABLE {staged}")
    return Change(table=target.name, added=added, changed=changed, removed=removed, total=total)


def _upsert(name: str, staged: str, target: Target) -> str:
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


def stage_name(target: Target) -> str:
    """The temporary table of `stage`."""
    return f"bunny_stage_{target.name}"
