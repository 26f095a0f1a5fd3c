"""Each form read back by OpenTimelineIO's adapter, and looked at without it."""

import re
from fractions import Fraction
from xml.etree import ElementTree

import pytest

from bunny.core.error import UserError
from bunny.library.timeline import clip as timeline_clip
from bunny.library.timeline import edl, fcpx, otio, read, timecode

from .conftest import FILM, make_cut

opentimelineio = pytest.importorskip("opentimelineio")

FILM_RATE, TV, FAST = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
WRITERS = {
    "cmx_3600": edl.to_text,
    "fcp_xml": otio.to_fcp7,
    "otio_json": otio.to_otio,
    "fcpx_xml": fcpx.to_text,
}


def read_back(text, adapter, **options):
    """The clips of the first timeline in a text."""
    found = opentimelineio.adapters.read_from_string(text, adapter, **options)
    timeline = found if isinstance(found, opentimelineio.schema.Timeline) else found[0]
    return timeline, list(timeline.find_clips())


def spans(clips):
    return [(c.source_range.start_time.value, c.source_range.duration.value) for c in clips]


@pytest.mark.parametrize(
    ("rate", "start", "is_drop", "lines"),
    [
        (
            Fraction(25),
            0,
            False,
            [
                "001  OWL      V     C        00:01:11:23 00:01:12:03 01:00:00:00 01:00:00:05",
                "002  OWL      V     C        01:53:20:00 01:53:20:20 01:00:00:05 01:00:01:00",
            ],
        ),
        (
            TV,  # 1800 is 00:01:00;02, 107892 is 01:00:00;00
            107_892,
            True,
            [
                "001  OWL      V     C        01:00:59;28 01:01:00;05 01:00:00;00 01:00:00;05",
                "002  OWL      V     C        02:34:32;10 02:34:33;00 01:00:00;05 01:00:00;25",
            ],
        ),
        (
            FILM_RATE,
            86_400,
            False,
            [
                "001  OWL      V     C        01:01:14:22 01:01:15:03 01:00:00:00 01:00:00:05",
                "002  OWL      V     C        02:58:03:08 02:58:04:04 01:00:00:05 01:00:01:01",
            ],
        ),
    ],
)
def test_events_of_an_edl_by_hand(rate, start, is_drop, lines):
    text = edl.to_text(make_cut(rate, start=start, is_drop=is_drop))
    assert [line for line in text.splitlines() if re.match(r"\d{3} ", line)] == lines
    assert f"FCM: {'DROP' if is_drop else 'NON-DROP'} FRAME" in text.splitlines()[1]


@pytest.mark.parametrize(
    ("rate", "is_drop"),
    [(Fraction(25), False), (FILM_RATE, False), (TV, True), (TV, False), (FAST, True)],
)
def test_an_edl_is_read_back(rate, is_drop):
    start = timecode.from_record_timecode(
        timecode.FrameGrid(
            rate=rate, time_base=1 / rate, first_pts=0, num_frames=1, is_drop=is_drop
        ),
        "10:00:00:00",
    )
    made = make_cut(rate, start=start, is_drop=is_drop)
    _, clips = read_back(edl.to_text(made), "cmx_3600", rate=float(rate))
    assert spans(clips) == [(start + 1798, 5), (start + 170_000, 20)]
    assert clips[0].name == "My Owl & 'co' 😀.mp4"
    assert clips[0].metadata["cmx_3600"]["reel"] == "OWL"


def test_markers_of_an_edl_are_read_back_where_the_adapter_knows_them():
    _, clips = read_back(edl.to_text(make_cut(Fraction(25))), "cmx_3600", rate=25)
    (marker,) = clips[0].markers
    assert marker.name == 'i1 "quoted" & <b> | an owl'
    assert marker.color == "GREEN"
    assert marker.marked_range.start_time.value == 90_001  # an hour and a frame, of the record
    drop = edl.to_text(make_cut(TV, is_drop=True))
    assert '* LOC: 01:00:00;01 GREEN   i1 "quoted" & <b> | an owl' in drop


