"""Which of two boundaries that are one event stays, and when a shot is given out."""

import runpy
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from bunny.core.config import ExtractionConfig
from bunny.video.shot.fast_detector import FastDetector
from bunny.video.shot.meter import Measured
from bunny.video.shot.window import Boundary

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))


def _cut(index, strength=1.0):
    return Boundary(index=index, kind="cut", strength=strength, span=(index, index))


def _dissolve(index, half=10, strength=1.0):
    span = index - half, index + half
    return Boundary(index=index, kind="dissolve", strength=strength, span=span)


def _fade(index, span, flank):
    return Boundary(index=index, kind="fade", strength=1.0, span=span, flank=flank)


def _beats(one, two, rate=24, least=4):
    return FastDetector(ExtractionConfig(min_shot_frames=least), Fraction(rate)).beats(one, two)


@pytest.mark.parametrize("least", [4, 9])
@pytest.mark.parametrize("way", [-1, 1])
def test_the_stronger_of_two_cuts_stays_when_they_are_nearer_than_the_shortest_shot(least, way):
    strong, weak = _cut(100, 3.0), _cut(100 + way * (least - 1), 2.0)
    assert _beats(strong, weak, least=least) and not _beats(weak, strong, least=least)
    further = _cut(100 + way * least, 2.0)
    assert not _beats(strong, further, least=least) and not _beats(further, strong, least=least)


def test_the_first_of_two_equal_boundaries_stays():
    assert _beats(_cut(100), _cut(102)) and not _beats(_cut(102), _cut(100))
    assert not _beats(_cut(100), _cut(100))  # a boundary is no rival of itself
    fades = [_fade(index, (index, index + 1), (index - 5, index + 5)) for index in (100, 103, 104)]
    assert _beats(fades[0], fades[1]) and not _beats(fades[0], fades[2])


@pytest.mark.parametrize(
    ("halves", "rate", "reach"),
    [
        ((3, 5), 24, 12),
        ((5, 8), 24, 13),
        ((16, 12), 24, 28),
        ((24, 24), 24, 36),
        ((6, 10), 50, 24),
        ((10, 16), 50, 26),
        ((48, 48), 50, 72),
    ],
)
def test_two_dissolves_are_one_within_their_half_widths(halves, rate, reach):
    """Of 12 to 36 steps; a step is two frames at 50 frames a second."""
    strong = _dissolve(200, halves[0], 1.5)
    for way in (-1, 1):
        weak = _dissolve(200 + way * (reach - 1), halves[1], 1.2)
        assert _beats(strong, weak, rate) and not _beats(weak, strong, rate)
        assert not _beats(strong, _dissolve(200 + way * reach, halves[1], 1.2), rate)


@pytest.mark.parametrize(("rate", "clear"), [(24, 3), (50, 6)])
def test_a_dissolve_within_three_steps_of_the_flanks_of_a_fade_goes(rate, clear):
    """The flanks are frames 180 to 229, so the first frame after them is 230."""
    fade = _fade(200, (195, 205), (180, 230))
    told = {i: _beats(fade, _dissolve(i, strength=1.5), rate) for i in range(170, 240)}
    assert [i for i, goes in told.items() if goes] == list(range(180 - clear, 230 + clear))
    assert not any(_beats(_dissolve(i, strength=1.5), fade, rate) for i in range(170, 240))


@pytest.mark.parametrize(("rate", "clear"), [(24, 2), (50, 4)])
def test_a_cut_within_two_steps_of_a_dissolve_takes_its_place(rate, clear):
    dissolve = _dissolve(200, 10, strength=1.9)
    beside = range(190 - clear, 210 + clear + 1)
    assert [i for i in range(180, 221) if _beats(_cut(i), dissolve, rate)] == list(beside)
    assert not any(_beats(dissolve, _cut(i), rate) for i in range(180, 221))


def test_a_cut_that_is_weak_alone_is_a_part_of_the_dissolve_around_it():
    dissolve = _dissolve(200, 10)
    weak = [_cut(i, 0.99) for i in range(180, 221)]
    assert [cut.index for cut in weak if _beats(dissolve, cut)] == list(range(190, 211))
    assert not any(_beats(cut, dissolve) for cut in weak)


def test_a_cut_into_black_or_out_of_it_takes_the_place_of_the_fade():
    """The bottom is frames 195 to 204; a cut out of it has its first frame at 205."""
    fade = _fade(200, (195, 205), (180, 230))
    cuts = [_cut(i, 5.0) for i in range(170, 240)]
    assert [cut.index for cut in cuts if _beats(cut, fade)] == list(range(194, 207))
    assert not any(_beats(fade, cut) for cut in cuts)


@pytest.mark.parametrize(
    ("rate", "lag", "warmup"), [(0, 117, 140), (24, 117, 140), (37, 117, 140), (50, 233, 224)]
)
def test_a_detector_looks_so_far_ahead_and_back(rate, lag, warmup):
    """(80 + 36) steps and a frame ahead; back 84 steps, a flat span of 48 frames and 8 frames."""
    found_by = FastDetector(ExtractionConfig(), Fraction(rate))
    assert (found_by.lag, found_by.warmup) == (lag, warmup)


@pytest.mark.parametrize(("rate", "wait"), [(24, 116), (50, 232)])
def test_a_shot_comes_out_when_no_boundary_can_move_its_end(rate, wait):
    """All before the newest frame's 80 steps are known, and 36 steps further none is a rival."""
    pictures = two_tone.picture(60), two_tone.picture(60, two_tone.turned(18))
    found_by = FastDetector(ExtractionConfig(), Fraction(rate))
    told = [len(found_by.push(pictures[index >= 60])) for index in range(60 + wait + 5)]
    assert told.index(1) == 60 + wait and sum(told) == 1


def test_a_boundary_that_was_left_out_is_no_rival_of_the_next():
    """The cut at 68 is too near to that at 60; the one at 73 is too, but to 68 only.

    So many rows are turned round at each: 36, 24 and 18; each is weaker than the one before.
    """
    rows = [0] * 60 + [36] * 8 + [12] * 5 + [30] * 60
    found_by = FastDetector(ExtractionConfig(min_shot_frames=12))
    shots = [s for n in rows for s in found_by.push(two_tone.picture(60, two_tone.turned(n)))]
    shots += found_by.finish()
    assert [shot.first_frame_index for shot in shots] == [0, 60, 73]


def test_the_boundary_of_the_running_shot_is_a_rival_of_what_follows():
    found_by = FastDetector(ExtractionConfig())
    for _ in range(150):
        found_by.push(two_tone.picture(60))
    found = (_dissolve(60, 10, 1.5), _dissolve(79, 10, 1.2), _dissolve(100, 10, 1.1))
    shots = found_by.decide_end(Measured(fades=found))  # whose boundaries count as they are
    assert [shot.first_frame_index for shot in shots] == [0, 60, 100]
