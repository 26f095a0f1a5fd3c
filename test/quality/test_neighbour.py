"""Groups from stored pairs are those of the search."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.quality import duplicate, perceptual_hash

film = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("film.py"))))
RANGE = {"max_distance": 8, "min_structure": 0.5, "max_structure": 0.98}


def _film(sizes, seed=0, noise=2):
    """Frames from the best down."""
    phash, group, _ = film.groups_of_hashes(sizes, seed)
    score = np.linspace(1, 0, phash.size)
    return phash, perceptual_hash.prepare_signatures(film.signatures_of(group, seed, noise)), score


def _check(near, phash, signature, score, distance, least):
    wanted = film.find_duplicates(phash, score, distance, signature=signature, min_structure=least)
    assert near.group(distance, least).tolist() == wanted.tolist(), (distance, least)


def test_every_position_of_the_sliders():
    phash, signature, score = _film([120, 40, 40] + [3] * 60 + [1] * 60)
    near = duplicate.NearDuplicateCache(phash, signature, **RANGE)
    for distance in (4, 0, 1, 2, 3, 8):
        for least in (0.9, 0.5, 0.98):
            _check(near, phash, signature, score, distance, least)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999),
    noise=st.sampled_from([3, 25, 60]),
    moves=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from([0.5, 0.7, 0.85, 0.95, 0.98])), max_size=6
    ),
)
def test_pictures_that_are_only_rather_alike(seed, noise, moves):
    """Chains of frames that are near at some thresholds and not at others."""
    phash, signature, score = _film([25, 15], seed, noise)
    near = duplicate.NearDuplicateCache(phash, signature, **RANGE)
    for distance, least in moves:
        _check(near, phash, signature, score, distance, least)


@pytest.mark.parametrize(("distance", "least"), [(12, 0.9), (4, 0.3), (4, 1.0)])
def test_beyond_the_sliders_it_searches_anew(distance, least):
    phash, signature, score = _film([30, 20, 10])
    near = duplicate.NearDuplicateCache(phash, signature, **RANGE)
    _check(near, phash, signature, score, distance, least)


def test_too_many_pairs_are_not_stored(monkeypatch):
    monkeypatch.setattr(duplicate, "MAX_STORED_PAIRS", 10)
    phash, signature, score = _film([30, 20, 10])
    near = duplicate.NearDuplicateCache(phash, signature, **RANGE)
    assert near.num_pairs is None
    _check(near, phash, signature, score, 4, 0.9)


def test_a_static_shot_stores_few_of_its_pairs():
    phash, signature, _ = _film([1500])
    near = duplicate.NearDuplicateCache(phash, signature, **RANGE)
    assert 1499 <= near.num_pairs < 1500 * 1499 / 2 / 5


def test_without_pictures_and_without_frames():
    phash, _, score = _film([50, 20, 5])
    near = duplicate.NearDuplicateCache(phash, None, **RANGE)
    _check(near, phash, None, score, 3, 0.9)
    none = duplicate.NearDuplicateCache(np.zeros(0, np.uint64), None, **RANGE)
    assert none.group(4, 0.9).tolist() == []
