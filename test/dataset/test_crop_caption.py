"""How captions are fitted to crops."""

import pytest

from bunny.dataset import crop_caption
from bunny.dataset.crop_caption import CaptionWords
from bunny.table import store

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
        ("anna character on the left and bunny character on the right run", "bunny character run"),
        ("bunny character in the middle and anna character on the right", "bunny character"),
        ("bunny character on the left, in a car", "bunny character on the left, in a car"),
    ],
)
def test_without(text, expected):
    named = CaptionWords(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
    assert named.without(text, ["Anna"]) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("anna character on a hill", "character", "character on a hill"),
        ("anna woman on the left on a hill", "woman", "woman on a hill"),
        ("Anna and bo on a hill", "woman", "woman and woman on a hill"),
        ("annabel on a hill", "woman", "annabel on a hill"),
        ("anna on a hill", "", "somebody on a hill"),
    ],
)
def test_unnamed(text, kind, expected):
    named = CaptionWords(trigger="anna", class_word=kind, other_triggers={"Bo": "bo"})
    assert named.unnamed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna character and bunny character run", "bunny character and anna character run"),
        ("anna and bunny, day", "bunny and anna, day"),
        ("bunny and anna, day", "bunny and anna, day"),
        ("anna and bob and bunny, day", "anna and bob and bunny, day"),
    ],
)
def test_the_sets_own_character_is_called_first(text, expected):
    named = CaptionWords(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
    assert named.own_first(text) == expected


def test_several_captions_of_a_frame_are_the_newest_ones():
    """A person's words of f0 have no variants; f2 has no caption and lies nearest to f1."""
    rows = [
        {"frame_id": "f0", "version": 1, "provider": "tags", "text": "a", "text_short": "b"},
        {"frame_id": "f0", "version": 2, "provider": "person", "text": "c"},
        {"frame_id": "f1", "version": 1, "provider": "tags", "text": "d", "text_tags": "e"},
    ]
    caption = store.from_rows("caption", [row | {"status": "done"} for row in rows])
    frames = [
        {"frame_id": f"f{i}", "film_id": "x", "shot_index": 0, "frame_index": i, "pts": i}
        | {"time_base_num": 1, "time_base_den": 24, "timestamp_s": i / 24, "reason": "interval"}
        for i in range(3)
    ]
    found = crop_caption.FrameCaptions(
        {
            "caption": caption,
            "frame": store.from_rows("frame", frames),
            "label": store.from_rows("label", []),
        }
    )
    assert [found.of(row) for row in frames] == ["c", "d", "d"]
    assert [found.variants_of(row) for row in frames] == [(), (("tags", "e"),), (("tags", "e"),)]
