"""Unknown people among themselves."""

import numpy as np
import pytest

from bunny.character import cluster


def _unit(*rows):
    rows = np.array(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_alike_tracks_are_one_person_most_faces_first():
    vectors = _unit([1, 0, 0], [0, 1, 0.1], [0, 1, -0.1])
    group, similarity = cluster.group_unknown(vectors, np.array([2, 2, 1]), "sface", 0.75)
    assert group.tolist() == [1, 0, 0]
    assert similarity[0] == pytest.approx(1) and similarity[1] == pytest.approx(0.995, abs=1e-3)


def test_the_cut_is_the_threshold_squared():
    for cosine, num_groups in ((0.57, 1), (0.55, 2)):  # 0.75 squared is 0.5625
        vectors = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
        group, _ = cluster.group_unknown(vectors, np.array([2, 2]), "sface", 0.75)
        assert len(set(group.tolist())) == num_groups


def test_a_lone_face_is_noise_and_a_lone_track_is_a_person():
    group, similarity = cluster.group_unknown(
        np.eye(2, dtype=np.float32), np.array([1, 2]), "sface", 0.75
    )
    assert group.tolist() == [cluster.NOISE, 0] and similarity.tolist() == [0, 1]
    group, _ = cluster.group_unknown(np.eye(1, dtype=np.float32), np.array([1]), "sface", 0.75)
    assert group.tolist() == [cluster.NOISE]


def test_nobody():
    group, similarity = cluster.group_unknown(np.empty((0, 3)), np.empty(0), "sface", 0.75)
    assert len(group) == len(similarity) == 0
