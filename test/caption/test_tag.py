"""Facts from tables, and the words made of them."""

import dataclasses
import runpy
from pathlib import Path

import polars as pl
import pytest

from bunny.caption import metadata_facts, tags, writing
from bunny.caption.pruning import CoreTags
from bunny.caption.writing import CaptionDraft, WritingSettings
from bunny.core.config import CaptioningConfig
from bunny.table import store

TRIGGER = {"bunny": "bunny", "bear": "brn bear"}


@pytest.fixture
def tables() -> dict:
    """Three kept frames and one that is not."""
    return runpy.run_path(str(Path(__file__).with_name("table.py")))["make_tables"]()


def _facts(**changes) -> metadata_facts.Facts:
    known = {
        "frame_id": "f",
        "file": "f.jpg",
        "characters": ("bunny",),
        "num_unknown": 0,
        "shot_size": "medium",
        "place": "place-003",
        "light": "day",
        "motion": "static",
        "subjects": (),
        "colours": ("green", "blue"),
    }
    return metadata_facts.Facts(**(known | changes))


def test_facts_of_kept_frames_come_from_the_tables(tables):
    one, two, three = metadata_facts.gather(**tables)
    assert (one.characters, one.num_unknown, one.shot_size) == (("bunny",), 0, "medium")
    assert (one.place, one.light, one.motion) == ("place-000", "day", "static")
    assert one.subjects == ((0.3, 0.2, 0.6, 0.8),)
    assert (two.characters, two.num_unknown, two.shot_size) == (("bunny",), 1, "close-up")
    assert (two.place, two.light, two.motion) == ("place-001", "night", "dynamic")
    assert (three.characters, three.shot_size, three.place) == ((), None, None)
    assert three.light == "night"


def test_a_face_stands_for_the_body_below_it(tables):
    face = metadata_facts.gather(**tables)[1].subjects[
        0
    ]  # 40 px wide at x 20..60, y 10..50 of 200 x 100
    assert face == pytest.approx((-0.1, -0.1, 0.5, 2.9))


def test_no_kept_frame_gives_no_facts(tables):
    tables["quality"] = tables["quality"].filter(tables["quality"]["frame_id"] == "f3")
    assert metadata_facts.gather(**tables) == []
    tables["label"] = store.from_rows("label", [])
    assert metadata_facts.gather(**tables) == []


@pytest.mark.parametrize(
    ("kind", "share", "size"),
    [
        ("face", 0.30, "close-up"),
        ("face", 0.299, "medium"),
        ("face", 0.12, "medium"),
        ("face", 0.119, "wide"),
        ("region", 0.92, "close-up"),
        ("region", 0.919, "medium"),
        ("region", 0.50, "medium"),
        ("region", 0.499, "wide"),
    ],
)
def test_shot_size_at_its_thresholds(kind, share, size):
    assert metadata_facts.shot_size(kind, share) == size


@pytest.mark.parametrize(
    ("brightness", "word"),
    [(None, None), (0.45, "day"), (0.449, None), (0.25, None), (0.249, "night"), (0, "night")],
)
def test_light_of_neutral_pictures_at_its_thresholds(brightness, word):
    assert metadata_facts.light_word(brightness) == word


@pytest.mark.parametrize(
    ("brightness", "cast", "word"),
    [
        (0.2, (0, 3.9), "night"),
        (0.2, (0, 4), None),  # dark and warm: a room by lamps
        (0.44, (0, -6), "night"),
        (0.44, (0, -5.9), None),
        (0.45, (0, -20), "day"),  # a blue sky
        (0.25, (6, 15), "dusk"),
        (0.599, (6, 15), "dusk"),
        (0.60, (6, 15), None),
        (0.5, (6, 14.9), None),
        (0.5, (5.9, 30), "day"),  # sand
        (0.649, (6, 8), None),
        (0.65, (6, 8), "day"),
        (0.5, (-12, 23), "day"),  # a forest
    ],
)
def test_light_follows_the_colour_cast(brightness, cast, word):
    assert metadata_facts.light_word(brightness, *cast) == word


