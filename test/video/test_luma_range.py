"""How far the frames of a shot differ from each other."""

import cv2
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video.shot.fast_detector import FastDetector
from bunny.video.shot.luma_range import CELLS, NUM_CELLS, luma_range, measure_cells, settled_frames

SETTING = 0.035  # `extraction.static_range`


def _cells(*levels):
    """Frames of one grey level each."""
    return np.repeat(np.array(levels, np.uint8)[:, None], NUM_CELLS, axis=1)


def test_cells_are_means_row_by_row():
    luma = np.zeros((36, 64), np.uint8)
    luma[:9, 8:16] = 200  # the second of the first row
    luma[27:, 56:] = 40  # the last
    wanted = np.zeros(NUM_CELLS, int)
    wanted[1], wanted[-1] = 200, 40
    assert list(measure_cells(luma)) == wanted.tolist()
    upright = list(measure_cells(np.ascontiguousarray(luma.T)))
    assert np.array_equal(np.reshape(upright, CELLS).T.ravel(), wanted)


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ([7], 0),
        ([7, 58], 51),
        ([7, 58, 200], 0),  # of three frames the darkest and the brightest are left out
        ([10] * 30 + [250], 0),  # one flash
        ([10] * 30 + [250] * 3, 0),
        ([10] * 30 + [250] * 4, 240),  # of 34 frames three are left out
        (range(0, 100, 5), 85 - 10),  # of 20 frames two at either end
    ],
)
def test_a_tenth_is_left_out_at_either_end(levels, wanted):
    assert luma_range(_cells(*levels)) == pytest.approx(wanted / 255)


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ([*range(0, 100, 10), *[100] * 30], 0),  # nine frames below 90: a quarter
        ([*[100] * 30, *range(90, 0, -10)], 0),
        ([*range(0, 100, 5), *[100] * 30], 75),  # 18 of 50 below 90 are over a third; five left out
        ([0, 50, 20, 90, 95, *[100] * 15], 50),  # up and down; of 20 frames two are left out
    ],
)
def test_frames_that_steadily_grow_lighter_or_darker_at_an_end_are_a_fade(levels, wanted):
    assert luma_range(_cells(*levels)) == pytest.approx(wanted / 255)


def test_half_of_the_picture_counts_half():
    cells = _cells(*[50] * 12)
    cells[6:, : NUM_CELLS // 2] = 152
    assert luma_range(cells) == pytest.approx(51 / 255)


def test_frames_of_a_fade_or_dissolve_do_not_count():
    assert settled_frames(100, 200, "cut", "end") == range(100, 200)
    assert settled_frames(100, 200, "fade", "cut") == range(114, 200)
    assert settled_frames(100, 200, "dissolve", "fade") == range(114, 186)
    assert settled_frames(0, 10, "dissolve", "fade") == range(3, 7)


def _kinds_of(frames):
    found_by, shots = FastDetector(ExtractionConfig()), []
    for frame in frames:
        shots += found_by.push(frame)
    shots += found_by.finish()
    assert len(shots) == 1
    return shots[0].motion, shots[0].luma_range


def _painting():
    rng = np.random.default_rng(4)
    coarse = rng.integers(20, 235, (9, 60, 3), np.uint8)
    return cv2.resize(coarse, (480, 36), interpolation=cv2.INTER_CUBIC)


def test_a_slow_pan_over_a_still_is_dynamic_though_little_moves():
    painting = _painting()
    pan = [cv2.GaussianBlur(painting[:, k // 4 : k // 4 + 64], (9, 9), 3) for k in range(200)]
    motion, found = _kinds_of(pan)
    assert motion < 0.006 and found > 2 * SETTING


def test_a_still_with_flashes_is_static_though_much_moves():
    still = np.ascontiguousarray(_painting()[:, :64])
    frames = [
        cv2.addWeighted(still, 0.4, np.full_like(still, 255), 0.6, 0) if k % 20 == 10 else still
        for k in range(60)
    ]
    motion, found = _kinds_of(frames)
    assert motion > 0.012 and found == 0
