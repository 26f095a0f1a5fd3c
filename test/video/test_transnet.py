"""Shot detector transnet: what its two settings do with likelihoods that are known.

The network is a function that reads them off the frames: a grey of 51 is a likelihood of 0.2.
"""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video.shot.transnet import TransNetDetector

COUNT = 180


def boundaries(likely: dict[int, float], **setting) -> list[int]:
    """First frames of the shots but the first, of a film with these likelihoods."""

    def network(frames):
        value = frames.mean(axis=(1, 2, 3)) / 255
        return np.stack([value, value], axis=1)

    found_by = TransNetDetector(ExtractionConfig(**setting), Fraction(24), network)
    shots = []
    for index in range(COUNT):
        grey = np.full((36, 64, 3), round(255 * likely.get(index, 0.0)), np.uint8)
        shots += found_by.push(cv2.cvtColor(grey, cv2.COLOR_RGB2YUV))
    return [shot.first_frame_index for shot in [*shots, *found_by.finish()]][1:]


@pytest.mark.parametrize(
    ("threshold", "found"), [(0.5, [50, 100, 150]), (1.0, [50, 100]), (1.7, [50])]
)
def test_the_threshold_scales_the_likelihood_that_is_asked_for(threshold, found):
    """Asked are 0.25, 0.5 and 0.85; a shot begins with the frame after the likely one."""
    assert boundaries({49: 0.9, 99: 0.7, 149: 0.3}, cut_threshold=threshold) == found


@pytest.mark.parametrize(("least", "found"), [(4, [50, 60]), (10, [50, 60]), (11, [50])])
def test_shots_have_the_least_length_that_is_set(least, found):
    assert boundaries({49: 0.9, 59: 0.9}, min_shot_frames=least) == found


@pytest.mark.parametrize(("least", "found"), [(10, [170]), (11, [])])
def test_so_has_the_last_one(least, found):
    assert boundaries({169: 0.9}, min_shot_frames=least) == found
