"""Nearest-neighbour index that grows: an HNSW graph of most vectors, and those that came since.

Each vector has a key of 64 bits that stays the same while its table does, and the graph knows
vectors by it. So a film that was added or run again makes nothing anew: its vectors are compared
one by one until there are `MAX_REST` numbers of them, then they are added to a copy of the graph.
Keys that no film has any more stay in the graph, unheard, until they are a quarter of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bunny.core import atomic
from bunny.core.config import SearchConfig
from bunny.core.error import UserError
from bunny.library.search import index

VERSION = 3  # of how an index is made
GRAPH, KEYS = ".usearch", ".npy"  # a graph's file, and the sorted keys of its vectors
MAX_REST = 1 << 24  # numbers of the vectors that are not in the graph: 64 MB, compared in 10 ms
MAX_GONE = 0.25  # share of a graph's keys that no film has; then it is made anew
EARLIER = re.compile(r"[0-9a-f]{12}")  # folders of versions that kept one index a set of films

LoadVectors = Callable[[np.ndarray | None], np.ndarray]  # of these rows; None: of all


class GraphIndex:
    """A graph file opened for the vectors that a space has now.

    Parameters
    ----------
    path : Path
        From `refresh`.
    keys : np.ndarray, shape (n,), uint64
        Of each row of the space.
    load : callable
        Gives vectors (m, d), float32, unit length, of rows (m,).
    """

    def __init__(
        self,
        path: Path,
        keys: np.ndarray,
        load: Callable[[np.ndarray], np.ndarray],
        setting: SearchConfig,
    ) -> None:
        self._graph = index.view(path, setting)
        self._row = np.argsort(keys)
        self._key = keys[self._row]
        self.rest = np.flatnonzero(~_is_in(keys, _read_keys(path)))
        self._rest_vectors = load(self.rest) if len(self.rest) else None

    def nearest_among(
        self, query: np.ndarray, limit: int, is_allowed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest among some rows; one that is in the graph may be missed.

        Parameters
        ----------
        query : np.ndarray, shape (d,), float32
            Unit length.
        is_allowed : np.ndarray, shape (n,), bool
            Of each row of the space.

        Returns
        -------
        rows : np.ndarray, shape (k,), int64
            The nearest first.
        cosine : np.ndarray, shape (k,), float32
        """
        in_graph = is_allowed.copy()
        in_graph[self.rest] = False
        rows, cosine = self._ask(query, limit, in_graph)
        if self._rest_vectors is None:
            return rows, cosine
        own = np.flatnonzero(is_allowed[self.rest])
        near, near_cosine = index.nearest_exact(self._rest_vectors, query, limit, own)
        rows = np.concatenate([rows, self.rest[near]])
        cosine = np.concatenate([cosine, near_cosine])
        order = index.largest(cosine, limit)
        return rows[order], cosine[order]

    def _ask(
        self, query: np.ndarray, limit: int, is_allowed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of the graph: as many are asked for as it takes to have enough that are allowed."""
        wanted = min(limit, int(is_allowed.sum()))
        if not wanted:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        asked = limit
        while True:
            keys, cosine = index.nearest(self._graph, query, min(asked, len(self._graph)))
            at = np.searchsorted(self._key, keys).clip(max=len(self._key) - 1)
            rows = self._row[at]
            keep = (self._key[at] == keys) & is_allowed[rows]
            if keep.sum() >= wanted or asked >= len(self._graph):
                return rows[keep][:limit], cosine[keep][:limit]
            asked *= 4


def make_keys(parts: Sequence[tuple[str, int]]) -> np.ndarray:
    """Keys of the vectors of several tables.

    Parameters
    ----------
    parts : sequence of (str, int)
        What tells a table's content, and how many vectors it gives, in order.

    Returns
    -------
    np.ndarray, shape (n,), uint64
        Runs that begin at 64 bits of each part's SHA-256; two of 10,000 runs of 100,000 overlap by
        chance in 1 of 10^6 libraries.
    """
    if not parts:
        return np.empty(0, np.uint64)
    with np.errstate(over="ignore"):
        return np.concatenate(
            [_hash64(name) + np.arange(number, dtype=np.uint64) for name, number in parts]
        )


def refresh(
    folder: Path,
    name: str,
    keys: np.ndarray,
    load: LoadVectors,
    setting: SearchConfig,
    *,
    is_whole: bool = True,
) -> Path:
    """Give the graph file of a space, made, grown or made anew where it has to be.

    Parameters
    ----------
    folder : Path
        Holds one graph a space; made when missing.
    name : str
        Of the space, e.g. "picture".
    keys : np.ndarray, shape (n,), uint64
    load : callable
        See `GraphIndex`; called only when a graph is made or grows.
    is_whole : bool
        Whether these are the vectors of all films, so that other keys are of nobody any more.

    Notes
    -----
    One process makes it, others that want it wait and then find it. The old file is removed; who
    still reads it goes on reading it.
    """
    from filelock import FileLock

    path = _find(folder, name, setting)
    if path is not None and not _is_outgrown(path, keys, setting, is_whole):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        path = _find(folder, name, setting)
        if path is not None and not _is_outgrown(path, keys, setting, is_whole):
            return path
        new = folder / f"{name}-{_how(setting)}-{_number(path) + 1:06d}{GRAPH}"
        known = None if path is None else _read_keys(path)
        if path is None or known is None or (is_whole and _share_gone(keys, known) > MAX_GONE):
            index.build(new, load(None), setting, keys=keys)
            _write_keys(new, keys)
        else:
            more = np.flatnonzero(~_is_in(keys, known))
            index.build(new, load(more), setting, keys=keys[more], grown_from=path)
            _write_keys(new, np.concatenate([known, keys[more]]))
        _remove_others(folder, name, new)
    return new


def _is_outgrown(path: Path, keys: np.ndarray, setting: SearchConfig, is_whole: bool) -> bool:
    known = _read_keys(path)
    if is_whole and _share_gone(keys, known) > MAX_GONE:
        return True
    ndim = index.view(path, setting).ndim
    return int((~_is_in(keys, known)).sum()) * ndim > MAX_REST


def _share_gone(keys: np.ndarray, known: np.ndarray) -> float:
    return 1 - float(_is_in(keys, known).sum()) / max(1, len(known))


def _is_in(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether each key (n,) is one of the sorted ones."""
    if not len(known):
        return np.zeros(len(keys), bool)
    return known[np.searchsorted(known, keys).clip(max=len(known) - 1)] == keys


def _find(folder: Path, name: str, setting: SearchConfig) -> Path | None:
    """The newest graph file of a space that has its keys beside it."""
    form = re.compile(rf"{re.escape(name)}-{_how(setting)}-\d{{6}}{re.escape(GRAPH)}")
    found = [p for p in folder.glob(f"{name}-*{GRAPH}") if form.fullmatch(p.name)]
    found = [p for p in found if p.with_suffix(KEYS).exists()]
    return max(found, default=None)


def _number(path: Path | None) -> int:
    return 0 if path is None else int(path.stem[-6:])


def _how(setting: SearchConfig) -> str:
    """Eight hex digits of how a graph is made; the effort of a search is no part of it."""
    graph = [setting.index_connectivity, setting.index_expansion_add]
    how = [VERSION, index.DTYPE, index.METRIC, *graph]
    return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:8]


def _hash64(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def _read_keys(path: Path) -> np.ndarray:
    try:
        return np.load(path.with_suffix(KEYS))
    except FileNotFoundError as error:  # another process made a newer one this very moment
        raise UserError(f"{path}: vector index was replaced; search again") from error


def _write_keys(path: Path, keys: np.ndarray) -> None:
    """Last of the two files: a graph without its keys is none."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as out:
            np.save(out, np.sort(keys))

    atomic.write_file(path.with_suffix(KEYS), write)


def _remove_others(folder: Path, name: str, kept: Path) -> None:
    """Remove a space's older files, and folders of earlier versions."""
    form = re.compile(rf"{re.escape(name)}-([0-9a-f]{{8}}-\d{{6}}|[0-9a-f]{{16}})")
    for old in folder.iterdir():
        with suppress(PermissionError):  # another process reads it, on Windows
            if old.is_dir() and EARLIER.fullmatch(old.name):
                shutil.rmtree(old)
            elif form.fullmatch(old.stem) and old.suffix in (GRAPH, KEYS) and old.stem != kept.stem:
                old.unlink()
