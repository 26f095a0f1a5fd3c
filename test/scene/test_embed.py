"""Scene vectors."""

import cv2
import numpy as np
import pytest

from bunny.scene import embed


def _flat(blue, green, red):
    return np.full((90, 160, 3), (blue, green, red), np.uint8)


def _soft(seed):
    """A picture of large soft patches of many colours, none so bright that twice it is white."""
    small = np.random.default_rng(seed).integers(20, 120, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (160, 90), interpolation=cv2.INTER_CUBIC)


def _seen(image):
    """Described without a network: it sees the same in every picture."""
    return embed.embed_frame(image, lambda _: np.ones(4))


def test_grey_is_the_origin_and_red_lies_on_its_axis():
    grey = embed.measure_layout(_flat(119, 119, 119)).reshape(4, 4, 3)  # L* = 50.03
    assert np.allclose(grey, 0, atol=0.01)
    red = embed.measure_layout(_flat(0, 0, 255)).reshape(4, 4, 3)
    # CIE L*a*b* of sRGB red is 53.24, 80.09, 67.20
    assert np.allclose(red, [3.24 / 50, 80.09 / 50, 67.2 / 50], atol=0.02)


def test_layout_knows_above_from_below_but_not_left_from_right():
    image = np.vstack([_flat(255, 0, 0), _flat(0, 0, 255)])
    cells = embed.measure_layout(image).reshape(4, 4, 3)
    assert (cells[:2, :, 2] < -1).all() and (cells[2:, :, 2] > 1).all()
    beside = np.hstack([_flat(255, 0, 0), _flat(0, 0, 255)])
    cells = embed.measure_layout(beside)
    assert np.allclose(cells, embed.measure_layout(beside[:, ::-1]), atol=1e-6)
    # each cell is the mean of blue (L* 32.30, a* 79.19, b* -107.86) and red
    blue_and_red = [(32.30 + 53.24) / 2 - 50, (79.19 + 80.09) / 2, (67.20 - 107.86) / 2]
    assert np.allclose(cells.reshape(16, 3), np.array(blue_and_red) / 50, atol=0.02)


def test_colours_count_by_their_share_wherever_they_lie():
    half = np.hstack([_flat(0, 0, 255), _flat(255, 0, 0)])
    both = embed.measure_colour_histogram(half)
    assert np.linalg.norm(both) == pytest.approx(1)
    assert np.allclose(both, embed.measure_colour_histogram(half[::-1, ::-1]), atol=1e-6)
    red, blue = (
        embed.measure_colour_histogram(_flat(0, 0, 255)),
        embed.measure_colour_histogram(_flat(255, 0, 0)),
    )
    assert red @ blue == pytest.approx(0, abs=1e-6)
    assert both @ red == pytest.approx(np.sqrt(0.5), abs=1e-3)  # sqrt(1 * 0.5)
    # red's a* and b* lie beyond 60: the last bin of both, whose blur stays there by e^-2 / 2
    assert red.reshape(16, 16).argmax() == 255


def test_what_has_hardly_a_colour_hardly_counts():
    assert np.linalg.norm(embed.measure_colour_histogram(_flat(90, 90, 90))) < 0.02  # rounding
    tinted = _flat(90, 92, 94)
    lab = cv2.cvtColor(tinted.astype(np.float32)[:1, :1] / 255, cv2.COLOR_BGR2LAB)[0, 0]
    chroma = float(np.hypot(*lab[1:]))
    assert 0.5 < chroma < 2.5
    assert np.linalg.norm(embed.measure_colour_histogram(tinted)) == pytest.approx(
        chroma / 3, abs=1e-4
    )


def test_light_is_made_even_up_to_noise():
    assert (embed.normalize_luma(_flat(55, 55, 55)) == 110).all()
    assert (embed.normalize_luma(_flat(220, 220, 220)) == 110).all()
    # 110 / 8 times, for darker than 8 is not made brighter still
    assert (embed.normalize_luma(_flat(2, 2, 2)) == round(2 * 110 / 8)).all()


def test_a_place_is_the_same_in_less_light_and_mirrored():
    image = _soft(1)
    dark = cv2.convertScaleAbs(image, alpha=0.5)
    assert _seen(image) @ _seen(dark) > 0.98
    assert _seen(image) @ _seen(np.ascontiguousarray(image[:, ::-1])) > 0.98
    assert _seen(image) @ _seen(_soft(2)) < 0.85


def test_join_weighs_blocks_whatever_their_lengths():
    layout = np.zeros(48, np.float32)
    layout[0] = 0.01
    colour = np.zeros(256, np.float32)
    colour[3] = 0.5  # half coloured: counts half
    vector = embed.join_features(np.array([300.0, 400.0]), layout, colour)
    length = np.sqrt(0.65**2 + 0.4**2 + 0.5**2)
    wanted = np.array([0.6 * 0.65, 0.8 * 0.65, 0.4]) / length
    assert np.allclose(vector[:3], wanted) and vector[2 + 48 + 3] == pytest.approx(0.5 / length)
    assert len(vector) == 2 + 48 + 256 and np.linalg.norm(vector) == pytest.approx(1)


def test_an_empty_block_adds_nothing():
    vector = embed.join_features(np.array([0.0, 2.0]), np.zeros(48), np.zeros(256))
    assert np.allclose(vector[:2], [0, 1])
