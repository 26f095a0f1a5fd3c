"""Colour names of a picture's background, outside its subjects.

A pixel is named by the nearest of the eleven basic colour terms (Berlin and Kay, Basic Color Terms,
1969) in CIE Lab, where distance follows what people see.
"""

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np

# One typical sRGB colour for each of the eleven terms, as softly lit surfaces show it.
COLOUR_RGB = {
    "red": (200, 60, 50),
    "orange": (235, 140, 50),
    "yellow": (245, 215, 110),
    "green": (90, 160, 80),
    "blue": (80, 140, 220),
    "purple": (120, 80, 160),
    "pink": (240, 170, 180),
    "brown": (130, 90, 60),
    "grey": (140, 140, 145),
    "white": (240, 242, 245),
    "black": (35, 35, 55),
}

LONG_SIDE_PX = 96  # colours of areas need no detail
MIN_SHARE = 0.15  # of the background; a rarer colour is not worth a word
MIN_BACKGROUND = 0.02  # of the picture; with less left, the whole picture is named
MAX_NAMES = 2


def name_background(
    picture: np.ndarray, subjects: Iterable[tuple[float, float, float, float]] = ()
) -> tuple[str, ...]:
    """Name the one or two main colours outside the subjects.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8, BGR
    subjects : iterable of (x0, y0, x1, y1)
        Boxes left out, in shares of width and height; they may reach over the edge.

    Returns
    -------
    tuple of str
        Names of `COLOUR_RGB`, the more frequent first; at least one.

    Raises
    ------
    ValueError
        If `picture` is not an 8-bit colour picture.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"expected a picture (height, width, 3) uint8, got {picture.shape} {picture.dtype}"
        )
    small = _shrink(picture)
    keep = _outside(small.shape[:2], subjects)
    if keep.mean() < MIN_BACKGROUND:
        keep[:] = True
    nearest = _nearest(_to_lab(small[keep]))
    counts = np.bincount(nearest, minlength=len(COLOUR_RGB))
    order = np.argsort(-counts, kind="stable")[:MAX_NAMES]
    names = list(COLOUR_RGB)
    most, *others = order
    return (names[most], *(names[i] for i in others if counts[i] >= MIN_SHARE * nearest.size))


def _shrink(picture: np.ndarray) -> np.ndarray:
    """Average down to `LONG_SIDE_PX`; small pictures stay."""
    scale = LONG_SIDE_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _outside(shape: tuple[int, int], subjects: Iterable[tuple]) -> np.ndarray:
    """True where no subject's box lies; (height, width) bool."""
    height, width = shape
    keep = np.ones(shape, dtype=bool)
    for x0, y0, x1, y1 in subjects:
        left, top = max(0, int(x0 * width)), max(0, int(y0 * height))
        keep[top : max(0, int(np.ceil(y1 * height))), left : max(0, int(np.ceil(x1 * width)))] = 0
    return keep


def _to_lab(pixels: np.ndarray) -> np.ndarray:
    """BGR (n, 3) uint8 to CIE Lab (n, 3) float32: L in [0, 100]."""
    return cv2.cvtColor(pixels.reshape(-1, 1, 3).astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[:, 0]


def _nearest(lab: np.ndarray) -> np.ndarray:
    """Index of the nearest colour term of each pixel; (n,)."""
    return ((lab[:, None] - _centres()[None]) ** 2).sum(axis=2).argmin(axis=1)


@cache
def _centres() -> np.ndarray:
    """Lab of the colour terms; (11, 3) float32."""
    return _to_lab(np.array(list(COLOUR_RGB.values()), dtype=np.uint8)[:, ::-1])
