"""Interval frames that wait for the end of their shot."""

from fractions import Fraction

import numpy as np
import pytest

from bunny.video import keyframe
from bunny.video.frame import DecodedFrame
from bunny.video.shot.fast_detector import FoundShot

MILLI = Fraction(1, 1000)


def _frame(index, pts=None, picture=None):
    picture = np.full((10, 10, 3), 90, np.uint8) if picture is None else picture
    return DecodedFrame(
        index=index, pts=index if pts is None else pts, time_base=MILLI, raw=picture
    )


def _shot(first, end, transition_in="cut", transition_out="cut"):
    return FoundShot(
        first_frame_index=first,
        end_frame_index=end,
        transition_in=transition_in,
        transition_out=transition_out,
        motion=0.0,
        luma_range=0.0,
    )


def _due(grid, times):
    return [pts for i, pts in enumerate(times) if grid.is_due(_frame(i, pts))]


def test_the_first_frame_at_or_after_each_time_is_due():
    times = [500, 900, 1499, 1500, 1501, 2600, 2700, 9000, 9400, 9500]
    assert _due(keyframe.IntervalSampler(Fraction(1)), times) == [500, 1500, 2600, 9000, 9500]
    assert _due(keyframe.IntervalSampler(Fraction(0)), times) == []


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_grid_begun_inside_the_film_goes_on_alike(cut):
    times = [500, 900, 1499, 1500, 1501, 2600, 2700, 9000, 9400, 9500]
    whole = _due(keyframe.IntervalSampler(Fraction(1)), times)
    later = _due(keyframe.IntervalSampler(Fraction(1), start_pts=500), times[cut - 1 :])
    assert [t for t in later if t >= times[cut]] == [t for t in whole if t >= times[cut]]


def test_too_many_frames_go_out_oldest_first_when_they_are_settled():
    held = keyframe.HeldFrames(most_bytes=5 * 300)
    for index in range(5):
        held.add(_frame(index))
    assert held.overflow(settled=5) == []  # 5 frames of 300 bytes are allowed
    held.add(_frame(5))
    assert held.overflow(settled=0) == []
    assert [frame.index for frame, _ in held.overflow(settled=4)] == [0, 1]
    frames, _ = held.take(_shot(0, 5))
    assert list(frames) == [2, 3, 4]
    assert list(held.take(_shot(5, 9))[0]) == [5]


@pytest.mark.parametrize(
    ("transition_in", "transition_out", "stay"),
    [
        ("cut", "cut", [100, 110, 150, 190, 199]),
        ("dissolve", "cut", [150, 190, 199]),
        ("fade", "dissolve", [150]),
        ("start", "end", [100, 110, 150, 190, 199]),
    ],
)
def test_frames_in_a_soft_transition_are_left_out(transition_in, transition_out, stay):
    shot = _shot(100, 200, transition_in, transition_out)  # 14 frames at a soft end
    assert keyframe.outside_transitions(shot, [100, 110, 150, 190, 199]) == stay


def test_a_short_shot_keeps_its_middle_third():
    shot = _shot(0, 10, "dissolve", "dissolve")
    assert keyframe.outside_transitions(shot, range(10)) == [3, 4, 5, 6]


def test_thin_interval_keeps_a_half_interval_clear():
    times = {0: 0.0, 10: 1.0, 20: 2.0}
    assert keyframe.thin_interval_frames(times, [0.5], 1.0) == [
        0,
        10,
        20,
    ]  # exactly half is far enough
    assert keyframe.thin_interval_frames(times, [0.5], 1.2) == [20]
    assert keyframe.thin_interval_frames({}, [0.5], 1.0) == []
    assert keyframe.thin_interval_frames(times, [], 1.0) == [0, 10, 20]
