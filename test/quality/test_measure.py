"""Measures of a frame, by hand where they can be."""

import dataclasses
import itertools

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.quality import luma, measure, perceptual_hash, sharpness
from bunny.table import store


def _flat(value, height=60, width=80):
    return np.full((height, width, 3), value, np.uint8)


def _texture(seed=0, height=180, width=320):
    """Blocks with hard edges, 20 along the height."""
    coarse = np.random.default_rng(seed).integers(0, 255, (20, 35, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def test_a_blank_picture():
    found = measure.measure_frame(_flat(51))
    assert found.brightness == pytest.approx(0.2)
    assert (found.contrast, found.entropy_bits, found.laplacian_variance) == (0, 0, 0)
    assert found.blur_score == 0
    assert (found.clipped_dark_share, found.clipped_bright_share) == (0, 0)


def test_half_black_half_white():
    picture = _flat(0)
    picture[:, 40:] = 255
    found = measure.measure_frame(picture)
    assert found.brightness == pytest.approx(0.5)
    assert found.contrast == pytest.approx(0.5)
    assert found.entropy_bits == pytest.approx(1)
    assert (found.clipped_dark_share, found.clipped_bright_share) == (0.5, 0.5)
    # The Laplacian is 255 in one column and -255 in the next, of 80: variance 2/80 * 255^2.
    assert found.laplacian_variance == pytest.approx(255**2 * 2 / 80, rel=1e-6)


def test_luma_weights_are_bt709():
    for channel, weight in enumerate((0.0722, 0.7152, 0.2126)):
        picture = _flat(0)
        picture[..., channel] = 255
        assert luma.to_luma(picture)[0, 0] == round(255 * weight)


def test_clipping_counts_the_two_levels_at_each_end():
    picture = _flat(100, 10, 10)
    picture[0, :4] = [[0] * 3, [1] * 3, [2] * 3, [254] * 3]
    found = measure.measure_frame(picture)
    assert found.clipped_dark_share == pytest.approx(0.02)
    assert found.clipped_bright_share == pytest.approx(0.01)


def test_blur_score_falls_with_blur_and_stays_in_range():
    picture = _texture()
    blurred = [cv2.GaussianBlur(picture, (0, 0), sigma) for sigma in (1, 2, 4, 8)]
    scores = [measure.measure_frame(p).blur_score for p in (picture, *blurred)]
    assert all(a > b for a, b in itertools.pairwise(scores))
    assert scores[0] > 0.5 and scores[-1] < 0.2
    assert all(0 <= s <= 1 for s in scores)


def test_blur_score_by_hand_and_its_map_is_monotone():
    assert sharpness.blur_score(46, 10) == 0.5
    assert sharpness.blur_score(46, 0.1) == sharpness.blur_score(46, 2)
    values = [sharpness.blur_score(v, 20) for v in (0, 1, 10, 100, 1e6)]
    assert values == sorted(values) and values[0] == 0 and values[-1] < 1


def test_blur_score_is_blind_to_contrast():
    picture = _texture()
    dim = (picture.astype(np.float32) * 0.4 + 20).round().astype(np.uint8)
    one, two = (measure.measure_frame(p).blur_score for p in (picture, dim))
    # Laplacian variance falls by 0.16, contrast by 0.4: the ratio by 0.4.
    assert two / (1 - two) == pytest.approx(0.4 * one / (1 - one), rel=0.05)


def test_film_size_hardly_matters():
    picture = _texture(height=1080, width=1920)
    picture = cv2.GaussianBlur(picture, (0, 0), 6)
    scores = []
    for width in (1920, 1280, 960):
        sized = cv2.resize(picture, (width, width * 9 // 16), interpolation=cv2.INTER_AREA)
        scores.append(measure.measure_frame(sized).blur_score)
    assert max(scores) - min(scores) < 0.03


def test_letterbox_is_found_and_left_out():
    picture = np.full((720, 1280, 3), 3, np.uint8)
    picture[90:630] = _texture(1, 540, 1280)
    found = measure.measure_frame(picture)
    box = (found.content_x0_px, found.content_y0_px, found.content_x1_px, found.content_y1_px)
    assert box == (0, 90, 1280, 630)
    inside = measure.measure_frame(np.ascontiguousarray(picture[90:630]))
    assert found.brightness == pytest.approx(inside.brightness)
    assert found.phash == inside.phash


@pytest.mark.parametrize(
    ("top", "bottom", "wanted"),
    [(20, 20, (20, 160)), (20, 23, (20, 157)), (40, 0, (0, 180)), (40, 20, (0, 180))],
)
def test_bars_are_alike_on_both_sides(top, bottom, wanted):
    grey = luma.to_luma(_texture(2))
    grey = np.maximum(grey, 60)
    grey[:top] = 0
    grey[180 - bottom :] = 0
    _, y0, _, y1 = luma.content_box(grey)
    assert (y0, y1) == wanted


def test_pillarbox_and_black_pictures():
    grey = np.full((90, 160), 120, np.uint8)
    grey[:, :20] = grey[:, 140:] = 8
    assert luma.content_box(grey) == (20, 0, 140, 90)
    assert luma.content_box(np.zeros((90, 160), np.uint8)) == (0, 0, 160, 90)
    assert luma.content_box(np.zeros((1, 1), np.uint8)) == (0, 0, 1, 1)


def test_hash_survives_size_and_compression_and_tells_pictures_apart():
    picture = _texture(3)
    own = measure.measure_frame(picture).phash
    small = cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
    lossy = cv2.imdecode(data, cv2.IMREAD_COLOR)
    for other in (small, lossy):
        assert (own ^ measure.measure_frame(other).phash).bit_count() <= 4
    distances = [(own ^ measure.measure_frame(_texture(s)).phash).bit_count() for s in range(4, 14)]
    assert min(distances) > 14
    assert 0 <= own < 2**64


def test_hash_bits_by_hand():
    # cos of the first frequency both ways: one coefficient stands out, and few others are above.
    x = np.cos(np.pi * (np.arange(32) + 0.5) / 32)
    grey = (128 + 100 * np.outer(x, x)).round().astype(np.uint8)
    assert perceptual_hash.phash(grey) >> 63 == 1
    assert perceptual_hash.phash(255 - grey) >> 63 == 0


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
)
def test_other_arrays_are_refused(picture):
    with pytest.raises(ValueError, match="expected"):
        measure.measure_frame(picture)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 500)])
