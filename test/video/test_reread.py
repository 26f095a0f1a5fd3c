"""Frames read again are those that were extracted, and frames in between keep their distance."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video import decode, extra_frame, probe
from bunny.video.frame import to_bgr


def _film(tmp_path, film_tools, **options):
    pictures = [film_tools.numbered(i) for i in range(60)]
    return probe.probe(film_tools.write(tmp_path / "a.mkv", pictures, **options))


@pytest.mark.parametrize("wanted", [[3, 57], list(range(0, 60, 2)), [59]])
def test_pictures_equal_those_of_the_whole_decode(tmp_path, film_tools, wanted):
    info = _film(tmp_path, film_tools, options={"g": "12", "bf": "2"})
    whole = {f.index: f for f in decode.iterate_frames(info)}
    box = (8, 4, 40, 28)
    found = list(extra_frame.read_pictures(info, dict.fromkeys(wanted, box), ExtractionConfig()))
    assert [r.frame.index for r in found] == wanted
    for one in found:
        frame = whole[one.frame.index]
        assert one.frame.pts == frame.pts and one.error is None
        assert np.array_equal(one.picture, to_bgr(frame, info)[4:28, 8:40])


def test_frames_that_the_film_lacks_are_left_out(tmp_path, film_tools):
    info = _film(tmp_path, film_tools, options={"g": "12"})
    found = extra_frame.read_pictures(info, {58: None, 60: None, 999: None}, ExtractionConfig())
    assert [r.frame.index for r in found] == [58]
    assert list(extra_frame.read_pictures(info, {}, ExtractionConfig())) == []


def _shot(index, first, end, transition="cut", rate=Fraction(10)):
    return {
        "shot_index": index,
        "first_frame_index": first,
        "end_frame_index": end,
        "start_s": float(first / rate),
        "end_s": float(end / rate),
        "transition_in": transition,
    }


def _frames(rows):
    schema = {"shot_index": pl.Int32, "frame_index": pl.Int64, "timestamp_s": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_between_known_frames_by_hand():
    shot = pl.DataFrame([_shot(0, 0, 40)])  # 4 s at 10 a second
    found = extra_frame.choose_frames(shot, _frames([(0, 0, 0.0), (0, 20, 2.0)]), 1.0)
    assert found.rows() == [(0, 10), (0, 30)]  # the gap's middle, and one after the last
    one = extra_frame.choose_frames(shot, _frames([(0, 14, 1.4)]), 1.0)
    assert one.rows() == [(0, 4), (0, 24), (0, 34)]
    none = extra_frame.choose_frames(shot, _frames([]), 1.0)
    assert none.rows() == [(0, 5), (0, 15), (0, 25), (0, 35)]


def test_frames_that_are_dense_enough_get_none_between():
    shot = pl.DataFrame([_shot(0, 0, 40)])
    kept = [(0, 5 * i, 0.5 * i) for i in range(8)]
    assert extra_frame.choose_frames(shot, _frames(kept), 0.5).rows() == []
    assert extra_frame.choose_frames(shot, _frames(kept), 0.25).height == 8  # 7 gaps and the end


def test_a_shot_that_lasts_for_years_has_no_more_times_than_frames():
    shot = pl.DataFrame([_shot(0, 0, 40, rate=Fraction(1, 10**9))])
    found = extra_frame.choose_frames(shot, _frames([(0, 14, 14e9)]), 0.5)
    assert found["frame_index"].to_list() == [i for i in range(40) if i != 14]


def test_nothing_is_taken_beside_a_dissolve():
    shots = pl.DataFrame([_shot(0, 0, 20, "start"), _shot(1, 20, 40, "dissolve")])
    found = extra_frame.choose_frames(shots, _frames([]), 0.25)
    times = found["frame_index"] / 10
    assert not times.is_between(1.6, 2.39).any() and times.min() < 0.2 and times.max() >= 3.7
