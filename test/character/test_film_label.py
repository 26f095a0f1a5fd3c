"""Decisions over what was measured in a film."""

import polars as pl

from bunny.character import film_label, label
from bunny.core.config import DetectionConfig
from bunny.table import store


def _face(number: int, **more) -> dict:
    row = {"face_id": f"f{number}", "frame_id": "frame", "shot_index": 0, "detector": "yunet"}
    box = dict.fromkeys(("x0_px", "y0_px", "x1_px", "y1_px"), 0.0)
    return row | box | {"score": 0.7, "size_px": 24.0, "embedding": [1.0, 0.0]} | more


def test_faces_count_from_their_thresholds_on_and_the_largest_ones_of_a_frame():
    rows = [
        _face(0),  # at both thresholds
        _face(1, score=0.69),
        _face(2, size_px=23.9),
        _face(3, error="unreadable", embedding=None),
        _face(4, size_px=80.0),
        _face(5, size_px=60.0),
    ]
    wanted = DetectionConfig(min_face_score=0.7, min_face_px=24, max_faces_per_frame=2)
    kept = film_label.select_faces(store.from_rows("face", rows), wanted)
    assert kept["face_id"].to_list() == ["f4", "f5"]
    everybody = film_label.select_faces(store.from_rows("face", rows), DetectionConfig())
    assert everybody["face_id"].to_list() == ["f0", "f4", "f5"]


def test_a_film_without_frames_has_empty_tables():
    names = ("frame", "extra_frame", "face", "region", "figure")
    empty = {name: store.from_rows(name, []) for name in names}
    found = film_label.FilmDetections(**empty, extra_face=empty["face"])
    cast = label.read_reference_set(store.from_rows("reference", []))
    tables = film_label.label_film(found, cast, DetectionConfig(), seed=0)
    assert set(tables) == {"label", "face", "track", "region", "figure", "pair", "calibration"}
    assert all(isinstance(t, pl.DataFrame) and t.is_empty() for t in tables.values())
