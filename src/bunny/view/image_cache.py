"""Small things that a view made once and keeps in a parquet file of two columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bunny.table import store


def read(path: Path, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is kept; nothing where there is no file or it cannot be read.

    Parameters
    ----------
    path : Path
    schema : mapping
        Names and types of the two columns, the key first.
    """
    if not path.exists():
        return {}
    try:
        table = pl.read_parquet(path, columns=list(schema), memory_map=False)
    except (pl.exceptions.PolarsError, OSError):
        return {}  # it is made again
    return dict(table.iter_rows())


def write(path: Path, schema: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Keep these and nothing else, in order of their keys."""
    rows = sorted(kept.items(), key=lambda item: item[0])
    store.write_parquet(path, pl.DataFrame(rows, schema=dict(schema), orient="row"))
