"""Taking a film up inside gives the frames of a decode from its start, to the last bit."""

from fractions import Fraction

import numpy as np
import pytest

from bunny.video import decode, probe
from bunny.video.decode import SeekPoint, Tally

NUM_FRAMES = 60
KINDS = [
    ("a.mp4", "libx264", {"g": "12", "bf": "2"}),
    ("a.mkv", "libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    ("a.ts", "libx264", {"g": "12"}),
    ("a.mov", "libx265", {"g": "12", "x265-params": "log-level=none:open-gop=1"}),
    ("a.webm", "libvpx-vp9", {"g": "12", "cpu-used": "8", "deadline": "realtime"}),
    ("a.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
    ("a.avi", "mpeg4", {"g": "12"}),
    ("a.avi", "libx264", {"g": "12", "bf": "2"}),
    ("a.avi", "mjpeg", {}),
]


def _frames(info, tally=None, **options):
    return [
        (f.index, f.pts, f.raw.to_ndarray(format="gray").tobytes())
        for f in decode.iterate_frames(info, tally, **options)
    ]


def _film(tmp_path, film_tools, name, codec, options):
    pictures = [film_tools.numbered(i) for i in range(NUM_FRAMES)]
    noise = np.random.default_rng(0).integers(0, 20, (NUM_FRAMES, 64, 96, 1), np.uint8)
    pairs = zip(pictures, noise, strict=True)
    pictures = [np.clip(p + n, 0, 255).astype(np.uint8) for p, n in pairs]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = tmp_path / name
    return probe.probe(
        film_tools.write(path, pictures, codec=codec, options=options, pix_fmt=pix_fmt)
    )


def _anchors(info):
    """An anchor for each of the codec's keyframes but the first."""
    frames = list(decode.iterate_frames(info))
    return [
        SeekPoint(index=f.index, pts=f.pts, num_decoded=f.index, start_pts=frames[0].pts)
        for f in frames
        if f.is_keyframe and f.index
    ]


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
@pytest.mark.parametrize("num_threads", [1, 2])
def test_frames_from_a_keyframe_are_those_of_the_whole_decode(
    tmp_path, film_tools, name, codec, options, num_threads
):
    info = _film(tmp_path, film_tools, name, codec, options)
    tally = Tally()
    whole = _frames(info, tally, num_threads=num_threads)
    anchors = _anchors(info)
    assert len(anchors) >= 3
    for anchor in anchors[:: max(1, len(anchors) // 4)]:
        again = Tally()
        found = _frames(info, again, num_threads=num_threads, anchor=anchor)
        assert found == whole[anchor.index :]
        assert again == tally


def test_seeking_reads_nothing_before_the_keyframe(tmp_path, film_tools):
    info = _film(tmp_path, film_tools, *KINDS[0])
    way = decode.DecodeSetting(num_threads=1, anchor=_anchors(info)[-1])
    with decode.open_container(info, way) as container:
        decode.seek(container, info, Tally(), way)
        packets = list(decode.iterate_packets(container, info, Tally(), way))
    assert 0 < len(packets) <= NUM_FRAMES - way.anchor.index + 1  # and the flush


@pytest.mark.parametrize("pts", [1, 10**9])
def test_a_keyframe_that_is_not_there_falls_back_to_the_start(tmp_path, film_tools, pts):
    info = _film(tmp_path, film_tools, *KINDS[0])
    whole = _frames(info)
    anchor = SeekPoint(index=20, pts=pts, num_decoded=20, start_pts=0)
    tally = Tally()
    assert _frames(info, tally, anchor=anchor) == whole[20:]
    assert tally.num_decoded == NUM_FRAMES


@pytest.mark.parametrize("open_gop", [0, 1])
def test_keyframes_alone_go_on_with_their_places(tmp_path, film_tools, open_gop):
    options = {"g": "12", "bf": "3", "x264-params": f"open-gop={open_gop}"}
    info = _film(tmp_path, film_tools, "a.mkv", "libx264", options)
    tally = Tally()
    whole = _frames(info, tally, is_keyframe_only=True)
    for number, (index, pts, _) in enumerate(whole[1:], 1):
        anchor = SeekPoint(index=index, pts=pts, num_decoded=number, start_pts=whole[0][1])
        again = Tally()
        assert _frames(info, again, is_keyframe_only=True, anchor=anchor) == whole[number:]
        assert again == tally


@pytest.mark.parametrize(("kind", "rate"), [("sequence", 24), ("pictures", 1)])
def test_a_folder_goes_on_at_its_picture(tmp_path, kind, rate):
    import cv2

    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), 40 * number, np.uint8))
    info = probe.probe(tmp_path, folder=kind)
    anchor = SeekPoint(index=3, pts=3, num_decoded=3, start_pts=0)
    frames = list(decode.iterate_frames(info, anchor=anchor))
    assert [(f.index, int(f.raw[0, 0, 0])) for f in frames] == [(3, 120), (4, 160)]
    assert frames[0].time_base == 1 / Fraction(rate)
