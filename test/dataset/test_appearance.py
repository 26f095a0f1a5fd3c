"""Views as vectors and cells, from stored measures."""

import numpy as np
import pytest

from bunny.dataset import appearance, candidate
from bunny.table import store

NOTHING = {"subject_id": [], "sharpness": [], "luma": []}


def views_of(tables):
    import polars as pl

    return candidate.gather("bunny", tables, pl.DataFrame(NOTHING))


def test_parts_that_are_not_known_are_no_likeness(film_tables):
    ramp = np.arange(1024) // 4
    tables = film_tables(
        [
            {"shot": 0, "type": "face", "vector": [1, 0, 0], "signature": ramp},
            {"shot": 1, "type": "face", "vector": [0, 1, 0], "signature": ramp[::-1]},
            {"shot": 2, "box": (400, 50, 600, 350)},
        ]
    )
    ground = appearance.ground_set(
        views_of(tables), tables["face"], tables["embedding"], tables["measure"]
    )
    size = np.linalg.norm(ground.vector, axis=1)
    assert (size <= 1 + 1e-5).all()
    assert size[2] < size[0]  # no face, no small picture
    likeness = ground.vector @ ground.vector.T
    assert likeness[0, 1] < 0  # faces and pictures are opposite, places the same
    assert ground.cell.shape == (3, 4) and ground.cell[0, 0] != ground.cell[2, 0]


def test_worth_is_sure_sharp_and_alone(film_tables):
    tables = film_tables(
        [
            {"shot": 0, "type": "face", "sharpness": 50, "confidence": 1.0},
            {"shot": 1, "type": "face", "sharpness": 90, "confidence": 1.0},
            {"shot": 2, "type": "region", "confidence": 0.7},
        ]
    )
    # ranks 1/2 and 2/2 among the faces, a half where it is not known; all alone
    expected = [(0.5 + 1 + 1) / 3, (1 + 1 + 1) / 3, (0.5 + 0.7 + 1) / 3]
    assert appearance.view_quality(views_of(tables)) == pytest.approx(expected)


def test_light_in_a_box_by_hand():
    signature = np.zeros((32, 32), np.uint8)
    signature[:, 16:] = 255
    boxes = np.array([[0, 0, 320, 360], [320, 0, 640, 360], [160, 0, 480, 360]])
    found = appearance.subject_luma(
        boxes, np.tile([640, 360], (3, 1)), np.tile(signature.ravel(), (3, 1))
    )
    assert found.tolist() == [0.0, 1.0, 0.5]


def test_no_view_gives_an_empty_ground(film_tables):
    tables = film_tables([])
    empty = appearance.ground_set(
        [], tables["face"], store.from_rows("embedding", []), tables["measure"]
    )
    assert len(empty) == 0
