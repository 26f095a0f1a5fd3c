"""Perceptual hash (64-bit DCT) and 32x32 luma signature with its structural similarity.

A hash of 64 bits agrees by chance among many frames; this looks at the pictures themselves. It is
blind to brightness and contrast, so that a fade of a picture is still that picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl

HASH_PX = 32
HASH_BITS = 8  # a side: 64 in all

SIGNATURE_PX = 32  # px; the signature is SIDE x SIDE, row-major
SIGNATURE_SIZE = SIGNATURE_PX * SIGNATURE_PX
NOISE_LEVEL = 2.0  # grey levels: deviations below it are noise, not picture
BATCH = 4096  # pairs compared at a time: 32 MB of floats


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
    signature : LumaSignature
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
