"""Dissolves between two-tone pictures, whose change and likeness are worked out by hand.

Where rows are turned round luma differs by twice the contrast, in one of three planes: the change
is `rows / 36 * 2 * contrast / 765`.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bunny.video.shot.dissolve import DissolveDecision, DissolveMeter, min_gap
from bunny.video.shot.window import RecentFrames

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))


def _mixed(one, two, shares, before=60, after=60, contrast=60):
    """A shot, mixes of both patterns by the share of the second, and the other shot."""
    shares = [*[0.0] * before, *shares, *[1.0] * after]
    return [two_tone.picture(contrast, (1 - s) * one + s * two) for s in shares]


def _even(length):
    return [(k + 0.5) / length for k in range(length)]


def _dissolves(thumbs, threshold=1.0, step=1):
    recent = RecentFrames(0, 10_000)
    for thumb in thumbs:
        recent.add(thumb)
    meter = DissolveMeter(recent, step, min(0.5, threshold))
    dissolves = DissolveDecision(threshold, step)
    centres = range(len(thumbs) + 37 * step)
    found = [b for centre in centres for b in dissolves.at(centre, meter.at(centre))]
    assert all(b.kind == "dissolve" and b.flank is None for b in found)
    return [(b.index, b.strength, b.span) for b in found]


@pytest.mark.parametrize(("num_rows", "is_found"), [(9, False), (10, True)])
def test_the_pictures_differ_by_a_twenty_fifth(num_rows, is_found):
    """9 of 36 rows: 0.039; 10 are 0.044."""
    found = _dissolves(_mixed(two_tone.LEFT, two_tone.turned(num_rows), _even(13)))
    assert len(found) == is_found


@pytest.mark.parametrize(("num_rows", "is_found"), [(18, False), (20, True)])
def test_a_higher_threshold_asks_for_more(num_rows, is_found):
    """Twice as much: 18 rows are 0.078, 20 are 0.087."""
    thumbs = _mixed(two_tone.LEFT, two_tone.turned(num_rows), _even(13))
    assert len(_dissolves(thumbs, threshold=2.0)) == is_found
    assert len(_dissolves(thumbs, threshold=1.0)) == 1


def test_place_and_weight_by_hand():
    """An odd number of mixes has one half and half; of an even one the middle is 1 / 24 off."""
    one, two = two_tone.LEFT, two_tone.turned(18)
    ((index, weight, span),) = _dissolves(_mixed(one, two, _even(13)))
    assert index == 60 + 6 and weight == pytest.approx(1 + 60 / 765, abs=0.002)
    assert span == (66 - 24, 66 + 24)
    ((index, weight, _),) = _dissolves(_mixed(one, two, _even(12)))
    assert index == 66
    assert weight == pytest.approx(1 + 60 / 765 * (1 - 1 / 24 / 0.25), abs=0.002)


@pytest.mark.parametrize(("likeness", "is_found"), [(0.72, True), (0.78, False)])
def test_the_pictures_are_not_alike(likeness, is_found):
    """Their correlation, made of two patterns without any; the change is 0.054 and 0.049."""
    two = likeness * two_tone.LEFT + np.sqrt(1 - likeness**2) * two_tone.TOP
    assert len(_dissolves(_mixed(two_tone.LEFT, two, _even(13)))) == is_found


@pytest.mark.parametrize("length", [5, 9, 15, 25, 35, 45])
def test_the_boundary_is_in_the_middle_whatever_the_length(length):
    ((index, weight, _),) = _dissolves(_mixed(two_tone.LEFT, two_tone.turned(18), _even(length)))
    assert index == 60 + length // 2 and weight > 1


@pytest.mark.parametrize("step", [2, 3])
def test_faster_films_have_longer_ones(step):
    thumbs = _mixed(two_tone.LEFT, two_tone.turned(18), _even(12 * step), 60 * step, 60 * step)
    ((index, _, span),) = _dissolves(thumbs, step=step)
    assert index == pytest.approx(66 * step, abs=step)
    assert span == (index - 24 * step, index + 24 * step)


def test_a_cut_and_a_pause_are_no_dissolve():
    one, two = two_tone.LEFT, two_tone.turned(18)
    assert _dissolves(_mixed(one, two, [])) == []
    assert _dissolves(_mixed(one, one, _even(13))) == []
    assert _dissolves(_mixed(one, two, [0.9])) == []


def test_two_dissolves_are_told_apart():
    one, two, three = two_tone.LEFT, two_tone.turned(18), two_tone.TOP
    first = _mixed(one, two, _even(9), after=40)
    second = _mixed(two, three, _even(9), before=0)
    assert [index for index, _, _ in _dissolves(first + second)] == [64, 113]


@pytest.mark.parametrize(
    ("halves", "steps"), [(0, 12), (11, 12), (13, 13), (35, 35), (36, 36), (48, 36)]
)
def test_wide_dissolves_are_one_within_more_steps(halves, steps):
    assert min_gap(halves) == steps


def _tinted(one, two, tint, shares=(0.25, 0.5, 0.75), sign=1.0):
    """Thumbnails from one luma to another; frame 61 is tinted in both chroma planes.

    The tint takes the frame off the straight line by `2 * tint` levels a pixel. All over the
    picture it changes neither contrast nor edges; with a `sign` that varies it adds contrast.
    """
    lumas = [one] * 60 + [(1 - s) * one + s * two for s in shares] + [two] * 60
    thumbs = [two_tone.picture(1, luma, mean=0) for luma in lumas]
    thumbs[61][..., 1:] = np.broadcast_to(128 + tint * sign, one.shape)[..., None]
    return thumbs


def _luma(contrast, pattern, mean=128):
    return mean + contrast * pattern


def test_the_weight_of_moving_pictures_by_hand():
    """The two differ by 60 levels a pixel in one plane of three, and the mix is off by 20."""
    one, two = _luma(60, two_tone.LEFT), _luma(60, two_tone.turned(18))
    ((index, weight, span),) = _dissolves(_tinted(one, two, tint=10))
    assert (index, span) == (61, (61 - 24, 61 + 24))
    assert weight == pytest.approx(1 + 0.1 * 60 / 765 * (1 - (1 / 3) / 0.55), abs=1e-6)


def test_a_mix_that_is_off_by_a_quarter_is_as_sure_as_one_of_still_pictures():
    """20 of 80 levels: the weight is 1, and that of moving pictures would be more."""
    one, two = _luma(80, two_tone.LEFT), _luma(80, two_tone.turned(18))
    ((_, weight, _),) = _dissolves(_tinted(one, two, tint=10))
    assert weight == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("num_rows", "tint", "is_found"),
    [(18, 16, True), (18, 17, False), (10, 7, True), (10, 9, False)],
)
def test_a_mix_of_moving_pictures_may_be_further_off_the_fewer_edges_it_has(
    num_rows, tint, is_found
):
    """Half of the ends' edges allow 0.55, their 0.617 at ten rows 0.48.

    Off are 32 / 60 and 34 / 60; at ten rows, where the ends differ by 33.3, 14 and 18 of that.
    """
    one, two = _luma(60, two_tone.LEFT), _luma(60, two_tone.turned(num_rows))
    assert len(_dissolves(_tinted(one, two, tint))) == is_found


@pytest.mark.parametrize(("sign", "is_found"), [(1.0, True), (two_tone.LEFT, False)])
def test_a_mix_of_moving_pictures_has_lost_contrast(sign, is_found):
    """Off by 30 / 60; a tint of both signs gives back 2 * 15² of 1800: at most 0.475 is allowed."""
    one, two = _luma(60, two_tone.LEFT), _luma(60, two_tone.turned(18))
    thumbs = _tinted(one, two, tint=15, sign=sign)
    assert len(_dissolves(thumbs)) == is_found


@pytest.mark.parametrize(
    ("shares", "is_found"),
    [
        ((0.06, 0.5, 0.94), True),
        ((0.02, 0.5, 0.98), False),
        ((0.25, 0.5), False),
        ((0.0, 0.5, 0.75), False),
    ],
)
def test_moving_pictures_mix_evenly(shares, is_found):
    """At most 0.45 of the change in one frame, before the middle and after it: not 0.48 or 0.5."""
    one, two = _luma(60, two_tone.LEFT), _luma(60, two_tone.turned(18))
    thumbs = _tinted(one, two, 10, shares)
    assert len(_dissolves(thumbs)) == is_found
    assert len(_dissolves(_tinted(one, two, 0, shares))) == 1  # still pictures need not


@pytest.mark.parametrize(("rise", "is_found"), [(46, True), (50, False)])
def test_moving_pictures_do_not_all_become_brighter(rise, is_found):
    """Of contrast 30: one-sided by 2 * rise / (rise + 60), which is 0.87 or 0.91."""
    one, two = _luma(30, two_tone.LEFT, 100), _luma(30, two_tone.TOP, 100 + rise)
    assert len(_dissolves(_tinted(one, two, tint=11))) == is_found
    assert len(_dissolves(_tinted(one, two, tint=0))) == 1


@pytest.mark.parametrize(("contrast", "is_found"), [(25, False), (54, False), (56, True)])
def test_a_light_that_goes_on_in_a_picture_that_is_still_there_is_no_dissolve(contrast, is_found):
    """Five rows at the edge differ: one-sided by 36 * 60 / (31 * 60 + 10 * contrast): 0.9 at 54."""
    one = _luma(contrast, two_tone.LEFT, 90)
    two = _luma(contrast, two_tone.turned(5), 150)
    assert len(_dissolves(_tinted(one, two, tint=0))) == is_found


@pytest.mark.parametrize(("contrast", "is_found"), [(3, True), (2, False)])
def test_from_a_flat_picture_is_no_dissolve(contrast, is_found):
    one, two = _luma(contrast, two_tone.LEFT), _luma(60, two_tone.TOP)
    assert len(_dissolves(_tinted(one, two, tint=0))) == is_found
    assert len(_dissolves(_tinted(two, one, tint=0))) == is_found


@pytest.mark.parametrize(("shares", "is_found"), [((0.35, 0.65), False), ((0.36, 0.64), True)])
def test_the_middle_is_between_35_and_65_hundredths(shares, is_found):
    thumbs = _mixed(two_tone.LEFT, two_tone.turned(18), shares, contrast=100)
    assert len(_dissolves(thumbs)) == is_found


@pytest.mark.parametrize(
    ("before", "after", "is_found"), [(2, 2, True), (1, 2, False), (2, 1, False)]
)
def test_three_frames_on_each_side_are_enough(before, after, is_found):
    thumbs = _mixed(two_tone.LEFT, two_tone.turned(18), [0.25, 0.5, 0.75], before, after)
    middle = before + 1
    found = [(index, span) for index, _, span in _dissolves(thumbs)]
    assert found == ([(middle, (middle - 3, middle + 3))] if is_found else [])
