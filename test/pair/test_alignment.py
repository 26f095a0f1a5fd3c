"""Alignment of two pictures whose background was moved by known pixels."""

import cv2
import numpy as np
import pytest

from bunny.pair import alignment


def scenery(seed=0, size=(480, 640)):
    noise = np.random.default_rng(seed).integers(0, 256, (size[0] // 16, size[1] // 16), np.uint8)
    grey = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def with_figure(picture, x):
    out = picture.copy()
    out[200:400, x : x + 80] = (20, 20, 240)
    return out


BOXES = [(150, 200, 230, 400), (350, 200, 430, 400)]


def test_a_still_camera_leaves_no_shift_and_no_residual():
    ground = scenery()
    found = alignment.align(with_figure(ground, 150), with_figure(ground, 350), BOXES)
    assert found is not None
    assert found.shift_px == pytest.approx(0, abs=0.05)
    assert found.scale == pytest.approx(1, abs=1e-3)
    assert found.residual < 0.002 and found.agreement > 0.99
    assert found.change > 0.1  # the figure is elsewhere


@pytest.mark.parametrize(("x", "y"), [(6, 0), (0, -9), (12, 5)])
def test_a_moved_camera_is_measured(x, y):
    ground = scenery()
    matrix = np.array([[1.0, 0, x], [0, 1.0, y]])
    moved = cv2.warpAffine(ground, matrix, (640, 480), borderMode=cv2.BORDER_REFLECT)
    found = alignment.align(ground, moved, BOXES[:1])
    assert found is not None
    assert found.shift_px == pytest.approx(np.hypot(x, y), abs=0.5)
    assert found.matrix[:, 2] == pytest.approx([x, y], abs=0.7)


def test_zoom_is_measured():
    ground = scenery()
    matrix = cv2.getRotationMatrix2D((320, 240), 0, 1.1)
    zoomed = cv2.warpAffine(ground, matrix, (640, 480), borderMode=cv2.BORDER_REFLECT)
    found = alignment.align(ground, zoomed, BOXES[:1])
    assert found is not None and found.scale == pytest.approx(1.1, abs=0.01)


def test_another_place_does_not_agree():
    found = alignment.align(scenery(0), scenery(1), BOXES[:1])
    assert found is not None and found.agreement < 0.3


def test_what_is_all_character_cannot_be_aligned():
    assert alignment.align(scenery(), scenery(), [(0, 0, 640, 480)]) is None


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="expected pictures of one size"):
        alignment.align(scenery(), scenery(size=(240, 320)), [])


def test_both_are_cut_to_what_they_share():
    ground = scenery()
    matrix = np.array([[1.0, 0, 10], [0, 1.0, -4]])
    moved = cv2.warpAffine(ground, matrix, (640, 480))
    one, two = alignment.cut_common(ground, moved, matrix)
    # 630 x 476 are shared: 39 * 16 = 624, 29 * 16 = 464
    assert one.shape == two.shape == (464, 624, 3)
    assert np.abs(one.astype(int) - two).mean() < 1
