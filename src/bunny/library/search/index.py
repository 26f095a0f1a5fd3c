"""Nearest-neighbour search: exact comparison, and HNSW graph files (usearch).

Vectors stand in parquet tables; a graph is made from them and may be deleted at any time. How a
file follows films that come and change is `graph_index`. `search.index_connectivity`,
`index_expansion_add` and `index_expansion_search` are M, efConstruction and ef of Malkov, Yashunin
2016.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core import atomic
from bunny.core.config import SearchConfig
from bunny.core.error import UserError

if TYPE_CHECKING:
    from usearch.index import Index

DTYPE = "f16"  # halves the file; against f32 no neighbour was lost, see bench_search
METRIC = "cos"
BLOCK = 65_536  # vectors compared at once: 128 MB of float32 at 512
PACKAGE = "usearch"
# Threads link vectors in another order from run to run; small graphs show it, and are soon made.
ONE_THREAD_BELOW = 10_000


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
    order = largest(cosine, limit)
    return rows[order], cosine[order]


def nearest(graph: Index, query: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Ask a graph: keys and cosines, the nearest first; a neighbour may be missed."""
    found = graph.search(np.ascontiguousarray(query, np.float32), limit, threads=1)
    return np.asarray(found.keys), (1 - found.distances).astype(np.float32)


def build(
    path: Path,
    vectors: np.ndarray,
    setting: SearchConfig,
    *,
    keys: np.ndarray | None = None,
    grown_from: Path | None = None,
    threads: int = 0,
) -> None:
    """Write a graph file, whole or not at all.

    Parameters
    ----------
    vectors : np.ndarray, shape (n, d), float32
        May be mapped from a file.
    keys : np.ndarray, shape (n,), uint64, optional
        What `nearest` gives for each vector, all different; None: row numbers.
    grown_from : Path, optional
        A graph file whose vectors are in the new one too.
    threads : int
        0: one for each core; a small graph is made by one.

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
    keys = np.arange(len(vectors), dtype=np.uint64) if keys is None else keys
    graph = _empty(vectors.shape[1], setting) if grown_from is None else _restore(grown_from)
    graph.expansion_add = setting.index_expansion_add
    order = np.random.default_rng(0).permutation(len(vectors))
    threads = 1 if len(vectors) < ONE_THREAD_BELOW else threads
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        block = np.ascontiguousarray(vectors[rows], np.float32)
        graph.add(keys[rows], block, threads=threads)
    atomic.write_file(path, lambda temporary: graph.save(str(temporary)))


def view(path: Path, setting: SearchConfig) -> Index:
    """Open a graph file by mapping it into memory; nothing of it is read yet.

    Raises
    ------
    UserError
        If usearch is not installed, or there is no such file.
    """
    graph = _restore(path, is_view=True)
    graph.expansion_search = setting.index_expansion_search
    return graph


def _restore(path: Path, *, is_view: bool = False) -> Index:
    graph = _index_class().restore(str(path), view=is_view)
    if graph is None:
        raise UserError(f"{path}: vector index not found; search again, which makes a new one")
    return graph


def _empty(ndim: int, setting: SearchConfig) -> Index:
    return _index_class()(
        ndim=ndim,
        metric=METRIC,
        dtype=DTYPE,
        connectivity=setting.index_connectivity,
        expansion_add=setting.index_expansion_add,
        expansion_search=setting.index_expansion_search,
    )


def _index_class() -> type[Index]:
    if not is_present():
        raise UserError(
            "the vector index needs the package usearch, which is not installed; run "
            "`uv sync --extra search`, or raise search.exact_below"
        )
    from usearch.index import Index

    return Index


def largest(value: np.ndarray, limit: int) -> np.ndarray:
    """Places (k,) of the largest values (n,), the largest first, ties in order of place."""
    if limit < len(value):
        edge = np.partition(value, len(value) - limit)[len(value) - limit]
        place = np.flatnonzero(value >= edge)
    else:
        place = np.arange(len(value))
    return place[np.argsort(-value[place], kind="stable")][:limit]
