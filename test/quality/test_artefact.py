"""Block edges and noise."""

import itertools

import cv2
import numpy as np
import pytest

from bunny.quality import artifact, luma


def _blockiness(picture):
    return artifact.blockiness(luma.to_luma(picture))


def test_blocks_by_hand():
    blocks = np.kron(np.arange(64).reshape(8, 8) * 3 % 40 + 60, np.ones((8, 8))).astype(np.uint8)
    assert artifact.blockiness(blocks) == pytest.approx(1, abs=0.02)
    assert artifact.blockiness(np.full((64, 64), 9, np.uint8)) == 0
    # Steps in every column alike: each exceeds none beside it.
    assert artifact.blockiness(np.tile(np.arange(64, dtype=np.uint8), (64, 1))) == 0


def test_blocks_along_one_axis_are_half():
    stripes = np.tile(np.kron([10, 20, 5, 30, 15, 40, 22, 9], np.ones(8)).astype(np.uint8), (64, 1))
    assert artifact.blockiness(stripes) == pytest.approx(0.5, abs=0.01)


def test_blockiness_orders_the_quality_of_jpeg(photos, jpeg):
    for name, picture in photos.items():
        found = [_blockiness(jpeg(picture, quality)) for quality in (95, 60, 30, 10)]
        assert all(a < b for a, b in itertools.pairwise(found)), name
        assert found[0] < 0.1 and found[-1] > 0.5, name


def test_pictures_that_were_never_compressed_have_none(photos, textures):
    for name, picture in photos.items():
        if name != "rocket":  # it comes as a JPEG
            assert _blockiness(picture) < 0.04, name
    for name in ("brick", "grass", "gravel"):
        assert _blockiness(textures[name]) < 0.04, name


@pytest.mark.parametrize("offset", [(3, 0), (5, 6), (1, 7)])
def test_a_crop_moves_the_grid_and_changes_nothing(photos, jpeg, offset):
    picture = jpeg(photos["astronaut"], 30)
    whole, cut = _blockiness(picture), _blockiness(picture[offset[0] :, offset[1] :])
    assert cut == pytest.approx(whole, abs=0.01)


def test_scaling_hides_the_grid(photos, jpeg):
    picture = jpeg(photos["coffee"], 10)
    scaled = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    assert _blockiness(scaled) < 0.1 * _blockiness(picture)


def test_a_few_steps_in_a_blank_picture_are_no_grid():
    grey = np.full((480, 640), 16, np.uint8)
    grey[100:102, 200:203] = 17
    assert artifact.blockiness(grey) < 0.01


@pytest.mark.parametrize("sigma", [1, 2, 5, 10])
def test_noise_is_the_sigma_that_was_added(sigma):
    rng = np.random.default_rng(0)
    ramp = np.tile(np.linspace(60, 190, 640), (480, 1))
    noisy = np.clip(ramp + rng.normal(0, sigma, ramp.shape), 0, 255).round().astype(np.uint8)
    # Rounding adds a twelfth to the variance; the quietest quarter lies a little below the mean.
    assert artifact.noise(noisy) == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.15)


def test_noise_grows_in_every_photo_and_nears_what_was_added(photos):
    rng = np.random.default_rng(1)
    for name, picture in photos.items():
        grey = luma.to_luma(picture).astype(float)
        field = rng.normal(0, 1, grey.shape)
        noisy = [np.clip(grey + s * field, 0, 255).round().astype(np.uint8) for s in (0, 2, 5, 10)]
        found = [artifact.noise(p) for p in noisy]
        assert all(a < b for a, b in itertools.pairwise(found)), name
        assert found[-1] == pytest.approx(10, rel=0.25), name


def test_clean_drawings_and_tiny_pictures_have_no_noise():
    drawing = np.full((200, 300), 90, np.uint8)
    cv2.circle(drawing, (150, 100), 60, 200, -1)
    assert artifact.noise(drawing) == 0
    assert artifact.noise(np.full((3, 3), 50, np.uint8)) == 0
    assert artifact.noise(np.zeros((200, 300), np.uint8)) == 0
