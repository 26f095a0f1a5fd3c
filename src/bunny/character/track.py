"""Which faces of a shot are one face followed through it.

The frames at hand are few and may lie seconds apart, so place alone proves little: a face joins a
track when it looks alike, or when it sits where the track was and does not look unlike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bunny.character import embed

BEST_VIEWS = 5  # that make a track's embedding
GOOD_SIZE_PX = 112.0  # recognisers see faces at this size; larger is not better
GOOD_SHARPNESS = 100.0  # variance of the Laplacian; sharper is not better


@dataclass(frozen=True, kw_only=True)
class TrackSetting:
    """Similarities are on the common scale of `embed.to_similarity`."""

    alike: float = 0.45  # joins wherever it is
    not_unlike: float = 0.15  # joins when it also sits in the track's place
    min_iou: float = 0.2  # of a face in the track's place
    max_shift: float = 0.8  # of its centre, in face heights, as the other sign of the same place
    max_scale: float = 2.0  # ratio of heights in the same place


def link_faces(
    frame_index: Sequence[int],
    box: np.ndarray,
    embedding: np.ndarray,
    recogniser: str,
    setting: TrackSetting | None = None,
) -> np.ndarray:
    """Link the faces of one shot into tracks.

    Parameters
    ----------
    frame_index : sequence of int, length n
        Which frame each face is in.
    box : np.ndarray, shape (n, 4)
        x0 y0 x1 y1 in pixels.
    embedding : np.ndarray, shape (n, d)
        Unit length.
    recogniser : str
        Its name, for the scale.

    Returns
    -------
    np.ndarray, shape (n,), int
        Track numbers from 0, in order of first appearance; faces of one frame never share one.

    Notes
    -----
    Frame by frame; pairs of faces and tracks are taken best first. A track is represented by the
    mean of its embeddings and its latest box.
    """
    setting = setting or TrackSetting()
    frame_index, box = np.asarray(frame_index, dtype=np.int64), np.asarray(box, dtype=np.float64)
    track = np.full(len(frame_index), -1, dtype=np.int64)
    members: list[list[int]] = []
    for frame in np.unique(frame_index):
        here = np.flatnonzero(frame_index == frame)
        pairs = []
        for face in here:
            for number, faces in enumerate(members):
                score = _affinity(face, faces, box, embedding, recogniser, setting)
                if score is not None:
                    pairs.append((-score, number, int(face)))
        taken: set[int] = set()
        for _, number, face in sorted(pairs):
            if track[face] < 0 and number not in taken:
                track[face] = number
                taken.add(number)
        for face in here:
            if track[face] < 0:
                track[face] = len(members)
                members.append([])
            members[track[face]].append(int(face))
    return track


def view_quality(
    score: np.ndarray, yaw: np.ndarray, size_px: np.ndarray, sharpness: np.ndarray
) -> np.ndarray:
    """How well a recogniser can see each face, in [0, 1]: sure, frontal, large, sharp."""
    frontal = 1 - 0.7 * np.abs(np.nan_to_num(np.asarray(yaw, dtype=np.float32), nan=1.0))
    large = np.clip(np.asarray(size_px) / GOOD_SIZE_PX, 0, 1)
    sharp = np.clip(np.nan_to_num(np.asarray(sharpness)) / GOOD_SHARPNESS, 0.1, 1) ** 0.5
    return np.clip(score, 0, 1) * frontal * large * sharp


def mean_of_best(embedding: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Embedding of a track: the mean of its best views weighted by quality, of unit length.

    Parameters
    ----------
    embedding : np.ndarray, shape (n, d)
    quality : np.ndarray, shape (n,)
        From `view_quality`.
    """
    best = np.argsort(-np.asarray(quality), kind="stable")[:BEST_VIEWS]
    weight = np.maximum(np.asarray(quality)[best], 1e-3)[:, None]
    return embed.to_unit((embedding[best] * weight).sum(axis=0))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes x0 y0 x1 y1; 0 when both are empty."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    union = area[0] + area[1] - common
    return float(common / union) if union > 0 else 0.0


def _affinity(face, faces, box, embedding, recogniser, setting) -> float | None:
    """How well a face continues a track; None when it does not."""
    mean = embed.to_unit(embedding[faces].mean(axis=0))
    alike = float(embed.to_similarity(embedding[face] @ mean, recogniser))
    last = box[faces[-1]]
    place = overlap(box[face], last)
    if alike >= setting.alike:
        return alike + 0.5 * place
    if alike >= setting.not_unlike and _is_same_place(box[face], last, place, setting):
        return alike + 0.5 * place
    return None


def _is_same_place(one: np.ndarray, other: np.ndarray, iou: float, setting) -> bool:
    heights = one[3] - one[1], other[3] - other[1]
    if max(heights) > setting.max_scale * max(1e-6, min(heights)):
        return False
    shift = np.hypot(*(one[:2] + one[2:] - other[:2] - other[2:])) / 2
    return iou >= setting.min_iou or shift <= setting.max_shift * max(heights)
