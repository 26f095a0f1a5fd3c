"""Composed captions of clips: who is in them."""

from dataclasses import fields

import pytest

from bunny.caption.trigger import CharacterWords
from bunny.clip import caption
from bunny.clip.plan import ClipPlan

WORDS = CharacterWords(
    triggers={name: f"sks {name}" for name in ("anna", "ben", "annabel")}, class_word="woman"
)


def plan(*others: str) -> ClipPlan:
    known = {"character": "anna", "start_s": 0.0, "num_frames": 33, "fps": 16.0}
    known |= {"camera": "static", "also_shown": others, "frame_indices": (0,), "size": (64, 36)}
    rest = {one.name: 0 for one in fields(ClipPlan) if one.name in ("shot_index", "coverage")}
    return ClipPlan(**known, **rest, motion=1.0, sharpness=1.0)


@pytest.mark.parametrize(
    ("others", "said", "fitted"),
    [
        ((), "sks anna woman and a person in the snow", "sks anna woman in the snow"),
        ((), "sks anna woman and two people", "sks anna woman"),
        ((), "sks anna woman hugs a person", "sks anna woman hugs a person"),
        ((), "sks ben woman and sks anna woman, day", "sks anna woman, day"),
        ((), "sks annabel woman and sks anna woman, day", "sks anna woman, day"),
        (("ben",), "sks anna woman, day", "sks anna woman, day, with sks ben woman"),
        (("ben",), "", "sks anna woman, with sks ben woman"),
        (
            ("ben",),
            "sks ben woman on the left and sks anna woman on the right, day",
            "sks anna woman and sks ben woman, day",
        ),
        (
            ("ben",),
            "sks anna woman on the left and sks ben woman on the right, day",
            "sks anna woman on the left and sks ben woman on the right, day",
        ),
        (
            ("ben", "annabel"),
            "sks anna woman and sks ben woman and a crowd, day",
            "sks anna woman and sks ben woman, day, with sks annabel woman",
        ),
    ],
)
def test_a_clip_names_those_who_are_in_it_and_nobody_else(others, said, fitted):
    captions = [(1.0, said)] if said else []
    assert caption.compose(plan(*others), captions, WORDS) == f"{fitted}, the camera is still"
