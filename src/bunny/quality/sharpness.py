"""Sharpness of a picture and of any box in it, and motion blur with its direction.

Defocus widens the edges of all directions alike; motion widens those it runs across and leaves
those it runs along. So the blur of the edges is estimated for each direction of their normals and
a covariance is fitted. Directions with few edges count little, and without evidence of two
directions the blur is taken to be round: picture content that has one direction only is no smear.

Sources: blur of an edge from the ratio of gradients at two scales: Zhuo, Sim 2011, "Defocus map
estimation from a single image"; motion direction as the one of weakest derivative: Yitzhaky,
Kopeika 1997, "Identification of blur parameters from motion blurred images"; linear fit over
gradient directions: Ji, Liu 2008, "Motion blur identification from image gradients".
"""

from typing import Any

import cv2
import numpy as np

WORKING_PX = 480  # longest side on which sharpness is measured, so that film size does not matter
HALF_SHARP = 4.6  # Laplacian variance over contrast that scores 0.5; see `blur_score`
LEAST_CONTRAST = 2.0  # grey levels; keeps noise of a blank picture from counting as detail
TILES = 12  # a side

FINE_SIGMA, COARSE_SIGMA = 0.6, 2.0  # pixels of the working size
SOBEL_VARIANCE = 0.5  # pixels squared: what a 3x3 Sobel filter blurs by itself
NUM_DIRECTIONS = 16  # over 180 degrees
LEAST_GRADIENT = 2.0  # grey levels a pixel, at the coarse scale; below it is noise
LEAST_EDGES = 50  # pixels; fewer say nothing
MOST_VARIANCE = 60.0  # pixels squared; wider edges are shading
ROUND_PRIOR = 0.03  # of the evidence: weight of the belief that blur is round


def laplacian(work: np.ndarray) -> np.ndarray:
    """Laplacian of 8-bit luma of working size (`luma.shrink` to 480 px), int16, same shape."""
    return cv2.Laplacian(work, cv2.CV_16S)


def laplacian_variance(edges: np.ndarray) -> float:
    """Variance of a Laplacian.

    Notes
    -----
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
    """
    return float(cv2.meanStdDev(edges)[1][0, 0]) ** 2


def blur_score(variance: float, deviation: float) -> float:
    """Map a Laplacian variance to [0, 1]; 1 is sharp.

    The variance grows with the picture's contrast as well as with its sharpness, so it is taken
    over the standard deviation of luma `deviation` (grey levels) and then mapped monotonely:
    s / (s + 4.6). Frames in focus score 0.17 to 0.95; `reason.sharpness_expr` corrects for what the
    score does not see, and `filter_preset` says how many sharp frames each threshold loses.

    Examples
    --------
    >>> blur_score(46.0, 10.0)
    0.5
    """
    sharpness = variance / max(deviation, LEAST_CONTRAST)
    return sharpness / (sharpness + HALF_SHARP)


def tile_sharpness(
    edges: np.ndarray, content: tuple[int, int, int, int], size: tuple[int, int]
) -> np.ndarray:
    """Mean square of the Laplacian in each tile of a 12x12 grid over the whole picture.

    It is kept raw: the mean of a Laplacian is all but 0, so the mean square is its variance, and
    unlike a score it adds up, so that a box of tiles has exactly their area-weighted mean. For a
    score that compares with that of the frame, map it: `blur_score(value, 255 * contrast)`.

    Parameters
    ----------
    edges : np.ndarray, shape (h, w), int16
        Laplacian of what lies inside `content`, at working size.
    content : tuple of int
        x0, y0, x1, y1 of the letterbox box in pixels of the picture.
    size : tuple of int
        Width and height of the picture, pixels.

    Returns
    -------
    np.ndarray, shape (144,), float32
        Row-major, grey levels squared. A tile partly on a bar is measured where it is not; one
        wholly on a bar is 0.
    """
    square = edges.astype(np.float32) ** 2
    across = _coverage(content[0], content[2], size[0], edges.shape[1])
    down = _coverage(content[1], content[3], size[1], edges.shape[0])
    area = down.sum(axis=1)[:, None] * across.sum(axis=1)
    # Not by BLAS, whose threads would wait for each other beside the decoder's.
    nothing: Any = None  # no third matrix is added
    half = cv2.gemm(down, square, 1, nothing, 0)
    energy = cv2.gemm(half, across, 1, nothing, 0, flags=cv2.GEMM_2_T)
    return np.divide(energy, area, out=np.zeros_like(energy), where=area > 0).ravel()


