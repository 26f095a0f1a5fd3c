"""Eyes of the evaluation: which recogniser looks, and at which real pictures."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny import demo
from bunny.core.config import DetectionConfig
from bunny.evaluation import face_identity
from bunny.evaluation import gallery as evaluation_gallery
from bunny.evaluation.face_identity import Gallery
from bunny.table import store


def reference(route: str, recogniser: str | None, number: int = 1) -> pl.DataFrame:
    row = {"character": "anna", "content_hash": "0", "route": route, "recogniser": recogniser}
    rows = [{**row, "reference_id": f"anna/{i}.jpg", "num_faces": 1} for i in range(number)]
    return store.from_rows("reference", rows)


@pytest.mark.parametrize(("used", "other"), [("sface", "dlib"), ("dlib", "sface")])
def test_faces_are_seen_by_the_recogniser_that_did_not_name_them(used, other):
    name, look = face_identity.load_face_describer(reference("face", used), DetectionConfig())
    assert name == f"{other} behind yunet"
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    seen = look(picture)
    assert len(seen.vector) == 1 and seen.box.min() >= 0 and seen.box.max() <= 1
    gallery = Gallery(vector=seen.vector, shot=np.zeros(1, int))
    darker = (picture * 0.7).astype(np.uint8)
    zero, floor = face_identity.KNOWN[other]
    assert face_identity.likeness(look(darker), gallery) > floor > zero
    assert len(look(np.full((200, 200, 3), 90, np.uint8)).vector) == 0


def test_the_route_follows_the_references_unless_it_is_set():
    assert face_identity.uses_face(reference("face", "sface"), "anna", "auto")
    assert not face_identity.uses_face(reference("region", None), "anna", "auto")
    assert not face_identity.uses_face(reference("face", "sface"), "anna", "picture")
    assert face_identity.uses_face(reference("region", None), "anna", "face")
    assert not face_identity.uses_face(reference("face", "sface"), "ben", "auto")


def test_references_cut_out_of_the_film_are_not_used(tmp_path):
    folder = tmp_path / "anna"
    folder.mkdir()
    for name in ("1.jpg", "from_film_1.jpg"):
        cv2.imwrite(str(folder / name), np.full((60, 40, 3), 120, np.uint8))
    row = reference("region", None).row(0, named=True)
    names = ("1.jpg", "from_film_1.jpg", "gone.jpg")
    rows = [{**row, "reference_id": f"anna/{name}"} for name in names]
    tables = {"reference": store.from_rows("reference", rows)}
    (found,) = evaluation_gallery.of_references(tmp_path, tables, "anna")
    assert (found.file, found.shot) == (None, evaluation_gallery.NO_SHOT)
    assert found.crop.shape == (40, 40, 3)
    assert evaluation_gallery.of_references(None, tables, "anna") == []


def test_ground_beside_a_figure_that_is_in_every_frame(tmp_path):
    """One frame, the figure at its left: the square right of it is what nobody looks like."""
    picture = np.zeros((50, 120, 3), np.uint8)
    picture[:, 60:] = 200
    cv2.imwrite(str(tmp_path / "0.png"), picture)
    place = {"frame_id": "f", "shot_index": 0}
    time = {"pts": 0, "time_base_num": 1, "time_base_den": 24, "timestamp_s": 0.0}
    frame = {**place, **time, "film_id": "film", "frame_index": 0, "file": "0.png"}
    frame |= {"reason": "keyframe", "width_px": 120, "height_px": 50}
    box = {"x0_px": 10, "y0_px": 5, "x1_px": 59, "y1_px": 45}
    label = {**place, **box, "subject_id": "f-r0", "subject_type": "region", "character": "anna"}
    tables = {
        "frame": store.from_rows("frame", [frame]),
        "label": store.from_rows("label", [{**label, "source": "reference", "confidence": 0.9}]),
    }
    (ground,) = evaluation_gallery.background_squares(tmp_path, tables, "anna")
    assert ground.shape == (50, 50, 3)
    assert (ground == 200).all()
    (whole,) = evaluation_gallery.background_squares(tmp_path, tables, "ben")[
        :1
    ]  # never seen: the frame's middle
    assert whole.shape == (50, 50, 3) and (whole == 0).any()
