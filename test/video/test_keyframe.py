"""Which frames stand for a shot."""

from fractions import Fraction

import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video.frame import DecodedFrame
from bunny.video.keyframe import KeyframeCandidates, select_keyframes, shot_kind
from bunny.video.shot.fast_detector import FoundShot

SETTING = ExtractionConfig(static_range=0.01, frames_per_dynamic_shot=3)


def _shot(first, end, luma_range=0.5, into="cut", out="cut"):
    return FoundShot(
        first_frame_index=first,
        end_frame_index=end,
        transition_in=into,
        transition_out=out,
        motion=0.1,
        luma_range=luma_range,
    )


def _select(shot, setting=SETTING, sharp=(), indices=None):
    indices = range(shot.first_frame_index, shot.end_frame_index) if indices is None else indices
    return select_keyframes(shot, indices, lambda i: 2.0 if i in sharp else 1.0, setting)


def test_a_shot_exactly_at_the_threshold_is_dynamic():
    assert shot_kind(_shot(0, 9, luma_range=0.01), SETTING) == "dynamic"
    assert shot_kind(_shot(0, 9, luma_range=0.0099), SETTING) == "static"


def test_static_gives_the_sharpest_near_the_median():
    still = _shot(100, 201, luma_range=0)
    assert _select(still) == [(150, "shot-median")]
    assert _select(still, sharp={153}) == [(153, "shot-median")]
    assert _select(still, sharp={160}) == [(150, "shot-median")]  # 6 frames are near, 10 are not


def test_dynamic_gives_start_middle_end_a_little_inside():
    # 101 frames: 8 % of 100 is 8.
    assert _select(_shot(100, 201)) == [
        (108, "shot-start"),
        (150, "shot-middle"),
        (192, "shot-end"),
    ]


def test_gradual_transitions_are_kept_clear_of():
    assert _select(_shot(100, 201, into="dissolve", out="fade")) == [
        (114, "shot-start"),
        (150, "shot-middle"),
        (186, "shot-end"),
    ]


@pytest.mark.parametrize(("count", "wanted"), [(1, [50]), (2, [8, 92]), (5, [8, 29, 50, 71, 92])])
def test_more_or_fewer_are_spread_evenly(count, wanted):
    setting = ExtractionConfig(static_range=0.01, frames_per_dynamic_shot=count)
    assert [i for i, _ in _select(_shot(0, 101), setting)] == wanted


def test_short_shots_give_what_they_have_once():
    assert _select(_shot(7, 8)) == [(7, "shot-median")]
    assert [i for i, _ in _select(_shot(0, 3), indices=[0, 2])] == [0, 2]
    assert _select(_shot(0, 9), indices=[]) == []


def _picture(kind):
    """A thumbnail: black, black under a small logo, or a picture brighter on one side."""
    thumb = np.full((36, 64, 3), 128, np.uint8)
    thumb[..., 0] = {"left": 60, "dim left": 30, "top": 60}.get(kind, 0)
    if kind == "logo":
        thumb[2:5, 50:60, 0] = 230
    if kind in ("left", "dim left"):
        thumb[:, :32, 0] = 200 if kind == "left" else 90
    if kind == "top":
        thumb[:18, :, 0] = 200
    return thumb


def _select_seen(shot, spans, setting=SETTING):
    """Choose among frames that show the kinds of picture of (end, kind)."""

    def thumb_of(index):
        return _picture(next(kind for end, kind in spans if index < end))

    indices = range(shot.first_frame_index, shot.end_frame_index)
    return select_keyframes(shot, indices, lambda i: 1.0, setting, thumb_of)


@pytest.mark.parametrize("blank", ["black", "logo"])
def test_no_blank_frame_stands_for_a_shot_that_has_another(blank):
    still = _shot(0, 101, luma_range=0)
    assert _select_seen(still, [(40, "left"), (101, blank)]) == [(39, "shot-median")]
    assert _select_seen(still, [(101, blank)]) == [(50, "shot-median")]
    moving = _shot(0, 101)
    assert [i for i, _ in _select_seen(moving, [(40, blank), (101, "left")])] == [40, 50, 92]


def test_a_static_shot_gives_each_of_its_pictures():
    still = _shot(0, 101, luma_range=0)
    assert _select_seen(still, [(101, "left")]) == [(50, "shot-median")]
    assert _select_seen(still, [(60, "left"), (101, "dim left")]) == [(50, "shot-median")]
    # Of 12 frames from 0 to 100 the seventh, number 64 (100 * 7 / 11), is the first after 60.
    found = _select_seen(still, [(60, "left"), (101, "top")])
    assert found == [(50, "shot-median"), (64, "shot-middle")]
    found = _select_seen(still, [(20, "top"), (60, "left"), (101, "top")])
    assert found == [(0, "shot-middle"), (50, "shot-median")]


def _frame(index, num_bytes=12):
    raw = np.zeros((num_bytes // 12, 4, 3), np.uint8)
    return DecodedFrame(index=index, pts=index, time_base=Fraction(1, 24), raw=raw)


def test_candidates_stay_few_however_long_the_shot():
    candidates, most = KeyframeCandidates(SETTING, lag=60), 0
    for index in range(5000):
        candidates.add(_frame(index))
        most = max(most, len(candidates))
    assert most <= 60 // 2 + 24 + 2
    indices = sorted(candidates.take(_shot(0, 5000)))
    assert len(candidates) == 0
    gaps = np.diff([0, *indices, 5000])
    assert gaps.max() <= 5000 / 12 + 1
    assert min(abs(i - 2500) for i in indices) <= 5000 / 24


def test_every_shortest_shot_has_a_candidate_even_of_huge_frames():
    candidates = KeyframeCandidates(SETTING, lag=60)
    for index in range(120):
        candidates.add(_frame(index, num_bytes=12_000_000))
    assert len(candidates) < 60
    for first in range(0, 60, 4):
        assert candidates.take(_shot(first, first + 4))


def test_taking_a_shot_leaves_the_next_ones_frames():
    candidates = KeyframeCandidates(SETTING, lag=10)
    for index in range(40):
        candidates.add(_frame(index))
    first = candidates.take(_shot(0, 20))
    assert max(first) < 20
    assert min(candidates.take(_shot(20, 40))) == 20
