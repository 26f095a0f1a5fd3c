"""Which runs of frames become clips: lengths, times, and each rule that refuses one."""

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.clip import plan, shot_measures
from bunny.clip.preset import ClipForm, choose_form, choose_lengths, choose_size
from bunny.core.config.clip import ClipConfig
from bunny.core.error import UserError

FORM = ClipForm(fps=16.0, width_px=832, height_px=480)
BOX = (10.0, 10.0, 60.0, 80.0)
WANTED = ClipConfig(preset="wan", num_frames=(49, 33))


def shot(num=120, rate=24.0, present=None, **columns):
    """A shot in which Anna always stands, changed a little from frame to frame."""
    index = np.arange(100, 100 + num)
    values = {
        "change": np.full(num, 2.0),
        "layout_change": np.full(num, 0.01),
        "scene_score": np.full(num, 0.5),
        "shift_x": np.zeros(num),
        "shift_y": np.zeros(num),
        "zoom": np.zeros(num),
        "sharpness": np.full(num, 100.0),
        "time_s": 5.0 + np.arange(num) / rate,
    } | columns
    seen = index if present is None else index[present]
    return shot_measures.ShotMeasures(
        shot_index=3,
        index=index,
        size=(1280, 720),
        first=2,
        end=num - 2,
        boxes={"anna": dict.fromkeys(seen.tolist(), BOX)},
        **values,
    )


def plans(one, wanted=WANTED, form=FORM):
    return plan.plan_shot(one, "anna", form, wanted)


def test_the_longest_run_that_fits_is_taken_and_what_is_left_beside_it():
    """120 frames less two at each end last 4.79 s: 49 frames take 3 s, the rest holds no 33."""
    [one] = plans(shot())
    assert (one.num_frames, one.reason, one.frame_indices[0]) == (49, "", 102)
    assert one.end_s - one.start_s == pytest.approx(49 / 16)
    two = plans(shot(num=170))
    assert [one.num_frames for one in two] == [49, 49]
    assert two[1].frame_indices[0] > two[0].frame_indices[-1]


@pytest.mark.parametrize("rate", [23.976, 24.0, 25.0, 29.97, 50.0, 12.0])
def test_played_speed_is_film_speed_within_half_a_film_frame(rate):
    one = plans(shot(num=int(4 * rate) + 10, rate=rate))[0]
    times = 5.0 + (np.array(one.frame_indices) - 100) / rate
    asked = times[0] + np.arange(one.num_frames) / 16
    assert np.abs(times - asked).max() <= 0.5 / rate + 1e-9


def test_of_a_film_of_varying_rate_the_nearest_frame_in_time_is_taken():
    """Every second frame comes 10 ms late."""
    time_s = np.arange(120) / 24 + 0.01 * (np.arange(120) % 2)
    rows = plan.choose_frames(time_s, 0.0, 33, 16.0)
    asked = np.arange(33) / 16
    best = np.abs(time_s[None] - asked[:, None]).min(axis=1)
    assert np.abs(time_s[rows] - asked) == pytest.approx(best)


def test_frames_at_25_a_second_are_every_25_sixteenths():
    rows = plan.choose_frames(np.arange(60) / 25, 0.0, 9, 16.0)
    assert rows.tolist() == [0, 2, 3, 5, 6, 8, 9, 11, 12]  # 0, 1.56, 3.13, 4.69, 6.25 …


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"present": slice(0, 60)}, "absent"),
        ({"change": np.full(120, 0.1)}, "frozen"),
        ({"change": np.full(120, 40.0)}, "wild"),
        ({"sharpness": np.full(120, 10.0)}, "blurred"),
        ({"sharpness": np.where(np.arange(120) % 8 == 0, 5.0, 100.0)}, "blurred"),
        ({"text_s": (7.0,)}, "text"),
        ({"overlays": ((40.0, 20.0, 90.0, 60.0),)}, "logo"),  # before the character
        ({"scene_score": np.where(np.arange(120) % 20 == 19, 10.0, 0.5)}, "cut inside"),
    ],
)
def test_a_run_is_refused_with_its_reason(change, reason):
    one = shot(num=100) if "present" not in change else shot(num=100, present=change["present"])
    if "present" not in change:
        change = {k: v[:100] if isinstance(v, np.ndarray) else v for k, v in change.items()}
        one = shot(num=100)
        one = plan.replace(one, **change)
    found = plans(one, ClipConfig(preset="wan", num_frames=(49,)))
    assert [(o.reason, bool(o.detail)) for o in found] == [(reason, True)]


def test_a_cut_that_the_shot_detector_missed_is_in_no_clip():
    """At frame 60 the picture changes wholly; before and after it 33 frames have room."""
    change, layout = np.full(120, 2.0), np.full(120, 0.01)
    change[60], layout[60] = 50.0, 0.9
    found = plans(shot(change=change, layout_change=layout))
    assert [one.reason for one in found] == ["", ""]
    assert all(not one.frame_indices[0] < 160 <= one.frame_indices[-1] for one in found)
    assert [one.num_frames for one in found] == [33, 33]


def test_a_shot_that_is_too_short_says_how_long_it_is():
    [one] = plans(shot(num=40))
    assert one.reason == "too short"
    assert one.detail == "1.5 s, the shortest clip is 33 frames at 16 per second"


