"""Pairs of faces that a film itself says something about."""

import numpy as np
from face_row import face_row
from hypothesis import given
from hypothesis import strategies as st

from bunny.character import calibrate
from bunny.table import store

ANNA, BEN, CARL = np.eye(3, dtype=np.float32)


def make_face(frame, track, vector, *, x=0.0, sharpness=200.0, number=0):
    """A row of table face with what pairs are picked by."""
    return face_row(
        f"f{frame:02d}-{number:02d}",
        vector,
        frame_id=f"f{frame:02d}",
        shot_index=frame // 10,
        track_id=f"t{track:02d}",
        x_px=x,
        sharpness=sharpness,
    )


def _pairs(faces, kind, **options):
    rows = calibrate.collect_pairs(store.from_rows("face", faces), **options)
    store.check("pair", rows)
    return [
        (one[:3], other[:3], round(value, 3))
        for name, one, other, value in rows.select(
            "kind", "one_id", "other_id", "similarity"
        ).iter_rows()
        if name == kind
    ]


def test_a_track_gives_its_first_middle_and_last_view():
    half = np.array([0.6, 0.8, 0], np.float32)
    faces = [make_face(i, 0, vector) for i, vector in enumerate([ANNA, ANNA, half, BEN])]
    assert _pairs(faces, "same-track") == [
        ("f00", "f02", 0.6),
        ("f00", "f03", 0.0),
        ("f02", "f03", 0.8),
    ]
    assert _pairs(faces[:2], "same-track") == [("f00", "f01", 1.0)]
    assert _pairs(faces[:1], "same-track") == []


def test_two_tracks_give_one_pair_where_both_are_clearest():
    faces = [make_face(i, 0, ANNA, sharpness=100 if i == 1 else 20) for i in range(3)]
    faces += [make_face(i, 1, BEN, x=300, number=1, sharpness=20 + i) for i in range(3)]
    faces += [make_face(9, 1, BEN), make_face(9, 0, ANNA, x=300, number=1, sharpness=29)]
    found = _pairs(faces, "same-frame")
    assert found == [("f09", "f09", 0.0)]  # there the less clear one has 29, elsewhere 22 at most


def test_smears_and_one_face_found_twice_are_left_out():
    seen = [make_face(0, 0, ANNA)]
    assert _pairs([*seen, make_face(0, 1, BEN, x=300, number=1)], "same-frame")
    assert not _pairs([*seen, make_face(0, 1, BEN, x=300, number=1, sharpness=3)], "same-frame")
    assert not _pairs([*seen, make_face(0, 1, BEN, x=20, number=1)], "same-frame")


@given(st.integers(1, 5), st.integers(0, 9))
def test_a_limit_is_kept_and_drawing_is_repeatable(most, seed):
    rng = np.random.default_rng(0)
    faces = [
        make_face(f, t, rng.normal(size=3).astype(np.float32) / 4, x=200.0 * t, number=t)
        for f in range(3)
        for t in range(4)
    ]
    face = store.from_rows("face", faces)
    rows = calibrate.collect_pairs(face, max_pairs=most, seed=seed)
    assert rows.group_by("kind").len()["len"].max() <= most
    shuffled = face.sample(fraction=1, shuffle=True, seed=seed)
    assert rows.equals(calibrate.collect_pairs(shuffled, max_pairs=most, seed=seed))


def test_no_face_is_no_pair():
    rows = calibrate.collect_pairs(store.from_rows("face", []))
    assert rows.height == 0 and store.check("pair", rows).height == 0
