"""dlib's HOG and CNN face detectors, with landmarks by `face_recognition`."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from bunny.character import model_file
from bunny.character.detection import WORKING_PX, RawFace, RawFaceDetector, shrink

SCORE_SCALE = 1.0  # HOG's margin that becomes a score of sigmoid(1) = 0.73


def load_hog() -> RawFaceDetector:
    """Load dlib's frontal face detector (King 2015); for one thread at a time."""
    library = import_face_recognition()
    import dlib

    net = dlib.get_frontal_face_detector()  # pyright: ignore[reportAttributeAccessIssue] no stubs

    def look(image: np.ndarray) -> list[RawFace]:
        small, factor = shrink(image, 2 * WORKING_PX)
        rgb = np.ascontiguousarray(small[:, :, ::-1])
        boxes, margins, _ = net.run(rgb, 1 if max(small.shape) <= WORKING_PX else 0, 0.0)
        scores = 1 / (1 + np.exp(-np.array(margins) / SCORE_SCALE))
        edges = [(b.top(), b.right(), b.bottom(), b.left()) for b in boxes]
        return list(_with_landmarks(library, rgb, edges, scores, factor))

    return look


def load_cnn() -> RawFaceDetector:
    """Load dlib's max-margin CNN (King 2016); for one thread at a time.

    Raises
    ------
    UserError
        If the weights are missing.
    """
    library = import_face_recognition()
    import dlib

    weights = str(model_file.path_of(model_file.MODELS["cnn"]))
    net = dlib.cnn_face_detection_model_v1(weights)  # pyright: ignore[reportAttributeAccessIssue] no stubs

    def look(image: np.ndarray) -> list[RawFace]:
        small, factor = shrink(image)
        rgb = np.ascontiguousarray(small[:, :, ::-1])
        found = net(rgb, 0)
        edges = [(f.rect.top(), f.rect.right(), f.rect.bottom(), f.rect.left()) for f in found]
        scores = [min(1.0, max(0.0, f.confidence)) for f in found]
        return list(_with_landmarks(library, rgb, edges, scores, factor))

    return look


def import_face_recognition():
    """Import `face_recognition` without what it does to others at import.

    Its models package warns about pkg_resources, and it tells Pillow for the whole process to take
    truncated pictures for whole ones.
    """
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    ImageFile.LOAD_TRUNCATED_IMAGES = before
    return face_recognition


def _with_landmarks(
    library,
    rgb: np.ndarray,
    edges: list[tuple[int, int, int, int]],
    scores: Sequence[float] | np.ndarray,
    factor: float,
) -> Iterable[RawFace]:
    """Join dlib's boxes with five points: eye and mouth corners are averaged of its 68."""
    marks = library.face_landmarks(rgb, edges) if edges else []
    for (top, right, bottom, left), mark, score in zip(edges, marks, scores, strict=True):
        box = np.array([left, top, right, bottom], np.float32) / np.float32(factor)
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
        yield RawFace(box, points / np.float32(factor), float(score))
