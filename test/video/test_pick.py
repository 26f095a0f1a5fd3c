"""Frames and shots of a film in one decode."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video import probe
from bunny.video.decode import Tally
from bunny.video.frame_selection import select_frames
from bunny.video.selection_event import SelectedFrame, ShotEnd


def _film(tmp_path, film_tools, lengths=(30, 50, 26), **options):
    pictures = []
    for seed, length in enumerate(lengths):
        coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
        pictures += [cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)] * length
    return film_tools.write(tmp_path / "a.mkv", pictures, **options)


def _pick(path, **setting):
    info, tally = probe.probe(path), Tally()
    seen = []
    events = list(
        select_frames(
            info, ExtractionConfig(**setting), tally, note_frame=lambda f: seen.append(f.index)
        )
    )
    picks = [e for e in events if isinstance(e, SelectedFrame)]
    shots = [e for e in events if isinstance(e, ShotEnd)]
    return picks, shots, tally, seen


def test_shots_carry_exact_times_and_their_median_frame(tmp_path, film_tools):
    pts = [500 + 41 * i + i // 2 for i in range(106)]
    path = _film(tmp_path, film_tools, pts=pts, time_base=Fraction(1, 1000))
    picks, shots, tally, seen = _pick(path)
    assert [(s.found.first_frame_index, s.found.end_frame_index) for s in shots] == [
        (0, 30),
        (30, 80),
        (80, 106),
    ]
    assert [(s.start_pts, s.end_pts) for s in shots] == [
        (pts[0], pts[30]),
        (pts[30], pts[80]),
        (pts[80], tally.end_pts),
    ]
    assert tally.end_pts > pts[-1]
    assert [p.reason for p in picks] == ["shot-median"] * 3
    assert all(
        abs(p.frame.index - middle) <= 2 for p, middle in zip(picks, (15, 55, 93), strict=True)
    )
    assert [p.frame.pts for p in picks] == [pts[p.frame.index] for p in picks]
    assert seen == list(range(106))


def test_interval_takes_the_first_frame_at_or_after_each_time(tmp_path, film_tools):
    picks, shots, _, _ = _pick(_film(tmp_path, film_tools), method="interval", interval_seconds=1)
    assert [p.frame.index for p in picks] == [0, 24, 48, 72, 96]
    assert {p.reason for p in picks} == {"interval"}
    assert len(shots) == 3


def test_interval_over_a_gap_takes_one_frame(tmp_path, film_tools):
    pictures = [film_tools.numbered(i) for i in range(6)]
    pts = [0, 400, 1100, 5300, 5400, 6000]
    path = film_tools.write(tmp_path / "gap.mkv", pictures, pts, time_base=Fraction(1, 1000))
    picks, _, _, _ = _pick(path, method="interval", interval_seconds=1)
    assert [p.frame.pts for p in picks] == [0, 1100, 5300, 6000]


def test_keyframes_tell_shots_apart_and_the_last_one_reaches_the_end(tmp_path, film_tools):
    path = _film(tmp_path, film_tools, options={"g": "12", "sc_threshold": "0"})
    picks, shots, tally, _ = _pick(path, method="keyframe")
    assert [p.frame.index for p in picks] == list(range(0, 106, 12))
    assert {p.reason for p in picks} == {"keyframe"}
    assert tally.num_decoded == 9
    # A shot begins at its first keyframe: the first multiples of 12 from 30 and 80 on.
    assert [(s.found.first_frame_index, s.found.end_frame_index) for s in shots] == [
        (0, 36),
        (36, 84),
        (84, 106),
    ]


def test_extra_frames_lie_between_the_shots_own(tmp_path, film_tools):
    picks, _, _, _ = _pick(_film(tmp_path, film_tools), extra_interval_seconds=0.5)
    own = [p.frame.index for p in picks if p.reason == "shot-median"]
    extra = [p.frame.index for p in picks if p.reason == "interval"]
    # Every 12th frame, but those nearer than 6 frames to one that stands for its shot.
    assert extra == [i for i in range(0, 106, 12) if all(abs(i - k) >= 6 for k in own)]
    assert len(own) == 3


@pytest.mark.parametrize("method", ["shot", "interval", "keyframe"])
def test_one_frame_is_one_shot(tmp_path, film_tools, method):
    path = film_tools.write(tmp_path / "one.mp4", [film_tools.numbered(5)])
    picks, shots, _, _ = _pick(path, method=method)
    assert [p.frame.index for p in picks] == [0]
    assert [(s.found.end_frame_index, s.found.transition_out) for s in shots] == [(1, "end")]
    assert shots[0].end_pts > shots[0].start_pts


def test_each_still_that_fades_under_a_caption_is_a_shot_of_its_own(tmp_path, film_tools):
    """Three stills of 102 frames, the last 6 of each black but for the caption."""
    levels = np.r_[np.linspace(0, 1, 18), np.ones(60), np.linspace(1, 0, 18), np.zeros(6)]
    pictures = []
    for seed in range(3):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 8, 3), np.uint8)
        still = cv2.resize(coarse, (320, 180), interpolation=cv2.INTER_CUBIC)
        for level in levels:
            pictures.append((still * level).astype(np.uint8))
            cv2.putText(pictures[-1], "(c) 2026 Somebody", (10, 170), 0, 0.5, (255, 255, 255), 1)
    picks, shots, _, _ = _pick(film_tools.write(tmp_path / "stills.mkv", pictures))
    assert [s.found.transition_in for s in shots] == ["start", "fade", "fade"]
    ends = [s.found.end_frame_index for s in shots]
    assert all(96 <= end % 102 <= 101 for end in ends[:-1])  # in the black
    assert [p.frame.index // 102 for p in picks] == [0, 1, 2]
    assert all(18 <= p.frame.index % 102 < 78 for p in picks)  # of the full picture
