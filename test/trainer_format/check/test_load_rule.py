"""What each trainer makes of a clip, worked out by hand from its own code."""

import pytest

from bunny.trainer_format.check import load_rule
from bunny.trainer_format.check.load_rule import CUT, DROPPED, KEPT, RESAMPLED, LoadRule, MediaFile


def clip(frames, fps=16.0, size=(128, 96)):
    return MediaFile(num_frames=frames, fps=fps, width_px=size[0], height_px=size[1])


def load(form, file, frames, **changes):
    made = load_rule.load(form, file, LoadRule(frames=(frames,), model_fps=16.0, **changes))
    return made.effect, made.num_frames


@pytest.mark.parametrize("form", list(load_rule.LOADERS))
def test_a_clip_of_the_length_and_rate_asked_for_is_kept_by_all(form):
    made = load_rule.load(form, clip(33), LoadRule(frames=(33,), model_fps=16.0))
    assert (made.effect, made.num_frames, made.speed, made.reason) == (KEPT, 33, 1.0, "")


@pytest.mark.parametrize("form", list(load_rule.LOADERS))
def test_a_picture_is_kept_by_all(form):
    picture = MediaFile(num_frames=1, fps=0.0, width_px=64, height_px=64)
    assert load(form, picture, 33) == (KEPT, 1)


@pytest.mark.parametrize(
    ("form", "frames", "wanted", "expected"),
    [
        ("musubi", 40, 35, (CUT, 33)),  # 35 is rounded down to 33 = 4 * 8 + 1
        ("musubi", 32, 33, (DROPPED, 0)),
        ("diffusion-pipe", 40, 33, (CUT, 33)),
        ("diffusion-pipe", 32, 33, (DROPPED, 0)),
        ("ai-toolkit", 65, 33, (RESAMPLED, 33)),  # every second frame: motion is twice as fast
        ("simpletuner", 40, 33, (CUT, 33)),
        ("simpletuner", 48, 45, (DROPPED, 0)),  # 48 counts as 41 = 8 * 5 + 1
        ("diffsynth", 40, 81, (CUT, 37)),  # 37 = 4 * 9 + 1
        ("diffsynth", 90, 81, (CUT, 81)),
        ("ltx", 40, 33, (CUT, 33)),
        ("ltx", 25, 33, (DROPPED, 0)),
        ("finetrainers", 65, 33, (RESAMPLED, 33)),
        ("finetrainers", 25, 33, (CUT, 25)),
    ],
)
def test_other_lengths(form, frames, wanted, expected):
    assert load(form, clip(frames), wanted) == expected


@pytest.mark.parametrize(
    ("form", "frames", "expected", "speed"),
    [
        # int(121 * 16 / 24) = 80 is too short for 81, int(122 * 16 / 24) = 81 is not
        ("diffusion-pipe", 121, (DROPPED, 0), 1.0),
        ("diffusion-pipe", 122, (RESAMPLED, 81), 1.0),
        ("simpletuner", 81, (RESAMPLED, 81), 2 / 3),  # 24 fps played at 16
        ("musubi", 81, (RESAMPLED, 81), 2 / 3),
    ],
)
def test_another_rate_is_resampled_or_changes_the_speed(form, frames, expected, speed):
    made = load_rule.load(form, clip(frames, 24.0), LoadRule(frames=(81,), model_fps=16.0))
    assert (made.effect, made.num_frames) == expected
    assert made.speed == pytest.approx(speed)


def test_musubi_with_source_fps_takes_121_frames_of_24_fps_as_81_of_16():
    rule = LoadRule(frames=(81,), model_fps=16.0, source_fps=24.0)
    made = load_rule.load("musubi", clip(121, 24.0), rule)
    assert (made.effect, made.num_frames, made.speed) == (RESAMPLED, 81, 1.0)
    assert load_rule.load("musubi", clip(120, 24.0), rule).effect == DROPPED  # 80 frames


def test_musubi_stops_reading_at_the_number_that_the_last_frame_gets_at_a_higher_rate():
    """33 frames are numbered 0, 1, 3, 4, 6 ...; 22 of the numbers are below 33."""
    rule = LoadRule(frames=(33,), model_fps=24.0, source_fps=16.0)
    made = load_rule.load("musubi", clip(33), rule)
    assert (made.effect, made.reason) == (
        DROPPED,
        "22 frames, no sample: the shortest target is 33",
    )
    short = LoadRule(frames=(33, 21), model_fps=24.0, source_fps=16.0)
    assert load_rule.load("musubi", clip(33), short).num_frames == 21


def test_diffsynth_resamples_for_ltx_alone():
    """33 frames of 16 a second last 2.06 s: 49 of 24 a second."""
    ltx = LoadRule(frames=(49,), model="ltx", model_fps=24.0, frame_step=8)
    made = load_rule.load("diffsynth", clip(33), ltx)
    assert (made.effect, made.num_frames, made.speed) == (RESAMPLED, 49, 1.0)
    made = load_rule.load("diffsynth", clip(33), LoadRule(frames=(49,), model_fps=24.0))
    assert (made.effect, made.num_frames, made.speed) == (RESAMPLED, 33, 1.5)


def test_simpletuner_counts_in_eights_for_wan_and_ltx_but_not_for_hunyuan():
    assert load("simpletuner", clip(48), 45, model="wan") == (DROPPED, 0)
    assert load("simpletuner", clip(48), 45, model="hunyuan") == (CUT, 45)


def test_every_rule_names_the_commit_it_was_read_at():
    assert set(load_rule.READ_AT) == set(load_rule.LOADERS)


@pytest.mark.parametrize(("promised", "effect"), [(33, "stops"), (20, DROPPED)])
def test_ltx_passes_over_by_what_is_promised_and_fails_by_what_is_there(promised, effect):
    file = MediaFile(num_frames=17, fps=16, width_px=128, height_px=96, num_promised=promised)
    assert load_rule.load("ltx", file, LoadRule(frames=(33,))).effect == effect


def test_of_several_lengths_the_longest_that_fits_is_taken():
    rule = LoadRule(frames=(33, 49, 81), model_fps=16.0)
    for form in ("musubi", "diffusion-pipe", "ltx", "finetrainers"):
        assert load_rule.load(form, clip(60), rule).num_frames == 49


def test_share_cut_off_to_fill_another_size():
    rule = LoadRule(frames=(33,), width_px=96, height_px=96)
    assert load_rule.size_reason(clip(33), rule) == "128x96 to 96x96, 25% cropped"  # 96 of 128
    same = LoadRule(frames=(33,), width_px=128, height_px=96)
    assert load_rule.size_reason(clip(33), same) == ""
    half = LoadRule(frames=(33,), width_px=64, height_px=48)
    assert load_rule.size_reason(clip(33), half) == "128x96 to 64x48, reduced"
