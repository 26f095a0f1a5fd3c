"""The explorer of notebook 05_caption: captions written with other words, and what is unsaid."""

import shutil
from pathlib import Path

import pytest
import yaml

from bunny.caption.metadata_facts import Facts
from bunny.view.widget import caption
from bunny.view.widget.caption import CaptionData, FrameCaption

START = {
    "trigger_word": "{name}",
    "class_word": "character",
    "max_tag_share": 1.0,
    "has_background_colours": True,
}


def facts(colours: tuple[str, ...], light: str = "day") -> Facts:
    return Facts(
        frame_id="f", file=None, characters=("bunny",), num_unknown=0, shot_size="wide",
        place=None, light=light, motion="static", subjects=(), colours=colours,
    )  # fmt: skip


@pytest.fixture
def opened() -> CaptionData:
    """Two captions composed from facts, the second by night, and one by a model."""
    said = [
        ("bunny character in a green place, wide shot, day", facts(("green",))),
        ("bunny character in a red place, wide shot, night", facts(("red",), "night")),
        ("A Bunny and bunnyhop on a beach.", None),
    ]
    own = (("bunny", "day"), ("bunny", "night"), ("bunny", "beach"))
    captions = [
        FrameCaption(frame_id=f"f{i}", timestamp_s=float(i), text=text, tags=own[i], facts=known)
        for i, (text, known) in enumerate(said)
    ]
    pictures = {"f0": "data:0", "f2": "data:2"}
    return CaptionData(captions=captions, names=("bunny",), template="{name}", pictures=pictures)


def test_the_settings_as_they_are_change_nothing(opened):
    now = caption.preview(opened, START)
    assert now.texts == [one.text for one in opened.captions]
    assert (now.num_changed, now.dropped) == (0, frozenset())
    assert now.share == {"bunny": 1.0, "beach": 1 / 3, "day": 1 / 3, "night": 1 / 3}


def test_other_words_are_written_and_a_models_caption_keeps_the_rest(opened):
    now = caption.preview(opened, START | {"trigger_word": "sks {name}", "class_word": "hare"})
    assert now.texts == [
        "sks bunny hare in a green place, wide shot, day",
        "sks bunny hare in a red place, wide shot, night",
        "A sks bunny and bunnyhop on a beach.",
    ]
    assert now.num_changed == 3
    assert next(iter(now.share)) == "sks bunny"


def test_what_is_on_more_than_the_share_is_not_said(opened):
    """Of the two composed captions both are wide, each of the rest is true of one."""
    now = caption.preview(opened, START | {"max_tag_share": 0.5})
    assert now.dropped == {"wide shot"}
    assert now.texts[:2] == [
        "bunny character in a green place, day",
        "bunny character in a red place, night",
    ]
    assert now.texts[2] == opened.captions[2].text


def test_colours_of_the_background_are_said_only_where_that_is_set(opened):
    now = caption.preview(opened, START | {"has_background_colours": False})
    assert now.texts[:2] == [
        "bunny character, wide shot, day",
        "bunny character, wide shot, night",
    ]
    assert now.texts[2] == opened.captions[2].text


def test_the_page_counts_and_shows_what_changes(opened):
    page = caption.draw(opened, START | {"class_word": "hare"})
    assert "<b>captions 3</b> · change 2" in page
    assert page.count("<img") == 2 and "0:00 bunny hare in a green place" in page
    refused = caption.draw(opened, START | {"trigger_word": "sks"})
    assert "expected a template that contains {name}" in refused and "<img" not in refused


def test_a_move_opens_no_picture_and_the_button_saves(space, settings, tmp_path, monkeypatch):
    box = caption.explore_captions(space, settings, root=tmp_path)
    shutil.rmtree(space.root / "frame")

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        patch.setattr(Path, "open", refuse)
        box.children[0].value = "zzz{name}"
    assert "zzzanna" in box.children[-1].value and "data:image/jpeg" in box.children[-1].value
    button, message = box.children[-2].children
    button.click()
    saved = yaml.safe_load((tmp_path / "config" / f"local_{space.film_id}.yaml").read_text())
    moved = {"trigger_word": "zzz{name}", "has_background_colours": False}
    assert saved["captioning"] == START | moved
    assert "saved to" in message.value
