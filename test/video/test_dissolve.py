"""Dissolves between two-tone pictures, whose change and likeness are worked out by hand.

Where rows are turned round luma differs by twice the contrast, in one of three planes: the change
is `rows / 36 * 2 * contrast / 765`.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bunny.video.dissolve import Dissolves, apart
from bunny.video.recent import Recent

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))


def _mixed(one, two, shares, before=60, after=60, contrast=60):
    """A shot, mixes of both patterns by the share of the second, and the other shot."""
    shares = [*[0.0] * before, *shares, *[1.0] * after]
    return [two_tone.picture(contrast, (1 - s) * one + s * two) for s in shares]


def _even(length):
    return [(k + 0.5) / length for k in range(length)]


def _dissolves(thumbs, threshold=1.0, step=1, is_loose=False):
    recent = Recent(0, 10_000)
    for thumb in thumbs:
        recent.add(thumb)
    dissolves = Dissolves(recent, threshold, step, is_loose)
    found = [b for centre in range(len(thumbs) + 37 * step) for b in dissolves.at(centre)]
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


@pytest.mark.parametrize(("likeness", "is_told"), [(0.83, True), (0.87, False)])
def test_what_is_rather_alike_is_told_to_be_judged(likeness, is_told):
    two = likeness * two_tone.LEFT + np.sqrt(1 - likeness**2) * two_tone.TOP
    thumbs = _mixed(two_tone.LEFT, two, _even(13), contrast=90)
    assert _dissolves(thumbs) == []
    found = _dissolves(thumbs, is_loose=True)
    assert len(found) == is_told and all(0 < weight < 1 for _, weight, _ in found)


def test_the_weight_of_what_is_to_be_judged():
    """Half the change, 0.558 * 90 / 765, as the mix is exact; and 0.5 where contrast is lost."""
    two = 0.83 * two_tone.LEFT + np.sqrt(1 - 0.83**2) * two_tone.TOP
    ((_, weight, _),) = _dissolves(
        _mixed(two_tone.LEFT, two, _even(13), contrast=90), is_loose=True
    )
    assert weight % 0.5 == pytest.approx(0.558 * 90 / 765 / 2, rel=0.05)


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
    assert apart(halves) == steps
