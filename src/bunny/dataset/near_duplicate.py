"""Near duplicates among views, within a shot and across the film.

Two views are alike when their frames' perceptual hashes are near, their boxes lie at the same
place and, where both turns of the head are known, these are the same. Where a hash is missing
(frames that were looked at besides the kept ones), views of one shot count as alike by place and
turn alone. Of look-alikes the best stays; every other one is told which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bunny.character import track
from bunny.dataset.view import CharacterView

SAME_PLACE = 0.7  # intersection over union of the boxes
SAME_YAW = 0.2  # of [-1, 1]; a head turned further is another view of it
SAME_MOUTH = 0.2  # in distances of the eyes
BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class DuplicateFeatures:
    """Features by which two views are compared, one row a view.

    Boxes are in shares of their frames' width and height, unknown turns and mouths are NaN,
    `has_hash` says where `phash` is known.
    """

    phash: np.ndarray  # (n,) uint64
    has_hash: np.ndarray  # (n,) bool
    box: np.ndarray  # (n, 4) float64
    yaw: np.ndarray  # (n,) float64
    mouth: np.ndarray  # (n,) float64
    shot: np.ndarray  # (n,) int64
    frame: np.ndarray  # (n,) int64

    def __len__(self) -> int:
        return len(self.phash)


def duplicate_features(views: Sequence[CharacterView]) -> DuplicateFeatures:
    """Put down what `are_alike` compares."""
    scale = [(v.frame_size[0], v.frame_size[1]) * 2 for v in views]
    box = np.array([v.box for v in views], float).reshape(-1, 4)
    return DuplicateFeatures(
        phash=np.array([v.phash or 0 for v in views], np.uint64),
        has_hash=np.array([v.phash is not None for v in views], bool),
        box=box / np.array(scale, float).reshape(-1, 4),
        yaw=np.array([v.yaw for v in views], float),
        mouth=np.array([v.mouth for v in views], float),
        shot=np.array([v.shot_index for v in views], np.int64),
        frame=np.array([v.frame_index for v in views], np.int64),
    )


def are_alike(signs: DuplicateFeatures, one: int, others: np.ndarray, distance: int) -> np.ndarray:
    """Find which of `others` are near duplicates of view `one`.

    Parameters
    ----------
    one : int
        Row of a view.
    others : np.ndarray, shape (m,), int
        Rows to compare it with.
    distance : int
        Bits of the 64-bit hash up to which two frames may be the same.

    Returns
    -------
    np.ndarray, shape (m,), bool
        Symmetric in the two. Two views in one frame are always alike: one picture, trained on once.
    """
    both = signs.has_hash[one] & signs.has_hash[others]
    near = np.bitwise_count(signs.phash[others] ^ signs.phash[one]) <= distance
    is_near = np.where(both, near, signs.shot[others] == signs.shot[one])
    is_near &= track.overlap(signs.box[others], signs.box[one]) > SAME_PLACE
    for values, most in ((signs.yaw, SAME_YAW), (signs.mouth, SAME_MOUTH)):
        is_near &= ~(np.abs(values[others] - values[one]) > most)  # NaN: not known to differ
    return is_near | (signs.frame[others] == signs.frame[one])


def keep_best(signs: DuplicateFeatures, order: Sequence[int], distance: int) -> dict[int, int]:
    """Go through views, the best first, and set aside those that show one that stays.

    Parameters
    ----------
    order : sequence of int
        Rows, the best first; rows not in it are left out.
    distance : int
        As `are_alike`.

    Returns
    -------
    dict
        Row of each view that is set aside, to the row that stays. No two that stay are alike.
    """
    kept = np.empty(len(order), np.int64)
    count, aside = 0, {}
    for row in order:
        alike = np.flatnonzero(are_alike(signs, row, kept[:count], distance))
        if len(alike):
            aside[row] = int(kept[alike[0]])
        else:
            kept[count] = row
            count += 1
    return aside


def same_camera_setup(
    phash: np.ndarray, signature: np.ndarray, distance: int, structure: float
) -> np.ndarray:
    """Pairs of frames that show the same picture or the same camera set-up again.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    signature : np.ndarray, shape (n, d)
        Small pictures of the frames, luma; rows of NaN where not known (their hash does not count).
    distance : int
        Bits of the hash up to which two are the same.
    structure : float
        Correlation of the small pictures from which they are.

    Returns
    -------
    np.ndarray, shape (k, 2), int
        Rows, the smaller first.
    """
    if not len(phash):
        return np.empty((0, 2), np.int64)
    flat = np.asarray(signature, np.float32).reshape(len(phash), -1)
    is_known = np.all(np.isfinite(flat), axis=1)
    flat = np.where(is_known[:, None], flat, 0)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    pairs = []
    for start in range(0, len(flat), BLOCK):
        end = start + BLOCK
        bits = np.bitwise_count(phash[start:end, None] ^ phash[None])
        alike = (flat[start:end] @ flat.T >= structure) | (bits <= distance)
        alike &= is_known[start:end, None] & is_known[None]
        rows, columns = np.nonzero(alike)
        is_later = columns > rows + start
        pairs.append(np.stack([rows[is_later] + start, columns[is_later]], axis=1))
    return np.concatenate(pairs)
