"""Raw face detections, non-maximum suppression and plausibility checks."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

WORKING_PX = 640  # longer side given to a detector; YuNet was trained around 320 to 640
SCORE_FLOOR = 0.5  # faces below are not stored; the useful thresholds lie above
NMS_IOU = 0.3  # YuNet's own default: more overlap is the same face
PART_RATIO = 0.6  # from here a box within another is a part of that face, such as an eye
MARGIN_RATIO = 0.1  # of the box, by which landmarks may lie outside it


class RawFace(NamedTuple):
    """One face in pixels of the picture, as it came out of a network."""

    box: np.ndarray  # (4,) float32: x0 y0 x1 y1, may reach over the picture's edge
    landmark: np.ndarray  # (5, 2) float32, as in `detect.DetectedFace`
    score: float  # in [0, 1]


RawFaceDetector = Callable[[np.ndarray], list[RawFace]]


def shrink(image: np.ndarray, longer_px: int = WORKING_PX) -> tuple[np.ndarray, float]:
    """Make a picture no longer than `longer_px`; returns it and the factor, at most 1."""
    factor = min(1.0, longer_px / max(image.shape[:2]))
    if factor == 1.0:
        return np.ascontiguousarray(image), 1.0
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), factor


def merge(found: list[RawFace]) -> list[RawFace]:
    """Keep one of several finds of the same face: the surest, and no parts of it.

    Parameters
    ----------
    found : list of RawFace
        From any number of looks at one picture.

    Returns
    -------
    list of RawFace
        Best score first; no two overlap by more than `NMS_IOU` of their union, and none lies with
        `PART_RATIO` of its area or more in a surer one.
    """
    if not found:
        return []
    left = sorted(found, key=lambda one: (-one.score, *one.box.tolist()))
    boxes = np.array([one.box for one in left])
    return [left[i] for i in non_max_suppression(boxes, NMS_IOU, PART_RATIO)]


def non_max_suppression(boxes: np.ndarray, iou: float, part: float = np.inf) -> list[int]:
    """Greedy non-maximum suppression: go down the list, drop what overlaps one that stays.

    Parameters
    ----------
    boxes : np.ndarray, shape (n, 4)
        x0 y0 x1 y1, the surest first.
    iou : float
        Overlap over union above which two are one.
    part : float
        Share of the later box in the earlier one from which it is dropped; by default never.

    Returns
    -------
    list of int
        Rows that stay, in order.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    area = np.maximum(1e-6, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    kept, left = [], np.arange(len(boxes))
    while left.size:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        common = _common(boxes[best], boxes[rest])
        is_same = common > iou * (area[best] + area[rest] - common)
        left = rest[~(is_same | (common >= part * area[rest]))]
    return kept


def is_face_like(one: RawFace) -> bool:
    """Whether five landmarks stand as those of an upright face, turned to any side.

    They lie in the box (but for `MARGIN_RATIO` of it), the eyes above the mouth with the nose
    between them, and neither pair is crossed. Tilts up to about 45 degrees pass.
    """
    x0, y0, x1, y1 = one.box
    width, height = max(1e-6, x1 - x0), max(1e-6, y1 - y0)
    place = (one.landmark - [x0, y0]) / [width, height]
    if (place < -MARGIN_RATIO).any() or (place > 1 + MARGIN_RATIO).any():
        return False
    eyes, nose, mouth = place[:2].mean(axis=0), place[2], place[3:].mean(axis=0)
    is_in_order = eyes[1] < nose[1] < mouth[1] and mouth[1] - eyes[1] >= 2 * MARGIN_RATIO
    is_crossed = (place[[1, 4], 0] - place[[0, 3], 0] < -MARGIN_RATIO).any()
    return bool(is_in_order and not is_crossed)


def is_same_face(better: np.ndarray, box: np.ndarray) -> bool:
    """Whether `box` shows the face of `better` or a part of it; boxes as x0 y0 x1 y1."""
    return len(non_max_suppression(np.stack([better, box]), NMS_IOU, PART_RATIO)) == 1


def _common(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area that a box shares with each of others."""
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    return np.prod(np.clip(sides, 0, None), axis=1)
