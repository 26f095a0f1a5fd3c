"""Motion smear told from defocus."""

import itertools

import cv2
import numpy as np
import pytest

from bunny.quality import luma, measure, sharpness


def _smear(picture):
    return sharpness.motion_blur(luma.shrink(luma.to_luma(picture), sharpness.WORKING_PX))


def _turn(one, two):
    """Angle between directions, 0 to 90 degrees."""
    return abs((one - two + 90) % 180 - 90)


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 135])
def test_smear_grows_with_the_length_of_the_motion_and_finds_its_direction(photos, move, angle):
    for name in ("astronaut", "chelsea", "coffee", "camera"):
        found = [_smear(move(photos[name], length, angle)) for length in (4, 8, 16)]
        amounts = [amount for amount, _ in found]
        assert all(a < b for a, b in itertools.pairwise(amounts)), name
        assert amounts[-1] > 0.45, name
        assert _turn(found[-1][1], angle) < 15, name


def test_defocus_lowers_blur_score_but_raises_smear_little(photos, defocus):
    for name, picture in photos.items():
        sharp = measure.measure_frame(picture)
        for radius in (2, 4, 8):
            blurred = measure.measure_frame(defocus(picture, radius))
            assert blurred.blur_score < 0.6 * sharp.blur_score, name
            assert blurred.smear < 0.35, (name, radius)


def test_motion_of_the_same_width_as_a_defocus_smears_more(photos, move, defocus):
    for name, picture in photos.items():
        moved = [_smear(move(picture, 12, angle))[0] for angle in (0, 90)]
        assert min(moved) > 1.5 * _smear(defocus(picture, 6))[0], name


def test_directional_texture_alone_is_no_smear(textures):
    for name, picture in textures.items():
        assert _smear(picture)[0] < 0.35, name
    stripes = np.full((300, 400, 3), 40, np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = 200
    assert _smear(stripes)[0] < 0.1
    assert _smear(cv2.GaussianBlur(stripes, (0, 0), 2))[0] < 0.1  # one direction says nothing


def test_pictures_without_edges_have_no_smear():
    assert _smear(np.full((90, 160, 3), 120, np.uint8)) == (0, 0)
    assert _smear(np.zeros((1, 1, 3), np.uint8)) == (0, 0)


def test_smear_is_the_same_at_any_size_of_film(photos, move):
    for name, picture in photos.items():
        large = move(cv2.resize(picture, (1920, 1080), interpolation=cv2.INTER_CUBIC), 40, 20)
        small = cv2.resize(large, (1280, 720), interpolation=cv2.INTER_AREA)
        (one, angle), (two, other) = _smear(large), _smear(small)
        assert abs(one - two) < 0.03, name
        assert _turn(angle, other) < 3, name


def test_turning_a_picture_turns_the_direction(photos, move):
    moved = move(photos["chelsea"], 12, 20)
    amount, angle = _smear(moved)
    turned, other = _smear(cv2.rotate(moved, cv2.ROTATE_90_CLOCKWISE))
    assert turned == pytest.approx(amount, abs=0.02)
    assert _turn(other, angle + 90) < 3
