"""A film's frames on the editor's grid: exact over two hours, whatever the rate."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.core.error import UserError
from bunny.library.timeline import timecode

from .conftest import film_row, shot_table

FILM, TV, FAST = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
KINDS = [(FILM, False), (TV, True), (TV, False), (Fraction(25), False), (FAST, True)]
TWO_HOURS_S = 7200


def timing(rate, **more):
    defaults = {"time_base": 1 / rate, "first_pts": 0, "num_frames": int(TWO_HOURS_S * rate)}
    return timecode.FrameGrid(rate=rate, **{**defaults, **more})


@pytest.mark.parametrize(("rate", "is_drop"), KINDS)
def test_each_frame_of_two_hours_has_its_own_label_and_comes_back(rate, is_drop):
    count = int(TWO_HOURS_S * rate)
    there = (timecode.to_timecode(n, rate, is_drop) for n in range(count))
    assert all(timecode.from_timecode(text, rate) == n for n, text in enumerate(there))


@pytest.mark.parametrize(("rate", "is_drop"), KINDS)
def test_labels_are_opentimelineios(rate, is_drop):
    time = pytest.importorskip("opentimelineio").opentime
    real = float(rate)
    for number in range(0, int(TWO_HOURS_S * rate), 7):
        text = timecode.to_timecode(number, rate, is_drop)
        assert time.to_timecode(time.RationalTime(number, real), real, is_drop) == text
        assert time.from_timecode(text, real).value == number


@pytest.mark.parametrize(("rate", "is_drop"), KINDS)
@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 90_000)])
def test_times_rounded_to_a_millisecond_give_the_frame(rate, is_drop, base):
    grid = timing(rate, time_base=base, first_pts=1234, is_drop=is_drop)
    for number in range(0, int(TWO_HOURS_S * rate), 97):
        pts = 1234 + round(number / rate / base)
        assert timecode.frame_number(grid, pts) == number


@given(st.sampled_from(KINDS), st.integers(0, 2_000_000), st.integers(0, 400_000))
def test_label_and_number_are_inverse_from_any_start(kind, start, number):
    rate, is_drop = kind
    grid = timing(rate, start_number=start, is_drop=is_drop)
    assert timecode.from_source_timecode(grid, timecode.source_timecode(grid, number)) == number


def test_labels_past_midnight_come_back():
    grid = timing(Fraction(25), start_number=24 * 3600 * 25 - 10)
    assert timecode.source_timecode(grid, 9) == "23:59:59:24"
    assert timecode.source_timecode(grid, 10) == "00:00:00:00"
    assert timecode.from_source_timecode(grid, "00:00:00:00") == 10


def test_a_colon_is_read_as_the_films_own_way_of_counting():
    drop = timing(TV, start_number=107_892, is_drop=True)
    assert (
        timecode.from_source_timecode(drop, "01:01:00:02")
        == timecode.from_source_timecode(drop, "01:01:00;02")
        == 1800
    )
    plain = timing(TV)
    assert timecode.from_source_timecode(plain, "00:01:00:02") == 1802
    assert (
        timecode.from_source_timecode(plain, "00:01:00;02") == 1800
    )  # a list that was exported with drops
    assert (
        timecode.from_source_timecode(timing(Fraction(25)), "00:00:01;02") == 27
    )  # 25 has no drop-frame


def test_the_films_timecode_says_start_and_counting():
    film = film_row(TV, Fraction(1, 30_000), start_timecode="01:00:00;00")
    grid = timecode.read_grid(film, shot_table(TV, Fraction(1, 30_000)))
    assert (grid.start_number, grid.is_drop, grid.notes) == (107_892, True, ())
    assert timecode.source_timecode(grid, 1800) == "01:01:00;02"
    assert grid.num_frames == 75


def test_a_first_frame_that_is_not_at_0_is_the_grids_0():
    base = Fraction(1, 12800)
    grid = timecode.read_grid(film_row(), shot_table(first_pts=99_999))
    assert grid.first_pts == 99_999
    assert timecode.frame_number(grid, 99_999 + int(10 / 25 / base)) == 10
    assert timecode.source_timecode(grid, 10) == "00:00:00:10"


def test_variable_rate_is_conformed_and_said():
    shots = shot_table(Fraction(20))  # 75 frames over 3.75 s
    grid = timecode.read_grid(film_row(Fraction(1966, 97)), shots)
    assert grid.rate == timecode.NTSC * 24  # the nearest to 20.3 of what editors offer
    assert len(grid.notes) == 1
    assert "20.268 fps on average): conformed to 23.976 fps" in grid.notes[0]
    assert grid.num_frames == 90  # 3.75 s of them


def test_missing_frames_are_said_and_rounding_is_not():
    late = shot_table(Fraction(25), first_pts=0)
    off = late.with_columns(first_frame_index=late["first_frame_index"] - late["shot_index"] * 2)
    assert "missing frames" in timecode.read_grid(film_row(), off).notes[0]
    base = Fraction(1, 1000)
    assert timecode.read_grid(film_row(FILM, base), shot_table(FILM, base)).notes == ()


def test_interlaced_is_said():
    (note,) = timecode.read_grid(film_row(is_interlaced=True), shot_table()).notes
    assert "frames are counted, not fields" in note


def test_a_start_that_does_not_occur_is_said_and_0_taken():
    grid = timecode.read_grid(film_row(start_timecode="00:00:00:29"), shot_table())
    assert grid.start_number == 0
    assert "00:00:00:29 does not exist at 25 fps" in grid.notes[0]


@pytest.mark.parametrize(
    ("film", "options", "sentence"),
    [
        ({"rate": Fraction(0)}, {}, "frame rate of the film is unknown"),
        ({}, {"is_drop": True}, "29.97 or 59.94"),
    ],
)
def test_what_has_no_grid_is_refused(film, options, sentence):
    with pytest.raises(UserError, match=sentence):
        timecode.read_grid(film_row(**film), shot_table(), **options)
    with pytest.raises(UserError, match="no shots found"):
        timecode.read_grid(film_row(), shot_table().clear())


@pytest.mark.parametrize(
    ("rate", "whole"),
    [
        (FILM, FILM),
        (Fraction(25), 25),
        (Fraction(15), 15),
        (Fraction(2731, 100), 25),
        (Fraction(1, 3), FILM),
    ],
)
def test_the_nearest_rate(rate, whole):
    assert timecode.conform_rate(rate) == whole


def test_seconds_name_the_picture_that_is_shown():
    grid = timing(Fraction(25))
    assert [timecode.frame_at_second(grid, s) for s in (0, 0.0399, 0.04, 1.0)] == [0, 0, 1, 25]
