"""Drawn or photographed: shots of a film, references, and the classifier on pictures."""

import math

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.character.drawn import efficientnet, medium
from bunny.table import store


@pytest.fixture(scope="module")
def classifier():
    return medium.MediumClassifier(efficientnet.EfficientNet())


def _logits(**shots):
    """Rows of frame_medium from `s<index>=[logit of each frame]`."""
    rows = [
        {"frame_id": f"{name}-{i}", "shot_index": int(name[1:]), "drawn_logit": logit}
        for name, logits in shots.items()
        for i, logit in enumerate(logits)
    ]
    return store.from_rows("frame_medium", rows)


def _decide(judged, num_shots, chosen="auto"):
    shots = medium.decide_shots(judged, pl.Series(range(num_shots), dtype=pl.Int32), chosen)
    return store.check("shot_medium", shots)


def test_the_rest_of_the_film_is_added_to_a_shots_mean():
    shots = _decide(_logits(s0=[-2.0, -4.0], s1=[1.0, None]), 3)
    # Heard of shot 0 is -2, of shot 1 is 1; shot 2 has nothing of its own.
    wanted = [-3 + 1 / (1 + 2), 1 - 2 / (1 + 2), (-2 + 1) / (2 + 2)]
    assert shots["num_frames"].to_list() == [2, 1, 0]
    assert shots["drawn_logit"].to_list() == [-3, 1, None]
    assert shots["drawn_probability"].to_list() == pytest.approx(
        [1 / (1 + math.exp(-z)) for z in wanted]
    )
    assert shots["is_drawn"].to_list() == [False, True, False]


def test_an_odd_shot_of_a_photographed_film_must_look_clearly_drawn():
    others = {f"s{i}": [-3.0] for i in range(1, 41)}
    assert not _decide(_logits(s0=[1.5], **others), 41)["is_drawn"][0]
    assert _decide(_logits(s0=[2.5], **others), 41)["is_drawn"].to_list() == [True] + 40 * [False]


def test_a_mixed_film_is_told_by_shot_and_cards_go_with_the_most():
    drawn, photographed = {f"s{i}": [3.0] for i in range(8)}, {"s8": [-3.0], "s9": [-4.0]}
    shots = _decide(_logits(**drawn, **photographed), 11)
    assert shots["is_drawn"].to_list() == 8 * [True] + 2 * [False] + [True]
    assert medium.drawn_shots(shots) == {*range(8), 10}


@pytest.mark.parametrize("chosen", ["photographed", "drawn"])
def test_the_setting_overrides_what_is_measured(chosen):
    shots = _decide(_logits(s0=[5.0], s1=[-5.0]), 2, chosen)
    assert shots["is_drawn"].to_list() == 2 * [chosen == "drawn"]
    assert shots["drawn_probability"].to_list() == 2 * [float(chosen == "drawn")]


def test_a_film_of_which_nothing_was_judged_is_photographed():
    assert not _decide(_logits(), 2)["is_drawn"].any()
    assert _decide(_logits(), 0).height == 0


def test_a_reference_leans_as_its_film_does():
    all_drawn, none, half = (
        _decide(_logits(s0=[a], s1=[b]), 2) for a, b in ((9.0, 9.0), (-9.0, -9.0), (9.0, -9.0))
    )
    assert [medium.film_lean(s) for s in (all_drawn, none, half)] == [2, -2, 0]
    assert medium.film_lean(all_drawn.clear()) == 0
    assert medium.reference_probability(1.0, none) == pytest.approx(1 / (1 + math.e))
    assert medium.reference_probability(None, all_drawn) == pytest.approx(1 / (1 + math.exp(-2)))


def test_frames_are_spread_over_each_shot():
    frame = pl.DataFrame(
        {"shot_index": 9 * [0] + 2 * [1], "frame_index": [*range(8, -1, -1), 9, 10]}
    )
    chosen = medium.choose_frames(frame)
    assert chosen.rows() == [(0, 2), (0, 5), (0, 8), (1, 9), (1, 10)]


def test_photographs_are_photographed(classifier, astronaut):
    grey = cv2.cvtColor(cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    for image in (astronaut, grey, astronaut[40:240, 120:320]):
        assert classifier.drawn_logit(image) < 0


def test_flat_shapes_with_outlines_are_drawn(classifier):
    rng = np.random.default_rng(0)
    image = np.full((360, 640, 3), (235, 206, 150), np.uint8)
    cv2.rectangle(image, (0, 240), (640, 360), (90, 170, 90), -1)
    for x in (120, 320, 520):
        colour = tuple(int(c) for c in rng.integers(80, 255, 3))
        for drawn, thick in ((colour, -1), ((20, 20, 20), 4)):
            cv2.ellipse(image, (x, 260), (50, 70), 0, 0, 360, drawn, thick)
            cv2.circle(image, (x, 160), 60, drawn, thick)
        for side in (-22, 22):
            cv2.circle(image, (x + side, 150), 16, (255, 255, 255), -1)
            cv2.circle(image, (x + side, 150), 7, (10, 10, 10), -1)
        cv2.ellipse(image, (x, 185), (20, 10), 0, 0, 180, (20, 20, 20), 3)
    assert classifier.drawn_logit(image) > 0


def test_what_cannot_be_judged_has_no_logit(classifier, astronaut):
    assert classifier.drawn_logit(np.full((90, 90, 3), 128, np.uint8)) is None
    assert classifier.drawn_logit(astronaut[:15]) is None
    assert classifier.drawn_logit(astronaut[:16]) is not None
