"""Parts of pictures inside boxes of pixels and of shares, counted by hand."""

import numpy as np
import pytest

from bunny.table import box as table_box

IMAGE = np.arange(12).reshape(3, 4)


def test_a_box_of_pixels_is_half_open_and_cut_at_the_edge():
    assert table_box.crop_box(IMAGE, (1, 0, 3, 2)).tolist() == [[1, 2], [5, 6]]
    assert table_box.crop_box(IMAGE, (3, 2, 9, 9)).tolist() == [[11]]
    assert table_box.crop_box(IMAGE, (1, 1, 1, 2)).size == 0
    assert table_box.crop_box(IMAGE, (1, 1, 1, 2), min_px=2).tolist() == [[5, 6], [9, 10]]


@pytest.mark.parametrize(
    ("box", "shape"),
    [([0, 0, 1, 1], (10, 20)), ([0.5, 0.2, 0.75, 0.5], (3, 5)), ([1, 1, 1, 1], (1, 1))],
)
def test_a_box_in_shares_is_cut_out(box, shape):
    image = np.zeros((10, 20, 3), np.uint8)
    assert table_box.crop_shares(image, np.array(box, np.float32)).shape[:2] == shape
