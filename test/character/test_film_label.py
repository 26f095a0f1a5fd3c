"""Decisions over what was measured in a film."""

import numpy as np
import polars as pl
import pytest
import table_row

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
    sure = film_label.select_faces(
        store.from_rows("face", rows), DetectionConfig(min_face_score=0.8)
    )
    assert sure.is_empty()


def test_a_film_without_frames_has_empty_tables():
    names = ("frame", "extra_frame", "face", "region", "figure")
    empty = {name: store.from_rows(name, []) for name in names}
    found = film_label.FilmDetections(**empty, extra_face=empty["face"])
    cast = label.read_reference_set(store.from_rows("reference", []))
    tables = film_label.label_film(found, cast, DetectionConfig(), seed=0)
    assert set(tables) == {"label", "face", "track", "region", "figure", "pair", "calibration"}
    assert all(isinstance(t, pl.DataFrame) and t.is_empty() for t in tables.values())


FRAME = table_row.fill("frame", frame_id="frame", file="frame/0.png")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, {"f0": "anna", "r0": "toon"}),
        ({"similarity_threshold": 0.51}, {"f0": None, "r0": "toon"}),
        ({"min_margin": 0.11}, {"f0": None, "r0": "toon"}),
        ({"drawn_threshold": 0.65}, {"f0": "anna"}),
        ({"drawn_margin": 0.31}, {"f0": "anna"}),
    ],
)
def test_names_are_given_by_the_thresholds_that_are_set(wanted, names):
    """A face like Anna to 0.5 and like Ben to 0.4; a place like Toon to 0.6, 0.3 before others."""
    vector = [0.5, 0.4, float(np.sqrt(1 - 0.25 - 0.16))]
    sure = {"landmark": [0.0] * 10, "yaw": 0.0, "sharpness": 900.0, "recogniser": "sface"}
    face = _face(0, embedding=vector, size_px=112.0, x1_px=90.0, y1_px=112.0, score=0.9, **sure)
    box = {"x0_px": 200.0, "y0_px": 0.0, "x1_px": 300.0, "y1_px": 100.0}
    region = {"region_id": "r0", "frame_id": "frame", "shot_index": 0, "candidate": "toon", **box}
    region |= {"similarity": 0.6, "margin": 0.3, "model": "efficientnet-lite0"}
    rows = {"frame": [FRAME], "extra_frame": [], "face": [face], "region": [region], "figure": []}
    tables = {name: store.from_rows(name, content) for name, content in rows.items()}
    found = film_label.FilmDetections(**tables, extra_face=tables["face"].clear())
    anna, ben = np.eye(3, dtype=np.float32)[:2]
    cast = label.ReferenceSet(
        face={"anna": anna[None], "ben": ben[None]}, drawn=frozenset({"toon"}), num_pictured=3
    )
    settings = DetectionConfig(calibration="fixed", is_adapted=False, **wanted)
    labels = film_label.label_film(found, cast, settings, seed=0)["label"]
    assert dict(labels.select("subject_id", "character").iter_rows()) == names


def _unit(vector):
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("is_adapted", [True, False])
def test_faces_are_compared_without_the_films_light_unless_that_is_off(is_adapted):
    """Twenty shots of two people and two frames; a vector is who it is and, as strongly, the light.

    Light has 4 directions of 24 and changes from frame to frame.
    """
    rng = np.random.default_rng(0)
    frames, faces = [], []
    sure = {"landmark": [0.0] * 10, "yaw": 0.0, "sharpness": 900.0, "recogniser": "sface"}
    for shot in range(20):
        who = rng.normal(size=(2, 20))
        for number in (2 * shot, 2 * shot + 1):
            place = {"frame_id": f"f{number:02d}", "shot_index": shot}
            frames.append(FRAME | place | {"frame_index": number, "pts": number})
            light = rng.normal(size=(2, 4))
            for index in range(2):
                vector = np.concatenate([_unit(who[index]), _unit(light[index])])
                box = {"x0_px": 100.0 * index, "x1_px": 100.0 * index + 40, "y1_px": 60.0}
                row = place | sure | box | {"score": 0.9, "size_px": 60.0}
                faces.append(_face(2 * number + index, embedding=_unit(vector), **row))
    rows = {"frame": frames, "extra_frame": [], "face": faces, "region": [], "figure": []}
    tables = {name: store.from_rows(name, content) for name, content in rows.items()}
    found = film_label.FilmDetections(**tables, extra_face=tables["face"].clear())
    known = dict(zip(("anna", "ben"), np.eye(24, dtype=np.float32)[:2, None], strict=True))
    cast = label.ReferenceSet(face=known, drawn=frozenset(), num_pictured=2)
    made = film_label.label_film(found, cast, DetectionConfig(is_adapted=is_adapted), seed=0)
    assert made["calibration"]["is_adapted"].to_list() == [is_adapted]
    assert (made["pair"]["adapted_similarity"].null_count() == 0) == is_adapted
