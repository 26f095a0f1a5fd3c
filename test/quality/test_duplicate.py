"""Near duplicates by hash."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.quality import perceptual_hash
from bunny.quality.duplicate import group_pairs

film = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("film.py"))))


def test_distance_by_hand():
    one = np.array([0, 0b1011, 2**64 - 1], np.uint64)
    assert perceptual_hash.distance(one, np.uint64(0)).tolist() == [0, 3, 64]


def test_the_sharpest_of_a_group_stays():
    phash = [0b0000, 0b0001, 0b0011, 0xFF00]
    assert film.find_duplicates(phash, [0.1, 0.9, 0.2, 0.3], 1).tolist() == [1, 1, 1, 3]


def test_exactly_at_the_distance_and_one_beyond():
    assert film.find_duplicates([0, 0b111], [1, 0], 3).tolist() == [0, 0]
    assert film.find_duplicates([0, 0b111], [1, 0], 2).tolist() == [0, 1]


def test_chains_do_not_join_what_is_far():
    # 0 and 2 are two bits apart; the best, 0, takes 1 and leaves 2.
    assert film.find_duplicates([0b00, 0b01, 0b11], [3, 2, 1], 1).tolist() == [0, 0, 2]


def test_of_equal_frames_the_first_stays_and_none_is_fine():
    assert film.find_duplicates([7, 7, 7], [0.5, 0.5, 0.5], 0).tolist() == [0, 0, 0]
    assert film.find_duplicates([], [], 4).tolist() == []


@settings(max_examples=40, deadline=None)
@given(
    bits=st.lists(st.integers(0, 2**8 - 1), max_size=25),
    seed=st.integers(0, 99),
    distance=st.integers(0, 8),
)
def test_those_that_stay_are_far_apart_and_the_rest_are_near_a_better_one(bits, seed, distance):
    phash = np.array(bits, np.uint64)
    score = np.random.default_rng(seed).random(len(bits))
    kept_by = film.find_duplicates(phash, score, distance)
    stays = np.flatnonzero(kept_by == np.arange(len(bits)))
    for i in stays:
        others = stays[stays != i]
        assert np.all(perceptual_hash.distance(phash[others], phash[i]) > distance)
    for i, k in enumerate(kept_by):
        assert k in stays
        assert perceptual_hash.distance(phash[i], phash[k]) <= distance and score[k] >= score[i]


def _one_by_one(phash, score, max_distance, luma=None, min_structure=0.0):
    """The definition, word by word."""
    signature = None if luma is None else perceptual_hash.prepare_signatures(luma)
    kept_by = np.arange(phash.size)
    open_frames = np.argsort(-score, kind="stable")
    while open_frames.size:
        best, rest = open_frames[0], open_frames[1:]
        is_near = perceptual_hash.distance(phash[rest], phash[best]) <= max_distance
        if signature is not None:
            alike = perceptual_hash.structural_similarity(signature, np.full(rest.size, best), rest)
            is_near &= alike >= np.float32(min_structure)
        kept_by[rest[is_near]] = best
        open_frames = rest[~is_near]
    return kept_by


@pytest.mark.parametrize("distance", [0, 2, 4, 9])
def test_a_film_of_groups_as_by_definition(distance):
    phash, _, score = film.groups_of_hashes([700, 1, 1, 30, 2, 200] + [3] * 300 + [1] * 1500)
    score = score.round(2)  # many equal scores
    found = film.find_duplicates(phash, score, distance)
    assert found.tolist() == _one_by_one(phash, score, distance).tolist()


@pytest.mark.parametrize("least", [0.0, 0.9, 0.9997, 1.0])
def test_pictures_decide_too(least):
    phash, group, score = film.groups_of_hashes([150, 40, 40] + [2] * 100 + [1] * 100)
    luma = film.signatures_of(group)
    signature = perceptual_hash.prepare_signatures(luma)
    found = film.find_duplicates(phash, score, 4, signature=signature, min_structure=least)
    assert found.tolist() == _one_by_one(phash, score, 4, luma, least).tolist()


def test_one_hash_and_two_pictures_are_two_groups():
    """Chance gave every frame one hash; the pictures are of two set-ups that return."""
    group = np.array([0, 1] * 40)
    signature = perceptual_hash.prepare_signatures(film.signatures_of(group))
    score = np.linspace(1, 0, 80)
    phash = np.zeros(80, np.uint64)
    found = film.find_duplicates(phash, score, 4, signature=signature, min_structure=0.9)
    assert found.tolist() == group.tolist()
    assert set(film.find_duplicates(phash, score, 4)) == {0}


def test_a_fade_is_one_picture():
    picture = film.signatures_of(np.zeros(1, int))[0].astype(float)
    faded = np.stack([picture * gain for gain in (1, 0.8, 0.5, 0.2)]).astype(np.uint8)
    found = film.find_duplicates(
        np.zeros(4, np.uint64),
        [4, 3, 2, 1],
        0,
        signature=perceptual_hash.prepare_signatures(faded),
        min_structure=0.9,
    )
    assert found.tolist() == [0, 0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_settling_in_rounds_is_the_greedy_choice(pairs):
    pairs = sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]})
    better, worse = np.array([p[0] for p in pairs], int), np.array([p[1] for p in pairs], int)
    owner = list(range(12))
    for best in range(12):
        if owner[best] == best:
            for b, w in pairs:
                if b == best and owner[w] == w:
                    owner[w] = best
    assert group_pairs(12, better, worse).tolist() == owner
