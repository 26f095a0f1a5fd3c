"""The embedded sample: a short film of our own, pictures of its cast, and what is true of it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

TRUTH_TABLES = ("shot", "box")


def film_path() -> Path:
    """Give the path of the sample film, an mp4."""
    return _folder() / "sample.mp4"


def reference_dir() -> Path:
    """Give the folder with one folder of pictures a character."""
    return _folder() / "reference"


def truth(name: str) -> pl.DataFrame:
    """Read one table of what is true of the sample film.

    Parameters
    ----------
    name : {"shot", "box"}
        `shot`: one row a shot. `box`: one row for each frame and each character seen in it.
        README.md beside this module explains the columns.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    import polars as pl

    if name not in TRUTH_TABLES:
        raise ValueError(f"expected one of {', '.join(TRUTH_TABLES)}, found {name!r}")
    return pl.read_parquet(_folder() / "truth" / f"{name}.parquet")


def _folder() -> Path:
    """Folder of this package on disk."""
    return Path(str(resources.files(__name__)))
