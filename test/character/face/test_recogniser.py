"""Vectors of faces and their common scale."""

import numpy as np
import pytest

from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core import vector


@pytest.mark.parametrize("recogniser", ["sface", "dlib"])
def test_a_face_is_like_itself_brightened_and_mirrored(astronaut, recogniser):
    find, describe = detect.load_detector("yunet"), face_recogniser.load_recogniser(recogniser)
    vectors = []
    for image in (
        astronaut,
        np.clip(astronaut * 0.6 + 30, 0, 255).astype(np.uint8),
        astronaut[:, ::-1],
    ):
        image = np.ascontiguousarray(image)
        vectors.append(describe(image, find(image)[0]))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = face_recogniser.to_similarity(np.array(vectors) @ vectors[0], recogniser)
    assert similarity.min() > 0.6


def test_each_authors_own_threshold_is_the_same_similarity():
    assert face_recogniser.to_similarity(face_recogniser.SFACE_SAME, "sface") == pytest.approx(
        0.363
    )
    # distance 0.6 between vectors of length 1.43: 1 - (0.6 / 1.43) ** 2 / 2 = 0.912
    assert pytest.approx(0.912, abs=5e-4) == face_recogniser.DLIB_SAME
    assert face_recogniser.to_similarity(face_recogniser.DLIB_SAME, "dlib") == pytest.approx(
        0.363, abs=1e-5
    )
    assert face_recogniser.to_similarity(1.0, "dlib") == 1
    assert face_recogniser.to_similarity(0.5, "dlib") == -1


def test_auto_follows_the_detector():
    assert [face_recogniser.choose_recogniser("auto", d) for d in ("yunet", "hog", "cnn")] == [
        "sface",
        "dlib",
        "dlib",
    ]
    assert face_recogniser.choose_recogniser("dlib", "yunet") == "dlib"


def test_unit_vectors_and_the_zero_vector():
    assert np.allclose(vector.l2_normalize([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0, 0]])


def test_an_unknown_recogniser_is_refused():
    with pytest.raises(ValueError, match="sface, dlib, got 'arcface'"):
        face_recogniser.load_recogniser("arcface")
