"""YuNet face detection, with a second, enlarged pass for small faces.

A face of 16 px in a picture of 1920 is 5 px at the size YuNet likes best, and enlarging the whole
picture costs forty times as much as that look. So a second look at full size only asks where
something might be, with next to no floor; what it suspects is cut out, enlarged until a face has
`CLEAR_PX`, set side by side in one canvas and looked at once more. On most frames of a film nothing
is suspected, and the second look, some five to ten times the first, is all that small faces cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bunny.character import model_file
from bunny.character.detection import (
    NMS_IOU,
    SCORE_FLOOR,
    WORKING_PX,
    RawFace,
    RawFaceDetector,
    is_face_like,
    is_same_face,
    merge,
    shrink,
)
from bunny.core import onnx_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


ENLARGED_FLOOR = 0.8  # of a face seen only enlarged; textures reach 0.78, real ones 0.9
SECOND_PX = 1920  # longer side of the look that suspects; at 1280 half the faces of 16 px are lost
SUSPECT_FLOOR = 0.03  # 7 in 10 faces of 16 px reach it at full size, few places of a film do
SURE_SCORE = 0.85  # such a face needs no other look
MAX_SUSPECTS = 64  # surest first; bounds what a crowd or a texture costs
LEAST_SUSPECT_PX = 8  # in the picture; less is no face of 12 px, what is kept at least
MAX_RAW_FACES = 500
STRIDES = (8, 16, 32)  # pixels a cell of each of the network's three maps
CLEAR_PX = 40  # of a face enlarged; YuNet finds 98 in 100 of that size
LARGE_PX = 2 * CLEAR_PX  # nothing of this size is looked at again
MAX_FACTOR = 4.0
TILE_PX = 128  # of the canvas; a suspect is a third of its tile
TILE_COLUMNS = 4


def load(*, has_small_faces: bool = True, is_thorough: bool = True) -> RawFaceDetector:
    """Load YuNet.

    Parameters
    ----------
    has_small_faces : bool
        Whether to look again for faces that the first look, at `WORKING_PX`, is too coarse for.
    is_thorough : bool
        Whether to look again at every picture; else not at close-ups, where a large face is found
        and no small one suspected.

    Returns
    -------
    callable
        From a BGR picture to what was found, each face once. Any number of threads may call it.

    Raises
    ------
    UserError
        If the weights are missing.
    """
    net = onnx_session.share_session("yunet", load_network)

    def look(image: np.ndarray) -> list[RawFace]:
        if not has_small_faces:
            return run_network(net, image, WORKING_PX)
        if max(image.shape[:2]) > WORKING_PX:
            first = run_network(net, image, WORKING_PX, SUSPECT_FLOOR)
            known = [one for one in first if one.score >= SCORE_FLOOR]
            is_close_up = any(_is_done(one) and _height(one) >= LARGE_PX for one in known)
            if not is_thorough and is_close_up and not _suspects(first, known):
                return _add(known, [])
            seen = run_network(net, image, SECOND_PX, SUSPECT_FLOOR)
            known = _add(known, [one for one in seen if _is_clear(one)])
        else:
            seen = run_network(net, image, WORKING_PX, SUSPECT_FLOOR)
            known = [one for one in seen if one.score >= SCORE_FLOOR]
        return _add(known, _look_enlarged(net, image, _suspects(seen, known)))

    return look


def load_network() -> InferenceSession:
    """The network, for pictures of any size."""
    path = model_file.path_of(model_file.MODELS["yunet"])
    return onnx_session.load_session(onnx_session.read_float_model(path, "input", (0, 2, 3)))


def run_network(
    net: InferenceSession, image: np.ndarray, longer_px: int, floor: float = SCORE_FLOOR
) -> list[RawFace]:
    """All that the network finds in a picture made no longer than `longer_px`."""
    small, factor = shrink(image, longer_px)
    rows = np.concatenate(list(_decode(net, small, floor)))
    if not len(rows):
        return []
    whole = rows[:, :4].astype(np.int32)  # as OpenCV's FaceDetectorYN suppresses them
    kept = cv2.dnn.NMSBoxes(
        whole.tolist(), rows[:, 14].tolist(), floor, NMS_IOU, 1.0, MAX_RAW_FACES
    )
    found = rows[np.asarray(kept, np.int64).ravel()]
    places = found[:, :14] / np.float32(factor)
    places[:, 2:4] += places[:, :2]
    return [
        RawFace(place[:4], place[4:].reshape(5, 2), float(row[14]))
        for place, row in zip(places, found, strict=True)
    ]


def _decode(net: InferenceSession, image: np.ndarray, floor: float) -> Iterator[np.ndarray]:
    """Faces of each of the network's maps, (n, 15): x y width height, landmarks, score.

    Notes
    -----
    YuNet has no anchors (Wu, Peng, Yu 2023): a cell gives its face's middle from its own corner in
    cells, the logarithm of width and height, and landmarks from its corner. The score is the
    geometric mean of class and objectness.
    """
    height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in image.shape[:2])
    missing = (0, height - image.shape[0], 0, width - image.shape[1])
    padded = cv2.copyMakeBorder(image, *missing, cv2.BORDER_CONSTANT, value=0)
    kinds = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
    maps = iter(onnx_session.run_session(net, kinds, cv2.dnn.blobFromImage(padded)))
    for stride in STRIDES:
        kind, objectness, box, point = (next(maps)[0] for _ in range(4))
        score = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(objectness[:, 0], 0, 1))
        index = np.flatnonzero(score >= floor)
        corner = np.stack([index % (width // stride), index // (width // stride)], axis=1)
        size = np.exp(box[index, 2:]) * np.float32(stride)
        middle = (corner + box[index, :2]) * np.float32(stride)
        landmark = (np.tile(corner, 5) + point[index]) * np.float32(stride)
        parts = [middle - size / 2, size, landmark, score[index, None]]
        yield np.concatenate(parts, axis=1).astype(np.float32)


def _add(known: list[RawFace], more: list[RawFace]) -> list[RawFace]:
    """Join what two looks found; where the first was done, it has the last word."""
    done = [one for one in known if _is_done(one)]
    return merge(known + [one for one in more if not _is_in(done, one)])


def _is_done(one: RawFace) -> bool:
    """Whether a face of the first look is sure or large enough not to be looked at again."""
    return one.score >= SURE_SCORE or _height(one) >= LARGE_PX


def _is_clear(one: RawFace) -> bool:
    """Whether the second look alone may add a face."""
    return one.score >= ENLARGED_FLOOR and is_face_like(one)


def _suspects(seen: list[RawFace], known: list[RawFace]) -> list[RawFace]:
    """Places worth enlarging: small, not sure yet, and not in a face that is."""
    done = [one for one in known if _is_done(one)]
    small = [one for one in seen if LEAST_SUSPECT_PX <= _height(one) < LARGE_PX]
    places = [one for one in small if not _is_in(done, one)]
    return sorted(places, key=lambda one: -one.score)[:MAX_SUSPECTS]


def _is_in(known: list[RawFace], one: RawFace) -> bool:
    """Whether it shows one of those known, or a part of it."""
    return any(is_same_face(other.box, one.box) for other in known)


def _look_enlarged(
    net: InferenceSession, image: np.ndarray, suspects: list[RawFace]
) -> list[RawFace]:
    """Cut suspects out, enlarge them, look at all of them at once."""
    if not suspects:
        return []
    corners, factors, tiles = zip(*(cut_tile(image, one) for one in suspects), strict=True)
    columns = min(TILE_COLUMNS, len(tiles))
    canvas = _lay_out(tiles, columns)
    found = []
    for one in run_network(net, canvas, max(canvas.shape[:2]), ENLARGED_FLOOR):
        column, row = ((one.box[:2] + one.box[2:]) / 2 // TILE_PX).astype(int)
        index = row * columns + column
        origin = np.array([column, row]) * TILE_PX
        if not (0 <= index < len(tiles) and _is_central(one, origin) and _is_clear(one)):
            continue
        points = (one.landmark - origin) / factors[index] + corners[index]
        box = (one.box.reshape(2, 2) - origin) / factors[index] + corners[index]
        found.append(RawFace(box.ravel().astype(np.float32), points.astype(np.float32), one.score))
    return found


def cut_tile(image: np.ndarray, suspect: RawFace) -> tuple[np.ndarray, float, np.ndarray]:
    """A suspect enlarged in the middle of a tile; with the tile's corner in the picture."""
    factor = float(np.clip(CLEAR_PX / max(1e-6, _height(suspect)), 0.5, MAX_FACTOR))
    side = TILE_PX / factor
    corner = np.round((suspect.box[:2] + suspect.box[2:]) / 2 - side / 2)
    move = np.array([[factor, 0, -corner[0] * factor], [0, factor, -corner[1] * factor]])
    move[:, 2] += (factor - 1) / 2  # pixels are centred on whole numbers
    way = cv2.INTER_LINEAR
    tile = cv2.warpAffine(image, move, (TILE_PX, TILE_PX), flags=way, borderMode=cv2.BORDER_REFLECT)
    return corner, factor, tile


def _lay_out(tiles: tuple[np.ndarray, ...], columns: int) -> np.ndarray:
    """Set tiles side by side, row by row; missing ones are grey."""
    grey = np.full((TILE_PX, TILE_PX, 3), 127, np.uint8)
    padded = [*tiles, *[grey] * (-len(tiles) % columns)]
    return np.vstack([np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)])


def _is_central(one: RawFace, origin: np.ndarray) -> bool:
    """Whether a face's middle is within the middle half of its tile."""
    place = (one.box[:2] + one.box[2:]) / 2 - origin
    return bool((abs(place - TILE_PX / 2) <= TILE_PX / 4).all())


def _height(one: RawFace) -> float:
    return float(one.box[3] - one.box[1])
