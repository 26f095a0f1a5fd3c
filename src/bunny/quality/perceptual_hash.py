"""What a picture is known by: a hash for near duplicates, and a small copy to compare them by."""

import cv2
import numpy as np

SMALL_PX = 32
HASH_BITS = 8  # a side: 64 in all


def perceptual_hash(grey: np.ndarray) -> int:
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
    small = cv2.resize(grey, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[1 : HASH_BITS + 1, 1 : HASH_BITS + 1]
    bits = np.packbits((low > np.median(low)).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def signature(grey: np.ndarray) -> np.ndarray:
    """Shrink 8-bit luma to 32x32 by averaging areas: what the structural check compares.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8

    Returns
    -------
    np.ndarray, shape (1024,), uint8
        Row-major; width and height are shrunk alike to 32, whatever the aspect.
    """
    return cv2.resize(grey, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA).ravel()
