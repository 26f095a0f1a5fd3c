"""How much the picture changes, on thumbnails: formulas without thresholds."""

import cv2
import numpy as np

SEARCH_PX = (-3, -1, 0, 1, 3)  # to about 5 % of the picture's width a frame: a fast pan
BAR_MAX = 24  # grey levels; lines at the edge with nothing brighter are letterbox bars
LIT_MEAN = 72  # grey levels; a darker picture has no bars that could be told
BLOCK_PX = 8
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
    return float(cv2.absdiff(one[..., 0], two[..., 0]).mean()) / 255


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
    height, width = two.shape[:2]
    edge = max(SEARCH_PX)
    wide = cv2.copyMakeBorder(one, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    blocks = (-(-width // BLOCK_PX), -(-height // BLOCK_PX))
    best: np.ndarray | None = None
    for dy in SEARCH_PX:
        for dx in SEARCH_PX:
            y, x = edge + dy, edge + dx
            gap = cv2.absdiff(wide[y : y + height, x : x + width], two)
            mean = cv2.transform(cv2.resize(gap, blocks, interpolation=cv2.INTER_AREA), WEIGHTS)
            best = mean if best is None else cv2.min(best, mean)
    return float(best.mean()) / 255


def spread(thumb: np.ndarray) -> float:
    """Standard deviation over the picture, of luma or the livelier chroma plane, in [0, 1].

    Near 0 the picture is one flat colour: the bottom of a fade. Letterbox bars do not count.
    """
    luma = thumb[..., 0]
    rows, columns = (_inside(luma.max(axis=axis) > BAR_MAX) for axis in (1, 0))
    inside = thumb[rows, columns]
    is_dim = inside.size < thumb.size / 2 or inside[..., 0].mean() < LIT_MEAN
    if is_dim:  # what is dark at the edges may be night
        inside = thumb
    return float(cv2.meanStdDev(np.ascontiguousarray(inside))[1].max()) / 255


def likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Correlation of two thumbnails' luma, in [-1, 1]; 0 when either is flat.

    Blind to brightness and contrast, so a light that goes on leaves it near 1.
    """
    a = one[..., 0].astype(np.float32).ravel()
    b = two[..., 0].astype(np.float32).ravel()
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > a.size else 0.0


def blend(first: np.ndarray, between: list[np.ndarray], last: np.ndarray):
    """How far frames lie on the straight line of pixels from one picture to another.

    In a dissolve each pixel runs straight from its value in `first` to that in `last`; movement
    within one shot does not.

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
    a, b = first.astype(np.float32), last.astype(np.float32)
    line = b - a
    change = float(np.abs(line).mean()) / 255
    length = float((line * line).sum())
    if length == 0:
        return 0.0, 1.0, [0.0] * len(between)
    progress = [float(((frame - a) * line).sum()) / length for frame in between]
    middle = between[len(between) // 2]
    residual = float(np.abs(middle - (a + b) / 2).mean()) / 255 / change
    return change, residual, progress


def loss_of_contrast(first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> float:
    """Where a frame's variance lies between that of a mix of two pictures and that of either.

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


def _inside(is_lit: np.ndarray) -> slice:
    """Lines between the bars, less the line that a bar's edge runs through."""
    lit = np.flatnonzero(is_lit)
    if not lit.size:
        return slice(None)
    first, end = int(lit[0]), int(lit[-1]) + 1
    return slice(first + (first > 0), end - (end < is_lit.size))
