"""Photographs redrawn and worn down."""

import numpy as np
import pytest
from figure_embedding import medium_picture


@pytest.fixture(scope="module")
def photograph():
    from skimage import data

    return np.ascontiguousarray(data.coffee()[:, :, ::-1])


def _steps(image):
    """Share of neighbours in a row that differ."""
    return (np.abs(np.diff(image.astype(int), axis=1)).max(axis=2) > 1).mean()


def test_a_redrawn_photograph_has_larger_areas_of_one_colour(photograph):
    for seed in range(6):
        drawn = medium_picture.redraw(photograph, np.random.default_rng(seed))
        assert drawn.dtype == np.uint8
        assert 360 <= max(drawn.shape) <= 640
        assert _steps(drawn) < 0.8 * _steps(photograph)


def test_every_manner_keeps_the_size(photograph):
    for draw, _ in medium_picture.MANNER.values():
        assert draw(photograph, np.random.default_rng(0)).shape == photograph.shape
    assert sum(share for _, share in medium_picture.MANNER.values()) == pytest.approx(1)


def test_pictures_are_worn_down_alike_for_one_seed(photograph):
    one, two = (
        [medium_picture.wear_down(photograph, np.random.default_rng(s), 1.0) for s in range(8)]
        for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(max(image.shape[:2]) < max(photograph.shape) * 2 for image in one)
    assert len({image.shape for image in one}) > 4


def test_a_crop_is_never_below_its_least_side():
    small = np.random.default_rng(0).integers(0, 255, (65, 200, 3), np.uint8)
    for seed in range(8):
        cut = medium_picture._crop(small, np.random.default_rng(seed))
        assert min(cut.shape[:2]) >= medium_picture.CROP_PX
