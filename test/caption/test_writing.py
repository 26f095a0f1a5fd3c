"""Captions in each style from one answer."""

import pytest

from bunny.caption import style, writing
from bunny.caption.pruning import CoreTags
from bunny.caption.writing import CaptionDraft, WritingSettings
from bunny.core.config import CaptioningConfig

PARTS = {
    "subject": "anna",
    "clothes": "a red coat",
    "action": "running",
    "place": "a field",
    "light": "day",
    "framing": "wide shot",
}
DRAFT = CaptionDraft(
    characters=("anna",),
    answer="Anna runs through a field.",
    parts=PARTS,
    tags=("field", "red coat"),
)


def _write(name: str, draft: CaptionDraft = DRAFT) -> str:
    captioning = CaptioningConfig().model_copy(update={"style": name})
    settings = WritingSettings(captioning=captioning, triggers={"anna": "sks"})
    return writing.write(draft, settings, CoreTags()).text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sentence", "sks character runs through a field."),
        ("tags", "sks character, field, red coat"),
        ("both", "sks character runs through a field, red coat"),
        ("structured", "sks character running in a field, wearing a red coat, wide shot, day"),
        ("short", "sks character running in a field"),
        ("long", "sks character runs through a field."),
    ],
)
def test_every_style_is_written_from_one_answer(name, text):
    assert _write(name) == text


def test_what_is_not_known_is_not_said():
    told = CaptionDraft(characters=("anna",), answer="Anna, day", parts={"subject": "anna"})
    assert _write("structured", told) == "sks character, day"  # no parts to compose it from
    assert _write("tags", told) == "sks character"
    assert style.compose({"place": "in a field", "light": "day"}) == "a field, day"
    assert style.compose({}) == ""


def test_numbers_of_places_and_motion_are_no_words_of_captions():
    own = ["sks", "solo", "nobody", "in motion", "still", "place-003", "kitchen"]
    assert style.caption_tags(own, ["sks"]) == ["solo", "kitchen"]
    assert style.caption_tags(None, []) == []


def test_the_persons_name_for_a_place_replaces_the_models():
    answer = "Anna runs through a field, day."
    parts = {"subject": "anna", "place": "through a field"}
    draft = CaptionDraft(characters=("anna",), answer=answer, parts=parts)
    placed = writing.say_place(draft, "in the meadow")
    assert placed.answer == "Anna runs in the meadow, day."
    assert placed.parts["place"] == "in the meadow"
    other = CaptionDraft(characters=("anna",), answer="Anna runs.", parts={})
    assert writing.say_place(other, "in the meadow").answer == "Anna runs, in the meadow"
    assert writing.say_place(placed, "in the meadow") == placed


def test_the_note_says_all_that_was_done():
    settings = WritingSettings(captioning=CaptioningConfig(), triggers={"anna": "sks"})
    draft = CaptionDraft(characters=("anna",), answer="a woman in a red coat", tags=("red coat",))
    written = writing.write(draft, settings, CoreTags(always=frozenset({"red coat", "hat"})))
    assert written.text == "sks character, a woman"
    assert written.note(settings.limit) == (
        "added in front: sks; left to the trigger word: red coat"
    )
