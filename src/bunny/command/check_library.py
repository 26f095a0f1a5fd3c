"""Check of the people of many films (`<data_dir>/library`): tables, vectors and shared pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from bunny.core import file_hash
from bunny.core.error import BunnyError
from bunny.series import people_library
from bunny.table import store

Found = tuple[str, str, Literal["person", "library"]]  # place, what is wrong, remedy
NAME = "library"  # stands where a film's id stands otherwise


def find_problems(folder: Path) -> Iterator[Found]:
    """What is not as its writer left it; nothing where there is no library.

    Parameters
    ----------
    folder : Path
        `<data_dir>/library`.

    Yields
    ------
    place, what, remedy : str
        Place relative to `folder`; remedy as of `check_workspace.WorkspaceProblem`.
    """
    tables: dict[str, pl.DataFrame] = {}
    for name in people_library.TABLES if folder.is_dir() else ():
        try:
            tables[name] = store.check(name, store.read_or_empty(folder, name))
        except BunnyError as error:
            reason = " ".join(str(error).split())[:160]
            yield f"{name}.parquet", f"does not match its schema ({reason})", "person"
    member, film = tables.get("library_member"), tables.get("library_film")
    if member is not None and film is not None:
        lost = member.filter(~pl.col("film_id").is_in(film["film_id"].implode()))
        for name in lost["film_id"].unique().sort():
            what = f"names characters of {name}, which library_film.parquet does not have"
            yield "library_member.parquet", what, "library"
    for name in ("library_member", "library_rejection"):
        if name in tables:
            yield from _vectors(folder, tables[name])
    if (reference := tables.get("library_reference")) is not None:
        yield from _references(folder, reference)


def _vectors(folder: Path, member: pl.DataFrame) -> Iterator[Found]:
    """Films whose vectors are missing, or no unit vectors."""
    for (model,), own in member.partition_by("model", as_dict=True, maintain_order=True).items():
        vector = people_library.read_vectors(folder, str(model))
        row = own["vector_row"].to_numpy()
        is_there = row < len(vector)
        length = np.zeros(len(row))
        length[is_there] = np.linalg.norm(vector[row[is_there]], axis=1)
        is_good = is_there & (np.abs(length - 1) < 1e-3)
        for name in own.filter(pl.Series(~is_good))["film_id"].unique().sort():
            yield people_library.VECTORS, f"vectors of {name} by {model} are damaged", "library"


def _references(folder: Path, reference: pl.DataFrame) -> Iterator[Found]:
    for row in reference.select("reference_id", "sha256").iter_rows(named=True):
        place = f"{people_library.REFERENCES}/{row['reference_id']}"
        path = folder / place
        if not path.is_file():
            yield place, "is missing", "library"
        elif file_hash.hash_file(path) != row["sha256"]:
            yield place, "is not the picture that the films share", "library"
