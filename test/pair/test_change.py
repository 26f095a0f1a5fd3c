"""Words for a change: only what was measured, nothing near a threshold."""

import dataclasses

import pytest

from bunny.pair import change
from bunny.pair.change import CharacterState

FACE = CharacterState(box=(100, 100, 200, 220), is_face=True, pose="frontal", yaw=0.0, mouth=0.8)


def said(before, after):
    one = dataclasses.replace(FACE, **before)
    two = dataclasses.replace(FACE, **after)
    return change.describe_change(one, two, 1000, "anna")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({}, {"pose": "left", "yaw": -0.5}, ["anna turns to the left"]),
        ({"pose": "right", "yaw": 0.4}, {}, ["anna turns to the camera"]),
        ({"yaw": 0.3}, {"pose": "right", "yaw": 0.4}, []),  # too little of a turn
        ({}, {"pose": "unknown", "yaw": None}, []),
        ({}, {"mouth": 0.96}, ["anna smiles"]),
        ({}, {"mouth": 0.94}, []),
        ({"mouth": 1.0}, {"mouth": 0.8}, ["anna stops smiling"]),
        ({}, {"mouth": 1.1, "yaw": 0.2}, []),  # a turned face's mouth is not its own width
        ({}, {"box": (220, 100, 320, 220)}, ["anna moves to the right"]),  # 120 of 1000
        ({}, {"box": (210, 100, 310, 220)}, []),
        ({}, {"box": (90, 90, 210, 250)}, ["anna comes closer"]),  # 160 / 120 = 1.33
        ({"box": (90, 90, 210, 250)}, {}, ["anna moves back"]),
        ({}, {"others": frozenset({"bo"}), "num_figures": 2}, ["bo enters"]),
        ({}, {"others": frozenset({"bo"})}, []),  # a name more, but no figure more
        ({"others": frozenset({"bo"}), "num_figures": 2}, {}, ["bo leaves"]),
        (
            {"others": frozenset({"bo"}), "num_figures": 2},
            {"others": frozenset({"cy"}), "num_figures": 2},
            [],
        ),
    ],
)
def test_what_is_said(before, after, expected):
    assert said(before, after) == expected


def test_of_a_drawn_figure_only_its_place_is_sure():
    before = {"is_face": False, "pose": "unknown", "yaw": None, "mouth": None}
    after = {**before, "box": (300, 50, 500, 400)}
    assert said(before, after) == ["anna moves to the right"]
    assert said(before, {"box": (300, 50, 500, 400)}) == []  # a figure's box against a face's


def test_clauses_make_one_line():
    assert change.join_clauses(["bo enters", "anna smiles"]) == "bo enters, anna smiles"
