"""Formulas of change on thumbnails."""

import cv2
import numpy as np
import pytest

from bunny.video.shot import frame_difference


def _texture(seed, height=36, width=64):
    noise = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 4, 3), np.uint8)
    smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth[..., 1:] = 128
    return smooth


def _flat(value):
    return np.full((36, 64, 3), (value, 128, 128), np.uint8)


def test_plain_difference_is_the_mean_of_luma():
    one = _flat(0)
    two = one.copy()
    two[:, :32, 0] = 255  # half of the picture by all there is
    two[..., 1] = 0  # chroma does not count
    assert frame_difference.plain_difference(one, two) == pytest.approx(0.5)
    assert frame_difference.plain_difference(one, one) == 0


def test_a_shift_is_explained_and_another_picture_is_not():
    wide = _texture(1, 36, 72)
    one, moved = wide[:, 3:67], np.ascontiguousarray(wide[:, :64])
    other = _texture(2)
    plain = frame_difference.plain_difference(one, moved)
    assert plain > 0.08
    assert frame_difference.compensated_difference(one, moved) < 0.1 * plain
    assert frame_difference.compensated_difference(one, other) > 0.08


def test_compensated_difference_of_flat_pictures_by_hand():
    # Luma weighs 0.6: 51 of 255 levels are 0.2, so 0.12; blocks are rounded to grey levels.
    assert frame_difference.compensated_difference(_flat(0), _flat(51)) == pytest.approx(
        0.12, abs=0.5 / 255
    )


def test_spread_of_a_flat_and_a_split_picture():
    split = _flat(0)
    split[:, 32:, 0] = 100
    assert frame_difference.contrast(_flat(77)) == 0
    assert frame_difference.contrast(split) == pytest.approx(50 / 255)


def test_spread_leaves_out_letterbox_bars_but_not_night():
    barred = _flat(200)
    barred[:5, :, 0] = barred[-5:, :, 0] = 0
    assert frame_difference.contrast(barred) == 0
    night = _flat(3)
    night[16:20, 30:34, 0] = 90  # a lamp
    assert frame_difference.contrast(night) > 0.02


def test_likeness_is_blind_to_light():
    picture = _texture(1)
    dark = picture.copy()
    dark[..., 0] = picture[..., 0] // 3
    assert frame_difference.correlation(picture, dark) > 0.99
    assert abs(frame_difference.correlation(picture, _texture(2))) < 0.4
    assert frame_difference.correlation(picture, _flat(9)) == 0


def test_blend_of_a_mix_and_of_a_move():
    a, b = _texture(1), _texture(2)
    mixes = [cv2.addWeighted(a, 1 - share, b, share, 0) for share in (0.25, 0.5, 0.75)]
    amount, residual, progress = frame_difference.blend(a, mixes, b)
    assert amount > 0.05
    assert residual < 0.02
    assert progress == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    wide = _texture(3, 36, 96)
    moves = [np.ascontiguousarray(wide[:, x : x + 64]) for x in (0, 8, 16, 24, 32)]
    assert frame_difference.blend(moves[0], moves[1:4], moves[4])[1] > 0.4


def test_blend_of_equal_ends_is_no_dissolve():
    assert frame_difference.blend(_flat(5), [_flat(5)] * 3, _flat(5)) == (0.0, 1.0, [0.0] * 3)


def test_loss_of_contrast_of_a_mix_and_of_a_drift():
    a, b = _texture(1), _texture(2)
    assert frame_difference.loss_of_contrast(
        a, cv2.addWeighted(a, 0.5, b, 0.5, 0), b
    ) == pytest.approx(0, abs=0.05)
    wide = _texture(3, 36, 96)
    drift = [np.ascontiguousarray(wide[:, x : x + 64]) for x in (0, 3, 6)]
    assert frame_difference.loss_of_contrast(*drift) > 0.7
    assert frame_difference.loss_of_contrast(a, a, a) == 1.0


def test_best_match_finds_a_far_moved_picture_in_any_light():
    wide = _texture(4, 36, 96)
    one, far = wide[:, :64], wide[:, 16:80]
    dim = far.copy()
    dim[..., 0] = far[..., 0] // 2
    assert frame_difference.best_match(one, dim) > 0.98
    assert frame_difference.best_match(one, _texture(5)) < 0.72


def test_changed_share_tells_a_part_from_the_whole():
    one, other = _texture(1), _texture(2)
    part = one.copy()
    part[27:] = other[27:]  # the lower quarter, like a subtitle
    assert frame_difference.changed_share(one, part) == 0
    assert frame_difference.changed_share(one, other) > 0.6
    assert frame_difference.changed_share(_flat(3), _flat(90)) == 1  # nothing to tell by


def test_one_sidedness_by_hand():
    one, two = _flat(100), _flat(100)
    two[:, :32, 0], two[:, 32:, 0] = 130, 90  # 30 up on one half, 10 down on the other
    assert frame_difference.brightness_change(one, two) == pytest.approx(0.5)
    assert frame_difference.brightness_change(one, _flat(120)) == 1
    assert frame_difference.brightness_change(one, one) == 0


def test_edge_energy_by_hand_and_of_a_mix():
    stripes = _flat(0)
    stripes[:, ::2, 0] = 10  # 63 steps of 10 in a row of 64, none down the columns
    assert frame_difference.edge_energy(stripes) == pytest.approx(100)
    a, b = _texture(1), _texture(2)
    ends = (frame_difference.edge_energy(a) + frame_difference.edge_energy(b)) / 2
    mix = cv2.addWeighted(a, 0.5, b, 0.5, 0)
    assert frame_difference.edge_energy(mix) / ends == pytest.approx(0.5, abs=0.1)


def test_likeness_leaves_out_letterbox_bars():
    one, two = _texture(1) // 2 + 60, _texture(2) // 2 + 60
    bare = frame_difference.correlation(one[6:30], two[6:30])
    for picture in (one, two):
        picture[:6, :, 0] = picture[30:, :, 0] = 0
    assert frame_difference.correlation(one, two) == pytest.approx(bare, abs=0.1)
    assert abs(bare) < 0.4
