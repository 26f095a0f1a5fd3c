"""Caches of small things by content: one parquet file of keys and values.

Thumbnails and picture vectors are kept so; a key names the content it was made of, so what changed
has another key. The file may be deleted. Vectors of the search are a declared table of their own,
with a model and a lock (`library.search.vector_space`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bunny.table import store


def read(path: Path, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read what is kept; nothing where there is no file or it cannot be read.

    Parameters
    ----------
    schema : mapping
        Names and types of the two columns, the key first.
    """
    if not path.exists():
        return {}
    try:
        table = pl.read_parquet(path, columns=list(schema), memory_map=False)
    except (*store.UNREADABLE, OSError):
        return {}  # it is made again
    return dict(table.iter_rows())


def write(path: Path, schema: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Keep these and nothing else, in order of their keys."""
    rows = sorted(kept.items(), key=lambda item: item[0])
    store.write_parquet(path, pl.DataFrame(rows, schema=dict(schema), orient="row"))
