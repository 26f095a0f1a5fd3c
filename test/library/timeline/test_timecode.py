"""SMPTE timecode by hand, and there and back over a day."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.library.timeline import timecode
from bunny.library.timeline.timecode import from_timecode, to_timecode
from bunny.video import probe

NTSC, NTSC_FAST, NTSC_FILM = Fraction(30000, 1001), Fraction(60000, 1001), Fraction(24000, 1001)


def timecode_of(pts, base, rate, *, start_pts=0, start=None, is_drop=False):
    """Label of the moment at which a frame is shown."""
    grid = timecode.FrameGrid(
        rate=rate,
        time_base=base,
        first_pts=start_pts,
        num_frames=0,
        start_number=from_timecode(start, rate) if start else 0,
        is_drop=";" in start if start else is_drop,
    )
    return timecode.source_timecode(grid, timecode.frame_number(grid, pts))


@pytest.mark.parametrize(
    ("number", "rate", "is_drop", "text"),
    [
        (0, Fraction(25), False, "00:00:00:00"),
        (90_061 * 25 - 1, Fraction(25), False, "01:01:00:24"),  # a day and 3661 s, less a frame
        (86_399, NTSC_FILM, False, "00:59:59:23"),
        (1800, NTSC, False, "00:01:00:00"),
        (1799, NTSC, True, "00:00:59;29"),
        (1800, NTSC, True, "00:01:00;02"),
        (3597, NTSC, True, "00:01:59;29"),
        (3598, NTSC, True, "00:02:00;02"),
        (17_981, NTSC, True, "00:09:59;29"),
        (17_982, NTSC, True, "00:10:00;00"),
        (107_892, NTSC, True, "01:00:00;00"),
        (2_589_407, NTSC, True, "23:59:59;29"),
        (2_589_408, NTSC, True, "00:00:00;00"),
        (3599, NTSC_FAST, True, "00:00:59;59"),
        (3600, NTSC_FAST, True, "00:01:00;04"),
        (35_964, NTSC_FAST, True, "00:10:00;00"),
        (119, Fraction(120), False, "00:00:00:119"),
        (61, Fraction(1), False, "00:01:01:00"),  # a picture a second
    ],
)
def test_labels_by_hand(number, rate, is_drop, text):
    assert to_timecode(number, rate, is_drop) == text
    day = to_timecode(0, rate, is_drop)
    if number == 0 or text != day:
        nominal = round(rate)
        in_a_day = 2_589_408 * nominal // 30 if is_drop else 86_400 * nominal
        assert from_timecode(text, rate) == number % in_a_day


RATES = [
    (Fraction(24), False),
    (NTSC_FILM, False),
    (Fraction(25), False),
    (NTSC, False),
    (NTSC, True),
    (Fraction(60), False),
    (NTSC_FAST, True),
]


@given(st.sampled_from(RATES), st.integers(0, 2_073_599))
def test_there_and_back(kind, number):
    rate, is_drop = kind
    assert from_timecode(to_timecode(number, rate, is_drop), rate) == number


@given(st.sampled_from([NTSC, NTSC_FAST]), st.integers(0, 23), st.integers(0, 59))
def test_drop_frame_keeps_to_the_clock(rate, hours, minutes):
    number = int((hours * 3600 + minutes * 60) * rate)
    label = to_timecode(number, rate, is_drop=True)
    told = sum(int(label[at : at + 2]) * unit for at, unit in ((0, 3600), (3, 60), (6, 1)))
    told = told + int(label[9:11]) / round(rate)
    assert abs(told - hours * 3600 - minutes * 60) < 0.16  # 86.4 ms a day, and four labels


@given(st.integers(0, 2_589_406))
def test_labels_of_neighbours_rise(number):
    assert to_timecode(number, NTSC, True) < to_timecode(number + 1, NTSC, True)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("00:01:00;00", NTSC),  # dropped
        ("00:01:00;01", NTSC),
        ("00:00:60:00", NTSC),
        ("00:60:00:00", NTSC),
        ("24:00:00:00", NTSC),
        ("00:00:00:30", NTSC),
        ("1:2:3:4", NTSC),
        ("00:00:01", NTSC),
        ("00:00:00;00", Fraction(25)),  # no drop-frame at this rate
        ("00:00:00:00", Fraction(173, 10)),
    ],
)
def test_what_is_no_timecode_is_refused(text, rate):
    with pytest.raises(ValueError, match="expected"):
        from_timecode(text, rate)


def test_numbers_and_rates_without_a_label_are_refused():
    for number, rate, is_drop in ((-1, NTSC, False), (0, NTSC_FILM, True), (0, Fraction(0), False)):
        with pytest.raises(ValueError, match="expected"):
            to_timecode(number, rate, is_drop)


def test_rounded_times_give_the_right_label():
    base = Fraction(1, 1000)
    for number in range(0, 100_000, 997):
        pts = int(number / NTSC / base + Fraction(1, 2))
        assert timecode_of(pts, base, NTSC, is_drop=True) == to_timecode(number, NTSC, True)


def test_the_first_frame_has_the_films_own_timecode():
    base = Fraction(1, 30_000)
    options = {"start_pts": 5005, "start": "00:00:59;28"}
    assert timecode_of(5005, base, NTSC, **options) == "00:00:59;28"
    assert timecode_of(5005 + 2 * 1001, base, NTSC, **options) == "00:01:00;02"
    assert timecode_of(0, base, NTSC, **options) == "00:00:59;23"
    with pytest.raises(ValueError, match="0 or more"):
        timecode_of(-1001, base, NTSC)


def test_the_films_own_timecode_says_whether_labels_are_dropped():
    base = Fraction(1, 30_000)
    start = "00:00:59:29"
    assert timecode_of(1001, base, NTSC, start=start, is_drop=True) == "00:01:00:00"
    assert timecode_of(1001, base, NTSC, start=start.replace("59:29", "59;29")) == "00:01:00;02"
    assert timecode_of(0, base, NTSC, is_drop=True) == "00:00:00;00"
    assert timecode_of(0, base, NTSC) == "00:00:00:00"


def test_frames_of_a_variable_rate_have_the_nearest_label():
    base, rate = Fraction(1, 1000), Fraction(25)
    labels = [timecode_of(pts, base, rate) for pts in (0, 19, 20, 41, 500)]
    assert [label[-2:] for label in labels] == ["00", "00", "01", "01", "13"]  # 12.5 goes up


@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mkv"])
def test_the_start_is_read_from_the_film(tmp_path, name):
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream("libx264", rate=NTSC)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        (out if name == "a.mkv" else stream).metadata["timecode"] = "01:00:00;02"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, 1 / NTSC
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    assert probe.probe(tmp_path / name).timecode == "01:00:00;02"