def test_the_colour_of_what_fills_a_picture_is_not_its_light():
    assert metadata_facts.light_word(0.5, 12, 20, is_close_up=True) is None
    assert metadata_facts.light_word(0.2, 0, -3, is_close_up=True) == "night"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "bunny character in a green and blue place, medium shot, day"),
        (
            {"characters": ("bunny", "bear"), "colours": ("orange",), "shot_size": "wide"},
            "bunny character and brn bear character in an orange place, wide shot, day",
        ),
        ({"num_unknown": 2, "colours": ()}, "bunny character and two people, medium shot, day"),
        (
            {"characters": (), "num_unknown": 9, "shot_size": "close-up", "light": "night"},
            "a crowd in a green and blue place, close-up, night",
        ),
        ({"characters": (), "shot_size": None}, "a green and blue place, day"),
        ({"characters": (), "shot_size": None, "colours": ()}, "day"),
        ({"light": None}, "bunny character in a green and blue place, medium shot"),
        ({"characters": (), "shot_size": None, "colours": (), "light": None}, ""),
    ],
)
def test_captions_say_who_where_how_near_and_the_light(changes, text):
    assert _text(_facts(**changes)) == text


def _text(facts, **changes) -> str:
    """The caption that the offline provider writes."""
    settings = WritingSettings(captioning=CaptioningConfig(**changes), triggers=TRIGGER)
    parts = tags.write_parts(facts, has_background_colours=True)
    draft = CaptionDraft(characters=facts.characters, parts=parts, sides=tags.side_words(facts))
    return writing.write(draft, settings, CoreTags()).text


def test_tags_say_the_same_in_words():
    assert tags.write_tags(_facts(), TRIGGER) == [
        "bunny",
        "solo",
        "medium shot",
        "day",
        "still",
        "place-003",
        "green background",
        "blue background",
    ]
    crowd = _facts(characters=(), num_unknown=5, shot_size=None, place=None, motion="dynamic")
    crowd = dataclasses.replace(crowd, colours=())
    assert tags.write_tags(crowd, TRIGGER) == ["crowd", "day", "in motion"]
    assert tags.framing_tags(_facts(num_unknown=2))[0] == "3 figures"


def test_two_characters_stand_left_and_right_by_the_middle_of_their_boxes(tables):
    """f0 is 200 px wide: bunny at (60 + 120) / 2 = 90, anna at (150 + 190) / 2 = 170."""
    label = tables["label"].to_dicts()
    label[1] |= {"character": "anna", "x0_px": 150.0, "x1_px": 190.0}
    facts = metadata_facts.gather(**tables | {"label": store.from_rows("label", label)})[0]
    assert dict(zip(facts.characters, facts.centres, strict=True)) == {"bunny": 0.45, "anna": 0.85}
    assert tags.side_words(facts) == {"bunny": "on the left", "anna": "on the right"}
    label[1] |= {"x0_px": 0.0, "x1_px": 100.0}  # its middle is at 50
    facts = metadata_facts.gather(**tables | {"label": store.from_rows("label", label)})[0]
    assert tags.side_words(facts) == {"anna": "on the left", "bunny": "on the right"}


@pytest.mark.parametrize(
    ("centres", "sides"),
    [
        ((0.5, 0.61), ["on the left", "on the right"]),
        ((0.61, 0.5), ["on the right", "on the left"]),
        ((0.5, 0.59), []),  # one before the other
        ((0.9, 0.1, 0.5), ["on the right", "on the left", "in the middle"]),
        ((0.1, 0.3, 0.5, 0.7), []),
        ((0.1,), []),
    ],
)
def test_sides_are_said_of_two_or_three_that_stand_apart(centres, sides):
    names = ("anna", "ben", "cleo", "dan")[: len(centres)]
    found = tags.side_words(_facts(characters=names, centres=centres))
    assert [found[name] for name in names if name in found] == sides


def test_a_caption_says_who_is_left_and_who_is_right():
    facts = _facts(characters=("bunny", "bear"), centres=(0.8, 0.2), colours=())
    assert _text(facts) == (
        "bunny character on the right and brn bear character on the left, medium shot, day"
    )
    assert _text(facts, has_sides=False) == (
        "bunny character and brn bear character, medium shot, day"
    )


def test_a_place_that_a_person_named_is_said_by_that_name(tables):
    cluster = tables["cluster"].with_columns(
        cluster_id=pl.col("cluster_id").replace({"scene-000": "kitchen"})
    )
    one, two, _ = metadata_facts.gather(**tables | {"cluster": cluster})
    assert (one.place_name, one.place) == ("kitchen", "kitchen")
    assert (two.place_name, two.place) == (None, "place-001")
    assert _text(one) == "bunny character in the kitchen, medium shot, day"
    assert "kitchen" in tags.write_tags(one, TRIGGER)
