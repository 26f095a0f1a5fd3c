"""Spans, reels, names and order of a cut."""

from fractions import Fraction

import pytest

from bunny.core.error import UserError
from bunny.library.timeline import clip, timecode

TIMING = timecode.FrameGrid(
    rate=Fraction(25), time_base=Fraction(1, 25), first_pts=100, num_frames=20
)


@pytest.mark.parametrize(
    ("start", "end", "handles", "span"),
    [
        (104, 110, 0, (4, 10)),
        (104, 110, 3, (1, 13)),
        (104, 110, 6, (0, 16)),  # clipped at the film's first frame
        (115, 120, 9, (6, 20)),  # and at its last
        (104, 104, 0, (4, 5)),  # never none
        (120, 120, 0, (19, 20)),
    ],
)
def test_span_with_handles(start, end, handles, span):
    assert clip.shot_frames(TIMING, start, end, handles) == span


@pytest.mark.parametrize(
    ("wanted", "path", "reel"),
    [
        ("", "/a/My film (2).mov", "MYFILM2"),
        ("", "/a/a-very-long-name.mov", "AVERYLON"),
        ("", r"C:\films\take.one.mov", "TAKEONE"),
        ("", "/a/映画.mov", "FILM"),
        ("", "/a/Käfer größer.mov", "KAFERGRO"),
        ("", "/a/black.mov", "BLACK1"),  # BLACK is a colour to an editor
        ("A001_C02", "/a/b.mov", "A001_C02"),
    ],
)
def test_reel(wanted, path, reel):
    assert clip.choose_reel(wanted, path, 8) == reel


@pytest.mark.parametrize("reel", ["A001C0023", "A B", "bl", "a/b"])
def test_reels_that_an_editor_would_misread_are_refused(reel):
    with pytest.raises(UserError, match=r"timeline\.reel: expected"):
        clip.choose_reel(reel, "/a/b.mov", 8)


@pytest.mark.parametrize(
    ("path", "host", "url"),
    [
        ("/a b/c&d's.mp4", "", "file:///a%20b/c%26d%27s.mp4"),
        ("/a/é#1?.mp4", "localhost", "file://localhost/a/%C3%A9%231%3F.mp4"),
        (r"C:\My films\a.mp4", "localhost", "file://localhost/C%3A/My%20films/a.mp4"),
        ("https://host/a b.mp4", "", "https://host/a b.mp4"),
    ],
)
def test_urls_are_escaped(path, host, url):
    assert clip.file_url(path, host) == url


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("", "/a/b c.mp4"),
        ("/mnt/raid/", "/mnt/raid/b c.mp4"),
        ("Z:\\raid\\", "Z:\\raid\\b c.mp4"),
        ("/mnt/other.mov", "/mnt/other.mov"),
    ],
)
def test_where_the_editor_finds_the_film(setting, place):
    assert clip.media_path(setting, "/a/b c.mp4") == place


def test_best_first_and_film_order():
    clips = [
        clip.Clip(shot_index=i, first=i * 10, end=i * 10 + 5, score=s)
        for i, s in ((2, 0.5), (0, 0.5), (1, 0.9), (3, None))
    ]
    assert [c.shot_index for c in clip.order_clips(clips, "film")] == [0, 1, 2, 3]
    assert [c.shot_index for c in clip.order_clips(clips, "score")] == [1, 0, 2, 3]


def test_one_line():
    assert clip.one_line("a\nb\tc\x00  d") == "a b c d"
    assert clip.one_line("abcdef", 4) == "abc…"
