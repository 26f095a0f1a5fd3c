"""Parquet tables read and written: checked against their schema, atomic, in key order.

A write goes to a temporary name in the same folder, is flushed to disk and renamed, so a reader or
a kill at any moment sees the old table or the new one, never half of one.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from dataframely.exc import SchemaError, ValidationError

from bunny.core import atomic, disk_full, safe_path
from bunny.core.error import BunnyError, UserError
from bunny.table import migration, schema

logger = logging.getLogger(__name__)

COMPRESSION = "zstd"
# Keys of a file's metadata: which table it is, and in which version of its schema.
TABLE_KEY, VERSION_KEY = "bunny.table", "bunny.schema_version"
# What Polars raises of a file that is no table: of some that are cut, it panics.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


class TableError(BunnyError):
    """A table is missing, unreadable or breaks its schema."""


class DamagedTableError(TableError, UserError):
    """A file is no parquet table, only a part of one, or not one that its stage writes."""


class TableVersionError(TableError, UserError):
    """A table of a newer version of its schema, or of one from which no migration leads."""


def from_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Make a table of `name` from dictionaries; missing keys become null, no row an empty table.

    Vectors may be given as 1-d arrays or lists: of `schema.VECTOR` all of one length, of columns
    declared with a length of that length.

    Raises
    ------
    TableError
        If a key is not a column, or a rule of the schema is broken.
    """
    columns = schema.TABLE[name].columns()
    vectors = schema.VECTOR.get(name, ())
    rows = list(rows)
    for row in rows:
        unknown = row.keys() - columns.keys()
        if unknown:
            raise TableError(
                f"table {name}: unknown columns {sorted(unknown)}; declare them in its schema"
            )
    data = {
        column: _vector_series(column, [row.get(column) for row in rows])
        if column in vectors
        else _series(column, [row.get(column) for row in rows], spec.dtype)
        for column, spec in columns.items()
    }
    return check(name, pl.DataFrame(data))


