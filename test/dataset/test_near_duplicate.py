"""Which views are the same picture again."""

import numpy as np
import pytest
from character_view import make_view
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.dataset import near_duplicate
from bunny.dataset.near_duplicate import DuplicateFeatures
from bunny.dataset.view import CharacterView


def view(i: int = 0, **values) -> CharacterView:
    usual = {"is_face": True, "box": (100, 100, 200, 200), "phash": 0}
    return make_view(i, **usual | values)


def alike(one: dict, two: dict, distance: int = 4) -> bool:
    signs = near_duplicate.duplicate_features([view(0, **one), view(1, **two)])
    found = near_duplicate.are_alike(signs, 0, np.array([1]), distance)[0]
    assert found == near_duplicate.are_alike(signs, 1, np.array([0]), distance)[0]
    return bool(found)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({}, {}, True),
        ({}, {"shot_index": 9}, True),  # across the film too
        ({}, {"phash": 0b1111}, True),
        ({}, {"phash": 0b11111}, False),
        ({}, {"box": (118, 100, 218, 200)}, False),  # 82 of 118 columns are shared: 0.69
        ({}, {"box": (117, 100, 217, 200)}, True),  # 83 of 117: 0.71
        # the same place in a picture of half the size
        ({}, {"box": (50, 50, 100, 100), "frame_size": (320, 180)}, True),
        ({"yaw": 0.0}, {"yaw": 0.3}, False),  # the head has turned
        ({"yaw": 0.0}, {"yaw": 0.1}, True),
        ({"yaw": 0.0}, {}, True),  # not known to differ
        ({"mouth": 0.9}, {"mouth": 1.3}, False),
        ({"phash": None}, {"phash": None}, True),  # one shot, one place
        ({"phash": None}, {"shot_index": 3}, False),
        ({}, {"frame_index": 0, "box": (400, 100, 500, 200)}, True),  # twice in one frame
    ],
)
def test_alike(one, two, expected):
    assert alike(one, two) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_no_two_that_stay_are_alike(rows):
    views = [
        view(i, phash=bits, box=(60 * place, 0, 60 * place + 100, 90), shot_index=shot)
        for i, (bits, place, shot) in enumerate(rows)
    ]
    signs = near_duplicate.duplicate_features(views)
    aside = near_duplicate.keep_best(signs, range(len(views)), distance=1)
    kept = np.array([i for i in range(len(views)) if i not in aside], np.int64)
    for row in kept:
        assert near_duplicate.are_alike(signs, row, kept, 1).sum() == 1  # itself
    for row, other in aside.items():
        assert other < row and other not in aside  # a better one, which stays
        assert near_duplicate.are_alike(signs, row, np.array([other]), 1)[0]


def test_order_says_which_is_best():
    signs = near_duplicate.duplicate_features([view(0), view(1), view(2)])
    assert near_duplicate.keep_best(signs, [2, 0, 1], 4) == {0: 2, 1: 2}
    assert near_duplicate.keep_best(signs, [1], 4) == {}
    assert isinstance(signs, DuplicateFeatures) and len(signs) == 3


def test_same_setup_by_hand():
    ramp = np.arange(16.0)
    signature = np.stack([ramp, ramp * 0.5 + 20, ramp[::-1], ramp, np.full(16, np.nan)])
    phash = np.array([0, 2**20 - 1, 2**40 - 1, 1, 0], np.uint64)
    pairs = near_duplicate.same_camera_setup(phash, signature, distance=4, structure=0.9)
    # dimmer is the same picture, turned round is another; what is not known joins nothing
    assert pairs.tolist() == [[0, 1], [0, 3], [1, 3]]
    hashes = near_duplicate.same_camera_setup(
        np.array([0, 1], np.uint64), np.stack([ramp, ramp[::-1]]), 1, 0.9
    )
    assert hashes.tolist() == [[0, 1]]
    assert near_duplicate.same_camera_setup(
        np.empty(0, np.uint64), np.empty((0, 4)), 4, 0.9
    ).shape == (0, 2)
