"""Shots of drawn films whose boundaries are known."""

import itertools
import runpy
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import ExtractionConfig
from bunny.video import decode, probe
from bunny.video import frame as video_frame
from bunny.video.shot.cut import cut_strength
from bunny.video.shot.fast_detector import FastDetector
from bunny.video.shot.score import score_boundaries

two_tone = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("two_tone.py"))))


def _scene(seed, width=200):
    """A wide smooth scene, to look at through a moving window; YUV thumbnail scale."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 235, (9, width // 8, 3), np.uint8)
    scene = cv2.resize(coarse, (width, 36), interpolation=cv2.INTER_CUBIC)
    scene[..., 1:] = 128 + (scene[..., 1:].astype(int) - 128) // 4
    return scene


def _shot(seed, length, speed=0.0, noise=1.0):
    """Frames of one shot; `speed` in thumbnail pixels a frame."""
    scene, rng = _scene(seed), np.random.default_rng(seed + 1000)
    frames = []
    for index in range(length):
        x = min(round(index * speed), scene.shape[1] - 64)
        window = scene[:, x : x + 64].astype(np.float32)
        frames.append(np.clip(window + rng.normal(0, noise, window.shape), 0, 255).astype(np.uint8))
    return frames


def _dissolve(one, two, length):
    """Join two shots, the last and first `length` frames mixed."""
    shares = [(k + 0.5) / length for k in range(length)]
    mixed = [
        cv2.addWeighted(a, 1 - share, b, share, 0)
        for a, b, share in zip(one[-length:], two[:length], shares, strict=True)
    ]
    return one[:-length] + mixed + two[length:]


def _through(one, two, half, colour):
    """Join two shots through a flat colour."""
    flat = np.full_like(one[0], colour)
    shares = [(k + 1) / half for k in range(half)]
    out = [cv2.addWeighted(a, 1 - s, flat, s, 0) for a, s in zip(one[-half:], shares, strict=True)]
    into = [cv2.addWeighted(b, s, flat, 1 - s, 0) for b, s in zip(two[:half], shares, strict=True)]
    return one[:-half] + out + into + two[half:]


BLACK, WHITE = (0, 128, 128), (255, 128, 128)


def _detect(frames, rate=24, **setting):
    detector = FastDetector(ExtractionConfig(**setting), Fraction(rate))
    shots = []
    for count, frame in enumerate(frames, 1):
        new = detector.push(frame)
        assert all(count - s.end_frame_index <= detector.lag for s in new)
        shots += new
    shots += detector.finish()
    assert shots[0].first_frame_index == 0 and shots[-1].end_frame_index == len(frames)
    for one, two in itertools.pairwise(shots):
        assert one.end_frame_index == two.first_frame_index
        assert one.transition_out == two.transition_in
    return shots


def _starts(shots):
    return [(s.first_frame_index, s.transition_in) for s in shots]


def test_hard_cuts_are_found_to_the_frame():
    frames = _shot(1, 30) + _shot(2, 40, speed=1) + _shot(3, 12) + _shot(4, 30, speed=2)
    assert _starts(_detect(frames)) == [(0, "start"), (30, "cut"), (70, "cut"), (82, "cut")]


@pytest.mark.parametrize("num", [1, 2, 3, 5])
def test_the_shortest_films_are_one_shot(num):
    shots = _detect(_shot(1, num))
    assert [(s.first_frame_index, s.end_frame_index, s.transition_out) for s in shots] == [
        (0, num, "end")
    ]


def test_no_frame_is_no_shot():
    assert FastDetector(ExtractionConfig()).finish() == []


def test_a_threshold_below_what_is_measured_anyway_measures_more():
    """Into a picture ever more of another is mixed; no change is too weak to be decided on."""
    one, two = _shot(1, 20, noise=0), _shot(2, 20, noise=0)
    found = []
    for share in np.linspace(0.02, 0.4, 20):
        mixed = [cv2.addWeighted(b, share, a, 1 - share, 0) for a, b in zip(one, two, strict=True)]
        found.append([len(_detect(one + mixed, cut_threshold=at)) for at in (0.2, 1.0)])
    low, usual = np.array(found).T
    assert (low >= usual).all() and usual[0] == 1 and usual[-1] == 2


@pytest.mark.parametrize("speed", [1, 2, 3])
def test_a_pan_is_no_cut(speed):
    assert len(_detect(_shot(5, 40, speed=speed))) == 1


def test_motion_is_the_mean_difference_within_the_shot():
    still, moving = _detect(_shot(1, 40, noise=0) + _shot(2, 40, speed=2, noise=0))
    assert still.motion == 0
    window = _scene(2)[..., 0].astype(int)
    steps = [
        np.abs(window[:, x : x + 64] - window[:, x + 2 : x + 66]).mean() / 255
        for x in range(0, 78, 2)
    ]
    assert moving.motion == pytest.approx(np.mean(steps), rel=1e-6)


def test_a_camera_flash_is_no_cut():
    frames = _shot(1, 60, speed=0.5)
    for index in (30, 31):
        frames[index] = cv2.addWeighted(frames[index], 0.3, np.full_like(frames[0], 255), 0.7, 0)
    assert len(_detect(frames)) == 1


def test_light_that_goes_on_slowly_is_no_dissolve():
    frames = [
        np.dstack([(f[..., 0] * min(1.0, 0.35 + i / 50)).astype(np.uint8), f[..., 1:]])
        for i, f in enumerate(_shot(1, 80))
    ]
    assert len(_detect(frames)) == 1


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("colour", [(0, 128, 128), (255, 128, 128)])
def test_a_few_black_or_white_frames_inside_a_shot_are_no_boundary(num, colour):
    frames = _shot(1, 60, speed=0.5)
    frames[30 : 30 + num] = [np.full_like(frames[0], colour)] * num
    assert len(_detect(frames)) == 1


def test_black_frames_between_two_shots_are_one_boundary():
    black = [np.full((36, 64, 3), (0, 128, 128), np.uint8)] * 2
    shots = _detect(_shot(1, 60) + black + _shot(2, 60))
    assert len(shots) == 2 and 59 <= shots[1].first_frame_index <= 63


def test_a_wing_across_the_lens_is_no_cut_and_a_short_shot_between_is_two():
    frames = _shot(1, 80)
    for k in range(11):  # eleven frames from edge to edge
        left = int((k - 3) / 11 * 90)
        frames[35 + k] = frames[35 + k].copy()
        frames[35 + k][:, max(0, left) : max(0, left + 30)] = (30, 128, 128)
    assert len(_detect(frames)) == 1
    between = _shot(1, 40) + _shot(2, 5) + _shot(1, 40)
    assert [s.first_frame_index for s in _detect(between)] == [0, 40, 45]


def test_light_that_goes_on_at_once_is_no_cut():
    frames = _shot(1, 60)
    frames[:30] = [np.dstack([f[..., 0] // 3, f[..., 1:]]) for f in frames[:30]]
    assert len(_detect(frames)) == 1


def test_cuts_of_a_very_dark_film_are_found():
    frames = _shot(1, 40) + _shot(2, 40) + _shot(3, 40)
    dark = [np.dstack([(f[..., 0] * 0.12).astype(np.uint8), f[..., 1:] // 8 + 112]) for f in frames]
    assert [s.first_frame_index for s in _detect(dark)] == [0, 40, 80]


@pytest.mark.parametrize("depth", [0.88, 0.93])
def test_a_fade_that_never_gets_flat_is_found(depth):
    one, two = _shot(1, 70), _shot(2, 70)
    black = np.full_like(one[0], BLACK)
    shares = [depth * (k + 1) / 16 for k in range(16)]
    out = [cv2.addWeighted(f, 1 - s, black, s, 0) for f, s in zip(one[-16:], shares, strict=True)]
    into = [
        cv2.addWeighted(f, 1 - s, black, s, 0) for f, s in zip(two[:16], shares[::-1], strict=True)
    ]
    shots = _detect(one[:-16] + out + into + two[16:])
    assert [s.transition_in for s in shots] == ["start", "fade"]
    assert abs(shots[1].first_frame_index - 70) <= 1


def test_a_dissolve_beside_a_cut_is_found_too():
    frames = _dissolve(_shot(1, 60), _shot(2, 40), 12) + _shot(3, 60)
    kinds = [(s.first_frame_index, s.transition_in) for s in _detect(frames)]
    assert [kind for _, kind in kinds] == ["start", "dissolve", "cut"]
    assert kinds[2][0] == 88


def test_animation_on_threes_is_no_row_of_cuts():
    drawn = _shot(5, 30, speed=5, noise=0)[:20]
    frames = [frame for frame in drawn for _ in range(3)]
    assert len(_detect(frames)) == 1


@pytest.mark.parametrize("length", [12, 18, 24, 36])
def test_dissolves_are_found_near_their_middle(length):
    frames = _dissolve(_shot(1, 70, speed=0.3), _shot(2, 70, speed=0.3), length)
    shots = _detect(frames)
    assert [s.transition_in for s in shots] == ["start", "dissolve"]
    assert abs(shots[1].first_frame_index - (70 - length / 2)) <= 2


@pytest.mark.parametrize("colour", [BLACK, WHITE])
@pytest.mark.parametrize("half", [8, 12, 24])
def test_fades_are_found_at_their_bottom(half, colour):
    shots = _detect(_through(_shot(1, 60), _shot(2, 60), half, colour))
    assert [s.transition_in for s in shots] == ["start", "fade"]
    assert abs(shots[1].first_frame_index - 60) <= 1


def test_black_at_both_ends_makes_no_shot():
    black = [np.full((36, 64, 3), BLACK, np.uint8)]
    assert len(_detect(black * 60)) == 1
    one = _shot(1, 60)
    frames = _through(_through(black * 20, one, 12, BLACK), black * 20, 12, BLACK)
    assert len(_detect(frames)) == 1


def test_a_cut_out_of_black_is_one_boundary():
    black = [np.full((36, 64, 3), BLACK, np.uint8)] * 10
    frames = _through(_shot(1, 60), black, 8, BLACK) + _shot(2, 40)
    shots = _detect(frames)
    assert _starts(shots) == [(0, "start"), (70, "cut")]


def test_shots_shorter_than_asked_are_joined():
    frames = _shot(1, 30) + _shot(2, 3) + _shot(3, 30)
    assert len(_detect(frames)) == 2
    frames = _shot(1, 30) + _shot(2, 6) + _shot(3, 30)
    assert len(_detect(frames)) == 3
    assert len(_detect(frames, min_shot_frames=10)) == 2


@pytest.mark.parametrize("least", [1, 4, 9])
def test_a_shot_of_exactly_the_shortest_length_is_one_and_one_frame_less_is_none(least):
    """At the film's start, between two others, and at its end."""

    def cuts(*lengths):
        frames = [f for seed, n in enumerate(lengths, 1) for f in _shot(seed, n)]
        return [s.first_frame_index for s in _detect(frames, min_shot_frames=least)][1:]

    assert cuts(least, 30) == [least]
    assert cuts(30, least, 30) == [30, 30 + least]
    assert cuts(30, least) == [30]
    if least > 1:
        assert cuts(least - 1, 30) == cuts(30, least - 1) == []
        assert len(cuts(30, least - 1, 30)) == 1


