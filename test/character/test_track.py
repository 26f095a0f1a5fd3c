"""Faces followed through a shot."""

import numpy as np
import pytest

from bunny.character import track

ANNA, BEN = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
LEFT, RIGHT = [0, 0, 40, 40], [200, 0, 240, 40]


def _link(*faces):
    frame, box, vector = zip(*faces, strict=True)
    vector = np.array(vector, np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    return track.link_faces(frame, np.array(box), vector, "sface").tolist()


def test_looks_win_over_place():
    assert _link((0, LEFT, ANNA), (0, RIGHT, BEN), (9, LEFT, BEN), (9, RIGHT, ANNA)) == [0, 1, 1, 0]


def test_a_doubtful_look_needs_the_place():
    doubtful = ANNA * 0.3 + np.array([0, 0, 0.954])
    assert _link((0, LEFT, ANNA), (9, [5, 0, 45, 40], doubtful)) == [0, 0]
    assert _link((0, LEFT, ANNA), (9, RIGHT, doubtful)) == [0, 1]


def test_a_stranger_in_the_same_place_is_a_new_track():
    assert _link((0, LEFT, ANNA), (9, LEFT, BEN)) == [0, 1]


def test_two_faces_of_a_frame_never_share_a_track():
    assert _link((0, LEFT, ANNA), (9, LEFT, ANNA), (9, RIGHT, ANNA)) == [0, 0, 1]


def test_no_face_is_no_track():
    assert len(track.link_faces([], np.empty((0, 4)), np.empty((0, 3)), "sface")) == 0


def test_overlap_by_hand():
    assert track.overlap([0, 0, 2, 2], [1, 1, 3, 3]) == pytest.approx(1 / 7)
    assert track.overlap([0, 0, 1, 1], [1, 1, 2, 2]) == 0
    assert track.overlap([1, 1, 1, 1], [1, 1, 1, 1]) == 0


def test_the_best_view_is_frontal_large_and_sharp():
    quality = track.view_quality(
        np.array([0.9, 0.9, 0.9, 0.9]),
        np.array([0.0, 0.9, 0.0, 0.0]),
        np.array([112.0, 112, 20, 112]),
        np.array([100.0, 100, 100, 1]),
    )
    assert quality.argmax() == 0 and quality[0] == pytest.approx(0.9)
    assert quality[1] == pytest.approx(0.9 * 0.37)


def test_a_tracks_vector_is_the_weighted_mean():
    mean = track.mean_of_best(np.array([ANNA, BEN]), np.array([3.0, 4.0]))
    assert np.allclose(mean, [0.6, 0.8, 0])


def test_only_the_best_views_count():
    vectors = np.array([ANNA] * track.BEST_VIEWS + [BEN])
    quality = np.array([1.0] * track.BEST_VIEWS + [0.5])
    assert np.allclose(track.mean_of_best(vectors, quality), ANNA)
