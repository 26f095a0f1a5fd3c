"""Sliding window of the last frames: thumbnails and the change measured on each."""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from bunny.video.shot import frame_difference

STILL = 0.006  # a smaller plain difference is not searched for movement
FULL_SPREAD = 0.12  # contrast from which differences are measured against the full floor
LEAST_SCALE = 0.4  # of the floor: below it is the noise of dark pictures


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """A first frame of a new shot, before neighbours are weighed against each other."""

    index: int
    kind: str  # cut, fade or dissolve
    strength: float  # below 1 only where the network tells it too
    span: tuple[int, int]  # frames of the transition, half-open; of a fade those at its bottom
    flank: tuple[int, int] | None = None  # of a fade: with its fall and its rise


class FrameChange(NamedTuple):
    """Of one frame, all in [0, 1]."""

    plain: float  # difference to the frame before
    moved: float  # what of it no movement explains
    spread: float
    light: float  # mean luma and `spread` together: both fall to 0 in a fade to black
    levels: int = 0  # `plain` as a sum of whole grey levels


class RecentFrames:
    """Thumbnails and measures of the last frames, by absolute frame number.

    Parameters
    ----------
    first_index : int
        Number of the first frame that will be added.
    num_kept : int
        Frames kept.
    """

    def __init__(self, first_index: int, num_kept: int) -> None:
        self.start = self.count = first_index
        self._thumbs: deque[np.ndarray] = deque(maxlen=num_kept)
        self._smalls: deque[np.ndarray] = deque(maxlen=num_kept)
        self._measures: deque[FrameChange] = deque(maxlen=num_kept)

    @property
    def oldest(self) -> int:
        """Number of the oldest frame kept."""
        return self.count - len(self._thumbs)

    def thumb(self, index: int) -> np.ndarray:
        """Thumbnail of a kept frame."""
        return self._thumbs[index - self.count]

    def small(self, index: int) -> np.ndarray:
        """Thumbnail of a kept frame at half its size, where little movement does not count."""
        return self._smalls[index - self.count]

    def at(self, index: int) -> FrameChange:
        """Measurements of a kept frame."""
        return self._measures[index - self.count]

    def scale(self, one: int, two: int) -> float:
        """Share of full contrast that the livelier of two frames has: all differences shrink so."""
        contrast = max(self.at(one).spread, self.at(two).spread)
        return min(1.0, max(LEAST_SCALE, contrast / FULL_SPREAD))

    def add(self, thumb: np.ndarray) -> None:
        """Take the next frame's thumbnail, YUV, uint8, and measure it."""
        plain, moved, levels = 0.0, 0.0, 0
        if self._thumbs:
            levels = frame_difference.luma_levels(self._thumbs[-1], thumb)
            plain = moved = levels / (255 * thumb.shape[0] * thumb.shape[1])
            if plain >= STILL:
                moved = frame_difference.compensated_difference(self._thumbs[-1], thumb)
        spread = frame_difference.contrast(thumb)
        light = spread + float(thumb[..., 0].mean()) / 255
        self._thumbs.append(thumb)
        half = thumb.shape[1] // 2, thumb.shape[0] // 2
        self._smalls.append(cv2.resize(thumb, half, interpolation=cv2.INTER_AREA))
        self._measures.append(FrameChange(plain, moved, spread, light, levels))
        self.count += 1


def middle(indices: list[int]) -> int:
    """First frame after the middle of frames."""
    return math.floor(sum(indices) / len(indices) + 0.5)
