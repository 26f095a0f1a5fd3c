"""MTCNN: its steps on made-up boxes, the whole with its weights, and what is said without."""

import sys

import numpy as np
import pytest

from bunny.character.face import detect, mtcnn
from bunny.core import error


@pytest.fixture(scope="module")
def find():
    return detect.load_detector("mtcnn")


def test_finds_the_one_face_where_it_is(find, astronaut):
    face, *others = find(astronaut)
    assert all(other.score < 0.9 for other in others)
    assert np.allclose(face.box, [178, 62, 268, 176], atol=20)
    assert face.score > 0.95 and abs(face.yaw) < 0.3
    assert face.landmark[0, 0] < face.landmark[1, 0] and face.landmark[3, 1] > face.landmark[2, 1]


@pytest.mark.parametrize("shape", [(240, 320), (16, 16), (1, 1), (8, 400)])
def test_nobody_is_found_where_nobody_is(find, shape):
    assert find(np.full((*shape, 3), 127, np.uint8)) == []


def test_without_its_weights_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn", None)  # Python then finds no such package
    with pytest.raises(error.UserError, match=r"model mtcnn: expected .* `uv sync --extra mtcnn`"):
        detect.load_detector("mtcnn")


def test_the_pyramid_goes_down_to_one_cell():
    # 12 / 20 at first; 48 px high: 28.8, 20.4, 14.5 cells of pixels, then 10.3 is too small
    assert mtcnn.pyramid_scales(48, 100, 20) == pytest.approx([0.6, 0.6 * 0.709, 0.6 * 0.709**2])
    assert mtcnn.pyramid_scales(19, 100, 20) == []


def test_boxes_are_moved_by_shares_and_made_square():
    boxes = np.array([[10.0, 20, 30, 60]])
    assert mtcnn.move_boxes(boxes, np.array([[0.1, 0, -0.5, 0.25]])).tolist() == [[12, 20, 20, 70]]
    assert mtcnn.square_boxes(boxes).tolist() == [[0, 20, 40, 60]]


def test_a_crop_over_the_edge_is_black_outside():
    picture = np.full((10, 10, 3), 200, np.uint8)
    cut = mtcnn.crop_square(picture, np.array([-10, 0, 10, 20]), 4)
    assert cut[:2, 2:].min() == 200 and cut[:, :2].max() == 0 and cut[2:].max() == 0
