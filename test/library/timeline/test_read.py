"""Timelines that editors wrote, and what is none."""

from fractions import Fraction

import pytest

from bunny.core.error import UserError
from bunny.library.timeline import read

EDL = """TITLE: x
FCM: NON-DROP FRAME

001  AX       AA/V  C        00:00:01:00 00:00:02:00 01:00:00:00 01:00:01:00
* FROM CLIP NAME:  owl.mov
002  OWL      V     D    010 00:00:03:00 00:00:04:00 01:00:01:00 01:00:02:00
* SOURCE FILE: C:\\films\\fox.mov
* FROM CLIP NAME: fox
003  OWL      A     C        00:00:03:00 00:00:04:00 01:00:01:00 01:00:02:00
"""


def test_an_editors_list(tmp_path):
    path = tmp_path / "a.edl"
    path.write_text(EDL, encoding="utf-8")
    first, second = read.read_clips(path)
    assert (first.file, first.labels) == ("owl.mov", ("00:00:01:00", "00:00:02:00"))
    assert (second.file, second.labels[0]) == ("fox.mov", "00:00:03:00")  # sound is passed over
    assert first.film_id == ""


def test_final_cut_pro_7_counts_frames_of_the_clips_own_rate(tmp_path):
    """The second clip names a file by its id alone; 29.97 is 30 with `ntsc`."""
    clip = (
        "<clipitem><rate><timebase>{}</timebase><ntsc>{}</ntsc></rate>"
        "<in>{}</in><out>{}</out>{}</clipitem>"
    )
    file = '<file id="f1"><name>owl</name><pathurl>file://localhost/a/My%20owl.mov</pathurl></file>'
    clips = [
        clip.format(24, "FALSE", "0.0", "1055.0", file),
        clip.format(30, "TRUE", 30, 60, '<file id="f1"/>'),
    ]
    path = tmp_path / "a.xml"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE xmeml><xmeml version="5"><sequence><media><video><track>'
        f"{''.join(clips)}</track></video></media></sequence></xmeml>"
    )
    first, second = read.read_clips(path)
    assert (first.file, second.file) == ("My owl.mov", "My owl.mov")
    assert first.seconds == (0, Fraction(1055, 24))
    assert second.seconds == (Fraction(1001, 1000), Fraction(1001, 500))


@pytest.mark.parametrize(
    ("name", "count", "first", "file"),
    [
        ("25fps.edl", 4, ("01:00:00:00", "01:00:06:11"), "sq001_s001"),
        ("screening_example.edl", 9, ("01:00:04:05", "01:00:05:12"), "ZZ100_501.LAY3.01"),
        ("hiero_xml_export.xml", 2, (0, Fraction(1055, 24)), "A160C005_171213_R0MN.mxf"),
    ],
)
def test_real_exports(material, name, count, first, file):
    pieces = read.read_clips(material / "timeline" / name)
    assert len(pieces) == count
    assert (pieces[0].labels or pieces[0].seconds) == first
    assert pieces[0].file == file


def test_real_final_cut_x_clips(material):
    with pytest.raises(UserError, match=r"expected (an )?EDL"):
        read.read_clips(material / "timeline" / "premiere_example_filter.xml")
    assert read.read_clips(material / "timeline" / "fcpx_clips.fcpxml")


def test_media_that_stands_in_a_representation(tmp_path):
    """Final Cut Pro X from 1.9 on; 7.2 s into a film that begins at an hour."""
    path = tmp_path / "a.fcpxml"
    path.write_text(
        '<fcpxml version="1.10"><resources><asset id="r2" start="3600s">'
        '<media-rep src="file:///a/My%20owl.mov"/></asset></resources><library><event><project>'
        '<sequence format="r1"><spine><gap duration="1s"/><asset-clip ref="r2" '
        'start="18036/5s" duration="1001/24000s"/></spine></sequence></project></event></library>'
        "</fcpxml>",
        encoding="utf-8",
    )
    (piece,) = read.read_clips(path)
    assert piece.file == "My owl.mov"
    assert piece.seconds == (Fraction(36, 5), Fraction(36, 5) + Fraction(1001, 24000))


@pytest.mark.parametrize(
    "text", ["", "hello", "{", "<a/>", "<xmeml", '{"OTIO_SCHEMA": "Clip.2"}', "<fcpxml><spine/>"]
)
def test_what_is_no_timeline_is_refused(tmp_path, text):
    path = tmp_path / "a.edl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"expected (an )?EDL"):
        read.read_clips(path)
    with pytest.raises(UserError, match="timeline file not found"):
        read.read_clips(tmp_path / "b.edl")
