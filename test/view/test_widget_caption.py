"""The explorer of notebook 05_caption: captions written with other words, and what is unsaid."""

import shutil
from dataclasses import replace
from pathlib import Path

import caption_film
import pytest
import yaml

from bunny.caption.writing import CaptionDraft
from bunny.core.config import Config
from bunny.core.workspace import Workspace
from bunny.view.widget import caption
from bunny.view.widget.caption import CaptionData, FrameCaption

START = {
    "trigger_word": "{name}",
    "class_word": "character",
    "style": "sentence",
    "has_sides": True,
    "max_tag_share": 1.0,
    "keep_tags": [],
    "prune_tags": [],
    "replacements": "",
    "has_background_colours": True,
    "providers": ["local", "tags"],
}


def composed(place: str, light: str) -> CaptionDraft:
    parts = {"subject": "bunny", "place": place, "light": light, "framing": "wide shot"}
    return CaptionDraft(characters=("bunny",), parts=parts, tags=("wide shot", light))


@pytest.fixture
def opened() -> CaptionData:
    """Two captions composed from the tables, one by a model, one a person's."""
    said = [
        (
            "bunny character in a green place, wide shot, day",
            composed("in a green place", "day"),
            ("bunny", "day", "green background"),
        ),
        (
            "bunny character in a red place, wide shot, night",
            composed("in a red place", "night"),
            ("bunny", "night", "red background"),
        ),
        (
            "bunny character and bunnyhop on a beach.",
            CaptionDraft(
                characters=("bunny",),
                answer="A Bunny and bunnyhop on a beach.",
                parts={"subject": "bunny", "framing": "wide shot", "place": "on a beach"},
                tags=("beach", "wide shot"),
            ),
            ("bunny", "beach"),
        ),
        ("bunny as Ana said it", None, ("bunny",)),
    ]
    captions = [
        FrameCaption(
            frame_id=f"f{i}",
            timestamp_s=float(i),
            text=text,
            tags=own,
            drafts={("tags" if i < 2 else "local"): draft} if draft else {},
        )
        for i, (text, draft, own) in enumerate(said)
    ]
    pictures = {"f0": "data:0", "f2": "data:2"}
    return CaptionData(
        captions=captions,
        names=("bunny",),
        template="{name}",
        pictures=pictures,
        has_colours=True,
    )


def test_the_settings_as_they_are_change_nothing(opened):
    now = caption.preview(opened, START)
    assert now.texts == [one.text for one in opened.captions]
    assert (now.num_changed, now.core.of(["bunny"])) == (0, frozenset())
    assert (now.share["bunny"], now.share["beach"]) == (1.0, 0.25)


@pytest.mark.parametrize(
    ("has_colours", "place"), [(True, "in a white place"), (False, "against a grey background")]
)
def test_a_place_stays_as_it_was_written(opened, has_colours, place):
    """Tag "bright background" is no colour, and what is beside a subject has no tag at all."""
    first = opened.captions[0]
    draft = first.drafts["tags"]
    draft = replace(draft, parts={**draft.parts, "place": place})
    text = f"bunny character {place}, wide shot, day"
    one = replace(first, text=text, tags=("bunny", "bright background"), drafts={"tags": draft})
    opened = replace(opened, captions=[one], has_colours=has_colours)
    values = START | {"has_background_colours": has_colours}
    assert caption.preview(opened, values).texts == [text]


def test_other_words_are_written_and_a_persons_caption_stays(opened):
    now = caption.preview(opened, START | {"trigger_word": "sks {name}", "class_word": "hare"})
    assert now.texts == [
        "sks bunny hare in a green place, wide shot, day",
        "sks bunny hare in a red place, wide shot, night",
        "sks bunny hare and bunnyhop on a beach.",
        "bunny as Ana said it",
    ]
    assert now.num_changed == 3
    assert next(iter(now.share)) == "sks bunny"


def test_every_style_is_written_from_what_is_kept(opened):
    now = caption.preview(opened, START | {"style": "structured"})
    assert now.texts[2] == "bunny character on a beach, wide shot"
    now = caption.preview(opened, START | {"style": "tags"})
    assert now.texts[1:3] == [
        "bunny character, wide shot, night",
        "bunny character, beach, wide shot",
    ]


def test_what_is_on_more_than_the_share_is_not_said(opened):
    """Of bunny's three pictures all are wide; each of the rest is true of one."""
    now = caption.preview(opened, START | {"max_tag_share": 0.5})
    assert now.core.of(["bunny"]) == {"wide shot"}
    assert now.texts[:2] == [
        "bunny character in a green place, day",
        "bunny character in a red place, night",
    ]
    assert now.texts[2:] == [one.text for one in opened.captions[2:]]
    kept = caption.preview(opened, START | {"max_tag_share": 0.5, "keep_tags": "Wide Shot, x"})
    assert kept.num_changed == 0
    pruned = caption.preview(opened, START | {"prune_tags": "green background, beach"})
    assert pruned.texts[0] == "bunny character, wide shot, day"
    assert pruned.texts[2] == "bunny character and bunnyhop."


