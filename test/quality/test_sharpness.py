"""Sharpness of a picture and of a box in it."""

import itertools

import cv2
import numpy as np
import pytest

from bunny.quality import luma, measure, sharpness


def _tiles(picture):
    grey = luma.to_luma(picture)
    edges = sharpness.laplacian(luma.shrink(grey, sharpness.WORKING_PX))
    height, width = grey.shape
    return sharpness.tile_sharpness(edges, (0, 0, width, height), (width, height))


def _sharpness_in_box(tiles, box, size):
    """Of one picture's tiles."""
    return float(sharpness.sharpness_in_boxes([tiles], [box], [size])[0])


def test_a_tile_by_hand():
    # One pixel of 100 in a tile of 10x10: its Laplacian is -400 and 100 at its four neighbours.
    picture = np.zeros((120, 120, 3), np.uint8)
    picture[25, 35] = 100
    tiles = _tiles(picture).reshape(12, 12)
    assert tiles.dtype == np.float32
    assert tiles[2, 3] == pytest.approx((400**2 + 4 * 100**2) / 100)
    tiles[2, 3] = 0
    assert not tiles.any()


def test_a_box_is_the_area_weighted_mean_of_its_tiles():
    tiles = np.arange(144.0)
    size = (1200, 600)  # tiles of 100 x 50
    assert _sharpness_in_box(tiles, (100, 50, 200, 100), size) == 13
    assert _sharpness_in_box(tiles, (0, 0, 1200, 600), size) == pytest.approx(71.5)
    # A quarter of tile 0 and three quarters of tile 1.
    assert _sharpness_in_box(tiles, (75, 10, 175, 30), size) == pytest.approx(0.75)
    # What lies outside is left out: half of tile 0 remains.
    assert _sharpness_in_box(tiles, (-500, -10, 50, 50), size) == 0
    assert _sharpness_in_box(tiles, (1150, 560, 9999, 9999), size) == 143


def test_many_boxes_at_once_are_as_each_alone():
    rng = np.random.default_rng(0)
    tiles = rng.uniform(0, 900, (50, 144)).astype(np.float32)
    corner = rng.uniform(-20, 80, (50, 2))
    boxes = np.hstack([corner, corner + rng.uniform(25, 90, (50, 2))])
    sizes = np.tile([128, 96], (50, 1))
    tiles[7] = np.nan
    many = sharpness.sharpness_in_boxes(tiles, boxes, sizes)
    alone = [_sharpness_in_box(*row) for row in zip(tiles, boxes, sizes, strict=True)]
    np.testing.assert_allclose(many, alone)
    assert np.isnan(many).nonzero()[0].tolist() == [7]


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (30, 10, 20, 20), (200, 0, 300, 50)])
def test_boxes_without_area_are_refused(box):
    with pytest.raises(ValueError, match=r"pixels inside their picture, got .* \(row 0\)"):
        _sharpness_in_box(np.ones(144), box, (100, 100))


def test_shapes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="expected tiles"):
        sharpness.sharpness_in_boxes(np.ones((2, 144)), np.ones((1, 4)), np.ones((2, 2)))


def test_the_tiles_of_the_whole_add_up_to_the_laplacian_variance(photos):
    for picture in photos.values():
        found = measure.measure_frame(picture)
        whole = _sharpness_in_box(
            found.tile_sharpness, (0, 0, *picture.shape[1::-1]), picture.shape[1::-1]
        )
        assert whole == pytest.approx(found.laplacian_variance, rel=0.01)


def test_the_subject_is_told_from_the_ground(photos):
    sharp = cv2.resize(photos["chelsea"], (1280, 720))
    picture = cv2.GaussianBlur(sharp, (0, 0), 8)
    picture[200:500, 400:800] = sharp[200:500, 400:800]
    found = measure.measure_frame(picture)
    inside = _sharpness_in_box(found.tile_sharpness, (420, 220, 780, 480), (1280, 720))
    beside = _sharpness_in_box(found.tile_sharpness, (0, 0, 300, 720), (1280, 720))
    assert inside > 20 * beside
    scores = [sharpness.blur_score(v, 255 * found.contrast) for v in (inside, beside)]
    assert scores[0] > found.blur_score > scores[1]


def test_tiles_lie_over_the_whole_picture_and_bars_have_none(photos):
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[120:600] = cv2.resize(photos["coffee"], (1280, 480))
    found = measure.measure_frame(picture)
    assert (found.content_y0_px, found.content_y1_px) == (120, 600)
    tiles = found.tile_sharpness.reshape(12, 12)
    assert not tiles[[0, 1, 10, 11]].any() and (tiles[2:10].mean(axis=1) > 0).all()
    # A bar that ends within a row of tiles does not dilute it, nor sharpen it by its edge.
    cut = measure.measure_frame(np.ascontiguousarray(picture[30:690]))
    assert cut.tile_sharpness.reshape(12, 12)[1].mean() < 2 * tiles[2].mean()


def test_sharpness_falls_with_blur_in_every_photo(photos):
    for picture in photos.values():
        blurred = [cv2.GaussianBlur(picture, (0, 0), s) for s in (0.7, 1, 1.5, 2, 3, 5)]
        found = [measure.measure_frame(p) for p in (picture, *blurred)]
        for one, two in itertools.pairwise(found):
            assert one.blur_score > two.blur_score
            assert one.tile_sharpness.mean() > two.tile_sharpness.mean()
        assert found[0].blur_score > 0.2 > found[-1].blur_score


def test_shrink_averages_and_leaves_small_pictures_alone():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert luma.shrink(grey, 8) is grey
    # Means of 4x4 pixels, halved twice: the rounded mean of each corner.
    assert luma.shrink(grey, 2).tolist() == [[14, 18], [46, 50]]
    assert luma.shrink(np.zeros((3, 999), np.uint8), 100).shape == (1, 100)
    assert luma.shrink(np.zeros((999, 1), np.uint8), 100).shape == (100, 1)
