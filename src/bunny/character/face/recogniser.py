"""Face embeddings by SFace and dlib, on one common similarity scale.

SFace was trained with an angular margin: strangers lie around cosine 0 and its authors' threshold
for one person is 0.363. dlib's vectors all lie in one narrow cone: its threshold, Euclidean
distance 0.6, is a cosine of 0.912. `to_similarity` maps dlib's cosine linearly so that 1 stays 1
and 0.912 becomes 0.363; `similarity_threshold` is meant on that common scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bunny.character import model_file
from bunny.character.face import dlib
from bunny.character.face.detect import DetectedFace
from bunny.core import onnx_session
from bunny.core.vector import l2_normalize
from bunny.table.box import crop_box

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


NATIVE = {"yunet": "sface", "mtcnn": "sface", "hog": "dlib", "cnn": "dlib"}  # `recogniser: auto`
SFACE_PX = 112
SFACE_POINTS = np.array(  # eyes, nose and mouth corners in its crop (ArcFace's template)
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
SFACE_SAME = 0.363  # cosine of one person and threshold of the authors (OpenCV Zoo)
DLIB_SAME_DISTANCE = 0.6  # threshold of the author (King 2017), between encodings as they come
DLIB_NORM = 1.43  # typical length of an encoding: 1.37 to 1.53 over 28 press photos of 5 people
DLIB_SAME = 1 - (DLIB_SAME_DISTANCE / DLIB_NORM) ** 2 / 2  # 0.912, as a cosine

FaceRecogniser = Callable[[np.ndarray, DetectedFace], np.ndarray]


def choose_recogniser(recogniser: str, detector: str) -> str:
    """Resolve `auto` to the recogniser that was made for a detector's landmarks."""
    return NATIVE[detector] if recogniser == "auto" else recogniser


def load_recogniser(name: str) -> FaceRecogniser:
    """Load a face recogniser.

    Parameters
    ----------
    name : {"sface", "dlib"}

    Returns
    -------
    callable
        Takes a BGR picture (height, width, 3) uint8 and one of its faces; gives a float32 vector
        (128,) of unit length.

    Raises
    ------
    ValueError
        If there is no such recogniser.
    UserError
        If its weights are missing.
    """
    if name not in RECOGNISER:
        raise ValueError(f"expected one of {', '.join(RECOGNISER)}, got {name!r}")
    return RECOGNISER[name]()


def to_similarity(cosine: np.ndarray | float, recogniser: str) -> np.ndarray:
    """Put cosines of a recogniser's unit vectors on the common scale.

    Parameters
    ----------
    cosine : np.ndarray or float
        In [-1, 1].
    recogniser : {"sface", "dlib"}

    Returns
    -------
    np.ndarray, float32
        In [-1, 1]; 0.363 is each author's own threshold for one person.
    """
    cosine = np.asarray(cosine, dtype=np.float32)
    if recogniser == "dlib":
        cosine = 1 - (1 - cosine) * np.float32((1 - SFACE_SAME) / (1 - DLIB_SAME))
    return np.clip(cosine, -1, 1)


def _load_sface() -> FaceRecogniser:
    net = onnx_session.share_session("sface", _load_sface_session)

    def embed(image: np.ndarray, face: DetectedFace) -> np.ndarray:
        crop = align(image, face.landmark)
        value = cv2.dnn.blobFromImage(crop, swapRB=True)
        return l2_normalize(onnx_session.run_session(net, ["fc1"], value)[0].ravel())

    return embed


def _load_sface_session() -> InferenceSession:
    path = model_file.path_of(model_file.MODELS["sface"])
    return onnx_session.load_session(onnx_session.read_float_model(path, "data", (0,)))


def align(image: np.ndarray, landmark: np.ndarray) -> np.ndarray:
    """Turn, scale and move a face so that its landmarks lie where SFace expects them.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    landmark : np.ndarray, shape (5, 2)

    Returns
    -------
    np.ndarray, shape (112, 112, 3), uint8, BGR

    Notes
    -----
    The similarity transform of least squares (Umeyama 1991), which in the plane is one complex
    factor and a shift.
    """
    here, there = (points @ [1, 1j] for points in (np.asarray(landmark, np.float64), SFACE_POINTS))
    own = here - here.mean()
    turn = np.vdot(own, there - there.mean()) / max(np.vdot(own, own).real, 1e-12)
    shift = there.mean() - turn * here.mean()
    move = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return cv2.warpAffine(image, move, (SFACE_PX, SFACE_PX), flags=cv2.INTER_LINEAR)


def _load_dlib() -> FaceRecogniser:
    library = dlib.import_face_recognition()

    def embed(image: np.ndarray, face: DetectedFace) -> np.ndarray:
        crop, (x0, y0, x1, y1) = _around(image, face.box)
        edge = (round(y0), round(x1), round(y1), round(x0))
        rgb = np.ascontiguousarray(crop[:, :, ::-1])
        return l2_normalize(library.face_encodings(rgb, [edge], model="small")[0])

    return embed


RECOGNISER: dict[str, Callable[[], FaceRecogniser]] = {"sface": _load_sface, "dlib": _load_dlib}


def _around(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop a face with as much again around it; gives the crop and the box in it."""
    height, width = image.shape[:2]
    side = float(max(box[2] - box[0], box[3] - box[1]))
    x0, y0 = (int(max(0, box[i] - side / 2)) for i in (0, 1))
    x1, y1 = int(min(width, box[2] + side / 2)), int(min(height, box[3] + side / 2))
    return crop_box(image, (x0, y0, x1, y1)), box - np.array([x0, y0, x0, y0], np.float32)
