"""Vectors of one kind over all films that are searched, and which frames they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bunny.library.search import index, ranking
from bunny.table import store

if TYPE_CHECKING:
    from usearch.index import Index

NEIGHBOURS_A_SHOT = 50  # asked of a graph for each shot wanted: a shot has several frames


class Space:
    """Holds what is costly: the vectors, or the index that stands for them.

    Parameters
    ----------
    name : str
        E.g. "picture"; names the index file.
    num_vectors : int
    frame, vector : np.ndarray, shape (m,), int
        Pairs: a row of the catalogue's frames and the row of its vector. A frame may have several
        vectors (faces) and a vector several frames (the same words).
    load : callable
        Gives the vectors (n, d), float32, unit length.
    sources : JSON values
        What the vectors come from; a change makes a new index.
    """

    def __init__(
        self,
        name: str,
        num_vectors: int,
        pairs: tuple[np.ndarray, np.ndarray],
        load: Callable[[], np.ndarray],
        sources: object,
    ) -> None:
        self.name = name
        self.num_vectors = num_vectors
        self.frame, self.vector = pairs
        self.sources = sources
        self._load = load
        self._graphs: dict[Path, Index] = {}

    @cached_property
    def vectors(self) -> np.ndarray:
        """All vectors (n, d), float32."""
        return self._load()

    def cosines(
        self,
        query: np.ndarray,
        allowed: np.ndarray,
        limit: int,
        setting: index.IndexSetting,
        folder: Path,
    ) -> np.ndarray:
        """Cosine of every frame's best vector to a query.

        Parameters
        ----------
        query : np.ndarray, shape (d,), float32
            Unit length.
        allowed : np.ndarray, shape (frames,), bool
        limit : int
            Shots wanted.
        setting : index.IndexSetting
            From `exact_below` allowed vectors on, a graph is asked.
        folder : Path
            Where the index lies or will lie.

        Returns
        -------
        np.ndarray, shape (frames,), float32
            NaN of frames that are not allowed, have no vector, or are not among the nearest that
            a graph gave.
        """
        keep = allowed[self.frame]
        frame, vector = self.frame[keep], self.vector[keep]
        rows = np.unique(vector)
        value = np.full(self.num_vectors, np.nan, dtype=np.float32)
        if len(rows) < setting.exact_below or not index.is_present():
            found, cosine = index.nearest_exact(self.vectors, query, len(rows), rows)
        else:
            is_allowed = np.zeros(self.num_vectors, dtype=bool)
            is_allowed[rows] = True
            graph = self._graph(setting, folder)
            number = limit * NEIGHBOURS_A_SHOT
            found, cosine = index.nearest_among(graph, query, number, is_allowed)
        value[found] = cosine
        has_value = ~np.isnan(value[vector])
        return ranking.spread(frame[has_value], value[vector[has_value]], len(allowed))

    def _graph(self, setting: index.IndexSetting, folder: Path) -> Index:
        mark = index.fingerprint(self.sources, setting)
        path = index.refresh(folder, self.name, mark, lambda: self.vectors, setting)
        if path not in self._graphs:
            self._graphs[path] = index.view(path, setting)
        return self._graphs[path]


def of_tables(
    name: str,
    tables: Sequence[tuple[Path, str]],
    frame_row: dict[str, int],
    *,
    key: str = "frame_id",
    vector: str = "vector",
    where: pl.Expr | None = None,
    frame_of: dict[str, str] | None = None,
) -> Space:
    """The vectors of a table, one table a film.

    Parameters
    ----------
    name : str
    tables : sequence of (folder, table)
    frame_row : dict
        Row of the catalogue of each frame_id; vectors of other frames are left out.
    key, vector : str
        Columns: what names the item, and its vector.
    where : pl.Expr, optional
        Which rows of the tables.
    frame_of : dict, optional
        frame_id of each item; None: `key` is one.
    """
    is_wanted = pl.col(vector).is_not_null()
    is_wanted = is_wanted if where is None else is_wanted & where
    lazy = [
        pl.scan_parquet(folder / f"{table}.parquet").filter(is_wanted)
        for folder, table in tables
        if store.exists(folder, table)
    ]
    names = [n for own in lazy for n in own.select(key).collect()[key]]
    frames = names if frame_of is None else [frame_of.get(n) for n in names]
    rows = np.array([frame_row.get(f, -1) for f in frames], dtype=np.int64)
    found = np.flatnonzero(rows >= 0)

    def load() -> np.ndarray:
        parts = [own.select(vector).collect()[vector].to_numpy() for own in lazy]
        parts = [p.astype(np.float32) for p in parts if len(p)]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    return Space(name, len(names), (rows[found], found), load, _stamps(tables))


def of_contents(
    name: str, contents: Sequence[str | None], make: Callable[[list[str], list[int]], np.ndarray]
) -> Space:
    """One vector for each different content of the frames.

    Parameters
    ----------
    contents : sequence of str or None
        Of each frame of the catalogue, from `kept.content_id`.
    make : callable
        From the different contents and a row of each that has it to vectors (n, d).
    """
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        if content is not None:
            first.setdefault(content, row)
    place = {content: i for i, content in enumerate(first)}
    rows = [i for i, content in enumerate(contents) if content is not None]
    pairs = np.array(rows, dtype=np.int64), np.array([place[contents[i]] for i in rows], dtype=int)
    return Space(
        name, len(first), pairs, lambda: make(list(first), list(first.values())), list(first)
    )


def _stamps(tables: Sequence[tuple[Path, str]]) -> list[str]:
    """Names, sizes and times of tables."""
    found = []
    for folder, table in tables:
        path = folder / f"{table}.parquet"
        if path.exists():
            stat = path.stat()
            found.append(json.dumps([folder.parent.name, table, stat.st_size, stat.st_mtime_ns]))
    return found
