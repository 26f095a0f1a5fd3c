"""Faces of a picture and the decisions over them."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.character.face import detect


@pytest.fixture(scope="module")
def yunet():
    return detect.load_detector("yunet")


def test_finds_the_one_face_where_it_is(yunet, astronaut):
    (face,) = yunet(astronaut)
    assert np.allclose(face.box, [178, 62, 268, 176], atol=20)
    assert face.score > 0.85 and abs(face.yaw) < 0.3 and face.sharpness > 50
    assert abs(face.pitch) < 0.3 and face.mouth > 0.85  # she smiles
    assert face.brightness == pytest.approx(0.66, abs=0.08)


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
    with pytest.raises(ValueError, match="yunet, mtcnn, hog, cnn, got 'haar'"):
        detect.load_detector("haar")


def test_one_detector_serves_many_threads_alike(yunet, astronaut, plain):
    pictures = [astronaut, plain, np.ascontiguousarray(astronaut[:, ::-1]), astronaut[:300]] * 3
    alone = [yunet(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(yunet, pictures))
    for some, others in zip(alone, together, strict=True):
        assert len(some) == len(others)
        for one, other in zip(some, others, strict=True):
            assert np.array_equal(one.box, other.box) and one.score == other.score
            assert np.array_equal(one.landmark, other.landmark)


def test_small_faces_can_be_left_out(astronaut):
    canvas = np.full((1080, 1920, 3), 120, np.uint8)
    small = cv2.resize(astronaut, (90, 90), interpolation=cv2.INTER_AREA)  # a face of 20 px
    canvas[500:590, 900:990] = small
    assert len(detect.load_detector("yunet")(canvas)) == 1
    assert detect.load_detector("yunet", has_small_faces=False)(canvas) == []


def test_brightness_is_the_mean_luma_of_the_box():
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:10] = 255
    assert detect.measure_brightness(picture, np.array([0, 0, 20, 20])) == pytest.approx(0.5)
    assert detect.measure_brightness(picture, np.array([5, -5, 30, 10])) == 1.0
    assert detect.measure_brightness(picture, np.array([5, 5, 5, 5])) == 0
    blue = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    assert detect.measure_brightness(blue, np.array([0, 0, 4, 4])) == pytest.approx(29 / 255)


def test_sharpness_of_a_flat_box_and_of_no_box_is_zero():
    flat = np.full((20, 20, 3), 90, np.uint8)
    assert detect.measure_sharpness(flat, np.array([0, 0, 20, 20])) == 0
    assert detect.measure_sharpness(flat, np.array([5, 5, 5, 5])) == 0


def _faces(*rows):
    return pl.LazyFrame(rows, schema=["face_id", "frame_id", "score", "size_px"], orient="row")


def test_thresholds_are_inclusive_and_the_largest_stay():
    face = _faces(
        ("a", "1", 0.7, 24.0),
        ("b", "1", 0.69, 99.0),
        ("c", "1", 0.9, 23.9),
        ("d", "1", 0.9, 50.0),
        ("e", "1", 0.8, 50.0),
        ("f", "2", 0.9, 30.0),
    )
    kept = detect.select_faces(face, min_score=0.7, min_size_px=24, max_per_frame=2)
    assert kept.collect()["face_id"].to_list() == ["d", "e", "f"]
    kept = detect.select_faces(face, min_score=0.7, min_size_px=24, max_per_frame=9)
    assert kept.collect()["face_id"].to_list() == ["a", "d", "e", "f"]


def test_no_face_is_no_row():
    face = _faces().cast({"score": pl.Float64, "size_px": pl.Float64, "frame_id": pl.String})
    assert (
        detect.select_faces(face, min_score=0, min_size_px=0, max_per_frame=1).collect().height == 0
    )
