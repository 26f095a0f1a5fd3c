"""Figures of a film that are surely not a character, and pictures measured for judging."""

import cv2
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny import demo
from bunny.character import reference, reference_measure
from bunny.character.drawn.figure_embedding import FigureNet
from bunny.table import store


def _figure(number, frame, box, vector):
    return {
        "figure_id": f"{frame}-g{number:02d}",
        "frame_id": frame,
        "shot_index": 0,
        **plain_row.box(*box),
        "objectness": 0.9,
        "embedding": vector,
        "source": "window",
        "model": "m",
    }


def _label(frame, box, character):
    return plain_row.label(
        f"{frame}-r00", character, frame_id=frame, shot_index=0, **plain_row.box(*box)
    )


def test_strangers_lie_wholly_beside_the_named_one():
    """In frame a: itself, one that touches its edge, one that overlaps; frame b has nobody."""
    figure = store.from_rows(
        "figure",
        [
            _figure(0, "a", (0, 0, 10, 10), [1.0, 0.0]),
            _figure(1, "a", (10, 0, 20, 10), [0.0, 1.0]),
            _figure(2, "a", (9, 9, 20, 20), [-1.0, 0.0]),
            _figure(0, "b", (50, 50, 60, 60), [0.0, -1.0]),
        ],
    )
    labels = store.from_rows(
        "label", [_label("a", (0, 0, 10, 10), "bruno"), _label("b", (0, 0, 9, 9), None)]
    )
    found = reference_measure.film_impostors(figure, labels)
    assert {name: rows.tolist() for name, rows in found.items()} == {"bruno": [[0.0, 1.0]]}
    assert reference_measure.film_impostors(figure.clear(), labels) == {}


@pytest.fixture(scope="module")
def net():
    return FigureNet()


def _measure(folder, net, name, image):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    (source,) = [s for s in reference.list_files(folder) if s.reference_id == name]
    row = {"reference_id": name, "is_drawn": True, "face_embedding": None, "error": None}
    known = pl.DataFrame([row])
    described = reference_measure.describe_drawn([source], net)
    (found,) = reference_measure.make_pictures([source], known, described, net)
    return found


def test_what_is_wrong_with_a_drawing_is_seen(tmp_path, net):
    """The sample's own are fine; two on one, half of one, one under a subtitle are not."""
    folder = demo.reference_dir()
    bruno, bunny = (cv2.imread(str(folder / name)) for name in ("bruno/1.jpg", "bunny/1.jpg"))
    plain = _measure(tmp_path, net, "bruno/plain.png", bruno)
    assert (plain.has_two, plain.cut, plain.text, plain.size_px) == (False, (), None, 384)
    assert plain.vector.shape[0] == 6
    np.testing.assert_allclose(np.linalg.norm(plain.vector, axis=1), 1, atol=1e-5)
    assert _measure(tmp_path, net, "bruno/two.png", np.hstack([bruno, bunny])).has_two
    assert _measure(tmp_path, net, "bruno/half.png", bruno[:, 160:]).cut == ("left",)
    written = cv2.resize(bruno, (768, 768))
    where, font = (170, 740), cv2.FONT_HERSHEY_SIMPLEX
    for colour, width in (((0, 0, 0), 8), ((255, 255, 255), 3)):
        cv2.putText(written, "Where are you going", where, font, 1.3, colour, width, cv2.LINE_AA)
    assert _measure(tmp_path, net, "bruno/text.png", written).text == "subtitle"


def test_a_refused_picture_has_no_vector(tmp_path):
    (tmp_path / "anna.png").write_bytes(b"no picture")
    sources = reference.list_files(tmp_path)
    row = {"reference_id": "anna/anna.png", "is_drawn": None, "face_embedding": None, "error": "e"}
    (found,) = reference_measure.make_pictures(sources, pl.DataFrame([row]), {}, None)
    assert (found.vector, found.size_px, found.error) == (None, 0, "e")
