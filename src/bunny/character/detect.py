"""Where the faces of a picture are: boxes, five landmarks, pose, sharpness.

A detector reads pixels once, with a low floor; `min_face_score`, `min_face_px` and
`max_faces_per_frame` are decisions over what it found (`select_faces`), so moving them reads no
picture again.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl

from bunny.character import model

WORKING_PX = 640  # longer side given to a detector; YuNet was trained around 320 to 640
SCORE_FLOOR = 0.5  # faces below are not stored; the useful thresholds lie above
SIZE_FLOOR_PX = 12  # of the box's height in the stored picture
NMS_IOU = 0.3  # YuNet's own default
DLIB_SCORE_SCALE = 1.0  # dlib's HOG margin that becomes a score of sigmoid(1) = 0.73
MAX_RAW_FACES = 200
LEAST_PX = 64  # YuNet's last map is then 2 cells wide; at 1, OpenCV reads memory nobody wrote


@dataclass(frozen=True, kw_only=True)
class Face:
    """One detection in pixels of the picture it was found in."""

    box: np.ndarray  # (4,) float32: x0 y0 x1 y1, clipped to the picture
    landmark: np.ndarray  # (5, 2) float32: right eye, left eye, nose, right and left mouth corner
    score: float  # in [0, 1]
    yaw: float  # in [-1, 1]; 0 is frontal
    sharpness: float  # variance of the Laplacian of 8-bit luma in the box

    @property
    def size_px(self) -> float:
        """Height of the box."""
        return float(self.box[3] - self.box[1])


Detector = Callable[[np.ndarray], list[Face]]


def load_detector(name: str) -> Detector:
    """Load a face detector by its name in the settings.

    Parameters
    ----------
    name : {"yunet", "hog", "cnn"}

    Returns
    -------
    callable
        Takes a picture (height, width, 3) uint8 BGR and gives its faces, best score first.

    Raises
    ------
    ValueError
        If there is no such detector.
    UserError
        If its weights are missing.
    """
    if name not in DETECTOR:
        raise ValueError(f"expected one of {', '.join(DETECTOR)}, got {name!r}")
    return DETECTOR[name]()


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


def estimate_yaw(landmark: np.ndarray) -> float:
    """Tell how far a face is turned, from the nose's place between the eyes.

    Parameters
    ----------
    landmark : np.ndarray, shape (5, 2)
        Right eye, left eye (the subject's own right and left), nose tip, mouth corners.

    Returns
    -------
    float
        In [-1, 1]: 0 frontal, positive when the nose points to the picture's right; -1 and 1 when
        the nose reaches or passes an eye, which is a profile.

    Notes
    -----
    The nose is projected on the line through the eyes; robust to roll.
    """
    right, left, nose = np.asarray(landmark, dtype=np.float64)[:3]
    across = left - right
    length = float(across @ across)
    if length == 0:
        return 1.0
    along = float((nose - right) @ across) / length
    return float(np.clip(2 * along - 1, -1, 1))


def measure_sharpness(image: np.ndarray, box: np.ndarray) -> float:
    """Variance of the Laplacian of luma inside a box (Pech-Pacheco 2000); 0 for an empty box."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    crop = image[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    if crop.size == 0:
        return 0.0
    luma = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())


def shrink(image: np.ndarray, longer_px: int = WORKING_PX) -> tuple[np.ndarray, float]:
    """Make a picture no longer than `longer_px`; returns it and the factor, at most 1."""
    factor = min(1.0, longer_px / max(image.shape[:2]))
    if factor == 1.0:
        return np.ascontiguousarray(image), 1.0
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), factor


