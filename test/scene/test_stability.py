"""Whether the scenes would have been others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.core.config import ClusteringConfig
from bunny.scene import cluster, stability


def _at(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _measure(vector, shot, num_runs, seed=0):
    config = ClusteringConfig(stability_runs=num_runs)
    return stability.measure_stability(vector, shot, config, seed)


def _rows(found):
    return {(row["method"], row["compared_with"]): row for row in found}


def test_rand_index_by_hand():
    # pairs together in both: 1; in the first 2, in the second 2, of 6: expected 2 * 2 / 6
    value = stability.adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
    assert value == pytest.approx((1 - 2 * 1 / 6) / ((2 + 1) / 2 - 2 * 1 / 6))
    assert stability.adjusted_rand_index(np.array([0, 0, 1]), np.array([5, 5, 2])) == 1


def test_frames_in_the_noise_bucket_are_not_one_scene():
    noise = cluster.NOISE
    assert (
        stability.adjusted_rand_index(np.array([0, 0, noise, noise]), np.array([1, 1, 2, 3])) == 1
    )
    assert stability.adjusted_rand_index(np.array([0, 0, noise, noise]), np.array([1, 1, 2, 2])) < 1


def test_places_that_stand_apart_are_stable():
    shot = np.repeat(np.arange(8), 3)
    degrees = [(shot_index % 2) * 90 + i for shot_index in range(8) for i in range(3)]
    rows = _rows(_measure(_at(*degrees), shot, 4))
    assert len(rows) == 7 and {row["num_clusters"] for row in rows.values()} == {2}
    assert all(row["rand_index"] == row["lowest"] == 1 for row in rows.values())
    assert rows["incremental", "order"]["num_runs"] == 4
    assert rows["agglomerative", "hdbscan"]["num_runs"] == 1


def test_a_pan_depends_on_the_order_it_is_seen_in():
    degrees = range(0, 180, 9)  # no gap anywhere: where a scene ends is up to where one began
    found = _rows(_measure(_at(*degrees), np.arange(20), 8))
    order = found["incremental", "order"]
    assert order["lowest"] < order["rand_index"] < 0.95
    assert found["agglomerative", "sample"]["rand_index"] < 0.95  # a shot left out is a gap


def test_any_grouping_is_asked_in_the_same_way():
    # the first two items are one group, all others noise

    def find(rows, method):
        return np.where(np.arange(len(rows)) < 2, 0, cluster.NOISE)

    rows = _rows(stability.compare_groupings(np.arange(4), find, ("pair",), ("pair",), num_runs=5))
    assert set(rows) == {("pair", "order"), ("pair", "sample")}
    # {0, 1} against another pair of the four is (0 - 1/6) / (1 - 1/6)
    assert rows["pair", "order"]["lowest"] == pytest.approx(-0.2)
    assert rows["pair", "order"]["num_clusters"] == 1


def test_the_seed_decides():
    vector, shot = _at(*range(0, 180, 9)), np.arange(20)
    one, same, other = (_measure(vector, shot, 3, seed=s) for s in (1, 1, 2))
    assert one == same != other


def test_too_little_to_say():
    assert _measure(_at(0, 5), np.array([0, 0]), 8) == []
    assert _measure(_at(0, 90), np.array([0, 1]), 0) == []


def _asked(shot, seed=0):
    """Rows that groupings are asked for: as they are, in another order, a sample."""
    found = []

    def find(rows, method):
        found.append(rows)
        return np.zeros(len(rows), int)

    stability.compare_groupings(shot, find, ("one",), ("one",), num_runs=1, seed=seed)
    return found


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 99))
def test_an_order_of_shots_keeps_each_shot_whole(shots, seed):
    shot = np.array([-1, *sorted(shots)])
    _, rows, _ = _asked(shot, seed)
    assert sorted(rows.tolist()) == list(range(len(shot)))
    parts = np.split(rows, np.flatnonzero(np.diff(shot[rows])) + 1)
    assert len(parts) == len(set(shot.tolist()))
    assert all((np.diff(part) == 1).all() for part in parts)


def test_of_a_long_film_a_part_is_looked_at(monkeypatch):
    monkeypatch.setattr(stability, "MAX_FRAMES", 10)
    shot = np.repeat(np.arange(6), 4)
    rows = _asked(shot)[0]
    assert len(set(shot[rows].tolist())) == 2 and len(rows) == 8
    rows = _asked(np.repeat([0, 1], 50))[0]  # two shots at least, thinned
    assert len(rows) == 10 and rows[1] == 10
