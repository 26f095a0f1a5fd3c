"""Measures of a shot's frames for clips: change, motion of the camera, and where characters stand.

Pictures are looked at small. The camera's motion is the similarity transform (shift, scale)
between neighbouring frames that most corners follow (Lucas-Kanade flow, RANSAC), characters' boxes
left out. A character's box between two labelled frames is interpolated; how alike its colours are
to the nearest labelled box's says whether the character is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.quality import luma, text
from bunny.table.box import BOX
from bunny.video.extra_frame import DecodedPicture
from bunny.video.shot.scene_score import SceneScorer

LONG_PX = 320  # of the small picture's longer side
GRID = (8, 12)  # rows and columns of the coarse luma whose layout is compared
MAX_CORNERS, MIN_CORNERS = 400, 12
CELLS, CORNERS_A_CELL = (4, 6), 8  # corners are spread, so that no moving figure outvotes the rest
STILL_PX, STILL_SHARE = 0.1, 0.35  # so many corners that stay where they are: the camera is still
HOLD_S = 0.5  # a label holds so long beyond the first and last labelled frame
TEXT_S = 0.5  # between frames that are looked at for writing
GAP_S = 2.5  # two labels of a character are joined over so much
BINS = (8, 4, 4)  # hue, saturation, value
FACE_WIDER, FACE_LOWER = 0.6, 1.5  # of a face's height: a head and shoulders around it

Box = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True, kw_only=True)
class LabelledBox:
    """A character in a frame, in pixels of the shot's picture."""

    character: str
    frame_index: int
    timestamp_s: float
    box: Box


def _widen_face(box: Box) -> Box:
    """Box of head and shoulders around a face."""
    x0, y0, x1, y1 = box
    high = y1 - y0
    return (
        x0 - FACE_WIDER * high,
        y0 - FACE_WIDER * high,
        x1 + FACE_WIDER * high,
        (y1 + FACE_LOWER * high),
    )


def measure_shot(
    shot_index: int,
    pictures: Iterable[DecodedPicture],
    labels: Sequence[LabelledBox],
    indices: Sequence[int],
    rate: float,
) -> dict[str, list[dict[str, Any]]]:
    """Rows of `clip_frame` and `clip_box` of one shot.

    Parameters
    ----------
    pictures : iterable of DecodedPicture
        Frames of the shot, in order; looked at one by one.
    indices : sequence of int
        Of the shot's frames.
    rate : float
        Frames a second of the film, for the time between labels.

    Returns
    -------
    dict of str to list of dict
        By table. A frame that could not be decoded has an error.
    """
    times = [(index, index / rate) for index in indices]
    placed = {
        name: follow([one for one in labels if one.character == name], times)
        for name in sorted({one.character for one in labels})
    }
    frames: list[dict[str, Any]] = []
    colours: dict[tuple[str, int], np.ndarray | None] = {}
    before: _SmallPicture | None = None
    scorer = SceneScorer()
    text_step = max(1, round(TEXT_S * rate))
    for place, one in enumerate(pictures):
        row = _empty_row(shot_index, one)
        if one.picture is not None:
            small, index = _SmallPicture.of(one.picture), one.frame.index
            boxes = {name: own[index][0] for name, own in placed.items() if index in own}
            row["scene_score"] = scorer.push(small.bgr)
            row |= small.compare(before, [_scaled(box, small.scale) for box in boxes.values()])
            row |= {"width_px": one.picture.shape[1], "height_px": one.picture.shape[0]}
            colours |= {(name, index): small.colours(box) for name, box in boxes.items()}
            if place % text_step == 0:
                row["text_share"] = _text_share(one.picture)
            before = small
        frames.append(row)
    rows = [
        _box_row(shot_index, index, name, box, nearest.frame_index == index)
        | {"likeness": _alike(colours.get((name, index)), colours.get((name, nearest.frame_index)))}
        for name, own in placed.items()
        for index, (box, nearest) in own.items()
        if (name, index) in colours
    ]
    return {"clip_frame": frames, "clip_box": rows}


