"""Frame differences on thumbnails: formulas without thresholds."""

from typing import cast

import cv2
import numpy as np

SEARCH_PX = (-3, -1, 0, 1, 3)  # to about 5 % of the picture's width a frame: a fast pan
BAR_MAX = 24  # grey levels; lines at the edge with nothing brighter are letterbox bars
LIT_MEAN = 72  # grey levels; a darker picture has no bars that could be told
BLOCKS_LONG, BLOCKS_SHORT = 8, 4  # along the longer and the shorter side
FLAT_BLOCK = 4.0  # grey levels; a block with less deviation says nothing
WEIGHTS = np.array([[0.6, 0.2, 0.2]], np.float32)  # of luma and the two chroma planes


def plain_difference(one: np.ndarray, two: np.ndarray) -> float:
    """Mean absolute luma difference of two thumbnails.

    Parameters
    ----------
    one, two : np.ndarray, shape (height, width, 3), uint8
        YUV thumbnails of one size.

    Returns
    -------
    float
        In [0, 1].
    """
    return luma_levels(one, two) / (255 * one.shape[0] * one.shape[1])


def luma_levels(one: np.ndarray, two: np.ndarray) -> int:
    """Sum of absolute luma differences of two thumbnails, in grey levels: a whole number."""
    return int(cv2.norm(one[..., 0], two[..., 0], cv2.NORM_L1))


def brightness_change(one: np.ndarray, two: np.ndarray) -> float:
    """Amount by which all pixels become brighter, or all darker, as when a light goes on or out.

    Parameters
    ----------
    one, two : np.ndarray, shape (height, width, 3), uint8
        YUV thumbnails of one size.

    Returns
    -------
    float
        In [0, 1]: difference of the mean lumas over the mean absolute difference; 0 when equal.
    """
    levels = cv2.norm(one[..., 0], two[..., 0], cv2.NORM_L1)
    brighter = abs(int(two[..., 0].sum(dtype=np.int64)) - int(one[..., 0].sum(dtype=np.int64)))
    return brighter / levels if levels else 0.0


