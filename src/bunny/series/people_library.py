"""The file of the people of many films: tables in parquet, vectors in files that only grow.

    <data_dir>/library/library_film.parquet       films that were added
                      /library_identity.parquet   people and figures, with their names
                      /library_member.parquet     each film's characters and whom they are
                      /library_rejection.parquet  what people said is not somebody
                      /library_reference.parquet  reference pictures that films share
                      /reference/<name>/          those pictures
                      /vector/<model>-<d>.f32     vectors of members and rejections, by `vector_row`

A film's rows are appended to the vectors before a table names them; what a kill leaves behind the
last named row is written over. Tables are replaced whole, the one of films last: a film whose row
is not there is added again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.table import store

FOLDER, VECTORS, REFERENCES = "library", "vector", "reference"
TABLES = (
    "library_identity",
    "library_reference",
    "library_member",
    "library_rejection",
    "library_film",
)
IDENTITY = re.compile(r"identity-(\d{4,})")
BYTES = 4  # of a float32


@dataclass(frozen=True, kw_only=True)
class PeopleLibrary:
    """Tables of the library, as they stood when they were read."""

    folder: Path
    film: pl.DataFrame
    identity: pl.DataFrame
    member: pl.DataFrame
    reference: pl.DataFrame
    rejection: pl.DataFrame

    def next_number(self) -> int:
        """Number of the next identity; none is used twice."""
        found = (IDENTITY.fullmatch(one) for one in self.identity["identity_id"])
        return max((int(one[1]) for one in found if one), default=0) + 1

    def next_row(self, model: str) -> int:
        """Row of a model's vectors behind all that a table names."""
        own = pl.col("model") == model
        rows = pl.concat(t.filter(own)["vector_row"] for t in (self.member, self.rejection))
        return max(rows, default=-1) + 1


def identity_id(number: int) -> str:
    """Id of an identity.

    Examples
    --------
    >>> identity_id(7)
    'identity-0007'
    """
    return f"identity-{number:04d}"


def read(folder: Path) -> PeopleLibrary:
    """Read the library of a folder; an empty one where there is none."""
    tables = {name.removeprefix("library_"): store.read_or_empty(folder, name) for name in TABLES}
    return PeopleLibrary(folder=folder, **tables)


def write(library: PeopleLibrary) -> None:
    """Write all tables, that of the films last."""
    for name in TABLES:
        store.write(library.folder, name, getattr(library, name.removeprefix("library_")))


def read_vectors(folder: Path, model: str) -> np.ndarray:
    """Vectors of a model (n, d), float32, mapped from their file; (0, 0) where there are none."""
    path = _find(folder, model)
    if path is None or path.stat().st_size == 0:
        return np.empty((0, 0), np.float32)
    dimension = _dimension(path)
    rows = path.stat().st_size // (BYTES * dimension)
    return np.memmap(path, np.float32, "r", shape=(rows, dimension))


def append_vectors(folder: Path, model: str, first: int, vector: np.ndarray) -> None:
    """Write vectors behind the last row that a table names.

    Parameters
    ----------
    first : int
        Row of the first one; what stands there or behind it is dropped.
    vector : np.ndarray, shape (n, d), float32

    Raises
    ------
    UserError
        If the library has vectors of another length of this model.
    """
    path, dimension = _find(folder, model), vector.shape[1]
    if path is None:
        path = folder / VECTORS / f"{_plain_name(model)}-{dimension}.f32"
        atomic.write_bytes(path, b"")
    if _dimension(path) != dimension:
        raise UserError(
            f"{path}: expected vectors of {_dimension(path)} numbers, got {dimension}; the model "
            f"{model} has changed: remove {folder} and add the films again"
        )
    with path.open("r+b") as file:
        file.truncate(first * dimension * BYTES)
        file.seek(0, os.SEEK_END)
        file.write(np.ascontiguousarray(vector, "<f4").tobytes())
        file.flush()
        os.fsync(file.fileno())


def _erase_vectors(folder: Path, model: str, rows: Sequence[int]) -> None:
    """Write zeros over rows that no table names any more."""
    path = _find(folder, model)
    if path is None:
        return
    size = _dimension(path) * BYTES
    with path.open("r+b") as file:
        for row in rows:
            file.seek(row * size)
            file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


def erase_unused(library: PeopleLibrary) -> None:
    """Write zeros over all rows that no table names any more, those of earlier additions too."""
    used: dict[str, set[int]] = {}
    for table in (library.member, library.rejection):
        for model, row in table.select("model", "vector_row").iter_rows():
            used.setdefault(_plain_name(model), set()).add(row)
    for model in _list_models(library.folder):
        rows = set(range(len(read_vectors(library.folder, model))))
        _erase_vectors(library.folder, model, sorted(rows - used.get(model, set())))


def _list_models(folder: Path) -> list[str]:
    """Models that there are vectors of, as their files are called; see `_plain_name`."""
    found = folder / VECTORS
    names = sorted(path.stem for path in found.glob("*.f32")) if found.is_dir() else []
    return [name.rpartition("-")[0] for name in names]


def _find(folder: Path, model: str) -> Path | None:
    """The file of a model's vectors."""
    pattern = re.compile(re.escape(_plain_name(model)) + r"-\d+\.f32")
    found = folder / VECTORS
    names = sorted(found.iterdir()) if found.is_dir() else []
    return next((path for path in names if pattern.fullmatch(path.name)), None)


def _dimension(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _plain_name(model: str) -> str:
    """A model's name as a part of a file's.

    Examples
    --------
    >>> _plain_name("bunny/figure 2")
    'bunny-figure-2'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", model)
