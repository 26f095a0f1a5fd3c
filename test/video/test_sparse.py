"""A few frames decoded alone are the frames of the whole decode."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bunny.video import decode, packet_index, probe
from bunny.video.decode import Tally
from bunny.video.packet_index import Packets

MILLI = Fraction(1, 1000)


def _packets(num=20, keys=(0, 10)):
    is_keyframe = np.zeros(num, bool)
    is_keyframe[list(keys)] = True
    return Packets(pts=np.arange(num) * 100, position=np.arange(num), is_keyframe=is_keyframe)


def _film(tmp_path, film_tools, **options):
    pictures = [film_tools.numbered(i) for i in range(60)]
    return probe.probe(film_tools.write(tmp_path / "a.mkv", pictures, **options))


def test_first_frames_at_or_after_equal_times():
    packets = _packets()  # 0.0, 0.1 ... 1.9 s
    assert packet_index.at_interval(packets, Fraction(1, 2), MILLI).tolist() == [0, 5, 10, 15]
    assert packet_index.at_interval(packets, Fraction(5, 8), MILLI).tolist() == [0, 7, 13, 19]
    gap = Packets(pts=np.array([50, 60, 5000]), position=np.arange(3), is_keyframe=np.ones(3, bool))
    assert packet_index.at_interval(gap, Fraction(1), MILLI).tolist() == [0, 2]
    years = replace(gap, pts=np.array([0, 1, 2**62]))
    assert packet_index.at_interval(years, Fraction(1, 100), MILLI).tolist() == [0, 2]


def test_cost_is_counted_from_the_keyframe_before():
    found = packet_index.plan_seeks(_packets(), np.array([3, 4, 12]))
    assert found.keyframe.tolist() == [0, 0, 10]
    # Frames 0 to 4 and 10 to 12 are decoded, and there are two jumps.
    assert found.share == (5 + 3 + 2 * packet_index.JUMP_COST) / 20


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("open_gop", [0, 1])
def test_wanted_frames_equal_those_of_the_whole_decode(tmp_path, film_tools, open_gop, num_threads):
    options = {"g": "12", "bf": "3", "x264-params": f"open-gop={open_gop}"}
    info = _film(tmp_path, film_tools, options=options)
    whole = {f.index: f for f in decode.iterate_frames(info)}
    packets = packet_index.scan(info)
    assert packets.pts.tolist() == [f.pts for f in whole.values()]
    wanted = np.array([0, 5, 11, 23, 24, 25, 50, 59])
    tally = Tally()
    found = packet_index.plan_seeks(packets, wanted)
    frames = packet_index.decode_wanted(info, packets, found, tally, num_threads=num_threads)
    for frame, index in zip(frames, wanted, strict=True):
        assert (frame.index, frame.pts) == (index, whole[index].pts)
        assert (
            frame.raw.to_ndarray(format="gray") == whole[index].raw.to_ndarray(format="gray")
        ).all()
    assert (tally.num_decoded, tally.num_packets) == (len(wanted), 60)


def test_damage_falls_back_to_a_decode_from_the_start(tmp_path, film_tools):
    info = _film(tmp_path, film_tools, options={"g": "12"})
    packets = packet_index.scan(info)
    wrong = Packets(  # as if frame 6 were a keyframe
        pts=packets.pts,
        position=packets.position,
        is_keyframe=packets.is_keyframe | (np.arange(60) == 6),
    )
    tally = Tally()
    found = packet_index.plan_seeks(wrong, np.array([7, 20]))
    frames = list(packet_index.decode_wanted(info, wrong, found, tally))
    assert [film_tools.read_number(f.raw.to_ndarray(format="bgr24")) for f in frames] == [7, 20]


def test_a_film_without_times_or_from_opencv_is_not_scanned(tmp_path, film_tools):
    path = film_tools.write(tmp_path / "a.avi", [film_tools.numbered(i) for i in range(9)])
    assert packet_index.scan(probe.probe(path, decoder="opencv")) is None