def sharpness_in_boxes(tiles: np.ndarray, boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Sharpness inside boxes, one of each picture, without opening a picture.

    Parameters
    ----------
    tiles : np.ndarray, shape (n, 144), float
        Column `tile_sharpness`, e.g. `table["tile_sharpness"].to_numpy()`.
    boxes : np.ndarray, shape (n, 4), float
        x0, y0, x1, y1 in pixels of the picture, half-open; what lies outside is left out.
    sizes : np.ndarray, shape (n, 2), int
        Width and height of each picture, pixels.

    Returns
    -------
    np.ndarray, shape (n,), float
        Area-weighted mean of the tiles: mean square of the Laplacian, grey levels squared; NaN
        where the tiles are.

    Raises
    ------
    ValueError
        If a box has no area inside its picture, or shapes do not agree.
    """
    tiles, boxes, sizes = (np.asarray(a, np.float64) for a in (tiles, boxes, sizes))
    expected = ((len(tiles), TILES**2), (len(tiles), 4), (len(tiles), 2))
    if (tiles.shape, boxes.shape, sizes.shape) != expected:
        raise ValueError(
            f"expected tiles, boxes and sizes of shapes {expected}, got {tiles.shape}, "
            f"{boxes.shape} and {sizes.shape}"
        )
    across = _overlap(boxes[:, 0], boxes[:, 2], sizes[:, 0])
    down = _overlap(boxes[:, 1], boxes[:, 3], sizes[:, 1])
    area = across.sum(axis=1) * down.sum(axis=1)
    if (area <= 0).any():
        row = int(np.argmax(area <= 0))
        raise ValueError(
            f"expected boxes with pixels inside their picture, got {boxes[row].tolist()} in a "
            f"picture of {sizes[row].tolist()} (row {row})"
        )
    grid = tiles.reshape(-1, TILES, TILES)
    return np.einsum("nyx,ny,nx->n", grid, down, across) / area


def _overlap(start: np.ndarray, end: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Length that each span shares with each of the 12 tiles along a side, in tiles, (n, 12)."""
    edge = np.arange(TILES)
    low, high = start[:, None] * TILES / side[:, None], end[:, None] * TILES / side[:, None]
    return np.clip(np.minimum(high, edge + 1) - np.maximum(low, edge), 0, None)


def _coverage(start: int, end: int, side: int, num_lines: int) -> np.ndarray:
    """Share of each line between `start` and `end` that lies in each tile, (12, num_lines)."""
    line = np.linspace(start, end, num_lines + 1) * TILES / side
    edge = np.arange(TILES)[:, None]
    shared = np.minimum(line[1:], edge + 1) - np.maximum(line[:-1], edge)
    return (np.clip(shared, 0, None) / (line[1:] - line[:-1])).astype(np.float32)


def motion_blur(work: np.ndarray) -> tuple[float, float]:
    """Excess of blur along one direction of a picture over that across it.

    With r the ratio of the energies of the fine and the coarse gradient of edges with one normal,
    an edge blurred by sigma has r**2 = (sigma**2 + coarse) / (sigma**2 + fine), which is solved
    for sigma**2 + fine; a + b cos 2t + c sin 2t is fitted to it over the normals' angles t.

    Parameters
    ----------
    work : np.ndarray, shape (height, width), uint8
        Luma of working size, longest side 480 px.

    Returns
    -------
    smear : float
        1 - (least / greatest blur width), in [0, 1]: 0 is equal in all directions. Motion over
        1 % of the picture's width gives about 0.4, over 2.5 % about 0.55.
    angle_deg : float
        Direction of the greatest blur in [0, 180): 0 is along the rows, 90 along the columns, 45
        down and to the right. Means nothing when `motion_blur` is small.

    Notes
    -----
    On 53 frames and 18 photos, whole and defocused, against the same moved over 2.5 % of the
    width, the area under the curve was 0.96; 0.3 was passed by 10 % of the unmoved and 0.57 by
    3 %: large soft shading of one direction, such as dunes in evening light, looks like smear.
    """
    fine_x, fine_y = _gradient(work, FINE_SIGMA)
    coarse_x, coarse_y = _gradient(work, COARSE_SIGMA)
    energy = coarse_x**2 + coarse_y**2
    at = np.flatnonzero(energy > LEAST_GRADIENT**2)
    if len(at) < LEAST_EDGES:
        return 0.0, 0.0
    x, y, energy = coarse_x.ravel()[at], coarse_y.ravel()[at], energy.ravel()[at]
    along = (fine_x.ravel()[at] * x + fine_y.ravel()[at] * y) ** 2 / energy
    turn = np.asarray(cv2.phase(x, y), np.float32).ravel() / np.pi % 1 * NUM_DIRECTIONS
    direction = np.minimum(turn.astype(np.int64), NUM_DIRECTIONS - 1)
    coarse, fine = (np.bincount(direction, e, NUM_DIRECTIONS) for e in (energy, along))
    return _fit_ellipse(_edge_variance(fine, coarse), coarse / coarse.sum())


def _gradient(work: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives along x and y, grey levels a pixel, after a Gaussian."""
    smooth = cv2.GaussianBlur(work.astype(np.float32), (0, 0), sigma)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *d, ksize=3, scale=1 / 8) for d in ((1, 0), (0, 1)))
    return x, y


def _edge_variance(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Blur variance of edges, with that of the fine scale, pixels squared."""
    span = COARSE_SIGMA**2 - FINE_SIGMA**2
    ratio = fine / np.maximum(coarse, 1e-9)
    return span / np.maximum(ratio**2 - 1, span / MOST_VARIANCE)


def _fit_ellipse(variance: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Smear and direction of the ellipse nearest to the variances."""
    angle = 2 * np.pi * (np.arange(NUM_DIRECTIONS) + 0.5) / NUM_DIRECTIONS
    terms = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    normal = terms.T @ (terms * weight[:, None]) + np.diag([0, ROUND_PRIOR, ROUND_PRIOR])
    mean, cosine, sine = np.linalg.solve(normal, terms.T @ (weight * variance))
    swing = float(np.hypot(cosine, sine))
    floor = (FINE_SIGMA**2 + SOBEL_VARIANCE) / 2  # a pixel is not sharper than this
    least = min(max(mean - swing, floor), mean + swing)
    degrees = float(np.degrees(np.arctan2(sine, cosine)) / 2 % 180)
    return float(1 - np.sqrt(least / (mean + swing))), degrees
