"""Cuts between two-tone pictures: what no move explains is worked out by hand.

Where rows are turned round every pixel differs by twice the contrast. Of the eight blocks across,
the two in the middle find 3 of their 8 columns by a shift: 7.25 of 8 blocks differ. Luma weighs
0.6. So `moved` is `rows / 36 * 7.25 / 8 * 2 * contrast * 0.6 / 255`.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bunny.video.shot import frame_difference
from bunny.video.shot.cut import CutMeter, decide_cut
from bunny.video.shot.window import RecentFrames

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))


def _shots(*parts, contrast=60):
    """Pictures of shots given as (rows turned round, frames)."""
    return [
        two_tone.picture(contrast, two_tone.turned(num_rows))
        for num_rows, length in parts
        for _ in range(length)
    ]


def _cuts(thumbs, threshold=1.0, first_index=0):
    recent = RecentFrames(first_index, 10_000)
    cuts = CutMeter(recent, 0.5 * min(1.0, threshold))
    for thumb in thumbs:
        recent.add(thumb)
    every = [cuts.at(first_index + i) for i in range(len(thumbs))]
    every = [decide_cut(score, threshold) for score in every if score is not None]
    found = [b for b in every if b is not None]
    assert all((b.kind, b.span) == ("cut", (b.index, b.index)) for b in found)
    return [(b.index, b.strength) for b in found]


def _moved(num_rows, contrast):
    return num_rows / 36 * 7.25 / 8 * 2 * contrast * 0.6 / 255


@pytest.mark.parametrize("num_rows", [9, 18, 27])
@pytest.mark.parametrize("contrast", [40, 60])
def test_strength_is_the_change_over_the_floor(num_rows, contrast):
    ((index, strength),) = _cuts(_shots((0, 20), (num_rows, 20), contrast=contrast))
    assert index == 20
    assert strength == pytest.approx(_moved(num_rows, contrast) / 0.016, rel=0.03)


def test_the_floor_falls_with_contrast_to_two_fifths():
    """Full contrast is 0.12 of 255, 30.6 grey levels; 20 are 0.65 of it, 8 count as 0.4."""
    ((_, strength),) = _cuts(_shots((0, 20), (18, 20), contrast=20))
    assert strength == pytest.approx(_moved(18, 20) / 0.016 / (20 / 30.6), rel=0.03)
    ((_, strength),) = _cuts(_shots((0, 20), (18, 20), contrast=8))
    assert strength == pytest.approx(_moved(18, 8) / 0.016 / 0.4, rel=0.06)


def test_a_higher_threshold_asks_for_more():
    thumbs = _shots((0, 20), (18, 20))  # 8.0 times what is asked
    ((_, strength),) = _cuts(thumbs, threshold=7.5)
    assert strength == pytest.approx(_moved(18, 60) / 0.016 / 7.5, rel=0.03)
    assert _cuts(thumbs, threshold=8.5) == []


@pytest.mark.parametrize(("contrast", "is_cut"), [(10, False), (40, True)])
def test_a_weak_change_in_a_part_is_a_subtitle(contrast, is_cut):
    """A quarter changes: strength 1.7 is not believed, 2.7 is."""
    found = _cuts(_shots((0, 20), (9, 20), contrast=contrast))
    assert [index for index, _ in found] == [20] * is_cut


@pytest.mark.parametrize(("num", "cuts"), [(1, []), (4, []), (5, [20, 25]), (9, [20, 29])])
def test_a_flash_is_over_within_four_frames(num, cuts):
    thumbs = _shots((0, 20), (30, num), (0, 20))
    assert [index for index, _ in _cuts(thumbs)] == cuts


@pytest.mark.parametrize(("num_rows", "cuts"), [(11, [22]), (13, [20, 22])])
def test_after_a_flash_two_fifths_of_the_change_may_remain(num_rows, cuts):
    """11 of 30 rows are little enough for the first change to be a flash."""
    thumbs = _shots((0, 20), (30, 2), (num_rows, 20))
    assert [index for index, _ in _cuts(thumbs)] == cuts


@pytest.mark.parametrize("first_index", [0, 1000])
def test_the_first_frame_is_no_cut_and_the_last_may_be(first_index):
    assert _cuts(_shots((0, 1), (18, 20)), first_index=first_index)[0][0] == first_index + 1
    assert _cuts(_shots((0, 20), (18, 1)), first_index=first_index)[0][0] == first_index + 20
    assert _cuts(_shots((0, 20)), first_index=first_index) == []


@pytest.mark.parametrize("gap", [6, 7])
def test_only_six_frames_on_each_side_are_compared(gap):
    """A change among the 12 neighbours raises their mean; one further off does not.

    At the second change what was above the turned rows helps to explain them: there 12.5 of 32
    blocks differ.
    """
    thumbs = _shots((0, 20), (18, gap), (36, 20))
    (_, first), (_, second) = _cuts(thumbs)
    one, two = _moved(18, 60), 12.5 / 32 * 120 * 0.6 / 255
    if gap == 6:
        expected = one / (two / 12 + 0.008) / 2, two / (one / 12 + 0.008) / 2
    else:
        expected = one / 0.016, two / 0.016
    assert (first, second) == pytest.approx(expected, rel=0.03)


def test_a_flash_at_the_end_is_over_in_the_last_frame():
    assert _cuts(_shots((0, 20), (30, 2), (0, 1))) == []
    assert [index for index, _ in _cuts(_shots((0, 20), (30, 2)))] == [20]


@pytest.mark.parametrize(("strength", "is_cut"), [(1.5, False), (2.5, True)])
def test_another_view_of_one_thing_is_a_cut_only_when_it_is_clear(strength, is_cut):
    """The camera jumped by a quarter of the width; another picture needs no more than 1."""
    blocks = np.random.default_rng(5).choice([-1.0, 1.0], (9, 24))
    wide = np.kron(blocks, np.ones((4, 4)))
    one, moved = (two_tone.picture(60, wide[:, x : x + 64]) for x in (0, 16))
    other = two_tone.picture(60, np.kron(blocks[::-1, ::-1], np.ones((4, 4)))[:, :64])
    for second, cuts in ((moved, [20] * is_cut), (other, [20])):
        full = frame_difference.compensated_difference(one, second) / 0.016
        found = _cuts([one] * 20 + [second] * 20, threshold=full / strength)
        assert [index for index, _ in found] == cuts
    assert frame_difference.best_match(one, moved) > 0.72 > frame_difference.best_match(one, other)


def test_a_cut_among_lively_frames_is_one_when_the_old_picture_does_not_come_back():
    """Around a change of 18 rows each frame differs from the next by 6: as when a wing passes."""
    thumbs = _shots(*[(0, 1), (6, 1)] * 10, *[(24, 1), (30, 1)] * 10)
    assert [index for index, _ in _cuts(thumbs)] == [20]


def _restless(rows, rise=19):
    """Pictures with so many rows turned round, every other pair of them brighter.

    18 rows are a change of `_moved(18, 60)`, 0.128; a rise of 19 levels, 0.045, is 0.35 of it.
    """
    return [
        two_tone.picture(60, two_tone.turned(n), mean=128 + rise * (i % 4 in (1, 2)))
        for i, n in enumerate(rows)
    ]


@pytest.mark.parametrize(("rise", "cuts"), [(0, [22, 28]), (19, [])])
def test_what_crosses_a_lens_that_moves_is_no_cut(rise, cuts):
    """The old picture is back six frames after the change, too late for a flash."""
    thumbs = _restless([0] * 22 + [18] * 6 + [0] * 20, rise)
    assert [index for index, _ in _cuts(thumbs)] == cuts


def test_a_cut_among_pictures_that_move_much_is_one():
    """What is compared lies on both sides of it: seven frames before, and six after."""
    thumbs = _restless([0] * 22 + [18] * 22)
    assert [index for index, _ in _cuts(thumbs)] == [22]


def test_light_alone_is_no_cut():
    thumbs = [two_tone.picture(40, mean=100)] * 20 + [two_tone.picture(60, mean=160)] * 20
    assert _cuts(thumbs) == []