def _load_yunet() -> Detector:
    net = cv2.FaceDetectorYN.create(
        str(model.path_of(model.MODELS["yunet"])),
        "",
        (WORKING_PX, WORKING_PX),
        SCORE_FLOOR,
        NMS_IOU,
        MAX_RAW_FACES,
    )

    def detect(image: np.ndarray) -> list[Face]:
        small, factor = shrink(image)
        missing = [max(0, LEAST_PX - side) for side in small.shape[:2]]
        small = cv2.copyMakeBorder(small, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
        net.setInputSize(small.shape[1::-1])
        _, rows = net.detect(small)
        rows = np.empty((0, 15), np.float32) if rows is None else rows
        found = [
            (_box_of(row[:4] / factor), row[4:14].reshape(5, 2) / factor, float(row[14]))
            for row in rows
        ]
        return _finish(image, found)

    return detect


def _load_hog() -> Detector:
    library = import_face_recognition()
    import dlib

    net = dlib.get_frontal_face_detector()

    def detect(image: np.ndarray) -> list[Face]:
        small, factor = shrink(image, 2 * WORKING_PX)
        rgb = np.ascontiguousarray(small[:, :, ::-1])
        boxes, margins, _ = net.run(rgb, 1 if max(small.shape) <= WORKING_PX else 0, 0.0)
        scores = 1 / (1 + np.exp(-np.array(margins) / DLIB_SCORE_SCALE))
        edges = [(b.top(), b.right(), b.bottom(), b.left()) for b in boxes]
        return _finish(image, _with_landmarks(library, rgb, edges, scores, factor))

    return detect


def _load_cnn() -> Detector:
    library = import_face_recognition()
    import dlib

    net = dlib.cnn_face_detection_model_v1(str(model.path_of(model.MODELS["cnn"])))

    def detect(image: np.ndarray) -> list[Face]:
        small, factor = shrink(image)
        rgb = np.ascontiguousarray(small[:, :, ::-1])
        found = net(rgb, 0)
        edges = [(f.rect.top(), f.rect.right(), f.rect.bottom(), f.rect.left()) for f in found]
        scores = [min(1.0, max(0.0, f.confidence)) for f in found]
        return _finish(image, _with_landmarks(library, rgb, edges, scores, factor))

    return detect


DETECTOR: dict[str, Callable[[], Detector]] = {
    "yunet": _load_yunet,
    "hog": _load_hog,
    "cnn": _load_cnn,
}


def import_face_recognition():
    """Import `face_recognition`, whose models package warns about pkg_resources at import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    return face_recognition


def _with_landmarks(library, rgb, edges, scores, factor):
    """Join dlib's boxes with five points: eye and mouth corners are averaged of its 68."""
    marks = library.face_landmarks(rgb, edges) if edges else []
    for (top, right, bottom, left), mark, score in zip(edges, marks, scores, strict=True):
        box = np.array([left, top, right, bottom], np.float32) / factor
        # dlib names eyes as the viewer's: its left_eye is at the picture's left
        points = np.array(
            [
                np.mean(mark["left_eye"], axis=0),
                np.mean(mark["right_eye"], axis=0),
                mark["nose_tip"][len(mark["nose_tip"]) // 2],
                mark["top_lip"][0],
                mark["top_lip"][6],
            ],
            np.float32,
        )
        yield box, points / factor, float(score)


def _box_of(row: np.ndarray) -> np.ndarray:
    """From x y width height to two corners."""
    return np.array([row[0], row[1], row[0] + row[2], row[1] + row[3]], np.float32)


def _finish(image: np.ndarray, found) -> list[Face]:
    """Clip to the picture, drop what is below the floors, measure, order by score."""
    height, width = image.shape[:2]
    faces = []
    for box, landmark, score in found:
        clipped = np.clip(box, 0, [width, height, width, height]).astype(np.float32)
        if score < SCORE_FLOOR or clipped[3] - clipped[1] < SIZE_FLOOR_PX:
            continue
        if clipped[2] - clipped[0] < SIZE_FLOOR_PX / 2:
            continue
        faces.append(
            Face(
                box=clipped,
                landmark=np.asarray(landmark, np.float32),
                score=min(1.0, score),
                yaw=estimate_yaw(landmark),
                sharpness=measure_sharpness(image, clipped),
            )
        )
    return sorted(faces, key=lambda face: (-face.score, *face.box.tolist()))
