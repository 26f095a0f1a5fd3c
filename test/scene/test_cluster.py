"""Frames to scenes in one pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.core.config import ClusteringConfig
from bunny.scene import cluster


def _at(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _assign(vector, join=0.85, noise=0.5):
    config = ClusteringConfig(scene_threshold=join, noise_threshold=noise)
    return cluster.group_frames(vector, config)


def _clusters(*degrees, **threshold):
    return _assign(_at(*degrees), **threshold).cluster.tolist()


def test_near_joins_between_founds_far_is_noise():
    # cosines to the first: 0.94, 0.64, 0.17
    assert _clusters(0, 20, 50, 80 + 180) == [0, 0, 1, cluster.NOISE]


def test_a_new_place_is_founded_by_its_second_frame():
    found = _assign(_at(0, 180, 185, 190))
    assert found.cluster.tolist() == [0, 1, 1, 1]
    assert found.similarity[1] == pytest.approx(np.cos(np.radians(5)), abs=1e-3)


def test_a_flash_stays_noise_and_the_place_goes_on():
    found = _assign(_at(0, 180, 1))
    assert found.cluster.tolist() == [0, cluster.NOISE, 0]
    assert found.similarity[1] == pytest.approx(-1)


def test_thresholds_are_inclusive():
    vector = np.array([[1, 0], [0.6, 0.8]], np.float32)
    join = float(vector[0] @ vector[1])
    assert _assign(vector, join=join, noise=0).cluster.tolist() == [0, 0]
    assert _assign(vector, join=0.9, noise=join).cluster.tolist() == [0, 1]


def test_the_centroid_moves_with_its_members():
    # 40 is 40 degrees from the first frame but 25 from the mean of the two: it joins
    assert _clusters(0, 30, 40) == [0, 0, 0]
    assert _clusters(0, 40) == [0, 1]


def test_clusters_that_have_grown_together_are_one():
    # 0 and 33 found two; 16 joins the first, whose centroid is then at 8, 25 from 33. A cosine of
    # 0.906 times the tighter one's length, 1, reaches 0.85, so they are one whoever came first.
    assert _clusters(0, 33, 16) == _clusters(33, 0, 16) == [0, 0, 0]
    assert _clusters(0, 33, join=0.95) == [0, 1]


def test_who_is_united_by_hand():
    # 0 and 10: a mean of length cos 5 = 0.9962; a lone third at 40 is 35 from it: 0.8192 times 1
    total = np.stack([_at(0, 10).sum(axis=0), _at(40)[0], _at(100)[0]])
    size = np.array([2, 1, 1])
    assert cluster.merge_similar_clusters(total, size, 0.8191).tolist() == [0, 0, 2]
    assert cluster.merge_similar_clusters(total, size, 0.8193).tolist() == [0, 1, 2]
    # two pairs: both means are shorter, 0.9962 times cos 40
    pairs = np.stack([_at(0, 10).sum(axis=0), _at(40, 50).sum(axis=0)])
    value = np.cos(np.radians(5)) * np.cos(np.radians(40))
    for join, found in ((value - 1e-4, [0, 0]), (value + 1e-4, [0, 1])):
        assert cluster.merge_similar_clusters(pairs, np.array([2, 2]), join).tolist() == found
    assert cluster.merge_similar_clusters(np.empty((0, 2)), np.empty(0), 0.8).tolist() == []


def test_a_chain_is_united_only_as_far_as_the_mean_goes():
    # 0 with 20 (0.94), their mean at 10 with 40 is 0.866, of the three with 70 it is not
    total, size = _at(0, 20, 40, 75), np.ones(4)
    assert cluster.merge_similar_clusters(total, size, 0.85).tolist() == [0, 0, 0, 3]


def test_of_very_many_the_largest_are_looked_at(monkeypatch):
    assert _clusters(0, 33, 16, 90, 90, 90) == [0, 0, 0, 1, 1, 1]
    monkeypatch.setattr(cluster, "MAX_UNITED", 2)
    assert _clusters(0, 33, 16) == [0, 0, 0]
    assert _clusters(0, 33, 16, 90, 90, 90) == [0, 1, 0, 2, 2, 2]  # that of 33 alone is left out


def test_empty_and_one():
    assert len(_assign(np.empty((0, 2))).cluster) == 0
    assert _clusters(77) == [0]


@pytest.mark.parametrize("method", cluster.METHOD)
def test_noise_lies_no_higher_than_the_threshold_of_scenes(method):
    config = ClusteringConfig(scene_threshold=0.4, noise_threshold=0.5, scene_method=method)
    level = config.model_copy(update={"noise_threshold": 0.4})
    vector = _at(0, 5, 63, 130, 131)  # 63 is at a cosine of 0.45 from 0
    found = cluster.group_frames(vector, config).cluster.tolist()
    assert found == cluster.group_frames(vector, level).cluster.tolist()


def test_many_places_are_each_found_again():
    vector = np.vstack([np.eye(40, dtype=np.float32)] * 2)
    found = _assign(vector, noise=-1)
    assert found.cluster.tolist() == [*range(40), *range(40)]
    assert found.similarity.tolist() == [1] * 80


@given(st.lists(st.integers(0, 359), max_size=30))
def test_clusters_are_numbered_in_order_without_gaps(degrees):
    found = _assign(_at(*degrees) if degrees else np.empty((0, 2)))
    first_seen = [c for i, c in enumerate(found.cluster) if c >= 0 and c not in found.cluster[:i]]
    assert first_seen == list(range(len(first_seen)))
    assert (np.abs(found.similarity) <= 1).all()
