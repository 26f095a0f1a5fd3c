"""Unknown people among themselves."""

import numpy as np
import polars as pl
import pytest
from face_row import face_row

from bunny.character import cluster
from bunny.table import store


def _unit(*rows):
    rows = np.array(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _group(vectors, counts, method="agglomerative", **rest):
    tracks = cluster.UnknownTracks(
        embedding=vectors, num_faces=np.array(counts), recogniser="sface", **rest
    )
    return cluster.group_unknown(tracks, 0.75, method=method)


def test_alike_tracks_are_one_person_most_faces_first():
    vectors = _unit([1, 0, 0], [0, 1, 0.1], [0, 1, -0.1])
    group, similarity = _group(vectors, np.array([2, 2, 1]))
    assert group.tolist() == [1, 0, 0]
    assert similarity[0] == pytest.approx(1) and similarity[1] == pytest.approx(0.995, abs=1e-3)


def test_the_cut_is_the_threshold_squared():
    for cosine, num_groups in ((0.57, 1), (0.55, 2)):  # 0.75 squared is 0.5625
        vectors = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
        group, _ = _group(vectors, np.array([2, 2]))
        assert len(set(group.tolist())) == num_groups


def test_a_lone_smear_is_noise_and_a_lone_clear_face_or_track_is_a_person():
    group, similarity = _group(
        np.eye(3, dtype=np.float32), np.array([1, 2, 1]), clarity=np.array([0.49, 0.1, 0.5])
    )
    assert group.tolist() == [cluster.NOISE, 0, 1] and similarity.tolist() == [0, 1, 1]


@pytest.mark.parametrize("method", list(cluster.METHOD))
def test_two_of_one_frame_are_never_one_person(method):
    """A chain: 0 and 1 are alike, 1 and 2 too, but 0 and 2 were seen together."""
    vectors = _unit([1, 0], [np.cos(0.5), np.sin(0.5)], [np.cos(0.9), np.sin(0.9)], [0, -1])
    counts, apart = np.array([5, 4, 3, 2]), np.array([[0, 2]])
    joined, _ = _group(vectors, counts, method=method)
    assert joined.tolist() == [0, 0, 0, 1]
    split, _ = _group(vectors, counts, method=method, apart=apart)
    assert split[0] != split[2]


def test_a_mirror_does_not_hold_apart():
    vectors = _unit([1, 0], [0.9, 0.3])  # cosine 0.949 in one frame
    group, _ = _group(vectors, [2, 2], apart=np.array([[0, 1]]))
    assert group.tolist() == [0, 0]


def test_smears_need_more_likeness():
    """Cosine 0.7 joins when one is clear (cut 0.5625), and does not when neither is (0.8125)."""
    vectors = np.array([[1, 0], [0.7, np.sqrt(0.51)]], np.float32)
    for clarity, num_groups in (([0, 1.0], 1), ([0, 0], 2)):
        group, _ = _group(vectors, [2, 2], clarity=np.array(clarity))
        assert len(set(group.tolist())) == num_groups


def test_what_is_too_much_to_link_joins_the_groups(monkeypatch):
    monkeypatch.setattr(cluster, "MAX_LINKED", 2)
    vectors = _unit([1, 0, 0], [0, 1, 0], [0.9, 0.1, 0], [0.9, 0, 0.1], [0, 0, 1])
    group, _ = _group(vectors, [9, 8, 2, 2, 2], apart=np.array([[0, 3]]))
    assert group.tolist() == [0, 1, 0, 2, 3]  # the fourth was seen beside the first


@pytest.mark.parametrize("method", list(cluster.METHOD))
def test_people_far_apart_are_found_as_they_are(method):
    rng = np.random.default_rng(3)
    who = np.arange(40) % 8
    vectors = _unit(*(np.eye(64)[who] + rng.normal(size=(40, 64)) * 0.04))
    group, _ = _group(vectors, np.full(40, 3), method=method)
    assert len(set(zip(who.tolist(), group.tolist(), strict=True))) == 8 == len(set(group.tolist()))


def test_a_method_that_is_none_is_refused():
    with pytest.raises(ValueError, match="expected one of agglomerative, hdbscan, got 'kmeans'"):
        _group(np.eye(2), np.ones(2), method="kmeans")


def _face(face_id, track_id, vector, sharpness=200.0):
    vector = np.array(vector, np.float32)
    return face_row(face_id, vector, track_id=track_id, sharpness=sharpness)


def test_faces_are_grouped_by_their_tracks():
    face = store.from_rows(
        "face",
        [
            _face("f1a", "t1", [1, 0, 0]),
            _face("f0a", "t0", [0.8, 0.6, 0]),
            _face("f0b", "t2", [0.65, 0.76, 0]),
            _face("f2a", "t0", [0.8, 0.6, 0]),
            _face("f3a", "t3", [0, 0, 1], sharpness=1.0),
        ],
    )
    found = cluster.group_faces(face, threshold=0.75)
    assert found["face_id"].to_list() == ["f0a", "f2a", "f1a", "f0b", "f3a"]
    # t0 and t1 are one person; t2 is like t0 but beside it in f0, at 0.976 a mirror; t3 a smear
    assert found["group"].to_list() == [0, 0, 0, 0, cluster.NOISE]
    assert found["similarity"][4] is None and found["similarity"][0] > 0.95


def test_tracks_of_one_frame_are_found_once():
    frame = pl.Series(["f0", "f0", "f1", "f1", "f2"])
    assert cluster.cannot_link(frame, np.array([1, 0, 0, 1, 2])).tolist() == [[0, 1]]


def test_no_face_is_in_no_group():
    assert cluster.group_faces(store.from_rows("face", []), threshold=0.75).height == 0


def test_nobody():
    group, similarity = _group(np.empty((0, 3)), np.empty(0))
    assert len(group) == len(similarity) == 0
