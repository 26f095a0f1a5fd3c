"""Faces followed through a shot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def _follow(*faces, clarity=None):
    frame, box, vector = zip(*faces, strict=True)
    return track.link_faces(
        frame, np.array(box), np.array(vector, np.float32), "sface", clarity=clarity
    ).tolist()


def test_a_smear_where_the_face_was_a_moment_ago_is_that_face_and_later_is_not():
    for frame, clarity, same in ((6, 0.1, True), (6, 0.9, False), (40, 0.1, False)):
        faces = [(0, LEFT, ANNA), (frame, [5, 0, 45, 40], BEN)]
        assert (_follow(*faces, clarity=np.array([1, clarity])) == [0, 0]) is same


def test_motion_is_carried_on():
    """A face moves by half its width a frame; the smear is where it would be next."""
    faces = [(i, [20 * i, 0, 20 * i + 40, 40], ANNA) for i in range(3)]
    last = [(5, [100, 0, 140, 40], BEN)]
    clarity = np.array([1, 1, 1, 0.0])
    assert _follow(*faces, *last, clarity=clarity) == [0, 0, 0, 0]
    assert _follow(faces[2], *last, clarity=clarity[2:]) == [0, 1]


def test_a_turning_face_is_one_track():
    """Each view is like the one before and the last is nothing like the first."""
    turn = [np.array([np.cos(a), np.sin(a), 0]) for a in np.linspace(0, 1.5, 6)]
    faces = [(8 * i, [60 * i, 0, 60 * i + 40, 40], view) for i, view in enumerate(turn)]
    assert _follow(*faces) == [0] * 6


def test_the_best_sum_wins_over_the_best_pair():
    """Taken best first, the middle face would take Anna's track and leave its own to nobody."""
    tracks = [(0, LEFT, [1, 0, 0, 0]), (0, RIGHT, [0, 1, 0, 0])]
    both, anna = [0.75, 0.65, 0.1, 0], [0.7, 0, 0.7, 0]
    assert _follow(*tracks, (9, [300, 0, 340, 40], both), (9, [400, 0, 440, 40], anna)) == [
        0, 1, 1, 0,
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1))
def test_no_two_faces_of_a_frame_share_a_track(seed):
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, 6, 20))
    corner = rng.uniform(0, 100, (20, 2))
    vector = rng.normal(size=(20, 3)).astype(np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    number = track.link_faces(
        frame, np.hstack([corner, corner + 40]), vector, "sface", clarity=rng.uniform(size=20)
    )
    assert len(set(zip(frame.tolist(), number.tolist(), strict=True))) == 20
    first = [number.tolist().index(k) for k in range(number.max() + 1)]
    assert first == sorted(first)


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


def test_a_view_unlike_the_others_hardly_counts():
    """Weights 1, 1, 1 become 0.8, 0.8, 0.2: squared cosines to their mean (2, 1) / sqrt(5)."""
    mean = track.mean_of_best(np.array([ANNA, ANNA, BEN]), np.ones(3))
    assert mean[1] / mean[0] == pytest.approx(0.2 / 1.6, rel=1e-4)


def test_clarity_is_the_detail_that_the_recogniser_gets():
    clarity = track.measure_clarity(
        np.array([112, 112, 56, 56, 300]), np.array([30, 2, 480, 32, np.nan])
    )
    assert clarity == pytest.approx([1, 0, 1, 0, 0])  # half the size is a sixteenth of the detail
    assert track.measure_clarity(112, np.sqrt(60)) == pytest.approx(0.5)


def test_overlaps_are_of_all_with_all():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 5, 5]])
    found = track.overlaps(boxes, boxes[:2])
    assert found == pytest.approx(np.array([[1, 1 / 7], [1 / 7, 1], [0, 0]]))