def check(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Cast to the schema of `name`, check every rule, order columns as declared and rows by key.

    Raises
    ------
    TableError
        With the rules that failed and for how many rows.
    """
    declared = schema.TABLE[name]
    vectors = [c for c in schema.VECTOR.get(name, ()) if c in frame.columns]
    frame = frame.with_columns(_vectors_of(frame[c]) for c in vectors)
    try:
        valid = declared.validate(frame, cast=True)
    except (ValidationError, SchemaError, pl.exceptions.PolarsError) as error:
        raise TableError(f"table {name} does not match its schema: {error}") from error
    _check_paths(f"table {name}", name, valid)
    return valid.select(declared.column_names()).sort(declared.primary_key())


def write(folder: Path, name: str, frame: pl.DataFrame) -> Path:
    """Check and write `<folder>/<name>.parquet` atomically; returns its path."""
    path = folder / f"{name}.parquet"
    write_parquet(path, check(name, frame), name)
    former = folder / f"{migration.FORMER_NAME.get(name, name)}.parquet"
    if former != path and former.exists():
        atomic.remove_file(former)
    return path


def read(folder: Path, name: str) -> pl.DataFrame:
    """Read a table of this house; one of an older version is migrated in memory.

    Columns that came after it was written, and may be null, are null in it.

    Raises
    ------
    TableError
        If it is missing, cannot be read as parquet, lacks a column, names a path that leads out of
        its folder, or is of a newer version or of one from which no migration leads.
    """
    path = find(folder, name)
    if path is None:
        raise TableError(
            f"expected table {name}.parquet in {folder}, found none; run the stage that writes it"
        )
    steps = _steps(path, name)
    try:
        frame = pl.read_parquet(path, memory_map=False)
        for step in steps:
            frame = step.change(frame)
    except (*UNREADABLE, OSError) as error:
        raise _damaged(path, error) from error
    whole = _with_later_columns(name, frame)
    declared = schema.TABLE[name].column_names() if name in schema.TABLE else []
    missing = [column for column in declared if column not in whole.columns]
    if missing:
        raise DamagedTableError(
            f"{path}: expected the columns of table {name}, found none named {', '.join(missing)}, "
            "as a file of another version or program; delete it and run the film again"
        )
    found = _with_later_values(path, name, whole)
    _check_paths(path, name, found)
    return found


def scan(folder: Path, name: str) -> pl.LazyFrame:
    """As `read`, of which only the columns and rows that are asked for are read from the file.

    A table that has to be migrated, or that names files, is read wholly.
    """
    path = find(folder, name)
    if path is None or path.stem != name or name in schema.PATH or _steps(path, name):
        return read(folder, name).lazy()
    return pl.scan_parquet(path)


def find(folder: Path, name: str) -> Path | None:
    """The file of a table: of its name, else of a name that it had; None when there is none."""
    for stem in (name, migration.FORMER_NAME.get(name, name)):
        path = folder / f"{stem}.parquet"
        if path.exists():
            return path
    return None


def read_version(path: Path) -> int:
    """Version of the schema that a file was written with; 1 where it says none.

    Only the end of the file is read.

    Raises
    ------
    DamagedTableError
        If it is no parquet table or its version is no number.
    """
    try:
        return int(pl.read_parquet_metadata(path).get(VERSION_KEY, 1))
    except (*UNREADABLE, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def is_readable(path: Path) -> bool:
    """Whether the file of a table is of today's version, or migrations lead there from its own."""
    wanted = schema.VERSION.get(path.stem)
    return wanted is None or migration.plan(path.stem, read_version(path), wanted) is not None


def check_not_newer(folder: Path, name: str) -> None:
    """Refuse to go on where a table is of a newer program, which would be written over.

    Raises
    ------
    TableVersionError
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        return
    try:
        found = read_version(path)
    except DamagedTableError:
        return  # it is made again
    if found > schema.VERSION.get(name, found):
        raise _version_error(path, name, found)


def _steps(path: Path, name: str) -> tuple[migration.Migration, ...]:
    """Migrations that a file needs; those of other programs, which have no schema, need none."""
    wanted = schema.VERSION.get(name)
    if wanted is None:
        return ()
    found = read_version(path)
    steps = migration.plan(name, found, wanted)
    if steps is None:
        raise _version_error(path, name, found)
    if steps:
        logger.debug("%s: schema version %d is read as %d", path, found, wanted)
    return steps


def _version_error(path: Path, name: str, found: int) -> TableVersionError:
    wanted = schema.VERSION[name]
    advice = (
        "a newer bunny wrote it: update this one"
        if found > wanted
        else "no migration leads there: run the film again, its stage makes this table anew"
    )
    return TableVersionError(
        f"{path}: expected version {wanted} of table {name}, found version {found}; {advice}"
    )


def _damaged(path: Path, error: BaseException) -> DamagedTableError:
    return DamagedTableError(
        f"{path}: expected a parquet table, could not read it ({error}); "
        "delete it and run the film again"
    )


def read_or_empty(folder: Path, name: str) -> pl.DataFrame:
    """Read a table, or an empty one of the same columns when it was never written."""
    if exists(folder, name):
        return read(folder, name)
    return from_rows(name, [])


def exists(folder: Path, name: str) -> bool:
    """Whether the table was written."""
    return find(folder, name) is not None


def write_parquet(path: Path, frame: pl.DataFrame, name: str | None = None) -> None:
    """Write any frame atomically, see `write_file`.

    Parameters
    ----------
    name : str, optional
        Which table of `schema.TABLE` it is; its version is then written into the file.

    Raises
    ------
    UserError
        If the disk takes no more.
    """
    about = None if name is None else {TABLE_KEY: name, VERSION_KEY: str(schema.VERSION[name])}

    def write(temporary: Path) -> None:
        try:
            frame.write_parquet(temporary, compression=COMPRESSION, statistics=True, metadata=about)
        except pl.exceptions.PolarsError as error:
            raise disk_full.write_error(f"{path}: could not write this table", error) from error

    atomic.write_file(path, write)


def _with_later_columns(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Add nullable columns that the schema got after the table was written, in its order."""
    declared = schema.TABLE[name].columns() if name in schema.TABLE else {}
    if not declared:
        return frame
    later = [c for c, spec in declared.items() if c not in frame.columns and spec.nullable]
    whole = frame.with_columns(pl.lit(None, declared[c].dtype).alias(c) for c in later)
    return whole.select(*(c for c in declared if c in whole.columns), pl.exclude(declared))


def _with_later_values(path: Path, name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Give columns today's types: enums of a file had fewer values, others are somebody's own."""
    declared = schema.TABLE[name].columns() if name in schema.TABLE else {}
    other = {
        column: spec.dtype
        for column, spec in declared.items()
        if column not in schema.VECTOR.get(name, ()) and frame.schema[column] != spec.dtype
    }
    try:
        return frame.cast(other) if other else frame  # pyright: ignore[reportArgumentType]
    except pl.exceptions.PolarsError as error:
        raise DamagedTableError(
            f"{path}: expected the values of table {name} in columns {', '.join(other)}, found "
            "others, as in a file of another version or program; delete it and run the film again"
        ) from error


def _check_paths(where: object, name: str, frame: pl.DataFrame) -> None:
    """Refuse a table in which a path leads out of its folder; links are followed where one opens.

    Raises
    ------
    DamagedTableError
    """
    for column in schema.PATH.get(name, ()):
        names = frame[column]
        names = names.explode() if isinstance(names.dtype, pl.List) else names
        wrong = names.filter(names.str.contains(safe_path.LEADS_OUT).fill_null(value=False))
        if len(wrong):
            raise DamagedTableError(
                f"{where}: expected paths inside its folder in column {column}, found "
                f"{ascii(wrong[0])[:200]}, which leads out of it; delete this table and run the "
                "film again"
            )


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """Values as declared; vectors of a declared length are refused when theirs is another."""
    if not isinstance(dtype, pl.Array):
        return pl.Series(name, values, dtype=dtype, strict=False)
    others = sorted({len(v) for v in values if v is not None} - {dtype.size})
    if others:
        raise TableError(
            f"column {name}: expected vectors of length {dtype.size}, got lengths {others}"
        )
    null = np.zeros(dtype.size)
    rows = np.array([null if v is None else v for v in values]).reshape(-1, dtype.size)
    series = pl.Series(name, rows).cast(dtype)
    has_value = pl.Series([v is not None for v in values], dtype=pl.Boolean)
    return pl.select(pl.when(has_value).then(series).alias(name)).to_series()


def _vectors_of(series: pl.Series) -> pl.Series:
    """A column as vectors of one length; lists and arrays of numbers become no Python objects."""
    is_nested = isinstance(series.dtype, pl.List | pl.Array)
    if not is_nested or not series.dtype.inner.is_numeric():  # pyright: ignore[reportAttributeAccessIssue]
        return _vector_series(series.name, series.to_list())
    lists = series.cast(pl.List(pl.Float32))
    lengths = sorted(lists.drop_nulls().list.len().unique())
    if len(lengths) > 1:
        raise _lengths_error(series.name, lengths)
    if not lengths:
        return pl.Series(series.name, [None] * len(series), dtype=pl.Array(pl.Float32, 0))
    return lists.list.to_array(lengths[0])


def _lengths_error(name: str, lengths: list[int]) -> TableError:
    return TableError(
        f"column {name}: expected vectors of one length, got lengths {lengths}; "
        "do not mix models in one table"
    )


def _vector_series(name: str, values: list[Any]) -> pl.Series:
    """Vectors of one length as Array(Float32, d); all null gives a null column of d = 0."""
    length = {len(value) for value in values if value is not None}
    if len(length) > 1:
        raise _lengths_error(name, sorted(length))
    dtype = pl.Array(pl.Float32, length.pop() if length else 0)
    plain = [None if v is None else [float(x) for x in v] for v in values]
    return pl.Series(name, plain, dtype=pl.List(pl.Float32)).cast(dtype)
