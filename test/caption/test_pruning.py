"""Core tags by their share of a character's pictures, and captions without them."""

import pytest

from bunny.caption import pruning

SEEN = [
    (("anna",), {"red coat", "day", "kitchen"}),
    (("anna",), {"red coat", "day", "garden"}),
    (("anna", "ben"), {"red coat", "night"}),
    (("anna",), {"day", "garden"}),
    (("ben",), {"hat"}),
    ((), {"sky"}),
]


def test_shares_are_of_the_pictures_of_each_character():
    """Anna is on four pictures: the coat and the day on three of them; ben on two."""
    core = pruning.find_core_tags(SEEN, 0.7)
    assert core.share["anna"] == {
        "day": 0.75,
        "red coat": 0.75,
        "garden": 0.5,
        "kitchen": 0.25,
        "night": 0.25,
    }
    assert core.share["ben"] == {"hat": 0.5, "night": 0.5, "red coat": 0.5}
    assert core.of(["anna"]) == {"day", "red coat"}
    assert core.of(["ben"]) == set()
    assert core.of(["anna", "ben"]) == {"day", "red coat"}
    assert core.of([]) == set()


def test_a_share_exactly_at_the_threshold_stays():
    assert pruning.find_core_tags(SEEN, 0.75).of(["anna"]) == set()
    assert pruning.find_core_tags(SEEN, 1.0).of(["anna"]) == set()


def test_fewer_than_three_pictures_have_no_core():
    """Everything would go with a character of one picture."""
    assert pruning.find_core_tags(SEEN, 0.0).of(["ben"]) == set()
    assert pruning.find_core_tags([*SEEN, (("ben",), {"hat"})], 0.5).of(["ben"]) == {"hat"}


def test_lists_keep_and_prune_whatever_the_share():
    core = pruning.find_core_tags(SEEN, 0.7, keep=["Day", "hat"], prune=["Sky", "hat"])
    assert core.of(["anna"]) == {"red coat", "sky"}
    assert core.of([]) == {"sky"}
    assert pruning.find_core_tags([], 0.0).of(["anna"]) == set()


@pytest.mark.parametrize(
    ("text", "dropped", "left"),
    [
        ("Anna in a red coat runs", ["red coat"], "Anna runs"),
        ("Anna wearing a red coat and a hat", ["red coat"], "Anna wearing a hat"),
        ("Anna wearing a hat and a red coat", ["red coat"], "Anna wearing a hat"),
        ("Anna, red coat, day", ["red coat", "day"], "Anna"),
        ("Anna runs at night.", ["night"], "Anna runs."),
        ("Anna in a red coat-like robe", ["red coat"], "Anna in a red coat-like robe"),
        ("a dayroom", ["day"], "a dayroom"),
        ("Anna in a dark red coat", ["red coat", "dark red coat"], "Anna"),
    ],
)
def test_sentences_lose_the_word_and_what_led_to_it(text, dropped, left):
    assert pruning.prune_text(text, dropped) == left


def test_parts_lose_what_they_are_about():
    parts = {
        "subject": "anna",
        "place": "in a green and blue place",
        "clothes": "a red coat",
        "light": "at night",
    }
    assert pruning.prune_parts(parts, {"green background", "red coat"}) == {
        "subject": "anna",
        "place": "in a blue place",
        "light": "at night",
    }
    assert pruning.prune_parts(parts, {"green background", "blue background", "night"}) == {
        "subject": "anna",
        "clothes": "a red coat",
    }
    assert pruning.said_words(["Hat", "solo", "2 figures"], parts) == {"hat", "red coat", "night"}
