"""Colours around a subject: clothes under a face, and what is seen on both sides of it.

Only measured here; `caption.statement` names colours, where they are sure.
"""

from collections.abc import Sequence

import cv2
import numpy as np

VERSION = 1  # raise it when the areas below change: it is part of the keys of stored measures
WIDTH = 4  # L*, a*, b* and the share of pixels near them
AREA_PX = 24  # an area is averaged down to this side
NEAR = 20.0  # CIELAB distance within which a pixel counts as of the area's colour
MIN_INSIDE = 0.5  # share of an area that has to lie in the picture
# In widths and heights of a face's box, which reaches from the forehead to the chin.
CLOTHES_HALF_WIDTH, CLOTHES_TOP, CLOTHES_BOTTOM = 0.55, 0.45, 1.5  # from the middle, below the chin
FACE_GAP, FACE_BAND, FACE_LIFT = (
    0.5,
    0.7,
    0.2,
)  # past ears and hair; width; shifted up, off shoulders
FIGURE_BAND = 0.35  # width of the band beside a box, as a share of the figure's


def measure_clothes(image: np.ndarray, box: Sequence[float]) -> np.ndarray | None:
    """Colour of the area under a face.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8
        BGR.
    box : sequence of float
        The face: x0, y0, x1, y1 in pixels.

    Returns
    -------
    np.ndarray, shape (4,), float32, or None
        Median L* in [0, 100], a* and b*, and the share of pixels within `NEAR` of them. None where
        less than `MIN_INSIDE` of the area lies in the picture.
    """
    x0, y0, x1, y1 = box
    wide, high, middle = x1 - x0, y1 - y0, (x0 + x1) / 2
    left, right = middle - CLOTHES_HALF_WIDTH * wide, middle + CLOTHES_HALF_WIDTH * wide
    return _colour([_cut(image, left, y1 + CLOTHES_TOP * high, right, y1 + CLOTHES_BOTTOM * high)])


def measure_beside(image: np.ndarray, box: Sequence[float], *, is_face: bool) -> np.ndarray | None:
    """Colour of what is seen to the left and right of a head or figure, both sides together.

    Parameters and result are those of `measure_clothes`; a side that is not in the picture is left
    out.
    """
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    gap, band = (FACE_GAP, FACE_BAND) if is_face else (0.0, FIGURE_BAND)
    lift = FACE_LIFT * high if is_face else 0.0
    near, far = gap * wide, (gap + band) * wide
    sides = ((x0 - far, x0 - near), (x1 + near, x1 + far))
    return _colour([_cut(image, a, y0 - lift, b, y1 - lift) for a, b in sides])


def _cut(image: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> np.ndarray | None:
    """The part of an area inside the picture; None where that is too little."""
    height, width = image.shape[:2]
    left, right = max(0, int(x0)), min(width, int(x1))
    top, bottom = max(0, int(y0)), min(height, int(y1))
    whole = (x1 - x0) * (y1 - y0)
    if right <= left or bottom <= top or (right - left) * (bottom - top) < MIN_INSIDE * whole:
        return None
    return image[top:bottom, left:right]


def _colour(areas: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Median colour of some areas together, each of equal weight."""
    size = (AREA_PX, AREA_PX)
    small = [cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in areas if a is not None]
    if not small:
        return None
    picture = np.concatenate(small).astype(np.float32) / 255
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2Lab).reshape(-1, 3)
    middle = np.median(lab, axis=0)
    share = (np.linalg.norm(lab - middle, axis=1) < NEAR).mean()
    return np.array([*middle, share], dtype=np.float32)