def test_beside_a_transition_nothing_is_taken_for_half_a_second():
    rows = [
        {"shot_index": i, "frame_index": f, "timestamp_s": f / 24, "width_px": 64, "height_px": 48}
        | dict.fromkeys(("layout_change", "scene_score", "shift_x", "shift_y", "zoom"), 0.0)
        | {"change": 2.0, "sharpness": 99.0, "luma": 90.0}
        | {"text_share": {12: 0.01, 24: 0.03}.get(f), "error": None}
        for i, first, end in ((0, 0, 96), (1, 96, 192))
        for f in range(first, end)
    ]
    boxes = [
        {"shot_index": r["shot_index"], "frame_index": r["frame_index"], "character": "anna"}
        | {**table_row.box(0.0, 0.0, 9.0, 9.0), "is_labelled": False, "likeness": 0.5}
        for r in rows
    ]
    tables = {
        "clip_frame": pl.DataFrame(rows),
        "clip_box": pl.DataFrame(boxes),
        "shot": pl.DataFrame(
            {
                "shot_index": [0, 1],
                "start_s": [0.0, 4.0],
                "end_s": [4.0, 8.0],
                "transition_in": ["start", "dissolve"],
            }
        ),
        "frame": pl.DataFrame(
            {"frame_id": ["a"], "shot_index": [1], "frame_index": [100], "timestamp_s": [100 / 24]}
        ),
        "quality": pl.DataFrame({"frame_id": ["a"], "reason": ["title"]}),
    }
    one, two = shot_measures.read_shots(tables, ClipConfig(preset="wan", margin_frames=3))
    assert (one.first, one.end) == (3, 84)  # up to 3.5 s
    assert (two.first, two.end) == (12, 93)
    assert (one.text_s, two.text_s) == ((1.0,), (100 / 24,))
    fading = (
        pl.when(pl.col("frame_index") < 60)
        .then("luma")
        .otherwise(90 - 2.5 * (pl.col("frame_index") - 60))
    )
    dark = tables["clip_frame"].head(96).with_columns(luma=fading)
    [faded] = shot_measures.read_shots(
        tables | {"clip_frame": dark}, ClipConfig(preset="wan", margin_frames=3)
    )
    assert (faded.first, faded.end) == (3, 57 - 3)  # it goes dark from frame 60 on, in steps of six
    [none] = shot_measures.read_shots(
        tables | {"clip_frame": tables["clip_frame"].head(96)},
        ClipConfig(preset="wan", min_likeness=0.6),
    )
    assert none.boxes == {}


def test_of_too_many_the_most_varied_are_taken():
    """Three clips of one shot and one of another: the other is among two."""
    made = [one for s in (3, 3, 3, 8) for one in [plans(shot(num=60))[0]]]
    many = [
        plan.replace(one, shot_index=s, start_s=float(i), motion=float(i), frame_indices=(i,))
        for i, (one, s) in enumerate(zip(made, (3, 3, 3, 8), strict=True))
    ]
    found = plan.choose_varied(many, {3: "sea", 8: "hill"}, 2)
    assert {one.shot_index for one in found if not one.reason} == {3, 8}
    assert [one.reason for one in found if one.reason] == ["surplus", "surplus"]
    assert all(not one.reason for one in plan.choose_varied(many, {}, 4))


@pytest.mark.parametrize(
    ("preset", "fps", "area"),
    [
        ("wan", 16, 832 * 480),
        ("wan-5b", 24, 1280 * 704),
        ("hunyuan", 24, 960 * 544),
        ("ltx", 24, 768 * 512),
        ("own", 12, 320 * 320),
    ],
)
def test_presets_are_the_models_rates_and_sizes(preset, fps, area):
    form = choose_form(ClipConfig(preset=preset, fps=12, width_px=320, height_px=320))
    assert (form.fps, form.area_px) == (fps, area)


def test_a_preset_cuts_no_more_frames_than_its_model_makes():
    lengths = {name: choose_lengths(ClipConfig(preset=name))[0] for name in ("wan", "hunyuan")}
    assert lengths == {"wan": 81, "hunyuan": 121}
    assert choose_lengths(ClipConfig(preset="own", num_frames=(241,))) == (241,)
    with pytest.raises(UserError, match="expected a length of at most 81, the most"):
        choose_lengths(ClipConfig(preset="wan", num_frames=(121, 97)))


@pytest.mark.parametrize("size", [(1920, 1080), (720, 576), (640, 360), (333, 777), (64, 40)])
@pytest.mark.parametrize("upscale", [1.0, 1.5])
def test_sides_are_multiples_of_32_within_the_area(size, upscale):
    width, height = choose_size(*size, FORM, upscale)
    assert width % 32 == height % 32 == 0
    assert width * height <= max(FORM.area_px, 32 * 32)
    assert width <= max(32, size[0] * upscale) and height <= max(32, size[1] * upscale)


@pytest.mark.parametrize("lengths", [(32,), (), (5, 1), (33, 48)])
def test_lengths_are_8n_and_1(lengths):
    with pytest.raises(ValueError, match=r"expected lengths of 8n \+ 1 frames"):
        ClipConfig(num_frames=lengths)


def test_where_another_detector_sees_a_cut_no_clip_goes_on():
    """The score of 60 is of the 60th frame against the 59th: a clip may begin with it."""
    one = shot(num=200, scene_score=np.where(np.arange(200) == 60, 60.0, 0.0))
    good = [own for own in plans(one) if not own.reason]
    assert good
    for own in good:
        assert not own.frame_indices[0] < 160 <= own.frame_indices[-1]


def test_beside_a_logo_the_rest_of_the_picture_is_used():
    """What lies below the logo is larger than what lies left of it, but has not all of Anna."""
    [one] = plans(shot(overlays=((1200.0, 0.0, 1280.0, 20.0),)))
    assert (one.reason, one.region) == ("", (0.0, 0.0, 1200.0, 720.0))
