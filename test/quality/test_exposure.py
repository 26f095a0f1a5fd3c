"""Light and colour."""

import itertools

import cv2
import numpy as np
import pytest

from bunny.quality import exposure, measure


def _flat(*colour, size=(60, 80)):
    return np.full((*size, 3), colour, np.uint8)


def test_dynamic_range_by_hand():
    share = np.zeros(256)
    share[[10, 60, 200]] = 0.005, 0.985, 0.01
    # The 1 % at each end are left out: half a percent at 10, one percent at 200.
    assert exposure.dynamic_range(share) == 0
    share[[10, 60, 200]] = 0.02, 0.96, 0.02
    assert exposure.dynamic_range(share) * 255 == 190
    assert exposure.dynamic_range(np.eye(256)[7]) == 0


def test_colourfulness_by_hand():
    assert exposure.colourfulness(np.full((9, 3), 77, np.uint8)) == 0
    # Pure red: rg = 255, yb = 127.5, no spread: 0.3 of the length of their means.
    red = np.tile(np.array([0, 0, 255], np.uint8), (9, 1))
    assert exposure.colourfulness(red) == pytest.approx(0.3 * np.hypot(255, 127.5))
    # Half red, half cyan: rg = 255 and -255, yb = 127.5 and -127.5: spread alone.
    both = np.array([[0, 0, 255], [255, 255, 0]], np.uint8)
    assert exposure.colourfulness(both) == pytest.approx(np.hypot(255, 127.5))


def test_colour_cast_by_hand():
    # CIELAB of sRGB's red is (53.24, 80.09, 67.20), of its blue (32.30, 79.19, -107.86).
    red, blue = np.array([0, 0, 255], np.uint8), np.array([255, 0, 0], np.uint8)
    assert exposure.colour_cast(red[None]) == pytest.approx((80.09, 67.20), abs=0.05)
    both = exposure.colour_cast(np.stack([red, blue, blue, red]))
    assert both == pytest.approx((79.64, -20.33), abs=0.05)


def test_colourfulness_falls_as_colour_is_taken_away(photos):
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = photos[name].astype(np.float32)
        grey = picture.mean(axis=2, keepdims=True)
        mixed = [(grey + (picture - grey) * part).astype(np.uint8) for part in (1, 0.6, 0.3, 0)]
        found = [measure.measure_frame(p).colourfulness for p in mixed]
        assert all(a > b for a, b in itertools.pairwise(found)), name
        assert found[-1] < 1


def test_brightness_follows_gamma_and_range_follows_contrast(photos):
    for name, picture in photos.items():
        unit = picture / 255
        by_gamma = [measure.measure_frame((255 * unit**g).astype(np.uint8)) for g in (0.5, 1, 2, 4)]
        assert all(a.brightness > b.brightness for a, b in itertools.pairwise(by_gamma)), name
        faded = [(100 + (255 * unit - 100) * c).astype(np.uint8) for c in (1, 0.5, 0.2)]
        by_contrast = [measure.measure_frame(p) for p in faded]
        for one, two in itertools.pairwise(by_contrast):
            assert one.dynamic_range > two.dynamic_range and one.contrast > two.contrast, name
            assert one.entropy_bits > two.entropy_bits, name


def test_exposure_steps_clip_more_and_more(photos):
    for name, picture in photos.items():
        steps = [cv2.convertScaleAbs(picture, alpha=2.0**stop) for stop in (0, 1, 2, 3)]
        found = [measure.measure_frame(p).clipped_bright_share for p in steps]
        assert found == sorted(found) and found[-1] > found[0] + 0.05, name


def test_background_share_by_hand():
    picture = _flat(40, 40, 200, size=(192, 192))
    picture[:48] = (200, 40, 40)  # a quarter
    picture[48:96, :, 0] += 12  # still the same colour
    assert measure.measure_frame(picture).background_share == 0.75
    picture[48:96, :, 0] += 1
    assert measure.measure_frame(picture).background_share == 0.5
    assert exposure.background_share(np.zeros((0, 3), np.uint8)) == 0
    assert measure.measure_frame(_flat(1, 2, 3)).background_share == 1


def test_photos_have_no_ground_of_one_colour(photos, textures):
    for name, picture in (photos | textures).items():
        if name == "moon":  # dust of one grey: 0.9, and only text beside it would make a card
            continue
        assert measure.measure_frame(picture).background_share < 0.8, name


def test_grey_has_no_cast_but_for_the_interpolation():
    grey = [exposure.colour_cast(np.full((4, 3), level, np.uint8)) for level in range(256)]
    assert np.abs(grey).max() <= 0.125


def test_clipped_shares_count_two_levels_at_each_end():
    share = np.zeros(256)
    share[[0, 1, 2, 253, 254, 255]] = (0.1, 0.2, 0.3, 0.1, 0.25, 0.05)
    assert exposure.clipped_shares(share) == pytest.approx((0.3, 0.3))