def test_the_first_provider_that_answered_is_shown(opened):
    """Of f2 the tables say nothing here, so its caption stays as it is."""
    both = {"local": opened.captions[2].drafts["local"], **opened.captions[0].drafts}
    opened = replace(opened, captions=[replace(opened.captions[0], drafts=both)])
    first = caption.preview(opened, START).texts
    assert first == ["bunny character and bunnyhop on a beach."]
    second = caption.preview(opened, START | {"providers": "tags, local"}).texts
    assert second == ["bunny character in a green place, wide shot, day"]
    assert caption.preview(opened, START | {"providers": "openai"}).num_changed == 0


def test_replacements_are_read_from_their_file(opened, tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("bunnyhop: a hop\nwide shot: ''\n")
    now = caption.preview(opened, START | {"replacements": str(path)})
    assert now.texts[0] == "bunny character in a green place, day"
    assert now.texts[2] == "bunny character and a hop on a beach."


def test_colours_of_the_background_are_said_only_where_that_is_set(opened):
    now = caption.preview(opened, START | {"has_background_colours": False})
    assert now.texts[:2] == ["bunny character, wide shot, day", "bunny character, wide shot, night"]
    assert now.texts[2] == opened.captions[2].text


def test_the_page_counts_and_shows_what_changes(opened):
    page = caption.draw(opened, START | {"class_word": "hare"})
    assert "<b>captions: 4</b> · changed: 3" in page
    assert page.count("<img") == 2 and "0:00 bunny hare in a green place" in page
    refused = caption.draw(opened, START | {"trigger_word": "sks"})
    assert "expected a template that contains {name}" in refused and "<img" not in refused
    page = caption.draw(opened, START | {"max_tag_share": 0.9})
    assert (
        "<th style='text-align:left'>word</th>" in page
        and "100% left out" in page
        and "33%" in page
    )
    missing = caption.draw(opened, START | {"replacements": "none.yaml"})
    assert "captioning.replacements: expected a YAML or CSV file" in missing


def test_a_move_opens_no_picture_and_the_button_saves(space, settings, tmp_path, monkeypatch):
    box = caption.explore_captions(space, settings, root=tmp_path)
    shutil.rmtree(space.root / "frame")

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        patch.setattr(Path, "open", refuse)
        box.children[1].value = "zzz{name}"
    assert "zzzanna" in box.children[-1].value and "data:image/jpeg" in box.children[-1].value
    button, message = box.children[-2].children
    button.click()
    saved = yaml.safe_load((tmp_path / "config" / f"local_{space.film_id}.yaml").read_text())
    moved = {"trigger_word": "zzz{name}", "has_background_colours": False, "providers": ["tags"]}
    assert saved["captioning"] == START | moved
    assert "saved to" in message.value


def test_a_models_kept_answers_are_shown_without_asking_again(tmp_path):
    """A model captioned the film, then the tables did; its answers are still there."""
    space = Workspace(film_id="x", root=tmp_path, checkpoint=tmp_path, log=tmp_path)
    film = caption_film.write(space.root)
    with caption_film.service.serve(lambda n: caption_film.service.Reply()) as server:
        asked = caption_film.local(server.url)
        caption_film.stage(film, **asked).execute()
        num_asked = len(server.requests)
        caption_film.stage(film, **asked | {"providers": ["tags"]}).execute()
        config = Config.model_validate({"captioning": asked | {"providers": ["tags"]}})
        opened = caption.open_captions(space, config)
        values = START | {"providers": ["tags"], "has_background_colours": False}
        assert caption.preview(opened, values).texts[0] == "bunny character, medium shot, day"
        texts = caption.preview(opened, values | {"providers": "local", "class_word": "hare"}).texts
        assert texts[0] == "bunny hare runs over grass, medium shot, day"
        assert len(server.requests) == num_asked == 3


def test_answers_about_crops_are_shown_where_crops_are_what_is_sent(tmp_path):
    """Nobody is seen in the last of three pictures, so there is no crop of it."""
    space = Workspace(film_id="x", root=tmp_path, checkpoint=tmp_path, log=tmp_path)
    film = caption_film.write(space.root)
    with caption_film.service.serve(lambda n: caption_film.service.Reply()) as server:
        asked = caption_film.local(server.url)
        caption_film.stage(film, send="crop", **asked | {"providers": ["local", "tags"]}).execute()
        assert len(server.requests) == 2
    caption_film.stage(film, providers=["tags"]).execute()  # else the answers are in the captions
    found = {}
    for send in ("crop", "frame"):
        config = Config.model_validate({"captioning": asked | {"send": send}})
        opened = caption.open_captions(space, config)
        found[send] = [one.frame_id for one in opened.captions if "local" in one.drafts]
    assert found == {"crop": ["f0", "f1"], "frame": []}