def test_the_smallest_pictures_are_measured(size):
    found = measure.measure_frame(_flat(255, *size))
    assert found.brightness == 1 and found.clipped_bright_share == 1


def test_signature_averages_areas_row_by_row_inside_the_bars():
    picture = _flat(0, 80, 64)
    picture[8:40] = 100
    picture[40:72, :32] = 100
    picture[40:72, 32::2] = 50
    picture[40:72, 33::2] = 150
    found = measure.measure_frame(picture)
    assert (found.content_y0_px, found.content_y1_px) == (8, 72)
    assert found.signature.dtype == np.uint8 and found.signature.shape == (1024,)
    # Each cell is the average of 2x2 pixels: 100 all over.
    assert found.signature.tolist() == [100] * 1024
    picture[8:10, 2:4] = 200
    assert np.flatnonzero(measure.measure_frame(picture).signature != 100).tolist() == [1]


def test_measures_of_many_frames_make_a_table_with_errors_between(tmp_path):
    found = dataclasses.asdict(measure.measure_frame(_texture()))
    rows = [{"frame_id": "a", **found}, {"frame_id": "b", "error": "unreadable"}]
    store.write(tmp_path, "measure", store.from_rows("measure", rows))
    table = store.read(tmp_path, "measure")
    assert set(found) == set(table.columns) - {"frame_id", "error"}
    assert table.drop("error").null_count().row(0) == (0,) + (1,) * len(found)
    assert table.schema["signature"] == pl.Array(pl.UInt8, 1024)
    assert table["signature"][0].to_list() == found["signature"].tolist()


def test_measures_are_nearly_the_same_at_720_and_1080_lines(photos):
    near = {
        "blur_score": 0.07,
        "smear": 0.05,
        "brightness": 0.001,
        "contrast": 0.006,
        "dynamic_range": 0.01,
        "clipped_dark_share": 0.02,
        "clipped_bright_share": 0.02,
        "colourfulness": 0.2,
        "background_share": 0.02,
        "text_share": 0.003,
    }
    for name, picture in photos.items():
        large = cv2.resize(picture, (1920, 1080), interpolation=cv2.INTER_CUBIC)
        small = cv2.resize(large, (1280, 720), interpolation=cv2.INTER_AREA)
        one, two = (dataclasses.asdict(measure.measure_frame(p)) for p in (large, small))
        for column, most in near.items():
            assert abs(one[column] - two[column]) < most, (name, column)
        assert np.abs(one["signature"].astype(int) - two["signature"]).max() <= 6, name
        assert (one["phash"] ^ two["phash"]).bit_count() <= 2, name