def follow(
    labels: Sequence[LabelledBox], times: Sequence[tuple[int, float]]
) -> dict[int, tuple[Box, LabelledBox]]:
    """Boxes of one character in the frames between its labels, and a little beyond them.

    Parameters
    ----------
    labels : sequence of LabelledBox
        Of one character.
    times : sequence of (int, float)
        Index and time in seconds of the shot's frames.  Labels lie at their frames' times.

    Returns
    -------
    dict of int to (Box, LabelledBox)
        By frame index: the box, interpolated by time, and the nearest label.
    """
    if not labels:
        return {}
    labels = sorted(labels, key=lambda one: one.frame_index)
    known = dict(times)
    stamps = [known.get(one.frame_index, one.timestamp_s) for one in labels]
    at = np.array(stamps)
    found: dict[int, tuple[Box, LabelledBox]] = {}
    for index, time_s in times:
        after = int(np.searchsorted(at, time_s))
        left, right = max(0, after - 1), min(len(labels) - 1, after)
        one, two = labels[left], labels[right]
        start, end = stamps[left], stamps[right]
        nearest = one if abs(time_s - start) <= abs(end - time_s) else two
        is_between = start <= time_s <= end and 0 < end - start <= GAP_S
        if not is_between:
            if min(abs(time_s - start), abs(end - time_s)) <= HOLD_S:
                found[index] = (nearest.box, nearest)
            continue
        share = (time_s - start) / (end - start)
        mixed = [(1 - share) * a + share * b for a, b in zip(one.box, two.box, strict=True)]
        found[index] = ((mixed[0], mixed[1], mixed[2], mixed[3]), nearest)
    return found


@dataclass(frozen=True, kw_only=True)
class _SmallPicture:
    """A frame made small: BGR and luma, uint8, and its scale."""

    bgr: np.ndarray
    luma: np.ndarray
    coarse: np.ndarray
    scale: float

    @classmethod
    def of(cls, picture: np.ndarray) -> _SmallPicture:
        height, width = picture.shape[:2]
        scale = min(1.0, LONG_PX / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        bgr = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        coarse = cv2.resize(luma, GRID[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        return cls(bgr=bgr, luma=luma, coarse=coarse.ravel(), scale=scale)

    def colours(self, box: Box) -> np.ndarray | None:
        """Shares of colours in a box of the large picture; None where it is outside."""
        height, width = self.luma.shape
        x0, y0, x1, y1 = _scaled(box, self.scale)
        left, top = max(0, int(x0)), max(0, int(y0))
        right, bottom = min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))
        if right - left < 2 or bottom - top < 2:
            return None
        hsv = cv2.cvtColor(self.bgr[top:bottom, left:right], cv2.COLOR_BGR2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256])
        return counts / counts.sum()

    def compare(self, before: _SmallPicture | None, boxes: Sequence[Box]) -> dict[str, float]:
        """Columns of `clip_frame` that pixels give."""
        own = {
            "sharpness": float(cv2.Laplacian(self.luma, cv2.CV_64F).var()),
            "luma": float(self.luma.mean()),
        }
        if before is None or before.luma.shape != self.luma.shape:
            return own
        change = float(cv2.absdiff(self.luma, before.luma).mean())
        shift_x, shift_y, zoom = _camera(before.luma, self.luma, boxes)
        height, width = self.luma.shape
        return own | {
            "change": change,
            "layout_change": _layout_change(before.coarse, self.coarse),
            "shift_x": shift_x / width,
            "shift_y": shift_y / height,
            "zoom": zoom,
        }


def _empty_row(shot_index: int, one: DecodedPicture) -> dict[str, Any]:
    zero = dict.fromkeys(
        ("change", "layout_change", "shift_x", "shift_y", "zoom", "sharpness", "luma"), 0.0
    )
    return {
        "shot_index": shot_index,
        "frame_index": one.frame.index,
        "timestamp_s": one.frame.time_s,
        "width_px": 0,
        "height_px": 0,
        **zero,
        "scene_score": None,
        "text_share": None,
        "error": one.error,
    }


def _text_share(picture: np.ndarray) -> float:
    """Share of a picture under lines of text."""
    lines = text.find_text(luma.to_luma(picture))
    return float(text.text_share(lines, (picture.shape[1], picture.shape[0])))


def _layout_change(one: np.ndarray, two: np.ndarray) -> float:
    """1 less the correlation of two coarse pictures; 0 where both are flat."""
    a, b = one - one.mean(), two - two.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    if length < 1e-6:
        return 0.0 if abs(float(one.mean() - two.mean())) < 8 else 1.0
    return float(np.clip(1 - float(a @ b) / length, 0, 2))


