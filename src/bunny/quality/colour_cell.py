"""Colour cells of a frame: its colours at 32 x 32, from which any part of it is described later."""

import cv2
import numpy as np

SIDE = 32  # cells in a row and in a column


def measure_cells(picture: np.ndarray) -> np.ndarray:
    """Mean colour of each cell.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
        BGR, full range.

    Returns
    -------
    np.ndarray, shape (3072,), uint8
        Row-major; L* times 2.55, a* and b* plus 128, as OpenCV codes CIELAB in 8 bits.
    """
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2Lab).reshape(-1)
