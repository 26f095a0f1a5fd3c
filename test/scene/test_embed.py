"""Scene vectors."""

import numpy as np
import pytest

from bunny.scene import embed


def _flat(blue, green, red):
    return np.full((90, 160, 3), (blue, green, red), np.uint8)


def test_grey_is_the_origin_and_red_lies_on_its_axis():
    grey = embed.measure_layout(_flat(119, 119, 119)).reshape(4, 4, 3)  # L* = 50.03
    assert np.allclose(grey, 0, atol=0.01)
    red = embed.measure_layout(_flat(0, 0, 255)).reshape(4, 4, 3)
    # CIE L*a*b* of sRGB red is 53.24, 80.09, 67.20
    assert np.allclose(red, [3.24 / 50, 80.09 / 50, 67.2 / 50], atol=0.02)


def test_layout_knows_where_colours_lie():
    image = np.vstack([_flat(255, 0, 0), _flat(0, 0, 255)])
    cells = embed.measure_layout(image).reshape(4, 4, 3)
    assert (cells[:2, :, 2] < -1).all() and (cells[2:, :, 2] > 1).all()


def test_join_weighs_blocks_whatever_their_lengths():
    layout = np.zeros(48, np.float32)
    layout[0] = 0.01
    vector = embed.join(np.array([300.0, 400.0]), layout)
    length = np.sqrt(1 + 0.7**2)
    assert np.allclose(vector[:3], [0.6 / length, 0.8 / length, 0.7 / length])
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_an_empty_block_adds_nothing():
    assert np.allclose(embed.join(np.array([0.0, 2.0]), np.zeros(48))[:2], [0, 1])
