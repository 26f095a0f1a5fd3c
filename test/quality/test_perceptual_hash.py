"""The index of hashes finds what comparing all pairs finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.quality import perceptual_hash


def _all_pairs(phash, query, max_distance):
    bits = perceptual_hash.distance(query[:, None], phash[None])
    q, h = np.nonzero(bits <= max_distance)
    return sorted(zip(q.tolist(), h.tolist(), bits[q, h].tolist(), strict=True))


def _found(phash, query, max_distance):
    q, h, bits = perceptual_hash.near_pairs(perceptual_hash.build_index(phash, max_distance), query)
    return sorted(zip(q.tolist(), h.tolist(), bits.tolist(), strict=True))


def _planted(num_hashes, seed):
    """Random hashes, and queries at 0 to 15 bits from some of them."""
    rng = np.random.default_rng(seed)
    phash = rng.integers(0, 2**64, num_hashes, dtype=np.uint64)
    query = phash[:64].copy()
    for i in range(64):
        for bit in rng.permutation(64)[: i // 4]:
            query[i] ^= np.uint64(1) << np.uint64(bit)
    return phash, query


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 5, 8, 11, 12, 15, 40])
def test_finds_every_pair_once(distance):
    phash, query = _planted(20_000, distance)
    assert _found(phash, query, distance) == _all_pairs(phash, query, distance)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), distance=st.integers(0, 12), ones=st.integers(1, 64))
def test_finds_every_pair_among_hashes_that_crowd(seed, distance, ones):
    """Few hashes with chunk tables forced on them, many equal chunks."""
    rng = np.random.default_rng(seed)
    phash = (
        rng.integers(0, 2**ones, 60, dtype=np.uint64, endpoint=False)
        if ones < 64
        else (rng.integers(0, 2**64, 60, dtype=np.uint64))
    )
    parts = perceptual_hash.plan_chunks(100_000, distance)
    chunks = tuple(perceptual_hash.sort_chunk(phash, *part) for part in parts)
    index = perceptual_hash.HammingIndex(phash=phash, max_distance=distance, chunks=chunks)
    q, h, bits = perceptual_hash.near_pairs(index, phash)
    found = sorted(zip(q.tolist(), h.tolist(), bits.tolist(), strict=True))
    assert found == _all_pairs(phash, phash, distance)


def test_a_plan_covers_all_bits_and_the_distance():
    for distance in range(13):
        parts = perceptual_hash.plan_chunks(100_000, distance)
        assert parts, distance
        # Pigeonhole: differing in more than its radius at every chunk takes more bits than allowed.
        assert sum(radius + 1 for *_, radius in parts) > distance
        assert len({shift for shift, *_ in parts}) == len(parts)


def test_few_hashes_and_far_ones_are_all_compared():
    assert perceptual_hash.plan_chunks(100, 4) == ()
    assert perceptual_hash.plan_chunks(100_000, 40) == ()


def test_no_hash_and_no_query():
    none = np.zeros(0, np.uint64)
    assert _found(none, none, 4) == []
    assert _found(np.zeros(3, np.uint64), none, 4) == []
    assert _found(none, np.zeros(3, np.uint64), 4) == []


def test_a_crowded_bucket_is_searched_in_pieces(monkeypatch):
    monkeypatch.setattr(perceptual_hash, "BLOCK", 1000)
    phash = np.zeros(5000, np.uint64)
    assert len(_found(phash, phash[:3], 4)) == 15_000


@pytest.mark.parametrize("distance", [-1, 65])
def test_an_impossible_distance_is_refused(distance):
    with pytest.raises(ValueError, match="0 to 64 bits"):
        perceptual_hash.build_index(np.zeros(3, np.uint64), distance)
