"""Frames to scenes over all of them at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import ClusteringConfig
from bunny.scene import cluster

WHOLE = ["agglomerative", "hdbscan"]


def _at(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _group(vector, method, join=0.85, noise=0.5):
    config = ClusteringConfig(scene_threshold=join, noise_threshold=noise, scene_method=method)
    return cluster.group_frames(vector, config)


def _clusters(method, *degrees, **threshold):
    return _group(_at(*degrees), method, **threshold).cluster.tolist()


@pytest.mark.parametrize("method", WHOLE)
def test_two_places_and_a_flash(method):
    # cosines: inside a place 0.98 or more, between them 0, of the flash to the second -0.5
    assert _clusters(method, 0, 5, 10, 90, 95, 100, 215) == [0, 0, 0, 1, 1, 1, cluster.NOISE]


@pytest.mark.parametrize("method", WHOLE)
def test_alone_between_the_thresholds_is_a_scene_of_its_own(method):
    # 50 degrees from the middle of the first place: cosine 0.64
    assert _clusters(method, 0, 5, 10, 55) == [0, 0, 0, 1]


def test_average_linkage_is_cut_at_the_mean_cosine():
    # 0 and 30 join at 0.866; to 60 their mean cosine is (0.5 + 0.866) / 2 = 0.683
    assert _clusters("agglomerative", 0, 30, 60, join=0.68) == [0, 0, 0]
    assert _clusters("agglomerative", 0, 30, 60, join=0.69) == [0, 0, 1]


def test_similarity_is_the_cosine_to_the_mean_of_all_members():
    found = _group(_at(0, 20, 200), "agglomerative")
    assert found.similarity[:2] == pytest.approx(np.cos(np.radians([10, 10])), abs=1e-6)
    assert found.similarity[2] == pytest.approx(np.cos(np.radians(190)), abs=1e-6)


@pytest.mark.parametrize("method", WHOLE)
def test_with_no_scene_of_several_frames_nothing_is_odd(method):
    assert _clusters(method, 0, 120, 240) == [0, 1, 2]
    assert _clusters(method, 33) == [0]
    assert _clusters(method) == []


@pytest.mark.parametrize("method", WHOLE)
@settings(deadline=None)
@given(
    degrees=st.lists(st.integers(0, 359), min_size=1, max_size=40),
    seed=st.integers(0, 2**16),
    join=st.sampled_from([0.5, 0.85, 0.97]),
)
def test_the_order_of_rows_changes_nothing(method, degrees, seed, join):
    order = np.random.default_rng(seed).permutation(len(degrees))
    vector = _at(*degrees)
    one = _group(vector, method, join, 0.3)
    other = _group(vector[order], method, join, 0.3)
    assert np.array_equal(cluster.relabel_sequential(one.cluster[order]), other.cluster)
    assert np.allclose(one.similarity[order], other.similarity, atol=1e-6)


@pytest.mark.parametrize("method", WHOLE)
@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=20)
def test_of_a_long_film_only_a_part_is_linked_and_the_result_is_the_same(method, seed):
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 5, 60)
    vector = np.eye(8, dtype=np.float32)[place] + 0.02 * rng.standard_normal((60, 8))
    vector = (vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "MAX_LINKED", 7)
        found = _group(vector, method).cluster
    counts = np.bincount(place, minlength=5)
    if (counts > 1).all():  # a place of one frame is noise
        assert np.array_equal(found, cluster.relabel_sequential(place))