@pytest.mark.parametrize(
    ("rate", "start", "is_drop", "label"),
    [
        (Fraction(25), 250, False, "00:00:10:00"),
        (FILM_RATE, 86_400, False, "01:00:00:00"),
        (TV, 107_892, True, "01:00:00;00"),
        (TV, 108_000, False, "01:00:00:00"),
        (FAST, 215_784, True, "01:00:00;00"),
    ],
)
def test_final_cut_7_is_read_back_and_holds_what_premiere_wants(rate, start, is_drop, label):
    text = otio.to_fcp7(make_cut(rate, start=start, is_drop=is_drop))
    timeline, clips = read_back(text, "fcp_xml")
    assert spans(clips) == [(start + 1798, 5), (start + 170_000, 20)]
    assert clips[0].media_reference.available_range.duration.value == int(7200 * rate)
    assert timeline.global_start_time.rate == pytest.approx(float(rate), abs=1e-9)
    (marker,) = clips[0].markers
    assert (marker.name, marker.marked_range.start_time.value) == ('i1 "quoted" & <b>', 1799)
    root = ElementTree.fromstring(text)
    items = root.findall(".//clipitem")
    assert [i.get("id") for i in items] == ["clipitem-1", "clipitem-2"]
    assert [len(i.findall("rate")) for i in items] == [1, 1]
    assert [i.findtext("in") for i in items] == ["1798", "170000"]
    assert [i.findtext("start") for i in items] == ["0", "5"]
    files = root.findall(".//clipitem/file")
    assert len({f.get("id") for f in files}) == 1
    url = "file://localhost/films/My%20Owl%20%26%20%27co%27%20%F0%9F%98%80.mp4"
    assert files[0].findtext("pathurl") == url
    assert files[0].findtext("timecode/string") == label
    assert files[0].findtext("timecode/frame") == str(start)
    assert files[0].findtext("timecode/displayformat") == ("DF" if is_drop else "NDF")
    assert files[0].findtext("timecode/reel/name") == "OWL"
    assert files[0].find("media/audio") is not None
    for element in root.iter("rate"):
        assert element.findtext("ntsc") == ("FALSE" if rate.denominator == 1 else "TRUE")
        assert element.findtext("timebase") == str(round(rate))
    size = root.find(".//sequence/media/video/format/samplecharacteristics")
    assert (size.findtext("width"), size.findtext("height")) == ("1280", "720")
    assert root.findtext(".//sequence/timecode/string")[:8] == "01:00:00"
    assert items[0].findtext("logginginfo/description") == f"bunny shot: {FILM} 0"


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25)])
def test_final_cut_x_is_read_back_at_whole_rates(rate):
    """The adapter knows no other: it cuts 23.976 to 23."""
    timeline, clips = read_back(fcpx.to_text(make_cut(rate, start=100)), "fcpx_xml")
    assert timeline.name == 'search:"owl" & more'
    assert spans(clips) == [(1898, 5), (170_100, 20)]
    assert [m.name for m in clips[0].markers] == ['i1 "quoted" & <b>']


@pytest.mark.parametrize(
    ("rate", "start", "is_drop"),
    [(FILM_RATE, 86_400, False), (TV, 107_892, True), (FAST, 7, True), (Fraction(25), 0, False)],
)
def test_final_cut_x_times_are_whole_frames(rate, start, is_drop):
    made = make_cut(rate, start=start, is_drop=is_drop)
    root = ElementTree.fromstring(fcpx.to_text(made))
    (form,) = root.iter("format")
    frame = Fraction(form.get("frameDuration")[:-1])
    assert frame == 1 / rate
    held = ("start", "duration", "offset", "tcStart")
    times = [e.get(a) for e in root.iter() for a in held if e.get(a) is not None]
    assert len(times) == 2 + 2 + 2 * 3 + 2  # asset, sequence, clips, marker
    assert all((Fraction(t.removesuffix("s")) / frame).denominator == 1 for t in times)
    clips = root.findall(".//spine/asset-clip")
    assert [Fraction(c.get("start")[:-1]) * rate for c in clips] == [start + 1798, start + 170_000]
    assert [Fraction(c.get("offset")[:-1]) * rate - made.record_start for c in clips] == [0, 5]
    assert root.find(".//sequence").get("tcFormat") == ("DF" if is_drop else "NDF")


# What Apple's FCPXMLv1_8.dtd requires of the elements that are written, and in which order their
# children stand; the whole DTD is Apple's and does not lie here.
REQUIRED = {
    "format": {"id"},
    "asset": {"id", "src"},
    "sequence": {"format"},
    "asset-clip": {"ref"},
    "marker": {"start", "value"},
    "md": {"key"},
}
CHILDREN = {
    "fcpxml": ["resources", "library"],
    "asset": ["metadata"],
    "project": ["sequence"],
    "sequence": ["note", "spine"],
    "asset-clip": ["note", "marker", "metadata"],
}


