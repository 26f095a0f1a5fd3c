"""Alignment of two pictures of one shot by their background: shift, scale, and what is left over.

Corners outside the characters' boxes are followed from one picture to the other (Lucas-Kanade) and
a similarity transform fitted to them (RANSAC); where there are too few corners, as before a plain
wall, phase correlation gives a shift, and a camera that stood still is tried too: what leaves the
least difference holds. A background without detail fits anywhere, so the details must agree too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH_PX = 480  # pictures are measured at this width
BOX_MARGIN = 0.15  # share of a box added on each side: arms and hair move with the character
MAX_CORNERS, MIN_CORNERS = 400, 12
REACH_PX = 1.5  # a corner fits the transform within it, at `WIDTH_PX`
DETAIL_PX = 8.0  # of the blur whose difference to the picture is its detail

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How one picture lies on the other."""

    matrix: np.ndarray  # (2, 3) float64: of the first picture's pixels to the second's
    shift_px: float  # of the picture's middle, in pixels of the pictures
    scale: float
    residual: float  # mean absolute luma difference of the background, in [0, 1]
    agreement: float  # correlation of the backgrounds' details, in [-1, 1]; 0 without any
    change: float  # as `residual`, inside the characters' boxes


def align(before: np.ndarray, after: np.ndarray, boxes: Sequence[Box]) -> Alignment | None:
    """Fit the background of one picture to another's.

    Parameters
    ----------
    before, after : np.ndarray, shape (height, width, 3), uint8, BGR
        Of one size.
    boxes : sequence of (x0, y0, x1, y1)
        Where characters stand in either picture, in pixels.

    Returns
    -------
    Alignment or None
        None where less than a tenth of the picture is background.

    Raises
    ------
    ValueError
        If the sizes differ.
    """
    if before.shape != after.shape:
        raise ValueError(f"expected pictures of one size, got {before.shape} and {after.shape}")
    height, width = before.shape[:2]
    share = min(1.0, WIDTH_PX / width)
    one, two = (_small_luma(picture, share) for picture in (before, after))
    background = _background(one.shape, boxes, share)
    if background.mean() < 0.1:
        return None
    fits = [_lay(one, two, matrix, background) for matrix in _transforms(one, two, background)]
    small, warped, inside = min(fits, key=lambda fit: _mean(_difference(fit[1], two), fit[2]))
    matrix = small.copy()
    matrix[:, 2] /= share
    middle = np.array([width / 2, height / 2, 1.0])
    difference = _difference(warped, two)
    return Alignment(
        matrix=matrix,
        shift_px=float(np.hypot(*(matrix @ middle - middle[:2]))),
        scale=float(np.hypot(*matrix[:, 0])),
        residual=_mean(difference, inside),
        agreement=_correlate(_detail(warped)[inside], _detail(two)[inside]),
        change=_mean(difference, ~background),
    )


def cut_common(
    before: np.ndarray, after: np.ndarray, matrix: np.ndarray, step_px: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Lay one picture on the other and cut both to what they share.

    Parameters
    ----------
    before, after : np.ndarray, shape (height, width, 3), uint8
    matrix : np.ndarray, shape (2, 3)
        From `align`.
    step_px : int
        Sides are multiples of it.

    Returns
    -------
    tuple of np.ndarray
        Of one size; `after`'s pixels are its own, `before`'s are interpolated.
    """
    height, width = after.shape[:2]
    warped = cv2.warpAffine(before, matrix, (width, height), flags=cv2.INTER_CUBIC)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
    x0 = max(0, *np.ceil(corners[[0, 2], 0] - 1e-6))
    x1 = min(width, *np.floor(corners[[1, 3], 0] + 1e-6))
    y0 = max(0, *np.ceil(corners[[0, 1], 1] - 1e-6))
    y1 = min(height, *np.floor(corners[[2, 3], 1] + 1e-6))
    wide = max(step_px, int(x1 - x0) // step_px * step_px)
    high = max(step_px, int(y1 - y0) // step_px * step_px)
    left, top = int(x0 + (x1 - x0 - wide) // 2), int(y0 + (y1 - y0 - high) // 2)
    area = slice(max(0, top), max(0, top) + high), slice(max(0, left), max(0, left) + wide)
    return warped[area], after[area]


def _small_luma(picture: np.ndarray, share: float) -> np.ndarray:
    luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return cv2.resize(luma, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def _background(shape: tuple[int, ...], boxes: Sequence[Box], share: float) -> np.ndarray:
    """True where no character stands."""
    found = np.ones(shape, bool)
    for x0, y0, x1, y1 in boxes:
        across, down = (x1 - x0) * BOX_MARGIN, (y1 - y0) * BOX_MARGIN
        top, bottom = max(0, int((y0 - down) * share)), max(0, int((y1 + down) * share) + 1)
        left, right = max(0, int((x0 - across) * share)), max(0, int((x1 + across) * share) + 1)
        found[top:bottom, left:right] = False
    return found


def _transforms(one: np.ndarray, two: np.ndarray, background: np.ndarray) -> list[np.ndarray]:
    """Transforms to choose from, (2, 3) each: none, by corners, by phase correlation."""
    found = [np.eye(2, 3)]
    corners = cv2.goodFeaturesToTrack(one, MAX_CORNERS, 0.01, 5, mask=background.astype(np.uint8))
    if corners is not None and len(corners) >= MIN_CORNERS:
        moved, state, _ = cv2.calcOpticalFlowPyrLK(one, two, corners, np.empty(0))
        is_found = state.ravel() == 1
        if is_found.sum() >= MIN_CORNERS:
            cv2.setRNGSeed(0)
            matrix, inlier = cv2.estimateAffinePartial2D(
                corners[is_found], moved[is_found], ransacReprojThreshold=REACH_PX
            )
            if matrix is not None and inlier.sum() >= MIN_CORNERS:
                found.append(np.asarray(matrix, np.float64))
    window = background.astype(np.float32)
    pictures = [(p - p[background].mean()) * window for p in (one, two)]
    (x, y), _ = cv2.phaseCorrelate(*[p.astype(np.float32) for p in pictures])
    return [*found, np.array([[1.0, 0.0, x], [0.0, 1.0, y]])]


def _lay(
    one: np.ndarray, two: np.ndarray, matrix: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transform, the first picture laid on the second, and where both show background."""
    size = two.shape[::-1]
    warped = cv2.warpAffine(one, matrix, size, flags=cv2.INTER_LINEAR)
    shown = background.astype(np.uint8)
    inside = cv2.warpAffine(shown, matrix, size, flags=cv2.INTER_NEAREST) > 0
    inside &= background
    return matrix, warped, inside


def _difference(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(np.float32) - two) / 255


def _detail(luma: np.ndarray) -> np.ndarray:
    """What a blur takes away."""
    return luma.astype(np.float32) - cv2.GaussianBlur(luma, (0, 0), DETAIL_PX).astype(np.float32)


def _correlate(one: np.ndarray, two: np.ndarray) -> float:
    """Pearson's correlation; 0 where either is constant."""
    if one.size < 2 or one.std() < 1e-6 or two.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else 1.0
