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
        0,
        1,
        1,
        0,
    ]


def _like_anna(cosine):
    return cosine * ANNA + np.sqrt(1 - cosine**2) * np.array([0, 0, 1.0])


@pytest.mark.parametrize(
    ("cosine", "box", "joins"),
    [
        (0.46, RIGHT, True),  # alike: wherever it is
        (0.44, RIGHT, False),
        (0.16, LEFT, True),  # not unlike, and in the same place
        (0.14, LEFT, False),
        (0.3, [32, 0, 72, 40], True),  # 0.8 of its height aside; a ninth of both overlaps
        (0.3, [33, 0, 73, 40], False),
        (0.3, [0, 32, 40, 72], True),
        (0.3, [0, 33, 40, 73], False),
        (0.3, [0, 0, 40, 80], True),  # twice as high
        (0.3, [0, 0, 40, 81], False),
        (0.3, [0, 0, 40, 20], True),
        (0.3, [0, 0, 40, 19], False),
    ],
)
def test_look_and_place_at_their_thresholds(cosine, box, joins):
    assert (_follow((0, LEFT, ANNA), (20, box, _like_anna(cosine))) == [0, 0]) is joins


@pytest.mark.parametrize(
    ("frame", "x", "clarity", "joins"),
    [
        (12, 0, 0.1, True),  # half a second later
        (13, 0, 0.1, False),
        (6, 13, 0.1, True),  # 27 of 53 parts overlap
        (6, 14, 0.1, False),  # 26 of 54
        (6, 0, 0.49, True),
        (6, 0, 0.5, False),  # clear enough for its look to count
    ],
)
def test_a_smear_at_its_thresholds(frame, x, clarity, joins):
    faces = [(0, LEFT, ANNA), (frame, [x, 0, x + 40, 40], BEN)]
    assert (_follow(*faces, clarity=np.array([1, clarity])) == [0, 0]) is joins


def test_an_unclear_track_is_continued_by_place_too():
    faces = [(0, LEFT, ANNA), (6, LEFT, BEN)]
    assert _follow(*faces, clarity=np.array([0.1, 1])) == [0, 0]


@pytest.mark.parametrize(("gap", "last"), [(2, 7), (12, 18)])
def test_motion_is_pixels_a_frame_however_far_the_frames_lie_apart(gap, last):
    """10 pixels a frame: a smear is expected there, and where the track was last it is nobody."""
    places = [(frame, 10 * frame) for frame in (0, gap, last)]
    faces = [(frame, [x, 0, x + 40, 40], ANNA) for frame, x in places[:2]]
    clarity = np.array([1, 1, 0.0])
    assert _follow(*faces, (last, [10 * last, 0, 10 * last + 40, 40], BEN), clarity=clarity) == [
        0,
        0,
        0,
    ]
    assert _follow(
        *faces, (last, [10 * last + 27, 0, 10 * last + 67, 40], BEN), clarity=clarity
    ) == [0, 0, 1]


def test_over_a_long_gap_no_motion_is_carried_on():
    faces = [(0, LEFT, ANNA), (13, [130, 0, 170, 40], ANNA)]
    clarity = np.array([1, 1, 0.0])
    assert _follow(*faces, (16, [160, 0, 200, 40], BEN), clarity=clarity) == [0, 0, 1]
    assert _follow(*faces, (16, [130, 0, 170, 40], BEN), clarity=clarity) == [0, 0, 0]


@pytest.mark.parametrize(("to_anna", "number"), [(0.6, 0), (0.2, 1)])
def test_place_counts_half_as_much_as_looks(to_anna, number):
    """In Anna's place: 0.6 + 0.5 beats 0.8 to Ben; 0.2 + 0.5 does not beat 0.98."""
    face = np.array([to_anna, np.sqrt(1 - to_anna**2), 0])
    assert _follow((0, LEFT, ANNA), (0, RIGHT, BEN), (20, LEFT, face)) == [0, 1, number]


def test_the_order_in_which_faces_come_does_not_matter():
    faces = [(9, LEFT, BEN), (0, LEFT, ANNA), (9, RIGHT, ANNA), (0, RIGHT, BEN)]
    assert _follow(*faces) == [1, 0, 0, 1]


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


def test_the_parts_of_a_views_quality():
    """0.3 of a profile; half the size; a tenth of the sharpness at least, as a square root."""
    quality = track.view_quality(
        np.array([1.0, 1.0, 1.0, 1.0, 2.0, 1.0]),
        np.array([-1.0, np.nan, 0.0, 0.0, 0.0, 0.0]),
        np.array([112.0, 112, 56, 112, 224, 112]),
        np.array([100.0, 100, 100, 25, 1000, np.nan]),
    )
    assert quality == pytest.approx([0.3, 0.3, 0.5, 0.5, 1.0, np.sqrt(0.1)])


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
    found = track.overlap(boxes[:, None], boxes[:2])
    assert found == pytest.approx(np.array([[1, 1 / 7], [1 / 7, 1], [0, 0]]))
