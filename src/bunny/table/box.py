"""Boxes in tables and pictures: columns, and the part of a picture inside a box.

A box is ``x0, y0, x1, y1``, half-open: in pixels of the picture that the frame's file holds, or in
shares of its width and height where it says so.
"""

from collections.abc import Sequence

import numpy as np

Box = tuple[float, float, float, float]  # x0, y0, x1, y1, pixels, half-open

BOX = ("x0_px", "y0_px", "x1_px", "y1_px")
CROP = ("crop_x0_px", "crop_y0_px", "crop_x1_px", "crop_y1_px")  # of `frame`: file in the film


def crop_box(image: np.ndarray, box: Sequence[int] | np.ndarray, min_px: int = 0) -> np.ndarray:
    """The part of a picture inside a box of whole pixels; a view, nothing is copied.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, ...)
    box : sequence of int
        No negative number; what lies over the right or lower edge is left out.
    min_px : int
        Width and height of a box that is smaller.

    Examples
    --------
    >>> crop_box(np.arange(12).reshape(3, 4), (1, 0, 3, 2)).tolist()
    [[1, 2], [5, 6]]
    """
    x0, y0, x1, y1 = box
    return image[y0 : max(y1, y0 + min_px), x0 : max(x1, x0 + min_px)]


def crop_shares(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of a picture in a box given in shares; at least one pixel."""
    height, width = image.shape[:2]
    x0, y0 = (int(np.clip(b * s, 0, s - 1)) for b, s in zip(box[:2], (width, height), strict=True))
    x1, y1 = (round(float(b) * s) for b, s in zip(box[2:], (width, height), strict=True))
    return crop_box(image, (x0, y0, x1, y1), min_px=1)
