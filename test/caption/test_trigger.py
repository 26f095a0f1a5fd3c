"""Trigger words in captions: first, once, with the class word, in what models write."""

import pytest

from bunny.caption import trigger
from bunny.caption.trigger import CharacterWords
from bunny.core.error import UserError

WORDS = CharacterWords(triggers={"anna": "sks anna", "ben": "ben"}, class_word="woman")
SIDES = {"anna": "on the left", "ben": "on the right"}


def test_trigger_words_follow_the_template():
    assert trigger.trigger_word("{name}", "anna") == "anna"
    assert trigger.trigger_word("  sks {name} ", "anna") == "sks anna"


@pytest.mark.parametrize("template", ["", "bunny", "{", "{nam}", "{name} {0}", "{name.x}"])
def test_other_templates_are_refused(template):
    with pytest.raises(UserError, match=r"captioning\.trigger_word"):
        trigger.trigger_word(template, "anna")


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("anna runs over grass", "sks anna woman runs over grass"),
        ("The Anna character runs", "sks anna woman runs"),  # as the model was told
        ("sks anna woman runs", "sks anna woman runs"),
        ("anna runs, anna laughs", "sks anna woman runs, laughs"),
        ("anna runs and anna laughs", "sks anna woman runs and laughs"),
        ("anna runs. Anna laughs", "sks anna woman runs. the woman laughs"),
        ("anna runs to anna's car", "sks anna woman runs to the woman's car"),
        ("a mirror shows anna", "sks anna woman, a mirror shows the woman"),
        ("In a green field, anna runs.", "sks anna woman runs, in a green field"),
        ("A close-up of anna in the snow", "sks anna woman in the snow, close-up"),
        ("Two women in a car", "sks anna woman, two women in a car"),
        ("savannah at dusk", "sks anna woman, savannah at dusk"),
        ("anna-like clouds", "sks anna woman, anna-like clouds"),
        ("", "sks anna woman"),
    ],
)
def test_the_trigger_word_is_first_and_once(text, placed):
    found, _ = trigger.place_triggers(text, ["anna"], WORDS)
    assert found == placed
    assert trigger.place_triggers(found, ["anna"], WORDS) == (found, [])


@pytest.mark.parametrize(
    ("text", "added"),
    [("a mirror shows anna", []), ("savannah", ["sks anna"]), ("anna-like", ["sks anna"])],
)
def test_only_a_trigger_word_that_is_missing_counts_as_added(text, added):
    assert trigger.place_triggers(text, ["anna"], WORDS)[1] == added


def test_several_characters_are_called_once_each_and_told_apart():
    both = ["anna", "ben"]
    place = trigger.place_triggers
    assert place("anna hugs ben, ben smiles", both, WORDS, SIDES)[0] == (
        "sks anna woman on the left hugs ben woman on the right, smiles"
    )
    assert place("anna, left, hugs ben", both, WORDS, SIDES)[0] == (
        "sks anna woman, left, hugs ben woman"
    )
    assert place("ben waves", both, WORDS, SIDES) == (
        "sks anna woman on the left, ben woman on the right waves",
        ["sks anna"],
    )
    assert place("ben waves", [], WORDS, SIDES) == ("ben waves", [])


def test_without_a_class_word_nothing_follows_the_trigger():
    bare = CharacterWords(triggers={"anna": "anna"}, class_word="")
    found = trigger.place_triggers("a mirror shows anna's face", ["anna"], bare)[0]
    assert found == "anna, a mirror shows their face"


def test_a_word_inside_another_does_not_count():
    assert not trigger.has_word("savannah at dusk", "anna")
    assert trigger.has_word("with ANNA.", "anna")
    assert trigger.has_word("a c++ mug", "c++")


def test_missing_triggers_are_put_in_front_once():
    text, added = trigger.add_triggers("a woman in a field", ["anna", "brn bear", "anna"])
    assert (text, added) == ("anna, brn bear, a woman in a field", ["anna", "brn bear"])
    assert trigger.add_triggers("Anna, in a field", ["anna"]) == ("Anna, in a field", [])
    assert trigger.add_triggers("", ["anna"]) == ("anna", ["anna"])
