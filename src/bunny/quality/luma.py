"""Luma of a picture, its smaller copies, and the box inside letterbox bars."""

import cv2
import numpy as np

from bunny.video.letterbox import DARK_LEVEL, Box

BT709_LUMA = (0.0722, 0.7152, 0.2126)  # blue, green, red; ITU-R BT.709
BAR_MEAN = 24  # grey levels: a letterbox line's average is below it
BAR_SPREAD = 4.0  # grey levels: a bar is flat along the line
BAR_ASYMMETRY = 0.03  # of the side: opposite bars are alike; one dark side is night, not a bar
BAR_MOST = 0.45  # of the side; more would leave no picture


def to_luma(picture: np.ndarray) -> np.ndarray:
    """Gamma-encoded BT.709 luma of a BGR picture, uint8, shape (height, width)."""
    return cv2.transform(picture, np.array([BT709_LUMA], np.float32)).reshape(picture.shape[:2])


def shrink(grey: np.ndarray, longest_px: int) -> np.ndarray:
    """Shrink a picture by averaging areas until its longest side is `longest_px`.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8
    longest_px : int
        At least 1.

    Returns
    -------
    np.ndarray, shape (height', width'), uint8
        Smaller pictures come back as they are; no side is below 1.
    """
    height, width = grey.shape
    while max(height, width) % (2 * longest_px) == 0 and height % 2 == width % 2 == 0:
        # Where halves lead there exactly they are the same averages, and many times faster.
        height, width = height // 2, width // 2
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    scale = longest_px / max(height, width)
    if scale >= 1:
        return grey
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def content_box(grey: np.ndarray) -> Box:
    """Find what a stored picture shows between letterbox or pillarbox bars, for its measures.

    Bars are flat, alike on opposite sides, and no pixel of them is brighter than `DARK_LEVEL`,
    ringing included. What is cut off a film's frames is another rule, decided over a shot:
    `letterbox.content_vote`.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8

    Returns
    -------
    x0, y0, x1, y1 : int
        Half-open box in pixels; the whole picture when there are no bars.
    """
    height, width = grey.shape
    top, bottom = _bars(grey)
    left, right = _bars(grey[top : height - bottom].T)
    return left, top, width - right, height - bottom


def _bars(grey: np.ndarray) -> tuple[int, int]:
    """Number of bar lines at the start and the end of the first axis; 0, 0 without bars."""
    lines = grey.shape[0]
    if max(grey[0].max(), grey[-1].max()) > DARK_LEVEL:
        return 0, 0
    most = int(lines * BAR_MOST)
    first = _count_bar(grey[:most])
    last = _count_bar(grey[::-1][:most])
    is_alike = abs(first - last) <= max(1, BAR_ASYMMETRY * lines)
    is_empty = first >= most and last >= most
    return (first, last) if first and last and is_alike and not is_empty else (0, 0)


def _count_bar(grey: np.ndarray) -> int:
    """How many lines from the start are bar."""
    if not grey.size:
        return 0
    is_bar = grey.max(axis=1) <= DARK_LEVEL
    count = int(np.argmin(is_bar)) if not is_bar.all() else len(is_bar)
    part = grey[:count].astype(np.float32)
    if not count:
        return 0
    is_bar = (part.mean(axis=1) <= BAR_MEAN) & (part.std(axis=1) <= BAR_SPREAD)
    return int(np.argmin(is_bar)) if not is_bar.all() else count
