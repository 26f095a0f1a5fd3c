"""Subject masks by GrabCut."""

import cv2
import numpy as np
import pytest

from bunny.core.config import DatasetConfig
from bunny.dataset import mask

QUALITY = DatasetConfig().min_mask_quality


def picture(radius: int = 40) -> np.ndarray:
    """A red disc with a dark eye on a green ground with some grain."""
    rng = np.random.default_rng(0)
    ground = np.full((160, 200, 3), (90, 190, 110), np.int16) + rng.integers(-8, 9, (160, 200, 3))
    drawn = np.clip(ground, 0, 255).astype(np.uint8)
    cv2.circle(drawn, (100, 80), radius, (200, 40, 40), -1)
    cv2.circle(drawn, (115, 70), 6, (90, 190, 110), -1)
    return drawn


def test_disc_is_found_with_its_eye():
    cut = mask.cut_out(picture(), (55, 35, 145, 125))
    assert cut.agreement > QUALITY
    found = cut.mask
    truth = np.zeros((160, 200), np.uint8)
    cv2.circle(truth, (100, 80), 40, 255, -1)
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 255}
    both, either = ((found > 0) & (truth > 0)).sum(), ((found > 0) | (truth > 0)).sum()
    assert both / either > 0.95
    assert found[70, 115] == 255  # the eye has the ground's colour and is no hole
    assert (mask.cut_out(picture(), (55, 35, 145, 125)).mask == found).all()  # nothing random


def test_large_pictures_get_a_mask_of_their_size():
    large = cv2.resize(picture(), (800, 640), interpolation=cv2.INTER_CUBIC)
    found = mask.cut_out(large, (220, 140, 580, 500)).mask
    assert found.shape == (640, 800)
    assert abs((found > 0).mean() - np.pi * 40**2 / (160 * 200)) < 0.01


def test_masks_that_found_nothing_are_dropped():
    flat = np.full((80, 80, 3), 140, np.uint8)
    assert mask.cut_out(flat, (20, 20, 60, 60)) is None  # no figure to find
    assert mask.cut_out(picture(), (-5, -5, 205, 165)) is None  # no ground left
    assert mask.cut_out(picture(), (90, 70, 92, 140)) is None  # no box to speak of
    assert mask.cut_out(picture() // 2, (55, 35, 145, 125)) is None  # too dark
    full = mask.cut_out(picture(), (80, 60, 120, 100))  # all of the box is disc
    assert full is None


def test_a_box_that_cuts_the_subject_agrees_with_no_larger_one():
    cut = mask.cut_out(picture(), (55, 35, 120, 125))
    assert cut is not None and cut.agreement < QUALITY


@pytest.mark.parametrize(
    ("num_others", "has_ground", "is_good"),
    [(3, False, True), (3, True, False), (2, False, False)],
)
def test_a_mask_with_the_backgrounds_colours_of_other_shots_is_not_good(
    num_others, has_ground, is_good
):
    seen = picture(radius=60)
    disc = np.zeros((160, 200), np.uint8)
    cv2.circle(disc, (100, 80), 60, 255, -1)
    colours = mask.SubjectColours()
    own = disc.copy()
    own[:40, :40] = 255 if has_ground else 0
    colours.add(9, seen, own)  # its own shot, which is no witness
    for shot in range(num_others):
        colours.add(shot, seen, disc)
    share = colours.own_share(9, seen, own)
    assert (share >= QUALITY) == is_good
    assert (share == 0) == (num_others < mask.MIN_SHOTS)
