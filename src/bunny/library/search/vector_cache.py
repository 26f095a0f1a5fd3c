"""Vectors that are computed once for each content, and kept: what is new is computed, no more.

A vector is filed under a hash of what it was made from (a sentence, a picture's file), so a new
caption or a new film costs only its own. Table `search_vector`, one folder a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bunny.table import store

TABLE = "search_vector"
SHARD = 2048  # contents computed between two writes; a kill loses at most so many


def content_id(text: str) -> str:
    """Name of a content: 32 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def vectors(
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

    known = _read(folder, model)
    if set(contents) <= known.keys():
        return _stack(known, contents)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{TABLE}.lock"):
        known = _read(folder, model)  # another process may have made them meanwhile
        missing = [i for i, content in enumerate(contents) if content not in known]
        for start in range(0, len(missing), SHARD):
            own = missing[start : start + SHARD]
            known |= zip([contents[i] for i in own], make(own), strict=True)
            _write(folder, model, known)
    return _stack(known, contents)


def _read(folder: Path, model: str) -> dict[str, np.ndarray]:
    if not store.exists(folder, TABLE):
        return {}
    table = store.read(folder, TABLE).filter(pl.col("model") == model)
    return dict(zip(table["content_id"], table["vector"].to_numpy(), strict=True))


def _write(folder: Path, model: str, known: dict[str, np.ndarray]) -> None:
    """Write the table; its vectors are one array, which `store.check` would take apart."""
    ids = sorted(known)
    table = pl.DataFrame(
        {
            "content_id": ids,
            "model": [model] * len(ids),
            "vector": np.stack([known[i] for i in ids]).astype(np.float32),
        }
    )
    store.write_parquet(folder / f"{TABLE}.parquet", table)


def _stack(known: dict[str, np.ndarray], contents: Sequence[str]) -> np.ndarray:
    if not contents:
        return np.empty((0, 0), np.float32)
    return np.stack([known[c] for c in contents])
