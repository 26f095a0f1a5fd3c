"""Faces of a picture and the decisions over them."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.character import detect


@pytest.fixture(scope="module")
def yunet():
    return detect.load_detector("yunet")


def test_finds_the_one_face_where_it_is(yunet, astronaut):
    (face,) = yunet(astronaut)
    assert np.allclose(face.box, [178, 62, 268, 176], atol=20)
    assert face.score > 0.85 and abs(face.yaw) < 0.3 and face.sharpness > 50


def test_a_mirrored_picture_gives_the_mirrored_box(yunet, astronaut):
    (one,), (other,) = yunet(astronaut), yunet(np.ascontiguousarray(astronaut[:, ::-1]))
    assert np.allclose(512 - other.box[[2, 0]], one.box[[0, 2]], atol=4)


@pytest.mark.parametrize("shape", [(1600, 200), (200, 1600), (32, 640), (16, 16), (1, 1)])
def test_any_shape_is_taken_and_nobody_is_invented(yunet, plain, shape):
    assert yunet(cv2.resize(plain, shape[::-1])) == []


def test_boxes_stay_inside_the_picture(yunet, astronaut):
    cut = np.ascontiguousarray(astronaut[:150, :230])
    for face in yunet(cut):
        assert (face.box >= 0).all() and face.box[2] <= 230 and face.box[3] <= 150


def test_several_faces_are_found(yunet, astronaut):
    both = np.hstack([astronaut, astronaut[:, ::-1]])
    assert len(yunet(np.ascontiguousarray(both))) == 2


def test_hog_finds_the_same_face(astronaut):
    face, *others = detect.load_detector("hog")(astronaut)
    assert all(other.score < 0.7 for other in others)
    assert np.allclose(face.box, [178, 62, 268, 176], atol=40)
    assert face.landmark[0, 0] < face.landmark[1, 0] and 0.7 < face.score <= 1


def test_an_unknown_detector_is_refused():
    with pytest.raises(ValueError, match="yunet, hog, cnn, got 'haar'"):
        detect.load_detector("haar")


@pytest.mark.parametrize(
    ("nose", "yaw"), [((50, 60), 0.0), ((75, 60), 0.5), ((0, 60), -1.0), ((140, 60), 1.0)]
)
def test_yaw_is_the_nose_between_the_eyes(nose, yaw):
    landmark = np.array([(0, 40), (100, 40), nose, (20, 90), (80, 90)], np.float32)
    assert detect.estimate_yaw(landmark) == pytest.approx(yaw)


def test_yaw_does_not_mind_roll():
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    landmark = np.array([(0, 40), (100, 40), (75, 60), (20, 90), (80, 90)]) @ turn
    assert detect.estimate_yaw(landmark) == pytest.approx(0.5)


def test_eyes_in_one_point_count_as_a_profile():
    assert detect.estimate_yaw(np.zeros((5, 2))) == 1.0


def test_sharpness_of_a_flat_box_and_of_no_box_is_zero():
    flat = np.full((20, 20, 3), 90, np.uint8)
    assert detect.measure_sharpness(flat, np.array([0, 0, 20, 20])) == 0
    assert detect.measure_sharpness(flat, np.array([5, 5, 5, 5])) == 0


def test_shrink_keeps_small_pictures_and_shape():
    image = np.zeros((640, 320, 3), np.uint8)
    assert detect.shrink(image)[1] == 1.0
    small, factor = detect.shrink(np.zeros((1280, 320, 3), np.uint8))
    assert small.shape == (640, 160, 3) and factor == 0.5


def _faces(*rows):
    return pl.LazyFrame(rows, schema=["face_id", "frame_id", "score", "size_px"], orient="row")


def test_thresholds_are_inclusive_and_the_largest_stay():
    face = _faces(
        ("a", "1", 0.7, 24.0), ("b", "1", 0.69, 99.0), ("c", "1", 0.9, 23.9),
        ("d", "1", 0.9, 50.0), ("e", "1", 0.8, 50.0), ("f", "2", 0.9, 30.0),
    )  # fmt: skip
    kept = detect.select_faces(face, min_score=0.7, min_size_px=24, max_per_frame=2)
    assert kept.collect()["face_id"].to_list() == ["d", "e", "f"]
    kept = detect.select_faces(face, min_score=0.7, min_size_px=24, max_per_frame=9)
    assert kept.collect()["face_id"].to_list() == ["a", "d", "e", "f"]


def test_no_face_is_no_row():
    face = _faces().cast({"score": pl.Float64, "size_px": pl.Float64, "frame_id": pl.String})
    assert (
        detect.select_faces(face, min_score=0, min_size_px=0, max_per_frame=1).collect().height == 0
    )
