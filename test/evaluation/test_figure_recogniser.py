"""The recogniser of drawn figures on films of points and of frames made here."""

import cv2
import numpy as np
import pytest

from bunny.evaluation import figure_recogniser, real_view
from bunny.evaluation.figure_recogniser import Discriminants
from bunny.evaluation.real_view import RealView
from bunny.table import store


def view(who: str, shot: int, value: float, *shown: str, is_measured: bool = True) -> RealView:
    picture = np.full((4, 4, 3), value, np.uint8)
    names = frozenset({who, *shown} - {""})
    return RealView(
        character=who, shown=names, shot=shot, file="f", picture=picture, is_measured=is_measured
    )


def describe(picture: np.ndarray) -> np.ndarray:
    """Brightness, and a number that says nothing."""
    return np.array([float(picture.mean()), float(picture.size % 7)])


def film(bright: float = 200, dark: float = 40) -> list[RealView]:
    """Anna is bright, ben is dark, nobody is between; six shots of four pictures."""
    rng = np.random.default_rng(0)
    return [
        view(who, shot, middle + rng.integers(-9, 10))
        for shot in range(6)
        for who, middle in (("anna", bright), ("ben", dark), ("", 120))
        for _ in range(4)
    ]


def test_stretches_hold_equally_many_shots_and_take_what_is_between():
    edges = figure_recogniser.fold_edges([1, 2, 3, 4, 20, 30, 31, 32, 33, 34])
    assert edges.tolist() == [2, 4, 30, 32]
    assert [figure_recogniser.fold_of(edges, s) for s in (0, 2, 3, 10, 33, 99)] == [
        0,
        0,
        1,
        2,
        4,
        4,
    ]
    assert figure_recogniser.fold_edges([5, 6]).tolist() == [5]


def test_a_shot_is_scored_by_what_did_not_see_it_and_a_drawing_by_all():
    one = Discriminants(
        direction=np.array([[1.0], [3.0]]), offset=np.array([0.0, 2.0]), edges=np.array([4])
    )
    assert (one.score(np.array([1.0]), 4), one.score(np.array([1.0]), 5)) == (1.0, 5.0)
    assert one.score(np.array([1.0])) == 3.0


def test_characters_are_told_apart_on_shots_that_were_left_out():
    found = figure_recogniser.fit(film(), describe, 1, "anna")
    assert set(found.scales) == {"anna", "ben"}
    assert found.scales["anna"].is_calibrated and found.scales["ben"].is_calibrated
    bright, dark = (found.scores(np.full((4, 4, 3), x, np.uint8)) for x in (205, 30))
    floor = {name: scale.floor for name, scale in found.scales.items()}
    assert bright["anna"] > floor["anna"] and bright["ben"] < floor["ben"]
    assert dark["ben"] > floor["ben"] and dark["anna"] < floor["anna"]


def test_characters_that_look_alike_are_not_calibrated():
    found = figure_recogniser.fit(film(bright=200, dark=202), describe, 1, "anna")
    assert not found.scales["anna"].is_calibrated


def test_a_character_of_three_shots_gets_no_recogniser_and_shown_ones_are_no_strangers():
    views = [v for v in film() if v.character != "ben" or v.shot < 3]
    views += [view("ben", shot, 200, "anna") for shot in range(6, 8)]  # anna in ben's picture
    found = figure_recogniser.fit(views, describe, 1, "anna")
    assert found.scales["anna"].strangers.n == 6 * 4 + 3 * 4  # those two are not among them
    few = figure_recogniser.fit([v for v in film() if v.shot < 3], describe, 1, "anna")
    assert few.scales == {}


def test_both_sides_of_a_pair_are_counted():
    found = figure_recogniser.fit(film(), describe, 1, "anna")
    pair = np.full((8, 24, 3), 200, np.uint8)
    assert found.count_alike(pair, "anna") == 2
    pair[:, 12:] = 40
    assert found.count_alike(pair, "anna") == 1
    assert found.count_alike(pair, "cara") == 0


@pytest.fixture
def tables(tmp_path):
    """Two shots of 96 x 160 px: anna left and ben right in the first, nobody in the second."""
    frames, labels = [], []
    for shot in range(2):
        picture = np.zeros((96, 160, 3), np.uint8)
        if shot == 0:
            picture[28:92, 8:40], picture[28:92, 120:152] = 255, 128
        cv2.imwrite(str(tmp_path / f"{shot}.png"), picture)
        place = {"frame_id": f"f{shot}", "film_id": "x", "shot_index": shot, "frame_index": shot}
        frames.append({**place, "pts": shot, "time_base_num": 1, "time_base_den": 1})
        frames[-1] |= {"timestamp_s": float(shot), "file": f"{shot}.png"}
        frames[-1] |= {"width_px": 160, "height_px": 96, "reason": "shot-median"}
    for who, x0 in (("anna", 8), ("ben", 120)):
        box = {"x0_px": x0, "y0_px": 28, "x1_px": x0 + 32, "y1_px": 92}
        row = {"subject_id": who, "subject_type": "region", "character": who, "frame_id": "f0"}
        labels.append({**row, "shot_index": 0, **box, "confidence": 0.9, "source": "reference"})
    return tmp_path, {
        "frame": store.from_rows("frame", frames),
        "label": store.from_rows("label", labels),
    }


def test_views_know_who_is_in_them(tables):
    root, given = tables
    views = real_view.read_views(root, given, "anna", 0.5, 64)
    mine = [v for v in views if v.character == "anna"]
    # box 32 x 64: 0.5 around is a square of 96 px, 1.0 would be 128 but the frame has 96
    assert [v.shown for v in mine] == [frozenset({"anna"})] * 3
    assert [v.is_measured for v in mine] == [True, False, False]
    assert all(v.picture.shape[0] <= 64 for v in mine)
    nobody = [v for v in views if v.character == ""]
    assert {v.shot for v in nobody} == {1}  # squares of the first shot show one of them
    assert all(v.picture.max() == 0 and v.shown == frozenset() for v in nobody)


def test_who_is_in_a_shot_but_not_boxed_in_the_frame_may_be_in_the_picture(tables):
    root, given = tables
    frame = given["frame"].to_dicts()
    frame[1]["shot_index"] = 0
    given = {**given, "frame": store.from_rows("frame", frame)}
    views = real_view.read_views(root, given, "anna", 0.5, 64)
    nobody = [v for v in views if v.character == ""]
    assert nobody and all(v.shown == frozenset({"anna", "ben"}) for v in nobody)


def test_doubtful_labels_are_not_learned_from_but_shown(tables):
    root, given = tables
    views = real_view.read_views(root, given, "anna", 0.95, 64)
    assert {v.character for v in views} == {""} and {v.shot for v in views} == {1}
