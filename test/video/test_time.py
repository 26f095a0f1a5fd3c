"""Index and time of every frame are those that the film was made with, to the last tick."""

from fractions import Fraction

import av
import pytest

from bunny.video import decode, probe
from bunny.video import frame as video_frame
from bunny.video.decode import Tally

NUM_FRAMES = 30
NTSC_FILM, NTSC, NTSC_FAST = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
WITH_B = {"bf": "3", "b-adapt": "0", "g": "10", "x264-params": "b-pyramid=normal"}
WITHOUT_B = {"bf": "0", "g": "10"}


def _write(path, film_tools, pts, time_base, *, rate=24, codec="libx264", options=None, mux=None):
    """A film whose frame i shows number i at pts[i]."""
    with av.open(str(path), "w", options=mux or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = stream.time_base = time_base
        stream.codec_context.thread_count = 1
        for index, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(film_tools.numbered(index), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = at, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _read(path, film_tools, **options):
    """Tally, and (index, pts, number seen) of each frame."""
    info, tally = probe.probe(path), Tally()
    found = []
    for frame in decode.iterate_frames(info, tally, **options):
        assert frame.time_base == info.time_base
        number = film_tools.read_number(video_frame.to_bgr(frame, info))
        found.append((frame.index, frame.pts, number))
    return info, tally, found


def _ticks(times, base, offset=0):
    """Times in a container's base, rounded to the nearest tick, halves up."""
    return [int(t / base + Fraction(1, 2)) + offset for t in times]


@pytest.mark.parametrize("rate", [NTSC_FILM, NTSC, NTSC_FAST])
@pytest.mark.parametrize(
    ("name", "codec", "base"),
    [
        ("a.mp4", "libx264", None),
        ("a.mov", "libx264", None),
        ("a.mkv", "libx264", Fraction(1, 1000)),
        ("a.webm", "libvpx-vp9", Fraction(1, 1000)),
        ("a.ts", "libx264", Fraction(1, 90000)),
        ("a.mpg", "mpeg2video", Fraction(1, 90000)),
    ],
)
def test_ntsc_rates_with_b_frames(tmp_path, film_tools, rate, name, codec, base):
    options = {
        "libx264": WITH_B,
        "mpeg2video": {"bf": "2", "g": "10"},
        "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "g": "10"},
    }[codec]
    path = tmp_path / name
    _write(path, film_tools, range(NUM_FRAMES), 1 / rate, rate=rate, codec=codec, options=options)
    info, tally, found = _read(path, film_tools)
    base = base or Fraction(1, rate.numerator)
    assert (info.time_base, info.rate) == (base, rate)
    assert [f[0] for f in found] == [f[2] for f in found] == list(range(NUM_FRAMES))
    times = [i / rate for i in range(NUM_FRAMES)]
    start = tally.start_pts
    drift = [f[1] - start - t for f, t in zip(found, _ticks(times, base), strict=True)]
    if name == "a.mpg":  # not each frame has a time there: FFmpeg goes on by whole ticks
        assert all(-i - 1 <= d <= 1 for i, d in enumerate(drift))
    elif name == "a.ts":  # the start is the muxer's, and each time is rounded with it
        assert all(abs(d) <= 1 for d in drift)
    else:
        assert start == 0 and set(drift) == {0}
    assert tally.num_moved == tally.num_derived == 0


VARIABLE = [0, 40, 41, 500, 503, 1000, 1001, 1002, 9000, 9040, 9080, 9999]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("offset", [0, 3000])
@pytest.mark.parametrize("options", [WITH_B, WITHOUT_B], ids=["b", "no-b"])
def test_variable_rate_and_start_offset(tmp_path, film_tools, name, offset, options):
    pts = [p + offset for p in VARIABLE]
    base = Fraction(1, 1000)
    path = _write(tmp_path / name, film_tools, pts, base, options=options)
    info, tally, found = _read(path, film_tools)
    assert [f[1] * info.time_base for f in found] == [p * base for p in pts]
    assert [f[0] for f in found] == [f[2] for f in found] == list(range(len(pts)))
    assert tally.start_pts * info.time_base == offset * base


def test_streams_that_begin_late_keep_their_distances(tmp_path, film_tools):
    pts, base = [90000 + 3003 * i * i for i in range(10)], Fraction(1, 90000)
    path = _write(tmp_path / "a.ts", film_tools, pts, base, rate=30)
    _, tally, found = _read(path, film_tools)
    assert tally.start_pts > 0
    assert [f[1] - tally.start_pts for f in found] == [p - 90000 for p in pts]


@pytest.mark.parametrize("options", [WITH_B, WITHOUT_B], ids=["b", "no-b"])
def test_an_edit_that_trims_begins_at_the_first_frame_shown(tmp_path, film_tools, options):
    pts = range(-5, NUM_FRAMES - 5)  # the muxer writes an edit list that begins at 0
    path = _write(tmp_path / "a.mp4", film_tools, pts, Fraction(1, 24), options=options)
    assert b"elst" in path.read_bytes()
    info, tally, found = _read(path, film_tools)
    step = Fraction(1, 24) / info.time_base
    assert found == [(i, i * step, i + 5) for i in range(NUM_FRAMES - 5)]
    assert (tally.start_pts, tally.num_moved, tally.num_failed) == (0, 0, 0)


@pytest.mark.parametrize("trimmed", [1, 7, 12])
def test_an_edit_written_by_another_tool(tmp_path, film_tools, trimmed):
    path = _write(
        tmp_path / "a.mp4", film_tools, range(NUM_FRAMES), Fraction(1, 24), options=WITHOUT_B
    )
    data, base = bytearray(path.read_bytes()), probe.probe(path).time_base
    # Version 0: flags, count, then segment duration (milliseconds), media time, rate.
    at = data.index(b"elst") + 8
    assert data[at : at + 4] == (1).to_bytes(4, "big")
    step = int(Fraction(1, 24) / base)
    data[at + 4 : at + 8] = round((NUM_FRAMES - trimmed) * 1000 / 24).to_bytes(4, "big")
    data[at + 8 : at + 12] = (trimmed * step).to_bytes(4, "big")
    path.write_bytes(data)
    _, _, found = _read(path, film_tools)
    assert found == [(i, i * step, i + trimmed) for i in range(NUM_FRAMES - trimmed)]


def test_an_empty_edit_delays_the_film(tmp_path, film_tools):
    pts = [48 + i for i in range(10)]
    path = _write(tmp_path / "a.mp4", film_tools, pts, Fraction(1, 24), options=WITH_B)
    assert b"elst" in path.read_bytes()
    info, tally, found = _read(path, film_tools)
    assert [f[1] * info.time_base for f in found] == [Fraction(p, 24) for p in pts]
    assert tally.start_pts * info.time_base == 2


@pytest.mark.parametrize("options", [WITH_B, WITHOUT_B], ids=["b", "no-b"])
def test_keyframes_alone_of_an_edited_film_keep_their_place(tmp_path, film_tools, options):
    path = _write(tmp_path / "a.mp4", film_tools, range(-5, 25), Fraction(1, 24), options=options)
    _, _, whole = _read(path, film_tools)
    _, _, keys = _read(path, film_tools, is_keyframe_only=True)
    assert keys and set(keys) <= set(whole)


def test_avi_without_b_frames(tmp_path, film_tools):
    path = _write(
        tmp_path / "a.avi", film_tools, range(12), Fraction(1, 25), rate=25, options=WITHOUT_B
    )
    info, tally, found = _read(path, film_tools)
    assert info.time_base == Fraction(1, 25)
    assert found == [(i, tally.start_pts + i, i) for i in range(12)]


@pytest.mark.parametrize(("name", "tick"), [("a.avi", 1), ("a.mxf", 1), ("a.asf", 40)])
def test_containers_in_decode_order_with_b_frames(tmp_path, film_tools, name, tick):
    path = _write(tmp_path / name, film_tools, range(12), Fraction(1, 25), rate=25, options=WITH_B)
    _, tally, found = _read(path, film_tools)
    assert found == [(i, i * tick, i) for i in range(12)]
    assert tally.is_clean


def test_gif_delays_are_hundredths_of_a_second(tmp_path, film_tools):
    pts = [0, 10, 14, 50, 52]
    with av.open(str(tmp_path / "a.gif"), "w") as out:
        stream = out.add_stream("gif", rate=100)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb8"
        for index, at in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(film_tools.numbered(index), format="rgb24")
            frame = frame.reformat(format="rgb8")
            frame.pts, frame.time_base = at, Fraction(1, 100)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    info, _, found = _read(tmp_path / "a.gif", film_tools)
    assert info.time_base == Fraction(1, 100)
    assert found == [(i, p, i) for i, p in enumerate(pts)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_the_end_is_that_of_the_last_frame(tmp_path, film_tools, name):
    path = _write(
        tmp_path / name, film_tools, range(NUM_FRAMES), Fraction(1, 25), rate=25, options=WITH_B
    )
    info, tally, _ = _read(path, film_tools)
    assert (tally.end_pts - tally.start_pts) * info.time_base == Fraction(NUM_FRAMES, 25)
