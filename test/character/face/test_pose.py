"""What five landmarks tell of a face's turn, tilt and mouth; landmarks made by hand."""

import numpy as np
import pytest

from bunny.character.face import pose

HEAD = np.array(  # x to the right, y up, z towards the viewer: Mallick 2016, with pupils for eyes
    [(-155, 170, -135), (155, 170, -135), (0, 0, 0), (-150, -150, -135), (150, -150, -135)]
)


def _landmark(nose, mouth=((20, 140), (80, 140))):
    return np.array([(0, 40), (100, 40), nose, *mouth], np.float32)


@pytest.mark.parametrize(
    ("nose", "yaw"), [((50, 90), 0.0), ((75, 90), 0.5), ((0, 90), -1.0), ((140, 90), 1.0)]
)
def test_yaw_is_the_nose_between_the_eyes(nose, yaw):
    assert pose.estimate_yaw(_landmark(nose)) == pytest.approx(yaw)


@pytest.mark.parametrize(
    ("nose_y", "pitch"), [(94.5, 0.0), (119.5, 0.5), (69.5, -0.5), (140, 0.91), (150, 1.0), (0, -1)]
)
def test_pitch_is_the_nose_between_eyes_and_mouth(nose_y, pitch):
    assert pose.estimate_pitch(_landmark((50, nose_y))) == pytest.approx(pitch, abs=1e-6)


def test_mouth_is_its_width_over_the_distance_of_the_eyes():
    assert pose.measure_mouth(_landmark((50, 90))) == pytest.approx(0.6)
    smile = _landmark((50, 90), ((0, 140), (100, 140)))
    assert pose.measure_mouth(smile) == pytest.approx(1.0)


def test_tilt_and_size_change_nothing():
    turn = 0.3 * np.array([[0.8, 0.6], [-0.6, 0.8]])
    upright = _landmark((75, 110))
    tilted = upright @ turn + [500, 20]
    for measure in (pose.estimate_yaw, pose.estimate_pitch, pose.measure_mouth):
        assert measure(tilted) == pytest.approx(measure(upright), abs=1e-4)


def test_a_head_turned_in_space_keeps_its_mouth_and_pitch():
    angle = np.radians(30)
    level = np.stack([HEAD[:, 0], -HEAD[:, 1]], axis=1)
    across = HEAD[:, 0] * np.cos(angle) + HEAD[:, 2] * np.sin(angle)
    turned = np.stack([across, -HEAD[:, 1]], axis=1)
    assert pose.estimate_yaw(level) == 0
    assert pose.estimate_yaw(turned) == pytest.approx(135 / 155 * np.tan(angle))
    assert pose.measure_mouth(turned) == pytest.approx(pose.measure_mouth(level))
    assert pose.estimate_pitch(turned) == pytest.approx(pose.estimate_pitch(level))


def test_what_cannot_be_told_is_said():
    assert pose.estimate_yaw(np.zeros((5, 2))) == 1.0
    assert pose.estimate_pitch(np.zeros((5, 2))) == 0.0
    assert pose.measure_mouth(np.zeros((5, 2))) is None
    assert pose.measure_mouth(_landmark((92.5, 90))) is None  # a profile from 0.85 on
    assert pose.measure_mouth(_landmark((92, 90))) == pytest.approx(0.6)
