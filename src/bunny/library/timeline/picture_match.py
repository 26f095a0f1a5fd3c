"""Picture matching: the same bytes, or a near perceptual hash and signature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bunny.core import file_hash

BITS_MAX = 10  # of 64 in which hashes of one picture, saved or scaled anew, differ; Zauner 2010
CORRELATION_MIN = 0.9  # of 32x32 luma: hashes of flat pictures agree by chance


@dataclass(frozen=True, kw_only=True)
class PictureHash:
    """Hashes by which pictures are compared."""

    phash: int  # 64 bits
    signature: np.ndarray  # (1024,) uint8


@dataclass(frozen=True, kw_only=True)
class HashMatch:
    """Similarity of the best match."""

    index: int  # which of the known ones
    bits: int  # in which the hashes differ
    correlation: float


def same_content(path: Path, known: Iterable[tuple[str, Path]]) -> list[str]:
    """Keys of the files that hold the same bytes.

    Parameters
    ----------
    path : Path
    known : iterable of (key, file)
        Missing files are passed over; only those of the same size are read.
    """
    size, mine = path.stat().st_size, ""
    found = []
    for key, file in known:
        try:
            if file.stat().st_size != size:
                continue
            mine = mine or file_hash.hash_file(path)
            if file_hash.hash_file(file) == mine:
                found.append(key)
        except OSError:
            continue
    return found


def nearest(look: PictureHash, phash: np.ndarray, signature: np.ndarray) -> HashMatch | None:
    """The known picture that looks most like this one; None where none is near.

    Parameters
    ----------
    look : PictureHash
    phash : np.ndarray, shape (n,), uint64
    signature : np.ndarray, shape (n, 1024), uint8

    Returns
    -------
    HashMatch or None
        Within `BITS_MAX` bits and of a correlation of at least `CORRELATION_MIN`; the highest
        correlation of those, the first of equals.
    """
    if not len(phash):
        return None
    bits = np.bitwise_count(phash ^ np.uint64(look.phash))
    near = np.flatnonzero(bits <= BITS_MAX)
    if not len(near):
        return None
    correlation = _correlate(signature[near], look.signature)
    best = int(np.argmax(correlation))
    if correlation[best] < CORRELATION_MIN:
        return None
    at = int(near[best])
    return HashMatch(index=at, bits=int(bits[at]), correlation=float(correlation[best]))


def _correlate(many: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row with a vector; flat ones have none."""
    rows = many.astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    column = one.astype(np.float64) - one.mean()
    norm = np.linalg.norm(rows, axis=1) * np.linalg.norm(column)
    return np.divide(rows @ column, norm, out=np.zeros(len(rows)), where=norm > 0)
