"""Likeness of small pictures, by hand where it can be."""

import numpy as np
import polars as pl
import pytest

from bunny.quality import perceptual_hash


def _alike(one, two):
    both = perceptual_hash.prepare_signatures(np.stack([one, two]).astype(np.uint8))
    return float(perceptual_hash.structural_similarity(both, np.array([0]), np.array([1]))[0])


def _picture(seed=0):
    return np.random.default_rng(seed).integers(40, 200, 1024)


def _halves(low, high):
    return np.repeat([low, high], 512)


def test_by_hand():
    # Both have variance 100; they agree in 3 of 4 quarters: covariance 50. (50 + 4) / (100 + 4).
    one = np.repeat([90, 90, 110, 110], 256)
    two = np.repeat([90, 110, 110, 110], 256)
    variance = 75.0  # of two: mean 105, deviations -15, 5, 5, 5
    covariance = 50.0
    wanted = (covariance + 4) / np.sqrt((100 + 4) * (variance + 4))
    assert _alike(one, two) == pytest.approx(wanted, rel=1e-5)


def test_the_same_and_the_negative():
    picture = _picture()
    assert _alike(picture, picture) == pytest.approx(1, abs=1e-5)
    assert _alike(_halves(50, 150), _halves(150, 50)) == pytest.approx(-(2500 - 4) / 2504, abs=1e-4)


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (0.3, 100), (1, 40), (1.2, -30)])
def test_a_change_of_light_is_the_same_picture(gain, offset):
    picture = _picture()
    assert _alike(picture, np.clip(picture * gain + offset, 0, 255)) > 0.99


def test_other_pictures_differ():
    assert max(_alike(_picture(0), _picture(seed)) for seed in range(1, 20)) < 0.3


def test_flat_pictures_are_alike_and_unlike_a_picture():
    flat = np.full(1024, 16)
    noise = 16 + np.random.default_rng(0).integers(0, 2, 1024)
    assert _alike(flat, flat) == pytest.approx(1)
    assert _alike(flat, noise) > 0.95
    assert _alike(flat, _picture()) < 0.1


def test_unknown_pictures_are_like_every_other():
    column = pl.Series(
        [_picture(1).tolist(), None, _picture(2).tolist()], dtype=pl.Array(pl.UInt8, 1024)
    )
    found = perceptual_hash.read_signatures(column)
    assert found.is_known.tolist() == [True, False, True]
    first, second = np.array([0, 0]), np.array([1, 2])
    alike = perceptual_hash.structural_similarity(found, first, second)
    assert alike[0] == 1 and alike[1] < 0.3


def test_many_pairs_are_compared_in_batches(monkeypatch):
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 255, (50, 1024), np.uint8)
    one, two = rng.integers(0, 50, (2, 333))
    whole = perceptual_hash.structural_similarity(
        perceptual_hash.prepare_signatures(luma), one, two
    )
    monkeypatch.setattr(perceptual_hash, "BATCH", 7)
    parts = perceptual_hash.structural_similarity(
        perceptual_hash.prepare_signatures(luma), one, two
    )
    np.testing.assert_allclose(whole, parts, atol=1e-6)


@pytest.mark.parametrize("luma", [np.zeros((3, 1024), np.float32), np.zeros((3, 64), np.uint8)])
def test_other_arrays_are_refused(luma):
    with pytest.raises(ValueError, match="1024"):
        perceptual_hash.prepare_signatures(luma)
