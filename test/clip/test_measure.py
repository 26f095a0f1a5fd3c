"""Measures of a shot: the camera's move, change, and where a character stands between labels."""

from types import SimpleNamespace

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.clip import measure
from bunny.clip.camera import name_camera
from bunny.clip.measure import LabelledBox
from bunny.video.shot.scene_score import THRESHOLD, SceneScorer

RATE = 24.0


def scene(seed=1, height=270, width=480):
    """Blots of many sizes, so that corners are everywhere."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (6, 18, 54):
        coarse = rng.uniform(0, 255, (cells, cells * 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 3
    return picture.clip(0, 255).astype(np.uint8)


def shot(pictures):
    return [
        SimpleNamespace(frame=SimpleNamespace(index=i, time_s=i / RATE), picture=one, error=None)
        for i, one in enumerate(pictures)
    ]


def measured(pictures, labels=()):
    return measure.measure_shot(5, shot(pictures), labels, range(len(pictures)), RATE)


def camera_of(pictures, labels=()):
    rows = measured(pictures, labels)["clip_frame"]
    columns = [np.array([r[c] for r in rows]) for c in ("shift_x", "shift_y", "zoom")]
    return name_camera(*columns), columns


@pytest.mark.parametrize(
    ("step", "name"),
    [((3, 0), "pan right"), ((-3, 0), "pan left"), ((0, 3), "tilt down"), ((0, -3), "tilt up")],
)
def test_a_window_that_moves_over_a_scene_is_a_pan_or_tilt(step, name):
    """3 of 320 pixels a frame; what a camera leaves behind moves the other way."""
    wide = scene(height=400, width=600)
    found, (x, y, _) = camera_of(
        [wide[100 + i * step[1] :, 100 + i * step[0] :][:180, :320] for i in range(20)]
    )
    assert found == name
    assert x.sum() == pytest.approx(-19 * step[0] / 320, abs=0.02)
    assert y.sum() == pytest.approx(-19 * step[1] / 180, abs=0.02)


@pytest.mark.parametrize(("step", "name"), [(1.01, "zoom in"), (1 / 1.01, "zoom out")])
def test_a_scene_that_grows_is_a_zoom(step, name):
    wide = scene()
    pictures = [
        cv2.warpAffine(wide, cv2.getRotationMatrix2D((240, 135), 0, 1.3 * step**i), (480, 270))
        for i in range(15)
    ]
    found, (_, _, zoom) = camera_of(pictures)
    assert found == name
    assert zoom.sum() == pytest.approx(14 * np.log(step), abs=0.02)


def test_someone_who_walks_before_a_still_camera_moves_no_camera():
    """A textured block crosses half the picture; its box is unknown."""
    ground, block = scene(1), scene(2)[:200, :150]
    pictures = []
    for i in range(20):
        picture = ground.copy()
        picture[40:240, 20 + 10 * i : 170 + 10 * i] = block
        pictures.append(picture)
    assert camera_of(pictures)[0] == "static"


def test_a_shaken_camera_is_hand_held():
    wide, rng = scene(height=300, width=520), np.random.default_rng(0)
    at = rng.integers(-4, 5, (24, 2)) + 20
    assert camera_of([wide[y : y + 250, x : x + 440] for x, y in at])[0] == "hand-held"


def test_another_picture_changes_the_layout_and_light_alone_does_not():
    one, two = scene(1), scene(2)
    dark = (one * 0.6).astype(np.uint8)
    rows = measured([one, one, dark, two])["clip_frame"]
    assert rows[1]["change"] == rows[1]["layout_change"] == 0
    assert rows[2]["change"] > 30 and rows[2]["layout_change"] < 0.01
    assert rows[3]["layout_change"] > 0.5


def label(index, x, name="anna"):
    return LabelledBox(
        character=name, frame_index=index, timestamp_s=index / RATE, box=(x, 60.0, x + 60, 160.0)
    )


def test_boxes_between_labels_are_interpolated_and_hold_half_a_second_beyond():
    times = [(i, i / RATE) for i in range(60)]
    found = measure.follow([label(30, 200.0), label(10, 100.0)], times)
    assert found[20][0] == (150.0, 60.0, 210.0, 160.0)
    assert [min(found), max(found)] == [0, 42]  # 10 frames before, 12 after: 0.5 s
    assert found[15][1].frame_index == 10 and found[26][1].frame_index == 30
    far = measure.follow([label(0, 0.0), label(72, 100.0)], [(i, i / RATE) for i in range(73)])
    assert sorted(far) == [*range(13), *range(60, 73)]  # 3 s between two labels are not bridged
    assert measure.follow([], times) == {}


def test_likeness_says_whether_the_character_is_in_the_box():
    """A red block that goes away in frame 12 and is back in frame 20."""
    ground = scene(1)
    pictures = []
    for i in range(25):
        picture = ground.copy()
        if not 12 <= i < 20:
            picture[60:160, 100:160] = (20, 20, 220)
        pictures.append(picture)
    rows = measured(pictures, [label(0, 100.0), label(24, 100.0)])["clip_box"]
    alike = {row["frame_index"]: row["likeness"] for row in rows}
    assert min(alike[i] for i in (0, 5, 11, 20, 24)) > 0.9
    assert max(alike[i] for i in range(12, 20)) < 0.3
    assert [row["frame_index"] for row in rows if row["is_labelled"]] == [0, 24]


def test_a_frame_without_a_picture_has_its_error():
    frames = shot([scene()] * 3)
    frames[1] = SimpleNamespace(frame=frames[1].frame, picture=None, error="broken")
    rows = measure.measure_shot(5, frames, [label(0, 10.0)], range(3), RATE)
    assert [row["error"] for row in rows["clip_frame"]] == [None, "broken", None]
    assert [row["frame_index"] for row in rows["clip_box"]] == [0, 2]


def test_writing_is_looked_for_twice_a_second_and_its_share_is_known():
    """In the second half of two seconds a line of 10 capitals, about 20 pixels high."""
    plain = np.full((270, 480, 3), 90, np.uint8)
    written = cv2.putText(
        plain.copy(), "THE RABBIT", (90, 150), cv2.FONT_HERSHEY_DUPLEX, 1.0, (250, 250, 250), 2
    )
    rows = measured([plain] * 24 + [written] * 24)["clip_frame"]
    assert rows[0]["luma"] == 90 < rows[24]["luma"]
    share = [row["text_share"] for row in rows]
    assert [i for i, one in enumerate(share) if one is not None] == [0, 12, 24, 36]
    assert share[0] == share[12] == 0.0
    assert share[24] == share[36] == pytest.approx(22 * 190 / (270 * 480), rel=0.25)


def test_labels_are_in_pixels_of_the_shot_and_faces_become_heads():
    """The stored picture is half as large as what was cut out of the film."""
    at = {
        "shot_index": 2,
        "frame_index": 7,
        "timestamp_s": 1.0,
        "width_px": 640,
        "crop_x0_px": 100,
        "crop_x1_px": 1380,
    }
    box = {"x0_px": 10.0, "y0_px": 20.0, "x1_px": 30.0, "y1_px": 40.0}
    rows = [
        {**at, **box, "character": "anna", "subject_type": "region"},
        {**at, **box, "character": "ben", "subject_type": "face"},
    ]
    found = {one.character: one.box for one in measure.group_labels(pl.DataFrame(rows))[2]}
    assert found["anna"] == (20.0, 40.0, 60.0, 80.0)
    assert found["ben"] == (20 - 24, 40 - 24, 60 + 24, 80 + 60)


def test_ffmpegs_score_is_high_at_a_cut_and_low_in_steady_motion():
    scorer = SceneScorer()
    wide = cv2.resize(
        np.random.default_rng(4).integers(0, 255, (6, 20, 3), np.uint8),
        (600, 90),
        interpolation=cv2.INTER_CUBIC,
    )
    pan = [scorer.push(wide[:, step * 4 : step * 4 + 160]) for step in range(30)]
    assert pan[0] == 0 and max(pan[2:]) < THRESHOLD / 2
    assert scorer.push(255 - wide[:, 116:276]) > THRESHOLD
