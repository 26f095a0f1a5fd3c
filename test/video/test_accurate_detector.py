"""Shot detector accurate: what measures and likelihoods decide together."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video.shot.accurate_detector import AccurateDetector
from bunny.video.shot.cut import CutScore
from bunny.video.shot.window import Boundary


def _network(likely):
    """A network that tells likelihoods of both heads by frame; all others are 0."""
    by_frame = np.zeros((400, 2), np.float32)
    for index, value in likely.items():
        by_frame[index] = value
    starts = itertools.count(-25, 50)

    def network(frames):
        """Likelihoods of the window that is asked for next."""
        start = next(starts)
        return by_frame[np.clip(np.arange(start, start + 100), 0, 399)]

    return network


def _detector(likely, threshold=1.0):
    """A detector that knows the likelihoods of 150 frames of one grey."""
    setting = ExtractionConfig(cut_threshold=threshold)
    found_by = AccurateDetector(setting, Fraction(24), _network(likely))
    for _ in range(200):
        found_by.push(np.full((36, 64, 3), 128, np.uint8))
    return found_by


@pytest.mark.parametrize(
    ("score", "veto", "likely", "is_cut"),
    [
        (1.6, "none", 0.0, True),
        (1.4, "none", 0.04, False),  # doubted by both
        (1.4, "none", 0.06, True),
        (0.6, "none", 0.39, False),  # 0.6 and 0.39 are less than 1
        (0.6, "none", 0.41, True),
        (0.45, "none", 0.9, False),
        (3.0, "same-view", 0.3, False),
        (1.2, "same-view", 0.4, True),
        (0.9, "same-view", 0.4, False),
        (3.0, "flash", 0.9, False),
        (3.0, "light", 0.9, False),
    ],
)
def test_cuts_need_the_network_where_the_measures_doubt(score, veto, likely, is_cut):
    found_by = _detector({99: (likely, 0)})
    found = found_by.decide_cut(CutScore(index=100, score=score, veto=veto))
    assert (found is not None) == is_cut


def test_the_threshold_scales_the_measures():
    measured = CutScore(index=100, score=1.6, veto="none")
    assert _detector({}, threshold=1.0).decide_cut(measured).strength == 1.6
    assert _detector({}, threshold=2.0).decide_cut(measured) is None  # 0.8, and nothing is added
    assert _detector({99: (0.3, 0)}, threshold=2.0).decide_cut(measured).strength == 0.8


def test_the_network_counts_two_frames_around_a_cut():
    measured = CutScore(index=100, score=0.9, veto="none")
    for index, is_cut in ((97, False), (98, True), (101, True), (102, False)):
        assert (_detector({index: (0.5, 0)}).decide_cut(measured) is not None) == is_cut


@pytest.mark.parametrize(
    ("weight", "likely", "stays"),
    [
        (1.2, (0, 0), True),
        (1.01, (0.05, 0.15), False),
        (1.01, (0.1, 0), True),
        (1.01, (0, 0.2), True),
    ],
)
def test_a_weak_dissolve_needs_either_head(weight, likely, stays):
    dissolve = Boundary(index=100, kind="dissolve", strength=weight, span=(90, 110))
    found_by = _detector({110: likely})
    assert (found_by.decide_dissolve(dissolve) is not None) == stays


def _run(pictures, likely, threshold=1.0):
    """Boundaries that the network alone tells in a film of runs (frames, grey picture)."""
    told = []

    class Noting(AccurateDetector):
        def network_boundaries(self):
            for boundary in super().network_boundaries():
                told.append((boundary.index, boundary.kind))
                yield boundary

    setting = ExtractionConfig(cut_threshold=threshold)
    found_by = Noting(setting, Fraction(24), _network(likely))
    for count, picture in pictures:
        for _ in range(count):
            found_by.push(picture)
    found_by.finish()
    return told


def _picture(seed):
    rng = np.random.default_rng(seed)
    thumb = np.full((36, 64, 3), 128, np.uint8)
    thumb[..., 0] = np.kron(rng.integers(30, 220, (6, 8)), np.ones((6, 8)))
    return thumb


def test_the_network_alone_tells_a_boundary_between_two_pictures():
    one, two = _picture(1), _picture(2)
    assert _run([(80, one), (80, two)], {79: (0.6, 0.3)}) == [(80, "cut")]
    assert _run([(80, one), (80, two)], {79: (0.45, 0.9)}) == []  # the other head tells no cut
    soft = dict.fromkeys(range(70, 91), (0.1, 0.7))
    assert _run([(80, one), (80, two)], soft) == [(81, "dissolve")]
    assert _run([(80, one), (80, two)], dict.fromkeys(soft, (0.1, 0.55))) == []


@pytest.mark.parametrize(
    ("likely", "threshold", "is_told"),
    [(0.3, 0.5, True), (0.3, 1.0, False), (0.9, 1.0, True), (0.9, 2.0, False)],
)
def test_the_threshold_scales_what_the_network_tells_alone(likely, threshold, is_told):
    """Of a run 0.4 is asked, of its surest frame 0.5: by half of it 0.2 and 0.25."""
    found = _run([(80, _picture(1)), (80, _picture(2))], {79: (likely, 0)}, threshold)
    assert found == [(80, "cut")] * is_told


def test_it_tells_none_within_one_picture_nor_over_a_long_run():
    one, two = _picture(1), _picture(2)
    brighter = one.copy()
    brighter[..., 0] = one[..., 0] // 2 + 120
    assert _run([(80, one), (80, brighter)], {79: (0.9, 0.9)}) == []
    assert _run([(80, one), (1, two), (79, one)], {80: (0.9, 0.9)}) == []
    assert _run([(100, one), (100, two)], dict.fromkeys(range(70, 131), (0.9, 0.9))) == []


@pytest.mark.parametrize(("rate", "lag", "warmup"), [(24, 149, 275), (50, 233, 359)])
def test_it_looks_further_than_fast_does(rate, lag, warmup):
    """75 frames of a window, half a run of 60, 7; and 36 steps. Back 135 more than `fast`."""
    found_by = AccurateDetector(ExtractionConfig(), Fraction(rate), None)
    assert (found_by.lag, found_by.warmup) == (lag, warmup)
