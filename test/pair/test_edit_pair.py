"""Edit pairs of a shot: seconds, camera, background and what is sure; pictures are drawn here."""

import dataclasses

import cv2
import numpy as np
import pytest

from bunny.core.config.pair import PairConfig
from bunny.pair import edit_pair
from bunny.pair.change import CharacterState
from bunny.pair.source import CharacterFrame

SIZE = (640, 480)


def ground(seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (30, 40), np.uint8)
    grey = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def frame(name, second, x, shot=1, **changes):
    box = (x, 150, x + 90, 350)
    state = CharacterState(box=box, is_face=False, pose="unknown")
    one = CharacterFrame(
        frame_id=name,
        shot_index=shot,
        timestamp_s=second,
        file=name,
        size=SIZE,
        confidence=0.9,
        state=state,
        boxes=(box,),
    )
    return dataclasses.replace(one, **changes)


def draw(frames, background=None):
    pictures = {}
    for one in frames:
        picture = (background or {}).get(one.file, ground()).copy()
        x = int(one.state.box[0])
        picture[150:350, x : x + 90] = (30, 30, 230)
        pictures[one.file] = picture
    return pictures.get


def choose(frames, background=None, **changes):
    wanted = PairConfig(**changes)
    made = edit_pair.choose_pairs(frames, draw(frames, background), "anna", wanted)
    return [(p.before.frame_id, p.after.frame_id, p.reason, p.clauses) for p in made]


STEP = [frame("a", 0.0, 60), frame("b", 3.0, 300)]  # 240 of 640 to the right


def test_a_step_before_a_still_background_is_a_pair():
    assert choose(STEP) == [("a", "b", None, ("anna moves to the right",))]


@pytest.mark.parametrize(
    ("span", "number"), [((1, 5), 1), ((3, 3), 1), ((3.1, 5), 0), ((0, 2.9), 0)]
)
def test_the_two_pictures_are_so_many_seconds_apart(span, number):
    assert len(choose(STEP, edit_seconds=span)) == number


@pytest.mark.parametrize(("most", "reason"), [(0.01, "moved"), (0.05, None)])
def test_a_moved_camera_is_told(most, reason):
    moved = cv2.warpAffine(
        ground(), np.array([[1.0, 0, 16], [0, 1.0, 0]]), SIZE, borderMode=cv2.BORDER_REFLECT
    )
    [(*_, found, _clauses)] = choose(STEP, {"b": moved}, max_shift=most)  # 16 of 640 is 0.025
    assert found == reason


@pytest.mark.parametrize(("most", "reason"), [(0.05, "unaligned"), (0.2, None)])
def test_a_background_that_changed_is_told(most, reason):
    lighter = cv2.convertScaleAbs(ground(), alpha=0.7, beta=55)
    [(*_, found, _clauses)] = choose(STEP, {"b": lighter}, max_residual=most)
    assert found == reason


def test_without_a_change_that_is_sure_there_is_no_pair():
    near = [frame("a", 0.0, 60), frame("b", 3.0, 90)]
    assert [row[2] for row in choose(near)] == ["unsure"]
    same = [frame("a", 0.0, 60), frame("b", 3.0, 60)]
    assert [row[2] for row in choose(same)] == ["unchanged"]


def test_another_shot_a_doubtful_label_and_a_missing_picture_make_no_pair():
    assert choose([STEP[0], frame("b", 3.0, 300, shot=2)]) == []
    assert choose([STEP[0], frame("b", 3.0, 300, confidence=0.5)]) == []
    made = edit_pair.choose_pairs(STEP, lambda _: None, "anna", PairConfig())
    assert [p.reason for p in made] == ["unreadable"]


@pytest.mark.parametrize(("least", "number"), [(0.5, 1), (0.51, 0)])
def test_labels_are_as_sure_as_is_set(least, number):
    doubtful = [STEP[0], frame("b", 3.0, 300, confidence=0.5)]
    assert len(choose(doubtful, min_confidence=least)) == number


def test_of_a_shot_one_pair_is_taken_and_no_more_than_asked_for():
    frames = [*STEP, frame("c", 4.5, 500)]
    reasons = [row[2] for row in choose(frames)]
    assert sorted(reasons, key=str) == [None, "surplus", "surplus"]
    other = [frame("d", 20.0, 60, shot=2), frame("e", 23.0, 300, shot=2)]
    reasons = [row[2] for row in choose([*STEP, *other], max_pairs=1)]
    assert reasons == [None, "surplus"]