def test_final_cut_x_keeps_the_rules_of_its_dtd():
    text = fcpx.to_text(make_cut(TV, is_drop=True))
    assert text.splitlines()[1] == "<!DOCTYPE fcpxml>"
    root = ElementTree.fromstring(text)
    assert root.get("version") == "1.8"
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    for element in root.iter():
        assert REQUIRED.get(element.tag, set()) <= set(element.keys())
        assert {element.get(a) for a in ("ref", "format") if element.get(a)} <= ids
        order = CHILDREN.get(element.tag)
        if order:
            places = [order.index(child.tag) for child in element]
            assert places == sorted(places)


def test_opentimelineios_own_form_is_read_back():
    timeline, clips = read_back(otio.to_otio(make_cut(FILM_RATE, start=86_400)), "otio_json")
    assert timeline.global_start_time.value == 86_400
    assert spans(clips) == [(88_198, 5), (256_400, 20)]
    (marker,) = clips[0].markers
    assert marker.marked_range.start_time.value == 86_400 + 1799
    assert dict(marker.metadata["bunny"]) == {"image_id": "i1"}
    assert clips[0].metadata["bunny"]["film_id"] == FILM


@pytest.mark.parametrize("adapter", WRITERS)
@pytest.mark.parametrize(
    ("rate", "start", "is_drop"), [(FILM_RATE, 86_400, False), (FAST, 215_784, True)]
)
def test_our_own_reader_finds_the_same_frames(tmp_path, adapter, rate, start, is_drop):
    made = make_cut(rate, start=start, is_drop=is_drop)
    path = tmp_path / "a.timeline"
    path.write_text(WRITERS[adapter](made), encoding="utf-8")
    pieces = read.read_clips(path)
    assert [(p.number, p.film_id) for p in pieces] == [(1, FILM), (2, FILM)]
    assert {p.file for p in pieces} == {"My Owl & 'co' 😀.mp4"}
    timing = made.media.clock
    found = [
        tuple(timecode.from_source_timecode(timing, x) for x in p.labels)
        if p.labels
        else tuple(s * rate for s in p.seconds)
        for p in pieces
    ]
    assert found == [(1798, 1803), (170_000, 170_020)]


def test_an_edl_that_would_be_misread_is_refused():
    many = tuple(timeline_clip.Clip(shot_index=i, first=i, end=i + 1) for i in range(1000))
    with pytest.raises(UserError, match="at most 999 clips, got 1000"):
        edl.to_text(make_cut(Fraction(25), clips=many))
    assert len(many[:999]) == edl.to_text(make_cut(Fraction(25), clips=many[:999])).count("* BUNNY")
    with pytest.raises(UserError, match="at most 100 fps, got 120 fps"):
        edl.to_text(make_cut(Fraction(120)))


def test_a_rate_without_timecode_is_refused_by_final_cut_7():
    with pytest.raises(UserError, match=r"expected one of the rates 23\.976, 24, 25.*got 15 fps"):
        otio.to_fcp7(make_cut(Fraction(15)))
    assert "1/15s" in fcpx.to_text(make_cut(Fraction(15)))


def test_without_opentimelineio_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    for write in (otio.to_fcp7, otio.to_otio):
        with pytest.raises(UserError, match=r"timeline.*or choose --format edl or fcpx"):
            write(make_cut(Fraction(25)))
    assert edl.to_text(make_cut(Fraction(25)))
    assert fcpx.to_text(make_cut(Fraction(25)))


@pytest.mark.parametrize("text", ["a\nb", "a\r\n002  X V C", "* LOC: x"])
def test_names_cannot_make_lines_of_an_edl(text):
    marker = timeline_clip.Marker(frame=0, name=text)
    clip = timeline_clip.Clip(shot_index=0, first=0, end=1, markers=(marker,))
    written = edl.to_text(make_cut(Fraction(25), clips=(clip,), path=f"/a/{text}.mp4"))
    assert len(written.splitlines()) == len(
        edl.to_text(make_cut(Fraction(25), clips=(clip,))).splitlines()
    )
