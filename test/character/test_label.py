"""From measures to names; nothing here reads a pixel."""

import numpy as np
import polars as pl
import pytest

from bunny.character import label
from bunny.table import store

ANNA, BEN, CARL = np.eye(3, dtype=np.float32)
SETTING = label.LabelSetting(
    similarity_threshold=0.4, min_margin=0.05, drawn_threshold=0.45, drawn_margin=0.10
)
FRAME = pl.DataFrame({"frame_id": ["f0", "f1"], "frame_index": [0, 10]})
CAST = label.Cast(
    face={"anna": ANNA[None], "ben": BEN[None]}, drawn=frozenset({"toon"}), num_pictured=3
)


def _mixed(cosine):
    """A face with this cosine to Anna and none to Ben."""
    return cosine * ANNA + np.sqrt(1 - cosine**2) * CARL


def _face(face_id, vector, x=0.0):
    return {
        "face_id": face_id, "frame_id": face_id[:2], "shot_index": 0,
        "x0_px": x, "y0_px": 0.0, "x1_px": x + 40, "y1_px": 40.0,
        "detector": "yunet", "score": 0.9, "landmark": np.zeros(10), "yaw": 0.0,
        "size_px": 40.0, "sharpness": 100.0, "recogniser": "sface", "embedding": vector,
    }  # fmt: skip


def _region(frame_id, candidate, support, margin=0.2):
    return {
        "region_id": f"{frame_id}-{candidate}", "frame_id": frame_id, "shot_index": 0,
        "candidate": candidate, "x0_px": 0.0, "y0_px": 0.0, "x1_px": 100.0, "y1_px": 100.0,
        "similarity": support, "margin": margin, "support": support, "model": "m",
    }  # fmt: skip


def _names(faces, regions=(), cast=CAST, setting=SETTING):
    face = store.from_rows("face", faces)
    face, tracks = label.link_tracks(face, FRAME, "film")
    region = store.from_rows("region", regions)
    rows = label.decide(face, tracks, region, cast, setting)
    store.from_rows("label", rows)  # keeps the schema
    return {row["subject_id"]: row["character"] for row in rows}


def test_tracks_have_numbers_frames_and_a_best_face():
    faces = [_face("f1a", ANNA), {**_face("f0a", ANNA), "yaw": 0.9}, _face("f0b", BEN, x=200)]
    face, rows = label.link_tracks(store.from_rows("face", faces), FRAME, "film")
    ids = dict(face.select("face_id", "track_id").iter_rows())
    assert ids == {"f0a": "film-t00000", "f1a": "film-t00000", "f0b": "film-t00001"}
    anna = rows[0]
    assert (anna["first_frame_index"], anna["last_frame_index"], anna["num_faces"]) == (0, 10, 2)
    assert anna["best_face_id"] == "f1a"
    assert store.from_rows("track", rows).height == 2


def test_no_face_is_no_track():
    face, rows = label.link_tracks(store.from_rows("face", []), FRAME, "film")
    assert face.height == 0 and rows == []


def test_a_track_carries_its_faces():
    weak = _mixed(0.35)  # alone below 0.4; with the clear view of the same track above
    assert _names([_face("f0a", weak)]) == {"f0a": None}
    assert _names([_face("f0a", weak), _face("f1a", _mixed(0.9))]) == {"f0a": "anna", "f1a": "anna"}


def test_two_faces_of_a_frame_are_two_people():
    faces = [_face("f0a", _mixed(0.9)), _face("f0b", _mixed(0.6), x=300)]
    assert _names(faces) == {"f0a": "anna", "f0b": None}


def test_a_face_named_by_another_of_the_film_says_so():
    """0.3 to the reference is too little; 0.94 to a surely named track elsewhere is enough."""
    sure = {**_face("f0a", _mixed(0.6)), "size_px": 112.0}
    weak = {**_face("f1a", _mixed(0.3)), "size_px": 112.0, "shot_index": 1}
    face, tracks = label.link_tracks(store.from_rows("face", [sure, weak]), FRAME, "film")
    rows = label.decide(face, tracks, store.from_rows("region", []), CAST, SETTING)
    store.from_rows("label", rows)
    assert [(row["character"], row["source"]) for row in rows] == [
        ("anna", "reference"),
        ("anna", "cluster"),
    ]
    assert rows[1]["distance"] == pytest.approx(0.7)  # still to the reference


def test_no_references_leave_everybody_unknown():
    nobody = label.Cast(face={}, drawn=frozenset(), num_pictured=0)
    assert _names([_face("f0a", ANNA)], cast=nobody) == {"f0a": None}


def test_a_region_is_named_only_for_characters_looked_for_by_look():
    regions = [_region("f0", "toon", 0.45), _region("f0", "anna", 0.9), _region("f1", "toon", 0.44)]
    assert _names([], regions) == {"f0-toon": "toon"}


@pytest.mark.parametrize(
    ("cosine", "support", "x", "named"),
    [(0.3, 0.6, 0, True), (0.19, 0.6, 0, False), (0.3, 0.44, 0, False), (0.3, 0.6, 300, False)],
)
def test_a_second_witness_helps_a_face_that_leans_the_same_way(cosine, support, x, named):
    found = _names([_face("f0a", _mixed(cosine), x=x)], [_region("f0", "anna", support)])
    assert found["f0a"] == ("anna" if named else None)


def test_a_witness_names_nobody_twice_in_a_frame():
    faces = [_face("f0a", _mixed(0.9), x=300), _face("f0b", _mixed(0.3))]
    assert _names(faces, [_region("f0", "anna", 0.6)])["f0b"] is None


def test_the_cast_is_read_from_the_references():
    def row(reference_id, route, vector=None, error=None):
        return {
            "reference_id": reference_id, "character": reference_id[0], "content_hash": "h",
            "route": route, "num_faces": 1, "face_embedding": vector, "error": error,
        }  # fmt: skip

    rows = [row("a/1", "face", ANNA), row("a/2", "face", BEN), row("b/1", "region"),
            row("c/1", "face", error="expected one face, found 2")]  # fmt: skip
    cast = label.read_cast(store.from_rows("reference", rows))
    assert set(cast.face) == {"a"} and cast.face["a"].shape == (2, 3)
    assert cast.drawn == {"b"} and cast.num_pictured == 2
