"""Captions written from kept answers: style, trigger words, pruning, places, length."""

import caption_film
import polars as pl
import pytest

from bunny.core.error import UserError
from bunny.table import store

Reply, serve = caption_film.service.Reply, caption_film.service.serve
stage, captions, local = caption_film.stage, caption_film.captions, caption_film.local
PARTS = {
    "subject": "bunny",
    "clothes": "wearing a red scarf",
    "action": "running",
    "place": "over the grass",
    "light": "at noon",
    "framing": "wide shot",
}


def answer(caption: str, tags: str = "red scarf, grass", **parts: str) -> Reply:
    """An answer with all of its parts."""
    said = {"caption": caption, "tags": tags, **parts}
    blocks = [f"[[ ## {name} ## ]]\n{text}" for name, text in said.items()]
    return Reply(text="\n\n".join([*blocks, "[[ ## completed ## ]]"]))


@pytest.fixture
def asked(tmp_path):
    """A film whose three pictures a model captioned; the server is gone by now."""
    film = caption_film.write(tmp_path)
    with serve(lambda n: answer("Bunny, in a red scarf, runs over the grass.", **PARTS)) as server:
        settings = local(server.url, batch_size=1)
        stage(film, **settings).execute()
        assert len(server.requests) == 3
    return film, settings


def test_a_models_parts_are_columns(asked):
    film, _ = asked
    row = captions(film)[0]
    assert {name: row[name] for name in PARTS} == PARTS
    assert row["answer"] == "Bunny, in a red scarf, runs over the grass."
    assert row["text"] == "bunny character, in a red scarf, runs over the grass."


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"style": "tags"}, "bunny character, red scarf, grass"),
        (
            {"style": "structured"},
            "bunny character running over the grass, wearing a red scarf, wide shot, at noon",
        ),
        (
            {"style": "both", "class_word": "rabbit"},
            "bunny rabbit, in a red scarf, runs over the grass",
        ),
        (
            {"trigger_word": "sks{name}", "class_word": "hare"},
            "sksbunny hare, in a red scarf, runs over the grass.",
        ),
        ({"prune_tags": ["red scarf"]}, "bunny character, runs over the grass."),
        (
            {"prune_tags": ["Red Scarf"], "style": "structured"},
            "bunny character running over the grass, wide shot, at noon",
        ),
        ({"max_caption_tokens": 12}, "bunny character, in a red scarf"),
    ],
)
def test_other_words_ask_no_model_again(asked, settings, text):
    """The server is down: a question would fail."""
    film, known = asked
    assert not stage(film, **known, **settings).can_resume()
    assert stage(film, **known, **settings).execute().failed == 0
    assert captions(film)[0]["text"] == text
    stage(film, **known).execute()
    assert captions(film)[0]["text"] == "bunny character, in a red scarf, runs over the grass."


def test_what_always_goes_with_a_character_is_left_to_its_trigger_word(tmp_path):
    """Bunny is on four pictures, the scarf on all of them, grass on two."""
    film = caption_film.write(tmp_path, 5)
    label = store.read(film / "table", "label")
    bunny = label.row(0, named=True)
    more = [bunny | {"subject_id": f"f{i}", "frame_id": f"f{i}"} for i in (2, 3)]
    store.write(film / "table", "label", pl.concat([label, store.from_rows("label", more)]))
    on_grass = answer(
        "Bunny in a red scarf on the grass", "red scarf, grass", clothes="a red scarf"
    )
    at_home = answer("Bunny in a red scarf at home", "red scarf", clothes="a red scarf")
    with serve(lambda n: on_grass if n % 2 else at_home) as server:
        settings = local(server.url, batch_size=1)
        stage(film, **settings).execute()
        assert "red scarf" in captions(film)[0]["text"]
        result = stage(film, max_tag_share=0.9, **settings).execute()
        assert len(server.requests) == 5
    rows = captions(film)
    assert [row["text"] for row in rows] == [
        "bunny character at home",
        "bunny character on the grass",
        "bunny character at home",
        "bunny character on the grass",
        "Bunny in a red scarf at home",  # nobody is labelled there
    ]
    assert "left out for the trigger word of bunny to learn: red scarf 100%" in result.note
    assert rows[0]["note"] == "left to the trigger word: red scarf"
    assert "red scarf" in rows[0]["tags"]  # where search finds it
    stage(film, max_tag_share=0.9, keep_tags=["red scarf"], **settings).execute()
    assert captions(film)[0]["text"] == "bunny character in a red scarf at home"


def test_replacements_are_part_of_the_fingerprint_by_what_they_say(asked, tmp_path):
    film, known = asked
    path = tmp_path / "words.csv"
    path.write_text("word,replacement\nRed scarf,shawl\n")
    settings = {**known, "replacements": str(path)}
    stage(film, **settings).execute()
    assert captions(film)[0]["text"] == "bunny character, in a shawl, runs over the grass."
    assert stage(film, **settings).can_resume()
    path.write_text("grass,lawn\n")
    assert not stage(film, **settings).can_resume()
    path.unlink()
    with pytest.raises(UserError, match=r"captioning\.replacements"):
        stage(film, **settings).execute()


def test_a_place_that_a_person_named_is_said_instead_of_the_models(asked):
    film, known = asked
    cluster = store.read(film / "table", "cluster")
    named = cluster.with_columns(
        cluster_id=pl.col("cluster_id").replace({"scene-000": "Old Mill", "scene-001": "kitchen"})
    )
    store.write(film / "table", "cluster_corrected", named)
    stage(film, **known).execute()
    one, two, _ = captions(film)
    assert one["text"] == "bunny character, in a red scarf, runs in Old Mill."
    assert (one["place"], two["place"]) == ("in Old Mill", "in the kitchen")
    stage(film, style="structured", **known).execute()
    assert captions(film)[1]["text"].startswith("bunny character running in the kitchen, wearing")


def test_clauses_past_the_limit_are_left_out_and_said(tmp_path):
    """The toy's tokenizer gives "bunny character, medium shot" fewer tokens than with ", day"."""
    film = caption_film.write(tmp_path)
    whole = "bunny character, medium shot, day"
    most = stage(film)._limit.count(whole)
    stage(film, max_caption_tokens=most).execute()
    assert captions(film)[0]["text"] == whole
    result = stage(film, max_caption_tokens=most - 1).execute()
    one = captions(film)[0]
    assert one["text"] == "bunny character, medium shot"
    assert one["note"] == f"left out past {most - 1} tokens: day"
    assert f"captions shortened to {most - 1} tokens (see column note)" in result.note


def test_variants_are_columns(tmp_path):
    film = caption_film.write(tmp_path)
    stage(film, variants={"short": 0.5, "tags": 0.5}).execute()
    one = captions(film)[0]
    assert one["text"] == "bunny character, medium shot, day"
    assert (one["text_short"], one["text_long"]) == ("bunny character", None)
    assert one["text_tags"] == "bunny character, solo, medium shot, day, green background"
