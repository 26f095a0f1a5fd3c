"""Near duplicates by hash."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.quality.duplicate import find_duplicates, hamming_distance


def test_distance_by_hand():
    one = np.array([0, 0b1011, 2**64 - 1], np.uint64)
    assert hamming_distance(one, np.uint64(0)).tolist() == [0, 3, 64]


def test_the_sharpest_of_a_group_stays():
    phash = [0b0000, 0b0001, 0b0011, 0xFF00]
    assert find_duplicates(phash, [0.1, 0.9, 0.2, 0.3], 1).tolist() == [1, 1, 1, 3]


def test_exactly_at_the_distance_and_one_beyond():
    assert find_duplicates([0, 0b111], [1, 0], 3).tolist() == [0, 0]
    assert find_duplicates([0, 0b111], [1, 0], 2).tolist() == [0, 1]


def test_chains_do_not_join_what_is_far():
    # 0 and 2 are two bits apart; the best, 0, takes 1 and leaves 2.
    assert find_duplicates([0b00, 0b01, 0b11], [3, 2, 1], 1).tolist() == [0, 0, 2]


def test_of_equal_frames_the_first_stays_and_none_is_fine():
    assert find_duplicates([7, 7, 7], [0.5, 0.5, 0.5], 0).tolist() == [0, 0, 0]
    assert find_duplicates([], [], 4).tolist() == []


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="as many scores"):
        find_duplicates([1, 2], [0.5], 3)


@settings(max_examples=40, deadline=None)
@given(
    bits=st.lists(st.integers(0, 2**8 - 1), max_size=25),
    seed=st.integers(0, 99),
    distance=st.integers(0, 8),
)
def test_those_that_stay_are_far_apart_and_the_rest_are_near_a_better_one(bits, seed, distance):
    phash = np.array(bits, np.uint64)
    score = np.random.default_rng(seed).random(len(bits))
    kept_by = find_duplicates(phash, score, distance)
    stays = np.flatnonzero(kept_by == np.arange(len(bits)))
    for i in stays:
        others = stays[stays != i]
        assert np.all(hamming_distance(phash[others], phash[i]) > distance)
    for i, k in enumerate(kept_by):
        assert k in stays
        assert hamming_distance(phash[i], phash[k]) <= distance and score[k] >= score[i]