def best_match(one: np.ndarray, two: np.ndarray) -> float:
    """Best match of the middle of either picture anywhere in the other.

    The camera may have moved by a quarter of the picture's width. Brightness does not count.

    Parameters
    ----------
    one, two : np.ndarray, shape (height, width, 3), uint8
        YUV thumbnails of one size.

    Returns
    -------
    float
        In [-1, 1]: best correlation of luma (`TM_CCOEFF_NORMED` of OpenCV), of both ways.
    """
    height, width = two.shape[:2]
    rows = slice(height // 6, height - height // 6)
    columns = slice(width * 9 // 32, width - width * 9 // 32)
    a, b = (np.ascontiguousarray(picture[..., 0]) for picture in (one, two))
    found = [
        cv2.matchTemplate(whole, part[rows, columns], cv2.TM_CCOEFF_NORMED).max()
        for whole, part in ((a, b), (b, a))
    ]
    return float(max(found))


def changed_share(one: np.ndarray, two: np.ndarray) -> float:
    """Extent to which a change is all over the picture, not in a part of it.

    Parameters
    ----------
    one, two : np.ndarray, shape (height, width, 3), uint8
        YUV thumbnails of one size.

    Returns
    -------
    float
        Median over mean of the blocks' compensated differences; near 0 when less than half of the
        picture changes, about 1 when all does. Blocks that are flat in both pictures do not count.
        1 when none count.
    """
    gaps = _block_differences(one, two)
    size = gaps.shape[::-1]
    is_lively = np.maximum(_block_variance(one, size), _block_variance(two, size)) > FLAT_BLOCK**2
    gaps = gaps[is_lively]
    return float(np.median(gaps) / gaps.mean()) if gaps.size and gaps.mean() else 1.0


def _block_variance(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Variance of luma in each of width x height blocks."""
    luma = picture[..., 0].astype(np.float32)
    mean = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(luma * luma, size, interpolation=cv2.INTER_AREA) - mean * mean


def compensated_difference(one: np.ndarray, two: np.ndarray) -> float:
    """Difference of two thumbnails that no small move of blocks explains.

    Each block of `two` is compared with `one` at every shift of `SEARCH_PX` both ways, and the best
    counts. A pan, a walk or a shake leaves little; another picture leaves much.

    Parameters
    ----------
    one, two : np.ndarray, shape (height, width, 3), uint8
        YUV thumbnails of one size.

    Returns
    -------
    float
        In [0, 1]; mean over blocks of the weighted mean absolute difference.
    """
    return float(_block_differences(one, two).mean()) / 255


def _block_differences(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Difference of each block of two thumbnails that no small motion explains, in grey levels."""
    height, width = two.shape[:2]
    edge = max(SEARCH_PX)
    wide = cv2.copyMakeBorder(one, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    is_wide = width >= height
    blocks = (BLOCKS_LONG, BLOCKS_SHORT) if is_wide else (BLOCKS_SHORT, BLOCKS_LONG)
    best: np.ndarray | None = None
    for dy in SEARCH_PX:
        for dx in SEARCH_PX:
            y, x = edge + dy, edge + dx
            gap = cv2.absdiff(wide[y : y + height, x : x + width], two)
            mean = cv2.transform(cv2.resize(gap, blocks, interpolation=cv2.INTER_AREA), WEIGHTS)
            best = mean if best is None else cv2.min(best, mean)
    return cast(np.ndarray, best)


def contrast(thumb: np.ndarray) -> float:
    """Standard deviation over the picture, of luma or the livelier chroma plane, in [0, 1].

    Near 0 the picture is one flat colour: the bottom of a fade. Letterbox bars do not count.
    """
    inside = thumb[_between_bars(thumb[..., 0])]
    is_dim = inside.size < thumb.size / 2 or inside[..., 0].mean() < LIT_MEAN
    if is_dim:  # what is dark at the edges may be night
        inside = thumb
    return float(cv2.meanStdDev(np.ascontiguousarray(inside))[1].max()) / 255


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Correlation of two thumbnails' luma, in [-1, 1]; 0 when either is flat.

    Blind to brightness and contrast, so a light that goes on leaves it near 1. Letterbox bars,
    which make all pictures alike, do not count.
    """
    rows, columns = _between_bars(np.maximum(one[..., 0], two[..., 0]))
    a = one[rows, columns, 0].astype(np.float32).ravel()
    b = two[rows, columns, 0].astype(np.float32).ravel()
    if not a.size:
        return 0.0  # all between the bars is one line's edge
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > a.size else 0.0


def blend(first: np.ndarray, between: list[np.ndarray], last: np.ndarray):
    """Fit of frames to the straight line of pixels from one picture to another.

    In a dissolve each pixel runs straight from its value in `first` to that in `last`; movement
    within one shot does not. All sums are of whole numbers, so they are exact.

    Parameters
    ----------
    first, last : np.ndarray, shape (height, width, 3), uint8
    between : list of np.ndarray
        Frames between them, the middle one in the middle of the list.

    Returns
    -------
    change : float
        Mean absolute difference of `first` and `last`, in [0, 1].
    residual : float
        Mean absolute distance of the middle frame from the half-and-half mix, over `change`;
        0 in a perfect dissolve, 0.5 or more without one.
    progress : list of float
        Where each frame between projects on the line; 0 is `first` and 1 is `last`.
    """
    change = cv2.norm(first, last, cv2.NORM_L1)
    if change == 0:
        return 0.0, 1.0, [0.0] * len(between)
    length = cv2.norm(first, last, cv2.NORM_L2SQR)
    progress = []
    for frame in between:  # the cosine rule gives the projection from the three distances
        near, far = (cv2.norm(frame, end, cv2.NORM_L2SQR) for end in (first, last))
        progress.append((near + length - far) / (2 * length))
    mix = cv2.addWeighted(first, 0.5, last, 0.5, 0)
    residual = cv2.norm(between[len(between) // 2], mix, cv2.NORM_L1) / change
    return change / first.size / 255, residual, progress


def edge_energy(thumb: np.ndarray) -> float:
    """Mean squared luma step between neighbouring pixels, both ways added, in squared grey levels.

    Halves in the middle of a dissolve: the edges of both pictures are there, at half their height.
    """
    luma = thumb[..., 0].astype(np.float32)
    steps = np.diff(luma, axis=0), np.diff(luma, axis=1)
    return float(sum((step * step).mean() for step in steps))


def loss_of_contrast(first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> float:
    """Position of a frame's variance between that of a mix of two pictures and that of either.

    A mix of two unlike pictures has less contrast than they have; a picture on the way of a moving
    camera has as much. So smooth scenery that drifts by, which `blend` takes for a mix, is told
    from a dissolve (the classical cue, e.g. Alattar 1993).

    Parameters
    ----------
    first, middle, last : np.ndarray, shape (height, width, 3), uint8

    Returns
    -------
    float
        About 0 in the middle of a dissolve, about 1 in one shot; not bounded. 1 when the ends are
        so alike that nothing can be told.
    """
    a, b = first.astype(np.float32), last.astype(np.float32)
    ends = (_variance(a) + _variance(b)) / 2
    mixed = _variance((a + b) / 2)
    gap = ends - mixed
    return (_variance(middle.astype(np.float32)) - mixed) / gap if gap > 1 else 1.0


def _variance(picture: np.ndarray) -> float:
    """Variance over the picture, summed over planes, in squared grey levels."""
    return float((cv2.meanStdDev(picture)[1] ** 2).sum())


def _between_bars(luma: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns between dark bars at the edges."""
    rows, columns = (_inside(luma.max(axis=axis) > BAR_MAX) for axis in (1, 0))
    return rows, columns


def _inside(is_lit: np.ndarray) -> slice:
    """Lines between the bars, less the line that a bar's edge runs through."""
    lit = np.flatnonzero(is_lit)
    if not lit.size:
        return slice(None)
    first, end = int(lit[0]), int(lit[-1]) + 1
    return slice(first + (first > 0), end - (end < is_lit.size))
