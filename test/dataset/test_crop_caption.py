"""How captions are fitted to crops."""

import pytest

from bunny.dataset import crop_caption
from bunny.dataset.crop_caption import CaptionWords

BUNNY = CaptionWords(trigger="bunny", class_word="character")


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (
            "bunny character in a kitchen, wide shot, day",
            "close-up",
            "bunny character in a kitchen, close-up, day",
        ),
        ("a hill, day", "medium", "bunny character, a hill, day, medium shot"),
        ("A Bunny runs", "wide", "A Bunny runs, wide shot"),
        ("", "wide", "bunny character, wide shot"),
        ("close-up of bunny character, day", None, "bunny character, day"),
        ("bunny character, medium shot, in the snow", None, "bunny character, in the snow"),
        ("a hill, wide shot", None, "bunny character, a hill"),
        (None, None, "bunny character"),
    ],
)
def test_caption_of_a_crop(text, size, expected):
    assert crop_caption.crop_caption(text, BUNNY, size) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bunny character and anna character run", "bunny character run"),
        ("anna, bunny and bo run", "anna, bunny and bo run"),
        ("bunny and Anna run", "bunny run"),
        ("annabel and bunny run", "annabel and bunny run"),
    ],
)
def test_without(text, expected):
    named = CaptionWords(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
    assert named.without(text, ["Anna"]) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("anna character on a hill", "character", "character on a hill"),
        ("Anna and bo on a hill", "woman", "woman and woman on a hill"),
        ("annabel on a hill", "woman", "annabel on a hill"),
        ("anna on a hill", "", "somebody on a hill"),
    ],
)
def test_unnamed(text, kind, expected):
    named = CaptionWords(trigger="anna", class_word=kind, other_triggers={"Bo": "bo"})
    assert named.unnamed(text) == expected
