"""Face detection: boxes, five landmarks, pose, sharpness, brightness.

A detector reads pixels once, with a low floor; `min_face_score`, `min_face_px` and
`max_faces_per_frame` are decisions over what it found (`select_faces`), so moving them reads no
picture again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import polars as pl

from bunny.character.detection import SCORE_FLOOR, RawFace, RawFaceDetector
from bunny.character.face import dlib, mtcnn, pose, yunet

SIZE_FLOOR_PX = 12  # of the box's height in the stored picture


@dataclass(frozen=True, kw_only=True)
class DetectedFace:
    """One detection in pixels of the picture it was found in."""

    box: np.ndarray  # (4,) float32: x0 y0 x1 y1, clipped to the picture
    landmark: np.ndarray  # (5, 2) float32: right eye, left eye, nose, right and left mouth corner
    score: float  # in [0, 1]
    yaw: float  # in [-1, 1]; 0 is frontal, 1 a profile towards the picture's right
    pitch: float  # in [-1, 1]; 0 is level, 1 looks down
    mouth: float | None  # width of the mouth over the distance of the eyes; None for a profile
    sharpness: float  # variance of the Laplacian of 8-bit luma in the box
    brightness: float  # in [0, 1]; mean luma in the box

    @property
    def size_px(self) -> float:
        """Height of the box."""
        return float(self.box[3] - self.box[1])


FaceDetector = Callable[[np.ndarray], list[DetectedFace]]


def load_detector(
    name: str, *, has_small_faces: bool = True, is_thorough: bool = True
) -> FaceDetector:
    """Load a face detector by its name in the settings.

    Parameters
    ----------
    name : {"yunet", "mtcnn", "hog", "cnn"}
    has_small_faces : bool
        Whether to look for faces down to about 16 px in a picture of 1920 (YuNet), 20 px (MTCNN).
        The others see what they see: HOG from about 80 px at 1280, CNN from about 80 at 640.
    is_thorough : bool
        Whether YuNet looks for small faces in every picture; see `yunet.load`.

    Returns
    -------
    callable
        Takes a picture (height, width, 3) uint8 BGR and gives its faces, best score first. Any
        number of threads may call it and get the same; each gets its own network when it first
        calls.

    Raises
    ------
    ValueError
        If there is no such detector.
    UserError
        If its weights are missing.
    """
    if name not in DETECTOR:
        raise ValueError(f"expected one of {', '.join(DETECTOR)}, got {name!r}")
    load = DETECTOR[name]
    if name in SMALL_FACES:
        load = partial(load, has_small_faces=has_small_faces)
    if name == "yunet":
        load = partial(load, is_thorough=is_thorough)
    own = threading.local()
    own.look = load()  # here, so that what is missing is said at once

    def detect(image: np.ndarray) -> list[DetectedFace]:
        if not hasattr(own, "look"):
            own.look = load()
        return _finish(image, own.look(image))

    return detect


DETECTOR: dict[str, Callable[..., RawFaceDetector]] = {
    "yunet": yunet.load,
    "mtcnn": mtcnn.load,
    "hog": dlib.load_hog,
    "cnn": dlib.load_cnn,
}
SMALL_FACES = ("yunet", "mtcnn")  # whose search goes finer when asked


def select_faces(
    face: pl.LazyFrame, *, min_score: float, min_size_px: float, max_per_frame: int
) -> pl.LazyFrame:
    """Keep faces that are sure and large enough, the largest ones of a frame first.

    Parameters
    ----------
    face : pl.LazyFrame
        Rows of table `face`.
    min_score, min_size_px : float
        Inclusive.
    max_per_frame : int
        Ties in size go to the earlier `face_id`.
    """
    order = pl.struct(-pl.col("size_px"), pl.col("face_id")).rank("ordinal").over("frame_id")
    kept = face.filter(pl.col("score") >= min_score, pl.col("size_px") >= min_size_px)
    return kept.filter(order <= max_per_frame)


def measure_sharpness(image: np.ndarray, box: np.ndarray) -> float:
    """Variance of the Laplacian of luma inside a box (Pech-Pacheco 2000); 0 for an empty box."""
    luma = _luma(image, box)
    return float(cv2.Laplacian(luma, cv2.CV_32F).var()) if luma.size else 0.0


def measure_brightness(image: np.ndarray, box: np.ndarray) -> float:
    """Mean luma inside a box (ITU-R BT.601), in [0, 1]; 0 for an empty box.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8
        BGR.
    box : np.ndarray, shape (4,)
        x0 y0 x1 y1 in pixels; what lies outside the picture is left out.
    """
    luma = _luma(image, box)
    return float(luma.mean()) / 255 if luma.size else 0.0


def _luma(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """8-bit luma inside a box; empty where the box has no pixel of the picture."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    crop = image[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    return cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) if crop.size else np.empty((0, 0), np.uint8)


def _finish(image: np.ndarray, found: list[RawFace]) -> list[DetectedFace]:
    """Clip to the picture, drop what is below the floors, measure, order by score."""
    height, width = image.shape[:2]
    faces = []
    for one in found:
        box = np.clip(one.box, 0, [width, height, width, height]).astype(np.float32)
        is_too_small = box[3] - box[1] < SIZE_FLOOR_PX or box[2] - box[0] < SIZE_FLOOR_PX / 2
        if one.score < SCORE_FLOOR or is_too_small:
            continue
        faces.append(
            DetectedFace(
                box=box,
                landmark=np.asarray(one.landmark, np.float32),
                score=min(1.0, one.score),
                yaw=pose.estimate_yaw(one.landmark),
                pitch=pose.estimate_pitch(one.landmark),
                mouth=pose.measure_mouth(one.landmark),
                sharpness=measure_sharpness(image, box),
                brightness=measure_brightness(image, box),
            )
        )
    return sorted(faces, key=lambda face: (-face.score, *face.box.tolist()))
