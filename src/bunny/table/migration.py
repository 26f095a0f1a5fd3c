"""Migrations of tables from the schema version that wrote them to today's.

A table's version (`schema.VERSION`) stands in its parquet file; a file without one has version 1.
It is raised when a file of the version before would not be read as it is: a column that is renamed,
split, of another type or of another meaning, a new column that may not be null, an enum that lost a
value. For each such step there is a migration here, or the table's stage makes it again. New
columns that may be null and new values of an enum need neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

# Names that tables had, until 2026-11-22: what is read where there is no file of the name of today.
FORMER_NAME = {
    "label_corrected": "identity",
    "cluster_corrected": "grouping",
    "evaluation_picture": "proof_picture",
}

# Tables that no stage makes again: names that people gave, and answers of captioners that were paid
# for. Migrations have to lead from every version of them to today's.
ALWAYS_MIGRATED = ("library_identity", "library_member", "library_reference", "caption")


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step of one table from a version to a later one."""

    table: str
    from_version: int
    to_version: int
    change: Callable[[pl.DataFrame], pl.DataFrame]


def plan(
    table: str, found: int, wanted: int, known: Sequence[Migration] | None = None
) -> tuple[Migration, ...] | None:
    """The migrations that lead from one version of a table to another, in order.

    Parameters
    ----------
    found, wanted : int
        Version of the file, and the version that is to come out.
    known : sequence of Migration, optional
        Migrations to choose from; None: `MIGRATIONS`. Of two that begin at one version the one that
        leads furthest is taken.

    Returns
    -------
    tuple of Migration or None
        Empty when `found` is `wanted`; None when no migrations lead there.

    Examples
    --------
    >>> [(step.from_version, step.to_version) for step in plan("film", 1, 2)]
    [(1, 2)]
    >>> plan("film", 3, 2) is None
    True
    """
    steps: list[Migration] = []
    while found < wanted:
        later = [
            step
            for step in (MIGRATIONS if known is None else known)
            if step.table == table and step.from_version == found < step.to_version <= wanted
        ]
        if not later:
            return None
        steps.append(max(later, key=lambda step: step.to_version))
        found = steps[-1].to_version
    return tuple(steps) if found == wanted else None


def _film_of_first_stream(film: pl.DataFrame) -> pl.DataFrame:
    """Film 1 to 2: its first program knew no mirrored films and took the first stream."""
    later = {"is_mirrored": pl.lit(False), "stream_index": pl.lit(0, pl.Int32)}
    return film.with_columns(
        value.alias(column) for column, value in later.items() if column not in film.columns
    )


MIGRATIONS: tuple[Migration, ...] = (
    Migration(table="film", from_version=1, to_version=2, change=_film_of_first_stream),
)