def _camera(
    before: np.ndarray, now: np.ndarray, boxes: Sequence[Box]
) -> tuple[float, float, float]:
    """Shift in small pixels and log scale that most corners follow; 0 without corners."""
    mask = np.full(before.shape, 255, np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] = 0
    found = cv2.goodFeaturesToTrack(before, MAX_CORNERS, 0.005, 5, mask=mask)
    if found is None or len(found) < MIN_CORNERS:
        return 0.0, 0.0, 0.0
    corners = _spread(np.asarray(found, np.float32), before.shape)
    empty = np.empty_like(corners)
    moved, is_found, _ = cv2.calcOpticalFlowPyrLK(before, now, corners, empty)
    good = is_found.ravel() == 1
    if good.sum() < MIN_CORNERS:
        return 0.0, 0.0, 0.0
    length = np.linalg.norm((moved - corners).reshape(-1, 2)[good], axis=1)
    if np.mean(length < STILL_PX) >= STILL_SHARE:
        return 0.0, 0.0, 0.0
    cv2.setRNGSeed(0)
    matrix, _ = cv2.estimateAffinePartial2D(
        corners[good], moved[good], method=cv2.RANSAC, ransacReprojThreshold=1.0
    )
    if matrix is None:
        return 0.0, 0.0, 0.0
    height, width = before.shape
    middle = np.array([width / 2, height / 2, 1.0])
    shift = matrix @ middle - middle[:2]
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return float(shift[0]), float(shift[1]), float(np.log(max(scale, 1e-3)))


def _spread(corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The strongest corners of each cell of the picture; (n, 1, 2)."""
    share = corners.reshape(-1, 2) / np.array([shape[1], shape[0]])
    cell = np.clip((share * np.array(CELLS[::-1])).astype(int), 0, np.array(CELLS[::-1]) - 1)
    number = cell[:, 1] * CELLS[1] + cell[:, 0]
    kept, counts = [], np.zeros(CELLS[0] * CELLS[1], int)
    for row, one in enumerate(number):
        if counts[one] < CORNERS_A_CELL:
            counts[one] += 1
            kept.append(row)
    return np.ascontiguousarray(corners[kept])


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = (side * scale for side in box)
    return x0, y0, x1, y1


def _box_row(shot: int, index: int, name: str, box: Box, is_labelled: bool) -> dict[str, Any]:
    sides = dict(zip(BOX, map(float, box), strict=True))
    place = {"shot_index": shot, "frame_index": index, "character": name}
    return {**place, **sides, "is_labelled": is_labelled}


def _alike(one: np.ndarray | None, other: np.ndarray | None) -> float:
    """Correlation of the colours in two boxes, in [-1, 1]; 0 where one is outside.

    In double precision: `cv2.compareHist` gives NaN for histograms that are spread evenly.

    Examples
    --------
    >>> one = np.array([0.6, 0.3, 0.1], np.float32)
    >>> round(_alike(one, one), 3), round(_alike(one, one[::-1]), 3), _alike(one, None)
    (1.0, -0.974, 0.0)
    >>> _alike(np.full(3, 1 / 3), one)
    0.0
    """
    if one is None or other is None:
        return 0.0
    a, b = (part.ravel().astype(np.float64) - part.mean() for part in (one, other))
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / length, -1, 1)) if length > 1e-12 else 0.0


def group_labels(label: pl.DataFrame) -> dict[int, list[LabelledBox]]:
    """Labels by shot, from table `label` with the frame's size and crop beside the box.

    Each box is turned from pixels of the stored picture into pixels of the shot's picture; a face
    becomes head and shoulders. Of several boxes of a character in a frame the largest counts.
    """
    found: dict[int, dict[tuple[str, int], LabelledBox]] = {}
    for row in label.iter_rows(named=True):
        wide = row["crop_x1_px"] - row["crop_x0_px"]
        scale = wide / row["width_px"] if row["width_px"] else 1.0
        box = _scaled((row["x0_px"], row["y0_px"], row["x1_px"], row["y1_px"]), scale)
        box = _widen_face(box) if row["subject_type"] == "face" else box
        one = LabelledBox(
            character=row["character"],
            frame_index=row["frame_index"],
            timestamp_s=row["timestamp_s"],
            box=box,
        )
        own = found.setdefault(row["shot_index"], {})
        known = own.get((one.character, one.frame_index))
        if known is None or _area(one.box) > _area(known.box):
            own[one.character, one.frame_index] = one
    return {shot: list(own.values()) for shot, own in found.items()}


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
