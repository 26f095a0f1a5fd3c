"""A film's own view of what tells its people apart."""

import numpy as np
import polars as pl
import pytest
from face_row import face_row

from bunny.character import calibrate, track, whitening
from bunny.core import vector as core_vector
from bunny.table import store

DIMENSION = 16


def _film(nuisance, *, num_shots=40, seed=0):
    """Two people a shot, seen four times; a nuisance moves every view in the first directions."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(60, DIMENSION))
    people[:, :4] *= 0.2  # what the nuisance moves says little about who it is
    rows = []
    for shot in range(num_shots):
        for number, who in enumerate(rng.choice(60, 2, replace=False)):
            for view in range(4):
                moved = people[who] + 0.5 * rng.normal(size=DIMENSION)
                moved[:4] += nuisance * rng.normal(size=4)
                rows.append(
                    face_row(
                        f"f{shot:03d}{view}-{number}",
                        core_vector.l2_normalize(moved),
                        frame_id=f"f{shot:03d}{view}",
                        shot_index=shot,
                        track_id=f"t{shot:03d}{number}",
                        x_px=300.0 * number,
                    )
                )
    face = store.from_rows("face", rows)
    return face, calibrate.collect_pairs(face)


def test_a_nuisance_within_tracks_is_unlearned_and_helps_a_film_not_seen():
    face, pairs = _film(2.0)
    trial = whitening.learn(face, pairs)
    assert trial.adaptation is not None and "adapted: held-out" in trial.note
    assert trial.adapted_separation > trial.separation + 0.05
    other, other_pairs = _film(2.0, seed=1)
    ids = {face_id: i for i, face_id in enumerate(other["face_id"])}
    judged = tuple(
        np.array(
            [
                (ids[a], ids[b])
                for a, b in other_pairs.filter(pl.col("kind").cast(pl.String) == kind)
                .select("one_id", "other_id")
                .iter_rows()
            ]
        )
        for kind in ("same-track", "same-frame")
    )
    vector = track.embedding_array(other)
    plain = whitening.separate(vector, judged)
    assert whitening.separate(trial.adaptation.apply(vector), judged) > plain + 0.05


def test_what_does_not_help_is_not_kept_and_is_reported():
    trial = whitening.learn(*_film(0.0))
    assert trial.adaptation is None and "the improvement is too small" in trial.note
    assert trial.separation is not None and trial.adapted_separation is not None


def test_too_few_tracks_teach_nothing():
    trial = whitening.learn(*_film(2.0, num_shots=9))
    assert trial.adaptation is None and trial.adapted_separation is None
    assert "18 tracks with two views in 9 shots and 9 pairs of strangers" in trial.note
    assert trial.separation is not None


def test_no_face_teaches_nothing():
    face = store.from_rows("face", [])
    trial = whitening.learn(face, calibrate.collect_pairs(face))
    assert trial.adaptation is None and trial.separation is None


def test_vectors_stay_of_unit_length_and_the_lift_is_on_every_cosine():
    adaptation = whitening.Adaptation(matrix=np.diag([1, 2]).astype(np.float32), lift=0.19)
    one, other = adaptation.apply(np.eye(2, dtype=np.float32))
    assert one @ one == pytest.approx(1) and one @ other == pytest.approx(0.19)
    assert adaptation.apply(np.array([1, 0])).shape == (3,)


def test_separation_by_hand():
    """Strangers at cosine -0.1, 0, 0.1 (twice 0): one in a hundred passes 2.326 x 0.148 x ..."""
    angle = np.arccos([0.9, 0.5, 0.2, 0.9, 0.9, -0.1, 0.0, 0.1, -0.1, 0.1])
    vector = np.vstack([[1, 0], np.c_[np.cos(angle), np.sin(angle)]])
    rows = np.c_[np.zeros(10, int), np.arange(1, 11)]
    # of the strangers the median is 0, the deviation 0.148: 0.345 is passed by 4 of 5
    assert whitening.separate(vector, (rows[:5], rows[5:])) == pytest.approx(0.8)
    assert whitening.separate(vector, (rows[:4], rows[5:])) is None
