"""What is measured on the pixels of a frame, once. No threshold is in here."""

from dataclasses import dataclass

import cv2
import numpy as np

WORKING_PX = 480  # longest side on which sharpness is measured, so that film size does not matter
HALF_SHARP = 4.6  # Laplacian variance over contrast that scores 0.5; see `blur_score`
LEAST_CONTRAST = 2.0  # grey levels; keeps noise of a blank picture from counting as detail
BT709_LUMA = (0.0722, 0.7152, 0.2126)  # blue, green, red; ITU-R BT.709
CLIP_LEVELS = 2  # grey levels at each end that count as clipped
BAR_MAX = 40  # grey levels: no pixel of a letterbox line is brighter, ringing included
BAR_MEAN = 24  # grey levels: a letterbox line's average is below it
BAR_SPREAD = 4.0  # grey levels: a bar is flat along the line
BAR_ASYMMETRY = 0.03  # of the side: opposite bars are alike; one dark side is night, not a bar
BAR_MOST = 0.45  # of the side; more would leave no picture
HASH_PX = 32
HASH_BITS = 8  # a side: 64 in all


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMeasure:
    """Numbers of one frame; names and units are those of the table `measure`."""

    laplacian_variance: float
    blur_score: float
    brightness: float
    contrast: float
    clipped_dark_share: float
    clipped_bright_share: float
    entropy_bits: float
    content_x0_px: int
    content_y0_px: int
    content_x1_px: int
    content_y1_px: int
    phash: int
    signature: np.ndarray


def measure_frame(picture: np.ndarray) -> FrameMeasure:
    """Measure a frame; all but the letterbox box is of what lies inside it.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
        BGR, full range.

    Raises
    ------
    ValueError
        If `picture` is not an 8-bit BGR array with pixels.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"expected (height, width, 3) uint8, got {picture.shape} {picture.dtype}")
    grey = to_luma(picture)
    x0, y0, x1, y1 = find_content(grey)
    inside = grey[y0:y1, x0:x1]
    histogram = cv2.calcHist([inside], [0], None, [256], [0, 256]).ravel()
    share = histogram / histogram.sum()
    sharpness = laplacian_variance(inside)
    deviation = float(inside.std())
    return FrameMeasure(
        laplacian_variance=sharpness,
        blur_score=blur_score(sharpness, deviation),
        brightness=float(inside.mean()) / 255,
        contrast=deviation / 255,
        clipped_dark_share=min(1.0, float(share[:CLIP_LEVELS].sum())),
        clipped_bright_share=min(1.0, float(share[-CLIP_LEVELS:].sum())),
        entropy_bits=entropy(share),
        content_x0_px=x0,
        content_y0_px=y0,
        content_x1_px=x1,
        content_y1_px=y1,
        phash=perceptual_hash(inside),
        signature=signature(inside),
    )


def to_luma(picture: np.ndarray) -> np.ndarray:
    """Gamma-encoded BT.709 luma of a BGR picture, uint8, shape (height, width)."""
    return cv2.transform(picture, np.array([BT709_LUMA], np.float32)).reshape(picture.shape[:2])


def laplacian_variance(grey: np.ndarray) -> float:
    """Variance of the Laplacian of 8-bit luma, shrunk to a longest side of 480 px.

    Smaller pictures are not enlarged.

    Notes
    -----
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
    """
    scale = WORKING_PX / max(grey.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0]) ** 2


def blur_score(variance: float, deviation: float) -> float:
    """Map a Laplacian variance to [0, 1]; 1 is sharp.

    The variance grows with the picture's contrast as well as with its sharpness, so it is taken
    over the standard deviation of luma `deviation` (grey levels) and then mapped monotonely:
    s / (s + 4.6). Frames in focus of 8 films scored 0.22 to 0.95, frames blurred by more than a
    few pixels 0.01 to 0.19; 0.2 lies between.

    Examples
    --------
    >>> blur_score(46.0, 10.0)
    0.5
    """
    sharpness = variance / max(deviation, LEAST_CONTRAST)
    return sharpness / (sharpness + HALF_SHARP)


def entropy(share: np.ndarray) -> float:
    """Shannon entropy, in bits, of shares that add to 1; 0 to 8 for 256 grey levels."""
    used = share[share > 0].astype(np.float64)
    return min(8.0, max(0.0, float(-(used * np.log2(used)).sum())))


def find_content(grey: np.ndarray) -> tuple[int, int, int, int]:
    """Find the picture between letterbox or pillarbox bars.

    Bars are dark, flat, and alike on opposite sides.

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


def perceptual_hash(grey: np.ndarray) -> int:
    """64-bit hash that near duplicates share but for a few bits.

    The picture is shrunk to 32x32 and transformed (DCT-II); each of the 8x8 lowest frequencies
    after the constant gives a bit, set where it is above their median. First bit is the highest.

    Notes
    -----
    Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    small = cv2.resize(grey, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA)
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
    return cv2.resize(grey, (HASH_PX, HASH_PX), interpolation=cv2.INTER_AREA).ravel()


def _bars(grey: np.ndarray) -> tuple[int, int]:
    """Number of bar lines at the start and the end of the first axis; 0, 0 without bars."""
    lines = grey.shape[0]
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
    is_bar = grey.max(axis=1) <= BAR_MAX
    count = int(np.argmin(is_bar)) if not is_bar.all() else len(is_bar)
    part = grey[:count].astype(np.float32)
    if not count:
        return 0
    is_bar = (part.mean(axis=1) <= BAR_MEAN) & (part.std(axis=1) <= BAR_SPREAD)
    return int(np.argmin(is_bar)) if not is_bar.all() else count
