"""Gradient and colour descriptor of pictures, independent of the labelling network.

Windows of a picture are described by channels averaged over 8 x 8 cells (gradients of six
directions against their surroundings, and CIE L*a*b*), as in Dollár, Appel, Belongie, Perona 2014,
"Fast feature pyramids for object detection", and then decorrelated by the film's own windows, as in
Hariharan, Malik, Ramanan 2012, "Discriminative decorrelation for clustering and classification":
what the film has everywhere says nothing about who is there. No weights were trained on anything,
so it owes nothing to the network that labelled the film's drawn characters. Copies are found by
it, and its channels are half of what `figure_recogniser` goes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

NAME = "whitened colour and edge channels"
CELLS = 8  # a side of a window
CELL_PX = 6
DIRECTIONS = 6
CHANNELS = DIRECTIONS + 3
DIMENSION = CELLS * CELLS * CHANNELS
SIZES = (1.0, 0.8, 0.65, 0.52, 0.42)  # sides of windows, as shares of the picture's shorter side
FINE_CELLS = 16  # grids with more cells a side are walked in steps of two
SHRINKAGE = 0.05  # of the covariance towards a multiple of one; 0.01 to 0.2 do alike
WINDOWS_A_PICTURE = 60  # that the covariance is learned from
SURROUNDINGS_PX = 5.0  # sigma of what a gradient is compared with
FLAT = 0.02  # of luma; gradients well below it are noise


@dataclass(frozen=True, kw_only=True)
class FigureDescriptor:
    """A fitted describer: mean (d,) and decorrelation (d, d) of windows."""

    mean: np.ndarray
    whitening: np.ndarray

    def describe(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Describe whole pictures; (n, d) float32 of unit length."""
        if not len(pictures):
            return np.empty((0, DIMENSION), np.float32)
        return self._to_vector(np.stack([_grid(p, CELLS, CELLS) for p in pictures]))

    def _to_vector(self, cells: np.ndarray) -> np.ndarray:
        """Centre, decorrelate and scale to unit length."""
        flat = cells.reshape(len(cells), -1) - self.mean
        found = (flat @ self.whitening).astype(np.float32)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def fit(pictures: Sequence[np.ndarray], seed: int = 0) -> FigureDescriptor:
    """Learn what the windows of a film have in common.

    Parameters
    ----------
    pictures : sequence of np.ndarray, shape (height, width, 3), uint8, BGR
        Frames spread over the film, at least one.
    seed : int
        Of the choice of windows.

    Raises
    ------
    ValueError
        If there is no picture.
    """
    if not len(pictures):
        raise ValueError("expected at least one frame of the film, got none")
    rng = np.random.default_rng(seed)
    taken = []
    for picture in pictures:
        cells = np.concatenate([_windows(picture, size) for size in SIZES])
        taken.append(cells[rng.permutation(len(cells))[:WINDOWS_A_PICTURE]])
    flat = np.concatenate(taken).reshape(-1, DIMENSION).astype(np.float64)
    mean = flat.mean(axis=0)
    spread = (flat - mean).T @ (flat - mean) / len(flat)
    value, vector = np.linalg.eigh(spread)
    value = np.maximum(value, 0) + SHRINKAGE * max(float(value.mean()), 1e-9)
    whitening = vector / np.sqrt(value)
    return FigureDescriptor(mean=mean.astype(np.float32), whitening=whitening.astype(np.float32))


def channel_grid(picture: np.ndarray) -> np.ndarray:
    """Channels of a whole picture averaged over 8 x 8 cells; (DIMENSION,) float32."""
    return _grid(picture, CELLS, CELLS).ravel()


def square_box(
    picture: np.ndarray, box: Sequence[float], margin: float = 0.05
) -> tuple[int, int, int, int]:
    """Lay a square about a box, with so much of the longer side added, inside the picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    box : sequence of float
        x0 y0 x1 y1 in pixels.
    """
    x0, y0, x1, y1 = box
    height, width = picture.shape[:2]
    side = int(min(max(x1 - x0, y1 - y0, 2) * (1 + margin), height, width))
    x = int(np.clip((x0 + x1 - side) / 2, 0, width - side))
    y = int(np.clip((y0 + y1 - side) / 2, 0, height - side))
    return x, y, x + side, y + side


def square_crop(picture: np.ndarray, box: Sequence[float], margin: float = 0.05) -> np.ndarray:
    """Cut out the square of `square_box`."""
    x0, y0, x1, y1 = square_box(picture, box, margin)
    return picture[y0:y1, x0:x1]


def _windows(picture: np.ndarray, size: float) -> np.ndarray:
    """Cells of all windows of one size; (n, 8, 8, c)."""
    height, width = picture.shape[:2]
    side = size * min(height, width) / CELLS
    rows, columns = max(CELLS, round(height / side)), max(CELLS, round(width / side))
    grid = _grid(picture, rows, columns)
    step = 1 if min(rows, columns) < FINE_CELLS else 2
    places = [
        (y, x)
        for y in range(0, rows - CELLS + 1, step)
        for x in range(0, columns - CELLS + 1, step)
    ]
    return np.stack([grid[y : y + CELLS, x : x + CELLS] for y, x in places])


def _grid(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Channels averaged over cells; (rows, columns, c) float32."""
    size = (columns * CELL_PX, rows * CELL_PX)
    is_smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    mode = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    channels = _channels(cv2.resize(picture, size, interpolation=mode))
    return channels.reshape(rows, CELL_PX, columns, CELL_PX, CHANNELS).mean(axis=(1, 3))


def _channels(picture: np.ndarray) -> np.ndarray:
    """Gradients by direction, relative to those around, and colour; (height, width, c) float32."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    luma = cv2.GaussianBlur(lab[..., 0] / 100, (0, 0), 0.6)
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=1)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=1)
    length = np.hypot(across, down)
    length = length / (cv2.GaussianBlur(length, (0, 0), SURROUNDINGS_PX) + FLAT)
    turn = np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS
    low = np.floor(turn)
    part, low = turn - low, low.astype(int) % DIRECTIONS
    found = [
        length * ((low == k) * (1 - part) + ((low + 1) % DIRECTIONS == k) * part)
        for k in range(DIRECTIONS)
    ]
    colour = (lab[..., 0] / 50 - 1, lab[..., 1] / 50, lab[..., 2] / 50)
    return np.stack([*found, *colour], axis=-1).astype(np.float32)
