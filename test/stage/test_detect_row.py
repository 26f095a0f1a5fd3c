"""Rows of stage detect."""

import numpy as np
import polars as pl

from bunny.character import detection_row
from bunny.character.drawn.window_search import RegionCandidate
from bunny.table import store

FRAME = {"frame_id": "film-00000007", "shot_index": 3, "file": "frame/7.png"}


def test_boxes_of_regions_become_pixels():
    box = np.array([0.25, 0.5, 0.75, 1.0], np.float32)
    found = [RegionCandidate(character="bunny", box=box, similarity=0.7, margin=0.2)]
    (row,) = detection_row.region_rows(FRAME, (100, 200, 3), "net", found)
    assert [row[c] for c in ("x0_px", "y0_px", "x1_px", "y1_px")] == [50, 50, 150, 100]
    assert (row["region_id"], row["shot_index"]) == ("film-00000007-r00", 3)
    assert (row["candidate"], row["model"]) == ("bunny", "net")
    assert detection_row.region_rows(FRAME, (100, 200, 3), "net", []) == []


def _face(name, embedding=(1.0, 0.0)):
    row = {"face_id": name, "frame_id": "f", "shot_index": 0, "detector": "d"}
    box = dict.fromkeys(("x0_px", "y0_px", "x1_px", "y1_px"), 0.0)
    return row | box | {"score": 0.9, "size_px": 4.0, "embedding": embedding}


def test_faces_are_stacked_where_one_part_has_none_or_no_vectors():
    empty = store.from_rows("face", [])
    seen = store.from_rows("face", [_face("b")])
    broken = store.from_rows("face", [_face("a", None) | {"error": "unreadable"}])
    found = detection_row.stack("face", seen, empty, broken)
    assert found["face_id"].to_list() == ["a", "b"]
    assert found["embedding"].to_list() == [None, [1.0, 0.0]]
    assert detection_row.stack("face", empty, empty).height == 0


def test_the_note_counts_frames_and_names_bad_references():
    labels = pl.DataFrame(
        {"character": ["bo", "bo", "al", None], "frame_id": ["f1", "f1", "f1", "f2"]}
    )
    known = pl.DataFrame(
        {"reference_id": ["al/1.jpg", "bo/2.jpg"], "error": [None, "found 2 faces"]}
    )
    broken = pl.DataFrame({"face_id": ["x"]})
    assert detection_row.note(labels, known, broken) == (
        "found al in 1 frames, bo in 1 frames; bo/2.jpg: found 2 faces; 1 frames could not be read"
    )
    nobody = detection_row.note(labels.clear(), known.clear(), broken.clear())
    assert nobody == "no reference pictures, so no character can be recognised"
