"""Vector spaces over all films, and the cache of vectors by content.

A vector is filed under a hash of what it was made from (a sentence, a picture's file), so a new
caption or a new film costs only its own. Table `search_vector`, one folder a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bunny.library.search import index, ranking
from bunny.table import store

NEIGHBOURS_A_SHOT = 50  # asked of a graph for each shot wanted: a shot has several frames

TABLE = "search_vector"
SHARD = 2048  # contents computed between two writes; a kill loses at most so many

if TYPE_CHECKING:
    from usearch.index import Index


class VectorSpace:
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
        setting: index.IndexSettings,
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
        setting : index.IndexSettings
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
        return ranking.max_per_row(frame[has_value], value[vector[has_value]], len(allowed))

    def _graph(self, setting: index.IndexSettings, folder: Path) -> Index:
        mark = index.fingerprint(self.sources, setting)
        path = index.refresh(folder, self.name, mark, lambda: self.vectors, setting)
        if path not in self._graphs:
            self._graphs[path] = index.view(path, setting)
        return self._graphs[path]


def from_tables(
    name: str,
    tables: Sequence[tuple[Path, str]],
    frame_row: dict[str, int],
    *,
    key: str = "frame_id",
    vector: str = "vector",
    where: pl.Expr | None = None,
    frame_of: dict[str, str] | None = None,
) -> VectorSpace:
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
        store.scan(folder, table).filter(is_wanted)
        for folder, table in tables
        if store.exists(folder, table)
    ]
    names = [n for own in lazy for n in own.select(key).collect()[key]]
    frames = names if frame_of is None else [frame_of.get(n) for n in names]
    rows = np.array([-1 if f is None else frame_row.get(f, -1) for f in frames], dtype=np.int64)
    found = np.flatnonzero(rows >= 0)

    def load() -> np.ndarray:
        parts = [own.select(vector).collect()[vector].to_numpy() for own in lazy]
        parts = [p.astype(np.float32) for p in parts if len(p)]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    return VectorSpace(name, len(names), (rows[found], found), load, _stamps(tables))


def from_contents(
    name: str, contents: Sequence[str | None], make: Callable[[list[str], list[int]], np.ndarray]
) -> VectorSpace:
    """One vector for each different content of the frames.

    Parameters
    ----------
    contents : sequence of str or None
        Of each frame of the catalogue, from `content_id`.
    make : callable
        From the different contents and a row of each that has it to vectors (n, d).
    """
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        if content is not None:
            first.setdefault(content, row)
    place = {content: i for i, content in enumerate(first)}
    rows = [(i, place[content]) for i, content in enumerate(contents) if content is not None]
    pairs = np.array([i for i, _ in rows], np.int64), np.array([at for _, at in rows], dtype=int)
    return VectorSpace(
        name, len(first), pairs, lambda: make(list(first), list(first.values())), list(first)
    )


def _stamps(tables: Sequence[tuple[Path, str]]) -> list[str]:
    """Names, sizes and times of tables."""
    found = []
    for folder, table in tables:
        path = store.find(folder, table)
        if path is not None:
            stat = path.stat()
            found.append(json.dumps([folder.parent.name, table, stat.st_size, stat.st_mtime_ns]))
    return found


def content_id(text: str) -> str:
    """Name of a content: 32 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached_vectors(
    folder: Path,
    model: str,
    contents: Sequence[str],
    make: Callable[[list[int]], np.ndarray],
) -> np.ndarray:
    """Give a vector for each content.

    Parameters
    ----------
    folder : Path
        Where the table of this model lies or will lie; one process at a time writes it.
    model : str
        A table of another model is thrown away.
    contents : sequence of str
        From `content_id`, each once.
    make : callable
        From places in `contents` to their vectors (m, d), float32, unit length.

    Returns
    -------
    np.ndarray, shape (n, d), float32
        d is 0 when there is no content.
    """
    from filelock import FileLock

    known = _read_cache(folder, model)
    if set(contents) <= known.keys():
        return _stack(known, contents)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{TABLE}.lock"):
        known = _read_cache(folder, model)  # another process may have made them meanwhile
        missing = [i for i, content in enumerate(contents) if content not in known]
        for start in range(0, len(missing), SHARD):
            own = missing[start : start + SHARD]
            known |= zip([contents[i] for i in own], make(own), strict=True)
            _write_cache(folder, model, known)
    return _stack(known, contents)


def _read_cache(folder: Path, model: str) -> dict[str, np.ndarray]:
    if not store.exists(folder, TABLE):
        return {}
    table = store.read(folder, TABLE).filter(pl.col("model") == model)
    return dict(zip(table["content_id"], table["vector"].to_numpy(), strict=True))


def _write_cache(folder: Path, model: str, known: dict[str, np.ndarray]) -> None:
    """Write the table; its vectors are one array, which `store.check` would take apart."""
    ids = sorted(known)
    table = pl.DataFrame(
        {
            "content_id": ids,
            "model": [model] * len(ids),
            "vector": np.stack([known[i] for i in ids]).astype(np.float32),
        }
    )
    store.write_parquet(folder / f"{TABLE}.parquet", table, TABLE)


def _stack(known: dict[str, np.ndarray], contents: Sequence[str]) -> np.ndarray:
    if not contents:
        return np.empty((0, 0), np.float32)
    return np.stack([known[c] for c in contents])
