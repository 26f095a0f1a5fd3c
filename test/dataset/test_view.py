"""How a view is named: pose, light, framing."""

import numpy as np
import pytest

from bunny.dataset import view


@pytest.mark.parametrize(
    ("yaw", "pose"),
    [
        (0.0, "frontal"),
        (-0.249, "frontal"),
        (0.25, "right"),
        (-0.25, "left"),
        (0.649, "right"),
        (0.65, "right-profile"),
        (-1.0, "left-profile"),
        (float("nan"), "unknown"),
        (None, "unknown"),
    ],
)
def test_pose(yaw, pose):
    assert view.pose_of(yaw) == pose


@pytest.mark.parametrize(
    ("luma", "light"),
    [
        (0.0, "dark"),
        (0.26, "dark"),
        (0.27, "medium"),
        (0.6, "medium"),
        (0.61, "bright"),
        (None, None),
    ],
)
def test_light(luma, light):
    assert view.light_of(luma) == light


@pytest.mark.parametrize(
    ("height", "is_face", "window", "size"),
    [
        (50, True, 200, "close-up"),  # a quarter
        (49, True, 200, "medium"),
        (20, True, 200, "medium"),  # a tenth
        (19, True, 200, "wide"),
        (345, False, 360, "close-up"),  # over 95 % of the picture
        (60, False, 100, "medium"),  # 0.7 * 0.6 = 0.42
        (59, False, 100, "wide"),
    ],
)
def test_size(height, is_face, window, size):
    assert view.size_of((0, 0, 10, height), is_face, window, 360) == size


@pytest.mark.parametrize(
    ("height", "is_face", "is_sure"),
    [
        (10, True, True),
        (345, False, True),  # as high as the picture
        (200, False, False),  # the whole figure, or its head alone
        (75, False, True),  # at most twice as high: 150 of 360 is less than 0.42
        (76, False, False),
    ],
)
def test_is_size_sure(height, is_face, is_sure):
    assert view.is_size_sure((0, 0, 10, height), is_face, 360, 360) == is_sure


def test_share_inside():
    assert view.share_inside((0, 0, 10, 10), (5, 5, 20, 20)) == 0.25
    assert view.share_inside((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert view.share_inside((5, 5, 5, 9), (0, 0, 20, 20)) == 0.0  # no area


def test_cells_of_a_box():
    grid = np.arange(1024).reshape(32, 32) % 251
    part = view.signature_in_box(grid.ravel().astype(np.uint8), (320, 0, 640, 90), (640, 360))
    assert (part == grid[:8, 16:]).all()
    # outside and empty boxes still give a cell
    assert view.signature_in_box(grid.ravel(), (700, 400, 700, 400), (640, 360)).shape == (1, 1)
