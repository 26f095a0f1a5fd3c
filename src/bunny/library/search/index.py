"""Nearest-neighbour index: exact comparison, or an HNSW graph (usearch) in one file.

Vectors stand in parquet tables; an index is made from them and may be deleted at any time. Its
file's name ends in a fingerprint of what it was made from, so a stale one is never opened, a new
one appears by one rename, and who still reads the old file goes on reading it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core import atomic
from bunny.core.error import UserError

if TYPE_CHECKING:
    from usearch.index import Index

DTYPE = "f16"  # halves the file; against f32 no neighbour was lost, see bench_search
METRIC = "cos"
BLOCK = 65_536  # vectors compared at once: 128 MB of float32 at 512
SUFFIX = ".usearch"
PACKAGE = "usearch"
VERSION = 2  # of how an index is made


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """When a graph is used and how it is made (Malkov, Yashunin 2016: M, efConstruction, ef)."""

    exact_below: int = 1_000_000  # vectors
    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 384


def is_present() -> bool:
    """Whether usearch is installed (extra `search`)."""
    return importlib.util.find_spec(PACKAGE) is not None


def nearest_exact(
    vector: np.ndarray, query: np.ndarray, limit: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compare a query with every vector.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d), float32
        Unit length.
    query : np.ndarray, shape (d,), float32
        Unit length.
    limit : int
    rows : np.ndarray, shape (m,), int, optional
        Rows to compare with; None: all.

    Returns
    -------
    rows : np.ndarray, shape (k,), int64
        Rows of `vector`, the nearest first, ties in order of row; k is `limit` or all there are.
    cosine : np.ndarray, shape (k,), float32
    """
    rows = np.arange(len(vector)) if rows is None else np.asarray(rows, dtype=np.int64)
    cosine = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        own = rows[start : start + BLOCK]
        is_run = len(own) and own[-1] - own[0] + 1 == len(own)
        part = vector[own[0] : own[-1] + 1] if is_run else vector[own]
        cosine[start : start + BLOCK] = part @ query
    order = _largest(cosine, limit)
    return rows[order], cosine[order]


def nearest(index: Index, query: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask a graph; like `nearest_exact`, but a neighbour may be missed."""
    found = index.search(np.ascontiguousarray(query, np.float32), limit, threads=1)
    return found.keys.astype(np.int64), (1 - found.distances).astype(np.float32)


def nearest_among(
    index: Index, query: np.ndarray, limit: int, is_allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ask a graph for the nearest among some rows: as many as it takes are asked for.

    Parameters
    ----------
    is_allowed : np.ndarray, shape (n,), bool
        Of each row of the index.
    """
    wanted = min(limit, int(is_allowed.sum()))
    asked = limit
    while True:
        rows, cosine = nearest(index, query, min(asked, len(is_allowed)))
        keep = is_allowed[rows]
        if keep.sum() >= wanted or asked >= len(is_allowed):
            return rows[keep][:limit], cosine[keep][:limit]
        asked *= 4


def fingerprint(parts: object, setting: IndexSettings) -> str:
    """Fingerprint of an index, 16 hex digits: its sources and the graph settings.

    Parameters
    ----------
    parts : JSON values
        Names, sizes and times of the tables that the vectors come from.
    """
    how = [VERSION, DTYPE, METRIC, setting.connectivity, setting.expansion_add]
    return hashlib.sha256(json.dumps([parts, how]).encode()).hexdigest()[:16]


def refresh(
    folder: Path,
    name: str,
    mark: str,
    load: Callable[[], np.ndarray],
    setting: IndexSettings,
) -> Path:
    """Give the index of a space; it is made when there is none of this fingerprint.

    Parameters
    ----------
    folder : Path
        Holds one index a space; made when missing.
    name : str
        Of the space, e.g. "picture".
    mark : str
        From `fingerprint`.
    load : callable
        Gives the vectors (n, d); called only when an index is made.

    Notes
    -----
    One process makes it, others that want it wait and then find it.
    """
    from filelock import FileLock

    path = folder / f"{name}-{mark}{SUFFIX}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        if not path.exists():
            build(path, load(), setting)
            for old in folder.glob(f"{name}-*{SUFFIX}"):
                if old != path:
                    with suppress(PermissionError):  # another process reads it, on Windows
                        old.unlink()
    return path


def build(path: Path, vectors: np.ndarray, setting: IndexSettings, *, threads: int = 0) -> None:
    """Write an index file, whole or not at all.

    Parameters
    ----------
    path : Path
    vectors : np.ndarray, shape (n, d), float32
        May be mapped from a file; keys are row numbers.
    threads : int
        0: one for each core.

    Raises
    ------
    UserError
        If usearch is not installed.

    Notes
    -----
    Rows are added in random order. In the order of the film a graph of 100,000 found 0.978 of the
    neighbours and never more than 0.995, since early nodes link only inside their own scenes;
    shuffled, it found 0.988, and all of them from an expansion of 128 on (see bench_search).
    """
    index = _empty(vectors.shape[1], setting)
    order = np.random.default_rng(0).permutation(len(vectors))
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        block = np.ascontiguousarray(vectors[rows], np.float32)
        index.add(rows.astype(np.uint64), block, threads=threads)
    _save(index, path)


def view(path: Path, setting: IndexSettings) -> Index:
    """Open an index file by mapping it into memory; nothing of it is read yet.

    Raises
    ------
    UserError
        If usearch is not installed, or there is no such file.
    """
    index = _index_class().restore(str(path), view=True)
    if index is None:
        raise UserError(f"{path}: vector index not found; search again, which makes a new one")
    index.expansion_search = setting.expansion_search
    return index


def _empty(ndim: int, setting: IndexSettings) -> Index:
    return _index_class()(
        ndim=ndim,
        metric=METRIC,
        dtype=DTYPE,
        connectivity=setting.connectivity,
        expansion_add=setting.expansion_add,
        expansion_search=setting.expansion_search,
    )


def _index_class() -> type[Index]:
    if not is_present():
        raise UserError(
            "the vector index needs the package usearch, which is not installed; run "
            "`uv sync --extra search`, or raise search.exact_below"
        )
    from usearch.index import Index

    return Index


def _save(index: Index, path: Path) -> None:
    """Write it whole or not at all."""
    atomic.write_file(path, lambda temporary: index.save(str(temporary)))


def _largest(value: np.ndarray, limit: int) -> np.ndarray:
    """Places of the largest values, ties in order of place."""
    if limit < len(value):
        edge = np.partition(value, len(value) - limit)[len(value) - limit]
        place = np.flatnonzero(value >= edge)
    else:
        place = np.arange(len(value))
    return place[np.argsort(-value[place], kind="stable")][:limit]
