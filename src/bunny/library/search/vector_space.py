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

import numpy as np
import polars as pl

from bunny.core.config import SearchConfig
from bunny.library.search import graph_index, index, ranking
from bunny.library.search.graph_index import GraphIndex, LoadVectors
from bunny.table import store

NEIGHBOURS_A_SHOT = 50  # asked of a graph for each shot wanted: a shot has several frames

TABLE = "search_vector"
SHARD = 2048  # contents computed between two writes; a kill loses at most so many


class VectorSpace:
    """Holds what is costly: the vectors, or the index that stands for them.

    Parameters
    ----------
    name : str
        E.g. "picture"; names the index file.
    keys : np.ndarray, shape (n,), uint64
        Of each vector; see `graph_index`.
    frame, vector : np.ndarray, shape (m,), int
        Pairs: a row of the catalogue's frames and the row of its vector. A frame may have several
        vectors (faces) and a vector several frames (the same words).
    load : callable
        Gives the vectors (m, d), float32, unit length, of rows (m,); of all for None.
    is_whole : bool
        Whether these are the vectors of all films of the data folder.
    """

    def __init__(
        self,
        name: str,
        keys: np.ndarray,
        pairs: tuple[np.ndarray, np.ndarray],
        load: LoadVectors,
        *,
        is_whole: bool = True,
    ) -> None:
        self.name = name
        self.keys = keys
        self.num_vectors = len(keys)
        self.frame, self.vector = pairs
        self.is_whole = is_whole
        self._load = load
        self._graphs: dict[tuple[Path, SearchConfig], GraphIndex] = {}

    @cached_property
    def vectors(self) -> np.ndarray:
        """All vectors (n, d), float32."""
        return self._load(None)

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """Some vectors (m, d), float32, without reading all."""
        return self.vectors[rows] if "vectors" in self.__dict__ else self._load(rows)

    def cosines(
        self,
        query: np.ndarray,
        allowed: np.ndarray,
        limit: int,
        setting: SearchConfig,
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
        setting : SearchConfig
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
            found, cosine = graph.nearest_among(query, number, is_allowed)
        value[found] = cosine
        has_value = ~np.isnan(value[vector])
        return ranking.max_per_row(frame[has_value], value[vector[has_value]], len(allowed))

    def _graph(self, setting: SearchConfig, folder: Path) -> GraphIndex:
        """Opened once: other processes may make newer files, this space stays what it is."""
        if (folder, setting) not in self._graphs:
            path = graph_index.refresh(
                folder, self.name, self.keys, self._load, setting, is_whole=self.is_whole
            )
            self._graphs[folder, setting] = GraphIndex(path, self.keys, self.of_rows, setting)
        return self._graphs[folder, setting]


def from_tables(
    name: str,
    tables: Sequence[tuple[Path, str]],
    frame_row: dict[str, int],
    *,
    pick: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda table: table,
    is_whole: bool = True,
) -> VectorSpace:
    """The vectors of a table, one table a film.

    Parameters
    ----------
    frame_row : dict
        Row of the catalogue of each frame_id; vectors of other frames are left out.
    pick : callable
        From a table to the rows that are wanted, with columns `frame_id` and `vector`.
    is_whole : bool
        Whether the tables are those of all films of the data folder.
    """
    there = [one for one in tables if store.exists(*one)]
    lazy = [pick(store.scan(*one)).filter(pl.col("vector").is_not_null()) for one in there]
    frames = [own.select("frame_id").collect()["frame_id"].to_list() for own in lazy]
    rows = np.array([frame_row.get(one, -1) for own in frames for one in own], dtype=np.int64)
    found = np.flatnonzero(rows >= 0)

    end = np.cumsum([len(own) for own in frames])

    def load(wanted: np.ndarray | None) -> np.ndarray:
        parts = []
        for i, own in enumerate(lazy):
            first = end[i] - len(frames[i])
            rows = None
            if wanted is not None:
                rows = wanted[(wanted >= first) & (wanted < end[i])] - first
            if len(frames[i] if rows is None else rows):
                table = own.select("vector").collect()["vector"].to_numpy().astype(np.float32)
                parts.append(table if rows is None else table[rows])
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    stamps = [_stamp(*one) for one in there]
    keys = graph_index.make_keys(list(zip(stamps, map(len, frames), strict=True)))
    return VectorSpace(name, keys, (rows[found], found), load, is_whole=is_whole)


def from_contents(
    name: str,
    contents: Sequence[str | None],
    make: Callable[[list[str], list[int]], np.ndarray],
    *,
    is_whole: bool = True,
) -> VectorSpace:
    """One vector for each different content of the frames.

    Parameters
    ----------
    contents : sequence of str or None
        Of each frame of the catalogue, from `content_id`.
    make : callable
        From some of the different contents and a row of each that has it to vectors (m, d).
    is_whole : bool
        As of `from_tables`.
    """
    first: dict[str, int] = {}
    for row, content in enumerate(contents):
        if content is not None:
            first.setdefault(content, row)
    place = {content: i for i, content in enumerate(first)}
    rows = [(i, place[content]) for i, content in enumerate(contents) if content is not None]
    pairs = np.array([i for i, _ in rows], np.int64), np.array([at for _, at in rows], dtype=int)
    every = list(first)
    keys = np.array([int(one[:16], 16) for one in every], np.uint64)

    def load(wanted: np.ndarray | None) -> np.ndarray:
        own = every if wanted is None else [every[i] for i in wanted]
        return make(own, [first[one] for one in own])

    return VectorSpace(name, keys, pairs, load, is_whole=is_whole)


def _stamp(folder: Path, table: str) -> str:
    """Film, name, size and time of a table."""
    path = store.find(folder, table)
    stat = None if path is None else path.stat()
    known = [] if stat is None else [stat.st_size, stat.st_mtime_ns]
    return json.dumps([folder.parent.name, table, *known])


def content_id(text: str) -> str:
    """Name of a content: 32 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached_vectors(
    folder: Path, model: str, contents: Sequence[str], make: Callable[[list[int]], np.ndarray]
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
