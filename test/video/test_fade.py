"""Fades of two-tone pictures, whose contrast is known: half of the pixels above the mean."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from bunny.video.shot.fade import FadeDetector
from bunny.video.shot.window import RecentFrames

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))
LEFT, TOP, MEAN = two_tone.LEFT, two_tone.TOP, two_tone.MEAN
_picture = two_tone.picture


def _fades(thumbs, step=1):
    """Fades by (index, span, flank), and at which frame they were told; -1: at the end."""
    recent = RecentFrames(0, 10_000)
    fades = FadeDetector(recent, step)
    found = []
    for index, thumb in enumerate(thumbs):
        recent.add(thumb)
        found += [(index, b) for b in fades.at(index)]
    found += [(-1, b) for b in fades.finish()]
    assert all((b.kind, b.strength) == ("fade", 1.0) for _, b in found)
    return [(told, b.index, b.span, b.flank) for told, b in found]


def _dip(fall, bottom, rise, other=TOP, before=40, after=40, top=60):
    """A shot, contrasts down to the bottom, and up again to another shot."""
    down = [_picture(c) for c in [top] * before + list(fall)]
    up = [_picture(c, other) for c in [*rise, *[top] * after]]
    return [*down, *(_picture(c) for c in bottom), *up]


DOWN, UP = (50, 40, 30), (30, 40, 50)  # in even steps


@pytest.mark.parametrize(("bottom", "is_fade"), [(19, True), (21, False)])
def test_a_dip_goes_to_a_third_of_the_contrast(bottom, is_fade):
    found = _fades(_dip(DOWN, [bottom], UP))
    assert len(found) == is_fade
    if is_fade:  # told when the frames around it are known; from the first full contrast near it
        assert found == [(43 + 24, 43, (43 - 24, 43 + 4), (43 - 24, 43 + 4))]


def test_of_a_long_bottom_the_first_frame_is_the_boundary():
    ((_, index, _, _),) = _fades(_dip(DOWN, [15, 15, 15], UP))
    assert index == 43
    ((_, index, _, _),) = _fades(_dip(DOWN, [15, 14, 15], UP))
    assert index == 44


@pytest.mark.parametrize(
    ("fall", "rise", "is_fade"),
    [
        ((41, 30, 20), (20, 30, 41), True),  # 19 of 50 at once
        ((39, 30, 20), (20, 30, 41), False),  # 21 of 50: a cut
        ((41, 30, 20), (20, 30, 39), False),
    ],
)
def test_no_frame_of_a_dip_has_two_fifths_of_it(fall, rise, is_fade):
    assert len(_fades(_dip(fall, [10], rise))) == is_fade


@pytest.mark.parametrize(("num_full", "is_fade"), [(9, True), (6, False)])
def test_a_light_put_out_for_a_while_is_no_dip(num_full, is_fade):
    """Of 24 frames so many are at full height, the others but for two at a fiftieth of it.

    The mean height has to be a third: (9 + 1.0 + 13 * 0.02) / 25 is, (6 + 1.0 + 16 * 0.02) / 25
    is not.
    """
    low = [43, 27, *[11] * (24 - 2 - num_full)]
    assert len(_fades(_dip(low, [10], UP))) == is_fade


@pytest.mark.parametrize(("num_low", "is_fade"), [(2, True), (3, False)])
def test_light_that_comes_late_is_no_dip(num_low, is_fade):
    """Heights 0, 0.02 so often, 0.34, 0.66 and 1: their mean is 0.34, or 0.29."""
    assert len(_fades(_dip(DOWN, [10], [*[11] * num_low, 27, 43]))) == is_fade


@pytest.mark.parametrize(("num_rows", "is_fade"), [(5, True), (4, False)])
def test_a_dip_leads_to_another_picture(num_rows, is_fade):
    """With so many of 36 rows turned round their correlation is 1 - 2 * rows / 36: 0.72, 0.78."""
    assert len(_fades(_dip(DOWN, [15], UP, two_tone.turned(num_rows)))) == is_fade


@pytest.mark.parametrize(("before", "is_fade"), [(22, True), (21, False)])
def test_a_dip_is_seen_from_a_second_on_both_sides(before, is_fade):
    """The bottom is frame 25 or 24; 24 frames before it, one of them after the first."""
    assert len(_fades(_dip(DOWN, [15], UP, before=before))) == is_fade
    assert _fades(_dip(DOWN, [15], UP, after=20)) == []  # 23 frames follow
    assert len(_fades(_dip(DOWN, [15], UP, after=21))) == 1


def test_faster_films_have_wider_dips():
    def slow(contrasts):
        return [c for c in contrasts for _ in range(2)]

    thumbs = _dip(slow(DOWN), [15], slow(UP), before=80, after=80)
    ((told, index, span, _),) = _fades(thumbs, step=2)
    assert (told, index, span) == (86 + 48, 86, (86 - 48, 86 + 7))


def test_faster_films_are_waited_for_longer():
    ((told, index, span, _),) = _fades(_through([(0, 100)] * 6, after=90), step=2)
    assert (index, span, told) == (36, (33, 39), 39 + 48)


def _through(flat, fall=(45, 30, 15), rise=(15, 30, 45), before=30, after=40, top=60, mean=MEAN):
    """Two shots and flat pictures between them, given as (contrast, mean)."""
    down = [_picture(c) for c in [top] * before + list(fall)]
    up = [_picture(c, TOP) for c in [*rise, *[top] * after]]
    return [*down, *(_picture(c, LEFT, m) for c, m in flat), *up]


def test_the_boundary_of_a_fade_is_in_the_middle_of_the_darkest_flat_frames():
    """Frames 33 to 38 are flat; 35 to 37 are within 4 grey levels of the darkest."""
    lumas = [100, 60, 44, 40, 42, 60]
    ((told, index, span, flank),) = _fades(_through([(0, luma) for luma in lumas]))
    assert (index, span) == (36, (33, 39))
    assert flank == (33 - 4, 39 + 4)  # three falling frames, and the first full one
    assert told == 39 + 24


@pytest.mark.parametrize(("contrast", "is_flat"), [(2, True), (4, False)])
def test_a_flat_picture_has_less_than_three_levels_of_contrast(contrast, is_flat):
    found = _fades(_through([(contrast, 100)] * 6, top=60))
    assert [b[2] for b in found] == ([(33, 39)] if is_flat else [b[2] for b in found])
    assert all((b[2] == (33, 39)) is is_flat for b in found)


@pytest.mark.parametrize(("top", "is_fade"), [(7, True), (5, False)])
def test_the_picture_was_three_times_as_lively_before(top, is_fade):
    found = _fades(_through([(2, 100)] * 6, fall=(), rise=(), top=top))
    assert [b[1] for b in found] == ([33] if is_fade else [])


def test_of_a_long_flat_span_the_first_frames_count():
    """48 of them; the last is then not waited for."""
    ((told, index, span, _),) = _fades(_through([(0, 100)] * 90))
    assert (index, span, told) == (33 + 24, (33, 33 + 48), 33 + 48 + 24)


def test_what_was_flat_from_the_start_is_no_fade():
    assert _fades([_picture(0)] * 10 + [_picture(60)] * 60) == []
    assert _fades([_picture(60)] * 60 + [_picture(0)] * 10) == []


@pytest.mark.parametrize(("num", "is_fade"), [(4, False), (5, True)])
def test_a_few_flat_frames_within_one_picture_are_none(num, is_fade):
    thumbs = [_picture(60)] * 30 + [_picture(0)] * num + [_picture(60)] * 40
    assert len(_fades(thumbs)) == is_fade
    other = [_picture(60)] * 30 + [_picture(0)] * num + [_picture(60, TOP)] * 40
    assert len(_fades(other)) == 1  # between two pictures they are one


def test_a_few_flat_frames_that_come_little_by_little_are_a_fade():
    down, up = [45, 30, 15], [15, 30, 45]
    contrasts = [60] * 30 + down + [0, 0] + up + [60] * 40
    ((_, index, span, _),) = _fades([_picture(c) for c in contrasts])
    assert (index, span) == (34, (33, 35))


def test_through_white_into_black_has_one_boundary_in_the_black():
    flat = [(0, 200)] * 6 + [(0, 5)] * 6
    assert [b[2] for b in _fades(_through(flat))] == [(39, 45)]
    assert [b[2] for b in _fades(_through(flat[::-1]))] == [(33, 39)]
    grey = [(0, 200)] * 6 + [(0, 15)] * 6  # 15 of 255 is black, 17 is not
    assert [b[2] for b in _fades(_through(grey))] == [(39, 45)]
    grey = [(0, 200)] * 6 + [(0, 17)] * 6
    assert [b[2] for b in _fades(_through(grey))] == [(33, 45)]


def test_a_fade_that_is_not_over_is_told_at_the_end():
    ((told, index, span, flank),) = _fades(_through([(0, 5)] * 6, after=2))
    assert (told, index, span, flank) == (-1, 36, (33, 39), (29, 43))


def _with_logo(thumb, rows=slice(3, 6), columns=slice(50, 61)):
    """A logo of two tones in a corner: 33 of 2304 pixels."""
    made = thumb.copy()
    made[rows, columns, 0] = 180
    made[rows, columns.start + 1 : columns.stop : 3, 0] = 235
    return made


def _to_black(other=TOP, bottom=6, logo_at=slice(0, 10_000)):
    """Two pictures that fall to black and rise from it, under a logo in some of the frames."""
    levels = [1.0] * 30 + [0.7, 0.4, 0.15] + [0.0] * bottom + [0.15, 0.4, 0.7] + [1.0] * 40
    middle = 33 + bottom // 2
    frames = [
        _picture(60 * s, LEFT if i < middle else other, MEAN * s) for i, s in enumerate(levels)
    ]
    return [_with_logo(f) if logo_at.start <= i < logo_at.stop else f for i, f in enumerate(frames)]


def test_a_fade_to_black_under_a_logo_is_one():
    """Frames 33 to 38 are black beside the logo; the pictures fall from 30 and rise to 42."""
    ((told, index, span, flank),) = _fades(_to_black())
    assert (told, index, span, flank) == (39 + 24, 36, (33, 39), (29, 43))
    assert len(_fades(_to_black(bottom=60))) == 1  # the first 48 frames of the black
    assert len(_fades(_to_black(other=LEFT))) == 1  # black lies between, whatever follows


def test_a_title_on_black_is_no_overlay():
    """It is in no picture; what fades comes back, so that it is no dip either."""
    assert _fades(_to_black(other=LEFT, logo_at=slice(33, 39))) == []


def test_a_title_on_black_from_the_start_is_no_fade():
    assert _fades([_with_logo(_picture(0, LEFT, 0))] * 40 + [_with_logo(_picture(60))] * 40) == []


def test_a_contrast_of_exactly_three_levels_is_not_flat():
    """A dip may end on it, and it is no black that a flat span comes from."""
    assert [b[1:] for b in _fades(_dip((45, 30, 15), [3], (15, 30, 45)))] == [
        (43, (19, 47), (19, 47))
    ]
    assert [b[2] for b in _fades(_through([(0, 100)] * 6, fall=(45, 30, 3)))] == [(33, 39)]
