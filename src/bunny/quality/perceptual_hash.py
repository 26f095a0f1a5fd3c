"""Perceptual hash (64-bit DCT), its Hamming neighbours, and 32x32 luma signatures compared by SSIM.

Neighbours come by multi-index hashing: the bits are cut into chunks; two hashes within the distance
agree in at least one chunk but for few bits, so a table of each chunk gives the candidates and only
they are compared. Exact for every distance: past about 12 bits the chunks no longer pay (the plan's
cost says so) and all pairs are compared instead, in blocks. usearch (nearest k) and scikit-learn
(radius) find the same pairs and take a hundred times as long.

A hash of 64 bits agrees by chance among many frames; the signature looks at the pictures
themselves. It is blind to brightness and contrast, so that a fade of a picture is still that one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import polars as pl

HASH_PX = 32
HASH_BITS = 8  # a side: 64 in all
BITS = HASH_BITS * HASH_BITS

SIGNATURE_PX = 32  # px; the signature is SIDE x SIDE, row-major
SIGNATURE_SIZE = SIGNATURE_PX * SIGNATURE_PX
NOISE_LEVEL = 2.0  # grey levels: deviations below it are noise, not picture
BATCH = 4096  # pairs compared at a time: 32 MB of floats

MAX_WIDTH = 22  # bits of a chunk: its table has 2**22 entries of 4 bytes
MAX_RADIUS = 3  # bits that are enumerated around a chunk; 4 would be 9,000 look-ups at 22 bits
FEW = 4096  # hashes that are compared faster than tabled
BLOCK = 1 << 21  # look-ups or candidates held at a time; bounds memory to some 100 MB
SKEW = 4.0  # times more candidates than evenly spread hashes would give; film hashes cluster
LOOKUP_COST = 4.0  # of one random look-up, in comparisons of two hashes


def phash(grey: np.ndarray) -> int:
    """64-bit hash that near duplicates share but for a few bits.

    The picture is shrunk to 32x32 and transformed (DCT-II); each of the 8x8 lowest frequencies
    after the constant gives a bit, set where it is above their median. First bit is the highest.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8

    Notes
    -----
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    small = cv2.resize(grey, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[1 : HASH_BITS + 1, 1 : HASH_BITS + 1]
    bits = np.packbits((low > np.median(low)).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def luma_signature(grey: np.ndarray) -> np.ndarray:
    """Shrink 8-bit luma to 32x32 by averaging areas: what the structural check compares.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8

    Returns
    -------
    np.ndarray, shape (1024,), uint8
        Row-major; width and height are shrunk alike to 32, whatever the aspect.
    """
    return cv2.resize(grey, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA).ravel()


@dataclass(frozen=True, kw_only=True)
class LumaSignature:
    """Small pictures and what their comparison needs again and again."""

    luma: np.ndarray  # (n, 1024) uint8
    mean: np.ndarray  # (n,) float32
    scale: np.ndarray  # (n,) float32: 1 / sqrt(variance + NOISE ** 2)
    is_known: np.ndarray  # (n,) bool; an unknown picture is like every other


def read_signatures(column: pl.Series) -> LumaSignature:
    """Read the column `luma_signature` of table `measure`.

    Parameters
    ----------
    column : pl.Series of Array(UInt8, 1024)
        Null where there is none.
    """
    is_known = column.is_not_null().to_numpy()
    luma = np.zeros((len(column), SIGNATURE_SIZE), np.uint8)
    if is_known.any():
        luma[is_known] = column.drop_nulls().to_numpy()
    return prepare_signatures(luma, is_known)


def prepare_signatures(luma: np.ndarray, is_known: np.ndarray | None = None) -> LumaSignature:
    """Prepare small pictures for comparison.

    Parameters
    ----------
    luma : np.ndarray, shape (n, 1024), uint8
    is_known : np.ndarray, shape (n,), bool, optional

    Raises
    ------
    ValueError
        If the array has another shape or type.
    """
    if luma.ndim != 2 or luma.shape[1] != SIGNATURE_SIZE or luma.dtype != np.uint8:
        raise ValueError(f"expected (n, {SIGNATURE_SIZE}) uint8, got {luma.shape} {luma.dtype}")
    mean, variance = np.zeros(len(luma), np.float32), np.zeros(len(luma), np.float32)
    for low in range(0, len(luma), BATCH):
        part = luma[low : low + BATCH].astype(np.float32)
        mean[low : low + BATCH] = part.mean(axis=1)
        variance[low : low + BATCH] = part.var(axis=1)
    known = np.ones(len(luma), bool) if is_known is None else is_known
    scale = 1 / np.sqrt(variance + np.float32(NOISE_LEVEL**2))
    return LumaSignature(luma=luma, mean=mean, scale=scale, is_known=known)


def structural_similarity(signature: LumaSignature, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Structural similarity of pairs of pictures.

    Parameters
    ----------
    one, two : np.ndarray, shape (pairs,), int
        Which pictures are compared.

    Returns
    -------
    np.ndarray, shape (pairs,), float32
        In [-1, 1]; 1 is the same but for brightness and contrast; 1 when a picture is unknown.

    Notes
    -----
    (cov + e) / sqrt((var1 + e) (var2 + e)): the structure term of SSIM (Wang, Bovik, Sheikh,
    Simoncelli 2004, equation 10) over the whole signature, with the stabiliser in each deviation,
    so that two flat pictures are alike and a flat one is unlike one with something in it.
    """
    found = np.ones(one.size, np.float32)
    for low in range(0, one.size, BATCH):
        a, b = one[low : low + BATCH], two[low : low + BATCH]
        left = signature.luma[a].astype(np.float32)
        left -= signature.mean[a, None]
        covariance = (
            np.einsum("ij,ij->i", left, signature.luma[b].astype(np.float32)) / SIGNATURE_SIZE
        )
        value = (covariance + NOISE_LEVEL**2) * (signature.scale[a] * signature.scale[b])
        is_known = signature.is_known[a] & signature.is_known[b]
        found[low : low + BATCH] = np.where(is_known, np.clip(value, -1, 1), 1)
    return found


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some neighbouring bits of all hashes: a table from their value to the hashes that have it."""

    shift: int
    width: int
    radius: int  # bits in which the chunk of a near hash may differ
    order: np.ndarray  # (n,) int32: hashes by value of the chunk
    start: np.ndarray  # (2**width + 1,) int32: where each value begins in `order`


@dataclass(frozen=True, kw_only=True)
class HammingIndex:
    """Hashes and their chunk tables; no chunk means that all are compared."""

    phash: np.ndarray  # (n,) uint64
    max_distance: int
    chunks: tuple[Chunk, ...]


def distance(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Number of bits in which 64-bit hashes differ, broadcast; uint8 in 0-64."""
    return np.bitwise_count(np.bitwise_xor(one, two))


def build_index(phash: np.ndarray, max_distance: int) -> HammingIndex:
    """Prepare the search for hashes within a distance.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    max_distance : int
        In bits, 0-64.

    Raises
    ------
    ValueError
        If the distance is outside 0-64.

    Notes
    -----
    Norouzi, Punjani, Fleet 2012, "Fast search in Hamming space with multi-index hashing".
    """
    if not 0 <= max_distance <= BITS:
        raise ValueError(f"expected a distance of 0 to {BITS} bits, got {max_distance}")
    phash = np.ascontiguousarray(phash, np.uint64)
    chunks = [sort_chunk(phash, *part) for part in plan_chunks(phash.size, max_distance)]
    return HammingIndex(phash=phash, max_distance=max_distance, chunks=tuple(chunks))


def plan_chunks(num_hashes: int, max_distance: int) -> tuple[tuple[int, int, int], ...]:
    """Choose the chunks that cost least: (shift, width, radius) of each; () to compare all.

    With m chunks and distance d = m * r + a, a near hash has a chunk among the first a + 1 that
    differs in at most r bits, or one of the others that differs in at most r - 1.

    Examples
    --------
    >>> plan_chunks(100, 4)
    ()
    """
    if num_hashes < FEW:
        return ()
    best, best_cost = (), float(num_hashes)
    for number in range(math.ceil(BITS / MAX_WIDTH), 17):
        radius, more = divmod(max_distance, number)
        if radius > MAX_RADIUS:
            continue
        parts = [
            (shift, width, radius if i <= more else radius - 1)
            for i, (shift, width) in enumerate(_cut(number))
            if i <= more or radius > 0
        ]
        cost = sum(_cost(width, r, num_hashes) for _, width, r in parts)
        if cost < best_cost:
            best, best_cost = tuple(parts), cost
    return best


def near_pairs(index: HammingIndex, query: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a query and an indexed hash within the index's distance, each once.

    Parameters
    ----------
    query : np.ndarray, shape (m,), uint64

    Returns
    -------
    query_index, hash_index, bits : np.ndarray, shape (pairs,), int64, int64, uint8
        In no particular order.
    """
    query = np.ascontiguousarray(query, np.uint64)
    steps = range(len(index.chunks)) if index.chunks else (None,)
    found = [part for step in steps for part in _search(index, query, step)]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8)
    query_index, hash_index, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return query_index, hash_index, bits


def expand_ranges(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spell out ranges: for each its number and every position in it.

    Examples
    --------
    >>> owner, position = expand_ranges(np.array([5, 9]), np.array([2, 1]))
    >>> owner.tolist(), position.tolist()
    ([0, 0, 1], [5, 6, 9])
    """
    owner = np.repeat(np.arange(count.size), count)
    before = np.cumsum(count) - count
    return owner, np.arange(owner.size) + np.repeat(start - before, count)


def _cut(number: int) -> list[tuple[int, int]]:
    """Cut 64 bits into chunks of nearly equal width: (shift, width)."""
    edges = [round(BITS * i / number) for i in range(number + 1)]
    return [(low, high - low) for low, high in itertools.pairwise(edges)]


def _cost(width: int, radius: int, num_hashes: int) -> float:
    """Cost of one query at one chunk, in comparisons; tables must not dwarf the hashes."""
    if width > MAX_WIDTH or 2**width > 64 * max(num_hashes, 1):
        return math.inf
    lookups = sum(math.comb(width, k) for k in range(radius + 1))
    return lookups * (LOOKUP_COST + SKEW * num_hashes / 2**width)


def sort_chunk(phash: np.ndarray, shift: int, width: int, radius: int) -> Chunk:
    """Sort hashes by one chunk."""
    key = _key(phash, shift, width)
    start = np.zeros(2**width + 1, np.int32)
    np.cumsum(np.bincount(key, minlength=2**width), out=start[1:])
    order = np.argsort(key, kind="stable").astype(np.int32)
    return Chunk(shift=shift, width=width, radius=radius, order=order, start=start)


def _key(phash: np.ndarray, shift: int, width: int) -> np.ndarray:
    """The chunk's bits as numbers."""
    return ((phash >> np.uint64(shift)) & np.uint64(2**width - 1)).astype(np.int64)


@lru_cache(maxsize=64)
def _masks(width: int, radius: int) -> np.ndarray:
    """Every number of `width` bits with at most `radius` bits set."""
    masks = [
        sum(1 << bit for bit in bits)
        for k in range(radius + 1)
        for bits in itertools.combinations(range(width), k)
    ]
    return np.array(masks, np.int64)


def _search(index: HammingIndex, query: np.ndarray, step: int | None):
    """Yield the near pairs that chunk number `step` finds first, or all when there is no chunk."""
    if step is None:
        size = max(1, BLOCK // max(1, index.phash.size))
        for low in range(0, query.size, size):
            bits = distance(query[low : low + size, None], index.phash[None])
            q, h = np.nonzero(bits <= index.max_distance)
            yield q + low, h, bits[q, h]
        return
    chunk = index.chunks[step]
    masks = _masks(chunk.width, chunk.radius)
    size = max(1, BLOCK // masks.size)
    for low in range(0, query.size, size):
        key = (_key(query[low : low + size], chunk.shift, chunk.width)[:, None] ^ masks).ravel()
        count = (chunk.start[key + 1] - chunk.start[key]).astype(np.int64)
        used = np.flatnonzero(count)
        for part in _pieces(used, count[used]):
            lookup, position = expand_ranges(chunk.start[key[part]].astype(np.int64), count[part])
            q = part[lookup] // masks.size + low
            yield _verify(index, query, step, q, chunk.order[position].astype(np.int64))


def _pieces(used: np.ndarray, count: np.ndarray) -> list[np.ndarray]:
    """Split look-ups so that no piece has many more than `BLOCK` candidates."""
    if not used.size:
        return []
    number = (np.cumsum(count) - count) // BLOCK
    return np.split(used, np.flatnonzero(np.diff(number)) + 1)


def _verify(index: HammingIndex, query: np.ndarray, step: int, q: np.ndarray, h: np.ndarray):
    """Keep candidates that are near and that no earlier chunk has given."""
    different = np.bitwise_xor(query[q], index.phash[h])
    bits = np.bitwise_count(different)
    near = np.flatnonzero(bits <= index.max_distance)
    different, is_new = different[near], np.ones(near.size, bool)
    for earlier in index.chunks[:step]:
        part = (different >> np.uint64(earlier.shift)) & np.uint64(2**earlier.width - 1)
        is_new &= np.bitwise_count(part) > earlier.radius
    near = near[is_new]
    return q[near], h[near], bits[near]
