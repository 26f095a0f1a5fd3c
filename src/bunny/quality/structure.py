"""Whether two small pictures show the same: correlation of their 32x32 luma signatures.

A hash of 64 bits agrees by chance among many frames; this looks at the pictures themselves. It is
blind to brightness and contrast, so that a fade of a picture is still that picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

SIDE = 32  # px; the signature is SIDE x SIDE, row-major
SIZE = SIDE * SIDE
NOISE = 2.0  # grey levels: deviations below it are noise, not picture
BATCH = 4096  # pairs compared at a time: 32 MB of floats


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Small pictures and what their comparison needs again and again."""

    luma: np.ndarray  # (n, 1024) uint8
    mean: np.ndarray  # (n,) float32
    scale: np.ndarray  # (n,) float32: 1 / sqrt(variance + NOISE ** 2)
    is_known: np.ndarray  # (n,) bool; an unknown picture is like every other


def from_column(column: pl.Series) -> Signature:
    """Read the column `signature` of table `measure`.

    Parameters
    ----------
    column : pl.Series of Array(UInt8, 1024)
        Null where there is none.
    """
    is_known = column.is_not_null().to_numpy()
    luma = np.zeros((len(column), SIZE), np.uint8)
    if is_known.any():
        luma[is_known] = column.drop_nulls().to_numpy()
    return from_array(luma, is_known)


def from_array(luma: np.ndarray, is_known: np.ndarray | None = None) -> Signature:
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
    if luma.ndim != 2 or luma.shape[1] != SIZE or luma.dtype != np.uint8:
        raise ValueError(f"expected (n, {SIZE}) uint8, got {luma.shape} {luma.dtype}")
    mean, variance = np.zeros(len(luma), np.float32), np.zeros(len(luma), np.float32)
    for low in range(0, len(luma), BATCH):
        part = luma[low : low + BATCH].astype(np.float32)
        mean[low : low + BATCH] = part.mean(axis=1)
        variance[low : low + BATCH] = part.var(axis=1)
    known = np.ones(len(luma), bool) if is_known is None else is_known
    scale = 1 / np.sqrt(variance + np.float32(NOISE**2))
    return Signature(luma=luma, mean=mean, scale=scale, is_known=known)


def take(signature: Signature, index: np.ndarray) -> Signature:
    """The pictures at `index`, in that order."""
    return Signature(
        luma=signature.luma[index],
        mean=signature.mean[index],
        scale=signature.scale[index],
        is_known=signature.is_known[index],
    )


def similarity(signature: Signature, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Structural similarity of pairs of pictures.

    Parameters
    ----------
    signature : Signature
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
        covariance = np.einsum("ij,ij->i", left, signature.luma[b].astype(np.float32)) / SIZE
        value = (covariance + NOISE**2) * (signature.scale[a] * signature.scale[b])
        is_known = signature.is_known[a] & signature.is_known[b]
        found[low : low + BATCH] = np.where(is_known, np.clip(value, -1, 1), 1)
    return found
