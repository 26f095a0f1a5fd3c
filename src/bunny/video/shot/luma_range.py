"""Range of luma over a shot's frames: how far its pictures differ from each other.

Mean motion does not tell that: a slow pan over a painting moves little from frame to frame and
still shows all of it, while one flash or a talking mouth is much motion in one picture.
"""

import math

import cv2
import numpy as np

CELLS = (8, 4)  # along the longer and the shorter side
NUM_CELLS = CELLS[0] * CELLS[1]
LEFT_OUT = 10  # of so many frames one at either end of the range, at least one: flashes
LEAST_FRAMES = 3  # of fewer none is left out
TRANSITION_INSET = 14  # frames away from a fade or dissolve: half of about a second
MAX_TRANSITION_SHARE = 1 / 3  # of a shot's length that may be left out at each end
FULL_LEVEL = 0.9  # of the shot's median luma, from which a picture that fades in is there
LEVEL_TOLERANCE = 1.0  # grey levels by which a fade may go back from frame to frame


def measure_cells(luma: np.ndarray) -> bytes:
    """Mean luma of each cell of a thumbnail.

    Parameters
    ----------
    luma : np.ndarray, shape (36, 64) or (64, 36), uint8

    Returns
    -------
    bytes
        Grey levels of `NUM_CELLS` cells, row by row.
    """
    height, width = luma.shape
    size = CELLS if width >= height else CELLS[::-1]
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA).tobytes()


def luma_range(cells: np.ndarray) -> float:
    """How far luma ranges over frames, one frame in `LEFT_OUT` left out at either end.

    Parameters
    ----------
    cells : np.ndarray, shape (frames, NUM_CELLS), uint8
        From `measure_cells`.

    Returns
    -------
    float
        In [0, 1]: mean over cells of the highest less the lowest luma that is left; 0 of one frame.
        Where the first frames grow steadily lighter up to the shot's luma, or the last ones
        darker, that is a fade, and these frames do not count.
    """
    level = cells.mean(axis=1)
    cells = cells[_fading(level) : len(cells) - _fading(level[::-1])]
    count = len(cells)
    dropped = max(1, count // LEFT_OUT) if count >= LEAST_FRAMES else 0
    low, high = dropped, count - 1 - dropped
    if low >= high:
        return 0.0
    levels = np.partition(cells, (low, high), axis=0)
    return int((levels[high].astype(np.int64) - levels[low]).sum()) / (255 * cells.shape[1])


def _fading(level: np.ndarray) -> int:
    """Frames from the first one on that only lead up to the median luma, in a third at most."""
    is_full = level >= FULL_LEVEL * np.median(level)
    end = int(is_full.argmax()) if is_full.any() else 0
    is_fade = LEAST_FRAMES <= end <= MAX_TRANSITION_SHARE * len(level)
    return end if is_fade and (np.diff(level[: end + 1]) >= -LEVEL_TOLERANCE).all() else 0


def settled_frames(first: int, end: int, transition_in: str, transition_out: str) -> range:
    """Frames of a shot that lie in no fade or dissolve at its ends.

    Parameters
    ----------
    first, end : int
        Of the shot, half-open.
    transition_in, transition_out : str
        As of `FoundShot`.
    """
    soft = ("fade", "dissolve")
    room = min(TRANSITION_INSET, MAX_TRANSITION_SHARE * (end - 1 - first))
    begin = first + room * (transition_in in soft)
    last = end - 1 - room * (transition_out in soft)
    return range(math.ceil(begin), math.floor(last) + 1)
