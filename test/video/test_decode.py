"""Frames come in presentation order with exact times, whatever the container says."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from bunny.video import decode, frame, probe
from bunny.video.decode import PtsClock, Tally

MILLI = Fraction(1, 1000)


def _read(path, folder="auto", **options):
    info, tally = probe.probe(path, folder=folder), Tally()
    frames = list(decode.iterate_frames(info, tally, **options))
    return info, tally, frames


def test_variable_rate_and_offset_keep_exact_times(tmp_path, film_tools):
    pts = [3000, 3040, 3041, 3500, 4000, 9000]
    pictures = [film_tools.numbered(i) for i in range(len(pts))]
    path = film_tools.write(tmp_path / "vfr.mkv", pictures, pts, time_base=MILLI)
    info, tally, frames = _read(path)
    assert info.time_base == MILLI
    assert [f.pts for f in frames] == pts
    assert [f.index for f in frames] == [0, 1, 2, 3, 4, 5]
    assert frames[0].time_s == 3.0
    assert (tally.start_pts, tally.num_decoded, tally.num_moved) == (3000, 6, 0)


def test_b_frames_come_in_presentation_order(tmp_path, film_tools):
    pictures = [film_tools.numbered(i) for i in range(40)]
    options = {"bf": "3", "b-adapt": "0", "g": "20", "x264-params": "b-pyramid=normal"}
    path = film_tools.write(tmp_path / "b.mp4", pictures, options=options)
    info, tally, frames = _read(path)
    shown = [film_tools.read_number(frame.to_bgr(f, info)) for f in frames]
    assert shown == list(range(40))
    assert [f.time_s for f in frames] == pytest.approx([i / 24 for i in range(40)], abs=1e-12)
    assert float((tally.end_pts - tally.start_pts) * info.time_base) == pytest.approx(40 / 24)


@pytest.mark.parametrize("open_gop", [0, 1])
def test_keyframes_alone_keep_their_place_among_all_frames(tmp_path, film_tools, open_gop):
    pictures = [film_tools.numbered(i) for i in range(50)]
    params = f"b-pyramid=normal:open-gop={open_gop}"
    options = {"bf": "3", "b-adapt": "0", "g": "12", "x264-params": params}
    path = film_tools.write(tmp_path / "k.mp4", pictures, options=options)
    info, _, frames = _read(path)
    wanted = [(f.index, f.pts) for f in frames if f.is_keyframe]
    info, tally, keyframes = _read(path, is_keyframe_only=True)
    assert len(wanted) > 2
    assert [(f.index, f.pts) for f in keyframes] == wanted
    assert [film_tools.read_number(frame.to_bgr(f, info)) for f in keyframes] == [
        index for index, _ in wanted
    ]
    assert tally.num_packets == 50
    assert tally.end_pts == frames[-1].pts + frames[1].pts


def test_truncated_film_gives_what_it_has(tmp_path, film_tools):
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 96, 3), np.uint8)
    path = film_tools.write(tmp_path / "whole.mkv", list(noise), options={"g": "10"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _, tally, frames = _read(cut)
    assert 10 < len(frames) < 50
    assert tally.num_decoded == len(frames)


def test_flipped_bits_are_survived_and_counted_alike_each_time(tmp_path, film_tools):
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    path = film_tools.write(tmp_path / "whole.mkv", list(noise), options={"g": "10"})
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 4, len(data) * 3 // 4, 997):
        data[at] ^= 0x55
    path.write_bytes(data)
    results = []
    for _ in range(2):
        info, tally, frames = _read(path)
        sums = [int(frame.thumb(f, info).sum()) for f in frames]
        results.append((sums, tally.num_failed, tally.num_damaged))
    assert results[0] == results[1]
    assert len(results[0][0]) > 10


def _clock(rate=24, base=Fraction(1, 1000)):
    info = probe.FilmInfo.__new__(probe.FilmInfo)
    object.__setattr__(info, "rate", Fraction(rate))
    object.__setattr__(info, "time_base", base)
    tally = Tally()
    return PtsClock(info, tally), tally


def test_times_that_are_missing_follow_the_rate():
    clock, tally = _clock(rate=25)
    assert [clock.take(p) for p in (None, None, 100, None)] == [0, 40, 100, 140]
    assert (tally.num_derived, tally.num_moved, tally.end_pts) == (3, 0, 180)


def test_times_that_repeat_or_go_back_go_on():
    clock, tally = _clock(rate=25)
    # A joined film starts over at 0: it goes on one step after the last frame, at its own pace.
    assert [clock.take(p) for p in (0, 40, 40, 0, 40)] == [0, 40, 80, 120, 160]
    assert tally.num_moved == 2


def test_unknown_rate_falls_back_to_25():
    clock, _ = _clock(rate=0)
    assert [clock.take(None), clock.take(None)] == [0, 40]


def test_opencv_decodes_the_same_frames(tmp_path, film_tools):
    pictures = [film_tools.numbered(i) for i in range(20)]
    path = film_tools.write(tmp_path / "a.mp4", pictures, options={"bf": "2"})
    info, tally = probe.probe(path, decoder="opencv"), Tally()
    frames = list(decode.iterate_frames(info, tally))
    assert info.decoder == "opencv"
    assert [film_tools.read_number(f.raw) for f in frames] == list(range(20))
    assert [f.time_s for f in frames] == pytest.approx([i / 24 for i in range(20)], abs=2e-3)


def test_a_sequence_of_pictures_is_a_film_and_bad_ones_are_left_out(tmp_path, film_tools):
    for i in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"p{i}.png"), film_tools.numbered(i))
    (tmp_path / "p3.png").write_bytes(b"not a picture")
    (tmp_path / "note.txt").write_text("no picture")
    info, tally, frames = _read(tmp_path, "sequence")
    assert (info.container, info.rate, info.num_frames_promised) == ("folder", 24, 4)
    assert [film_tools.read_number(f.raw) for f in frames] == [1, 2, 10]
    # Its place in the numbering stays: the picture after the bad one keeps its time.
    assert [f.pts for f in frames] == [0, 1, 3]
    assert (tally.num_decoded, tally.num_failed) == (3, 1)
