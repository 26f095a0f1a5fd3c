"""Compression blocks and noise of a picture."""

from collections.abc import Iterable

import cv2
import numpy as np

BLOCK_PX = 8  # of JPEG, MPEG-1, -2 and -4; H.264 and later smooth their block edges away
BAND_PX = 128  # rows worked on at once, so that they stay in the processor's cache
MANY_BANDS = 6  # from so many on a side every other is read
MOST_STEP = 16  # grey levels: larger steps are edges of what is shown
LEAST_STEP = 0.01  # grey levels a pixel, added to the steps: a few in a blank picture are no grid
NOISE_KERNEL = np.array([1, -2, 1], np.float32)  # twice: Immerkaer's 3x3 mask
NOISE_TILE_PX = 16
NOISE_QUIET = 0.25  # of the tiles: those with least structure show the noise
NOISE_RANGE = (16, 239)  # grey levels: nearer to the ends noise is cut off
NOISE_STEP = 4  # every fourth band of tiles is read; the others cost time and say the same


def blockiness(grey: np.ndarray) -> float:
    """Share of the small steps between neighbouring pixels that lies on an 8-pixel grid.

    Of each pixel's difference to its right neighbour counts what it exceeds both differences
    beside it by, at most 16 grey levels. These are added by their column modulo 8; without
    blocks each of the eight has an eighth, so the measure is how far the fullest is above the
    median, over the sum. The fullest is sought because a crop moves the grid. Rows likewise, and
    the two are averaged.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8
        Luma at stored resolution.

    Returns
    -------
    float
        In [0, 1]. JPEG pictures of quality 95, 60, 30 and 10 have about 0.06, 0.3, 0.5 and 0.75;
        pictures never compressed stay under 0.04.

    Notes
    -----
    After Wang, Sheikh, Bovik 2002, "No-reference perceptual quality assessment of JPEG compressed
    images" (step at block edges against steps inside), with the excess over both neighbours as
    in Liu, Heynderickx 2009, "A perceptually relevant no-reference blockiness metric".
    Of a picture that was scaled after compression, as films with oblong pixels are, the grid is
    no longer of 8 pixels: along a scaled side blocks go unseen and the measure is low.
    """
    least = LEAST_STEP * grey.size
    height, width = grey.shape
    rows = (grey[top : top + BAND_PX] for top in _band_starts(height))
    columns = (grey[:, left : left + BAND_PX] for left in _band_starts(width))
    turned = (cv2.transpose(column) for column in columns)
    return (_grid_share(rows, least) + _grid_share(turned, least)) / 2


def noise(grey: np.ndarray) -> float:
    """Standard deviation of noise, grey levels.

    Immerkaer's mask, blind to planes and straight edges along the axes, is averaged over tiles of
    16 pixels; the quietest quarter of those that are neither black nor white is taken, so that
    texture counts little.

    Parameters
    ----------
    grey : np.ndarray, shape (height, width), uint8
        Luma at stored resolution.

    Returns
    -------
    float
        At least 0; 0 for pictures too small or without grey tiles.

    Notes
    -----
    Immerkaer 1996, "Fast noise variance estimation": sigma = sqrt(pi / 2) mean |I * N| / 6.
    """
    rows = [
        _tile_noise(grey[top : top + NOISE_TILE_PX + 2])
        for top in range(0, grey.shape[0] - NOISE_TILE_PX - 1, NOISE_STEP * NOISE_TILE_PX)
    ]
    tiles = np.sort(np.concatenate([np.zeros(0), *rows]))
    if not tiles.size:
        return 0.0
    quiet = tiles[: max(1, round(NOISE_QUIET * tiles.size))]
    return float(np.sqrt(np.pi / 2) / 6 * np.median(quiet))


def _band_starts(side: int) -> range:
    """Every band of a small picture, every other one of a large."""
    return range(0, side, BAND_PX if side < MANY_BANDS * BAND_PX else 2 * BAND_PX)


def _grid_share(bands: Iterable[np.ndarray], least: float) -> float:
    """Share of steps along rows that lies on one column of eight, above the median column's."""
    phase = np.sum([_count_steps(band) for band in bands], axis=0)
    return float((phase.max() - np.median(phase)) / (phase.sum() + least))


def _count_steps(band: np.ndarray) -> np.ndarray:
    """Steps along the rows of a band added by their column modulo 8, shape (8,), int64."""
    if band.shape[1] < 2 * BLOCK_PX + 3:
        return np.zeros(BLOCK_PX, np.int64)
    step = cv2.absdiff(band[:, 1:], band[:, :-1])
    beside = cv2.max(step[:, :-2], step[:, 2:])
    excess = cv2.min(  # of numbers too, which the stubs do not know
        cv2.subtract(step[:, 1:-1], beside),
        float(MOST_STEP),  # pyright: ignore[reportArgumentType, reportCallIssue]
    )
    column = cv2.reduce(excess, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    whole = len(column) // BLOCK_PX * BLOCK_PX
    return column[:whole].reshape(-1, BLOCK_PX).sum(axis=0, dtype=np.int64)


def _tile_noise(band: np.ndarray) -> np.ndarray:
    """Mean absolute answer of the mask in each grey tile of a band of 18 rows."""
    num = (band.shape[1] - 2) // NOISE_TILE_PX
    inside = slice(1, num * NOISE_TILE_PX + 1)
    answer = cv2.sepFilter2D(band, cv2.CV_16S, NOISE_KERNEL, NOISE_KERNEL)[1:-1, inside]
    size = (num, 1)
    level = cv2.resize(band[1:-1, inside].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(np.abs(answer).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return mean[(level >= NOISE_RANGE[0]) & (level <= NOISE_RANGE[1])]