def test_a_flash_is_over_within_four_frames():
    """The old picture is back after four frames of another one: a flash; after five: a shot."""

    def cuts(num):
        frames = _shot(1, 40) + _shot(2, num) + _shot(1, 80)[40:]
        return [s.first_frame_index for s in _detect(frames, min_shot_frames=1)][1:]

    assert [cuts(num) for num in (1, 2, 3, 4)] == [[]] * 4
    assert cuts(5) == [40, 45]


@pytest.mark.parametrize(("rate", "length", "near"), [(24, 12, 3), (50, 24, 7)])
def test_a_cut_right_after_a_dissolve_takes_its_place(rate, length, near):
    """The dissolve's span reaches a frame past the mix; two steps more are not clear of it."""

    def kinds(gap):
        frames = _dissolve(_shot(1, 5 * length), _shot(2, length + gap), length)
        shots = _detect(frames + _shot(3, 5 * length), rate=rate, min_shot_frames=1)
        assert shots[-1].first_frame_index == 5 * length + gap
        return [s.transition_in for s in shots[1:]]

    assert kinds(near) == ["cut"]
    assert kinds(near + 1) == ["dissolve", "cut"]


def test_a_higher_threshold_never_finds_more():
    frames = _shot(1, 30)
    for seed in range(2, 8):
        dim = [128 + (f.astype(int) - 128) // (2 * seed) for f in _shot(seed, 25)]
        frames += [f.astype(np.uint8) for f in dim]
    counts = [len(_detect(frames, cut_threshold=t)) for t in (0.5, 1.0, 2.0, 4.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_faster_films_find_dissolves_of_the_same_seconds():
    frames = _dissolve(_shot(1, 140, speed=0.2), _shot(2, 140, speed=0.2), 36)
    shots = _detect(frames, rate=50)
    assert [s.transition_in for s in shots] == ["start", "dissolve"]
    assert abs(shots[1].first_frame_index - 122) <= 3


@pytest.mark.parametrize("speed", [0.5, 0.6])
def test_dissolves_of_moving_shots_are_found(speed):
    frames = _dissolve(_shot(1, 60, speed=speed), _shot(2, 60, speed=speed), 24)
    shots = _detect(frames)
    assert [s.transition_in for s in shots] == ["start", "dissolve"]
    assert 36 <= shots[1].first_frame_index < 60


def test_two_dissolves_a_second_apart_are_two():
    frames = _dissolve(_dissolve(_shot(1, 60), _shot(2, 40), 14), _shot(3, 60), 14)
    shots = _detect(frames)  # mixed from 46 to 60, and from 72 to 86
    assert [s.transition_in for s in shots] == ["start", "dissolve", "dissolve"]
    assert abs(shots[1].first_frame_index - 53) <= 2 and abs(shots[2].first_frame_index - 79) <= 2


def test_a_dissolve_half_a_second_before_a_fade_is_found_and_its_flanks_are_not():
    frames = _dissolve(_shot(1, 60), _shot(2, 50), 16)
    shots = _detect(_through(frames, _shot(3, 60), 12, BLACK))
    assert [s.transition_in for s in shots] == ["start", "dissolve", "fade"]


def test_a_cut_into_black_and_a_fade_out_of_it_are_one_boundary():
    black = [np.full((36, 64, 3), BLACK, np.uint8)] * 7
    frames = _shot(1, 60) + _through(black, _shot(2, 60, speed=2), 6, BLACK)[1:]
    assert _starts(_detect(frames)) == [(0, "start"), (60, "cut")]


def test_a_subtitle_that_comes_and_goes_is_no_cut():
    frames = _shot(1, 90, speed=0.3)
    for frame in frames[30:60]:
        frame[29:34, 8:56] = (20, 128, 128)
        frame[30:33, 10:54:2] = (250, 128, 128)
    assert len(_detect(frames)) == 1


@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_strobe_is_no_row_of_cuts(period):
    frames = _shot(1, 90, speed=0.5)
    for k in range(30, 60):
        if k // period % 2:
            frames[k] = np.dstack([frames[k][..., 0] // 3, frames[k][..., 1:]])
    assert len(_detect(frames)) == 1


def test_a_light_put_out_for_a_second_is_no_fade():
    frames, share = _shot(1, 100, speed=1), np.ones(100)
    share[40:60] = 0.2
    share[37:40] = share[62:59:-1] = (0.8, 0.6, 0.4)
    dim = [
        np.dstack(
            [(f[..., 0] * s).astype(np.uint8), ((f[..., 1:] - 128.0) * s + 128).astype(np.uint8)]
        )
        for f, s in zip(frames, share, strict=True)
    ]
    assert len(_detect(dim)) == 1


def test_a_shot_at_the_edge_of_darkness_is_no_row_of_fades():
    frames = _shot(1, 120, noise=0)
    shares = 0.06 + 0.015 * np.sin(np.arange(120) / 5)  # spread about 3 grey levels
    dark = [
        np.dstack([(f[..., 0] * s).round().astype(np.uint8), np.full_like(f[..., 1:], 128)])
        for f, s in zip(frames, shares, strict=True)
    ]
    assert len(_detect(dark)) == 1


@pytest.mark.parametrize("is_first_stronger", [True, False])
def test_of_two_cuts_that_are_too_near_the_stronger_stays(is_first_stronger):
    rows = (0, 24, 36) if is_first_stronger else (0, 12, 36)
    lengths = (60, 8, 60)
    thumbs = [
        two_tone.picture(60, two_tone.turned(n))
        for n, length in zip(rows, lengths, strict=True)
        for _ in range(length)
    ]
    assert _starts(_detect(thumbs, min_shot_frames=8)) == [(0, "start"), (60, "cut"), (68, "cut")]
    cut = 60 if is_first_stronger else 68
    assert _starts(_detect(thumbs, min_shot_frames=9)) == [(0, "start"), (cut, "cut")]


@pytest.mark.parametrize(("pause", "starts"), [(26, [64]), (27, [64, 100])])
def test_of_two_wide_dissolves_within_36_frames_the_first_of_equals_stays(pause, starts):
    """Still pictures on both sides let each be seen 24 frames wide; their middles are 9 further."""
    one, two, three = two_tone.LEFT, two_tone.turned(18), two_tone.TOP
    shares = [(k + 0.5) / 9 for k in range(9)]
    patterns = [
        *[one] * 60,
        *((1 - s) * one + s * two for s in shares),
        *[two] * pause,
        *((1 - s) * two + s * three for s in shares),
        *[three] * 60,
    ]
    found = _starts(_detect([two_tone.picture(60, pattern) for pattern in patterns]))
    assert found == [(0, "start"), *((start, "dissolve") for start in starts)]


@pytest.mark.parametrize(("length", "num"), [(8, 2), (7, 1)])
def test_the_last_shot_is_as_long_as_asked(length, num):
    thumbs = [two_tone.picture(60)] * 60 + [two_tone.picture(60, two_tone.turned(18))] * length
    assert len(_detect(thumbs, min_shot_frames=8)) == num


def test_cut_strength_by_hand():
    quiet = [0.002] * 12
    # floor 0.016, mean 0.002 + 0.008 doubled is 0.02, second peak 0.002 * 1.25
    assert cut_strength(0.04, quiet) == pytest.approx(2.0)
    assert cut_strength(0.04, quiet, threshold=2.0) == pytest.approx(1.0)
    assert cut_strength(0.012, [0.0] * 12) == pytest.approx(0.75)
    jumps = sorted([0.04, 0.04, 0.04, *[0.0] * 9])
    assert cut_strength(0.04, jumps) == pytest.approx(0.8)
    assert cut_strength(0.2, jumps) == pytest.approx(0.2 / 0.018 / 2)
    assert cut_strength(0.032, []) == pytest.approx(2.0)
    # on threes: four drawings move by 0.1, eight frames are held; only the drawings count
    assert cut_strength(0.12, [*[0.0] * 8, *[0.1] * 4]) == pytest.approx(0.12 / 0.108 / 2)


def _boundaries(path):
    info = probe.probe(path)
    detector, shots = FastDetector(ExtractionConfig(), info.rate), []
    for frame in decode.iterate_frames(info):
        shots += detector.push(video_frame.thumb(frame, info))
    return [s.first_frame_index for s in (shots + detector.finish())[1:]]


@pytest.mark.parametrize(
    ("file", "cuts"),
    [
        ("short_hamilton_clip.mp4", [20, 82, 211]),
        ("open_reel.mp4", [48, 74, 98, 170, 202, 249, 269]),
        ("chaplin.mp4", []),
        ("single_face.mp4", []),
        ("WolfgangLanger_Pexels.mp4", []),
    ],
)
def test_real_films(material, file, cuts):
    score = score_boundaries(_boundaries(material / "video" / file), cuts)
    assert (score.missed, score.extra) == ((), ())


@settings(max_examples=12, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["shot", "black", "white", "grey"]), st.integers(1, 70)),
        max_size=8,
    ),
    joint=st.sampled_from(["cut", "dissolve", "fade"]),
    rate=st.sampled_from([0, 12, 24, 60]),
    least=st.sampled_from([1, 4, 30]),
    threshold=st.sampled_from([0.05, 1.0, 5.0]),
)
def test_shots_tile_any_film_within_their_bounds(parts, joint, rate, least, threshold):
    frames = []
    for seed, (kind, length) in enumerate(parts):
        if kind == "shot":
            part = _shot(seed, length, speed=seed % 3)
        else:
            value = {"black": 0, "white": 255, "grey": 90}[kind]
            part = [np.full((36, 64, 3), (value, 128, 128), np.uint8)] * length
        half = min(12, len(frames), length)
        if joint == "dissolve" and half:
            frames = _dissolve(frames, part, half)
        elif joint == "fade" and half:
            frames = _through(frames, part, half, BLACK)
        else:
            frames = frames + part
    if not frames:
        return
    # `_detect` checks that shots tile the film and come out in time.
    shots = _detect(frames, rate=rate, min_shot_frames=least, cut_threshold=threshold)
    lengths = [s.end_frame_index - s.first_frame_index for s in shots]
    assert len(shots) == 1 or min(lengths) >= least
    assert all(0 <= s.motion <= 1 for s in shots)
    assert all(s.transition_in != "start" for s in shots[1:])


@pytest.mark.parametrize(("shortest", "lengths"), [(3, [40, 3]), (4, [43])])
def test_a_last_shot_is_as_long_as_is_set(shortest, lengths):
    """A cut three frames before the end."""
    found = _detect(_shot(1, 40) + _shot(2, 3), min_shot_frames=shortest)
    assert [shot.end_frame_index - shot.first_frame_index for shot in found] == lengths
