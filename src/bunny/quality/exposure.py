"""Exposure and colour of a picture: clipping, dynamic range, entropy, colour cast, background."""

import cv2
import numpy as np

CLIP_LEVELS = 2  # grey levels at each end that count as clipped
RANGE_TAIL = 0.01  # of the pixels at each end that a dynamic range leaves out
GROUND_BITS = 4  # a channel: how finely colours are counted to find the commonest
GROUND_STEP = 12  # levels of a channel: as far as this a pixel has the ground's colour


def clipped_shares(share: np.ndarray) -> tuple[float, float]:
    """Shares of pixels within 2 levels of black and of white; `share` of each of 256 levels."""
    dark, light = share[:CLIP_LEVELS].sum(), share[-CLIP_LEVELS:].sum()
    return min(1.0, float(dark)), min(1.0, float(light))


def dynamic_range(share: np.ndarray) -> float:
    """Distance of the 99th from the 1st percentile of luma, in [0, 1].

    Parameters
    ----------
    share : np.ndarray, shape (256,), float
        Share of pixels of each grey level; adds to 1.

    Examples
    --------
    >>> dynamic_range(np.full(256, 1 / 256)) * 255
    251.0
    """
    up_to = np.cumsum(share, dtype=np.float64)
    low = np.searchsorted(up_to, RANGE_TAIL)
    high = np.searchsorted(up_to, 1 - RANGE_TAIL - 1e-9)
    return float(min(high, 255) - low) / 255


def entropy(share: np.ndarray) -> float:
    """Shannon entropy, in bits, of shares that add to 1; 0 to 8 for 256 grey levels."""
    used = share[share > 0].astype(np.float64)
    return min(8.0, max(0.0, float(-(used * np.log2(used)).sum())))


def colourfulness(pixels: np.ndarray) -> float:
    """Perceived colourfulness of a picture: 0 grey, 15 slight, 45 average, 109 extreme.

    Parameters
    ----------
    pixels : np.ndarray, shape (n, 3), uint8
        BGR.

    Notes
    -----
    Hasler, Suesstrunk 2003, "Measuring colourfulness in natural images": with rg = R - G and
    yb = (R + G) / 2 - B, the length of their deviations plus 0.3 times that of their means.
    """
    blue, green, red = pixels.astype(np.float32).T
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def colour_cast(pixels: np.ndarray) -> tuple[float, float]:
    """Mean a* and b* of a picture's pixels: which way its colours lean as a whole.

    Parameters
    ----------
    pixels : np.ndarray, shape (n, 3), uint8
        BGR, sRGB; n at least 1.

    Returns
    -------
    tuple of float
        In [-128, 127] each, of CIELAB under D65: a* from green to red, b* from blue to yellow; 0 of
        a grey picture, but that OpenCV interpolates the conversion and is off by 0.125 at most.

    Examples
    --------
    >>> [round(cast) for cast in colour_cast(np.full((4, 3), 90, np.uint8))]
    [0, 0]
    """
    lab = cv2.cvtColor(pixels[np.newaxis].astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    red, yellow = lab[0, :, 1:].mean(axis=0, dtype=np.float64)
    return float(red), float(yellow)


def background_share(pixels: np.ndarray) -> float:
    """Share of pixels that have nearly the commonest colour.

    Parameters
    ----------
    pixels : np.ndarray, shape (n, 3), uint8
        BGR.

    Returns
    -------
    float
        In [0, 1]: share within 12 levels, in every channel, of the median of the fullest of 4096
        equal cells of colours; 0 of no pixels.
    """
    if not len(pixels):
        return 0.0
    cell = (pixels >> (8 - GROUND_BITS)).astype(np.int64) @ (1 << GROUND_BITS * np.arange(3))
    fullest = pixels[cell == np.bincount(cell).argmax()]
    ground = np.median(fullest, axis=0)
    return float((np.abs(pixels - ground) <= GROUND_STEP).all(axis=1).mean())
