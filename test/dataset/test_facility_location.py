"""The greedy choice covers, spreads, and keeps its guarantee."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.dataset import facility_location
from bunny.dataset.facility_location import GroundSet

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import set_worth

sys.path.pop(0)


def ground(seed: int, count: int, width: int = 6, values: int = 3) -> GroundSet:
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=(count, width)).astype(np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    cell = rng.integers(0, values, size=(count, 2))
    dense = np.stack([np.unique(c, return_inverse=True)[1] for c in cell.T], axis=1)
    return GroundSet(vector=vector, cell=dense, worth=rng.random(count))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), number=st.integers(1, 12))
def test_greedy_is_better_than_chance(seed, number):
    views = ground(seed, 40)
    chosen, gains = facility_location.choose(views, number)
    assert len(chosen) == len(set(chosen)) == number
    assert gains == sorted(gains, reverse=True) and min(gains) >= 0
    own = set_worth.objective(views, chosen, number)
    assert own == pytest.approx(sum(gains), abs=1e-5)
    rng = np.random.default_rng(seed)
    draws = [rng.choice(40, size=number, replace=False).tolist() for _ in range(20)]
    worths = [set_worth.objective(views, rows, number) for rows in draws]
    assert own > np.mean(worths)
    assert own >= (1 - 1 / math.e) * max(worths)  # a lucky draw may be better, by so much at most


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_greedy_is_within_its_guarantee_of_the_best(seed):
    views = ground(seed, 9)
    best = max(set_worth.objective(views, rows, 3) for rows in itertools.combinations(range(9), 3))
    chosen, _ = facility_location.choose(views, 3)
    assert set_worth.objective(views, chosen, 3) >= (1 - 1 / math.e) * best


def test_all_are_chosen_when_there_are_not_more():
    chosen, gains = facility_location.choose(ground(1, 5), 9)
    assert sorted(chosen) == [0, 1, 2, 3, 4] and len(gains) == 5
    assert facility_location.choose(ground(1, 0), 3) == ([], [])


def test_rare_pose_is_not_outvoted():
    """96 frontal views and four profiles, all unlike each other: both poses come along."""
    count, rng = 100, np.random.default_rng(0)
    vector = rng.normal(size=(count, 64)).astype(np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    cell = np.zeros((count, 1), int)
    cell[96:] = 1
    chosen, _ = facility_location.choose(
        GroundSet(vector=vector, cell=cell, worth=np.ones(count)), 10
    )
    assert sum(row >= 96 for row in chosen) >= 3  # by number it would be 0.4


def test_clusters_are_each_represented():
    vector = np.repeat(np.eye(5, dtype=np.float32), [50, 20, 5, 3, 1], axis=0)
    views = GroundSet(vector=vector, cell=np.zeros((79, 1), int), worth=np.zeros(79))
    chosen, _ = facility_location.choose(views, 5)
    assert sorted(np.flatnonzero(vector[row])[0] for row in chosen) == [0, 1, 2, 3, 4]


def test_of_equals_the_first():
    views = GroundSet(
        vector=np.tile(np.float32([[1, 0]]), (4, 1)), cell=np.zeros((4, 1), int), worth=np.ones(4)
    )
    assert facility_location.choose(views, 3)[0] == [0, 1, 2]


def test_vectors_join_cosines():
    one = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    two = np.array([[1.0], [1], [-1], [np.nan]])
    joined = facility_location.join_vectors([(3, one), (1, two)])
    assert np.linalg.norm(joined[:3], axis=1) == pytest.approx([1, 1, 1])
    assert np.linalg.norm(joined[3]) == pytest.approx(math.sqrt(0.75))  # a quarter is not known
    # 3/4 of cosine -1, and 1/4 of +1: both are above the mean 1/3
    assert joined[0] @ joined[1] == pytest.approx(-0.5)
