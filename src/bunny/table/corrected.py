"""Corrected labels and clusters where stage review has run, else the machine's."""

from pathlib import Path

import polars as pl

from bunny.table import store

CORRECTED = {"label": "label_corrected", "cluster": "cluster_corrected"}  # tables of one form each


def table_name(folder: Path, name: str) -> str:
    """The table that is read for `name`: the corrected one if there is one.

    Parameters
    ----------
    folder : Path
        The film's table folder.
    """
    other = CORRECTED.get(name, name)
    return other if store.exists(folder, other) else name


def read_or_empty(folder: Path, name: str) -> pl.DataFrame:
    """As `store.read_or_empty`, of the corrected table if there is one."""
    return store.read_or_empty(folder, table_name(folder, name))
