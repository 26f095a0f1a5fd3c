"""The audit of a film's captions: rules, doubts, words by accident, providers."""

import runpy
from pathlib import Path

import pytest

from bunny.caption import accidental_word, audit, metadata_facts, near_identical, provider_report
from bunny.core.config import CaptioningConfig
from bunny.table import store

make_tables = runpy.run_path(str(Path(__file__).with_name("table.py")))["make_tables"]
TRIGGERS = {"bunny": "bunny", "anna": "anna"}


def caption(frame_id: str, text: str | None, *characters: str, **more) -> dict:
    row = {"frame_id": frame_id, "version": 1, "text": text, "characters": list(characters)}
    return {**row, "provider": "local", "status": "done", **more}


def audited(*rows: dict, answers=()) -> audit.CaptionAudit:
    """Of f0 (bunny, a medium shot by day), f1 (bunny and a stranger, close, by night), f2."""
    tables = make_tables(3)
    shots = dict(tables["frame"].select("frame_id", "shot_index").iter_rows())
    facts = metadata_facts.gather(**tables)
    table = store.from_rows("caption", rows)
    return audit.audit_captions(table, facts, shots, TRIGGERS, "character", answers)


def broken(found: audit.CaptionAudit) -> dict[str, list[str]]:
    return dict(found.captions.select("frame_id", "rules").iter_rows())


def test_a_right_caption_has_no_doubt():
    found = audited(
        caption("f0", "bunny character on grass, medium shot, day", "bunny"),
        caption("f1", "bunny character beside a person, close-up, night", "bunny"),
        caption("f2", "an empty blue room at night"),
    )
    assert broken(found) == {"f0": [], "f1": [], "f2": []}
    assert found.captions["doubt"].to_list() == [0.0, 0.0, 0.0]


def test_each_contradiction_has_its_rule_and_reason_and_the_doubt_is_theirs_together():
    found = audited(caption("f0", "bunny and two people, wide shot, night", "bunny"))
    row = found.captions.row(0, named=True)
    assert row["rules"] == ["wrong_number", "wrong_light", "other_framing"]
    assert row["reasons"] == [
        "number: the caption says 2, 1 labelled and 0 unknown are seen",
        "light: the caption says night, the tables say day",
        "framing: the caption says wide, the tables say medium",
    ]
    assert row["doubt"] == pytest.approx(1 - 0.5 * 0.6 * 0.85)
    found = audited(caption("f1", "bunny and a person, wide shot", "bunny"))
    assert broken(found) == {"f1": ["wrong_framing"]}


def test_refusals_are_the_most_doubtful_and_what_a_person_wrote_the_least():
    found = audited(
        caption("f0", "anna, medium shot", "bunny", provider="person", version=2),
        caption("f0", "bunny, medium shot", "bunny"),
        caption("f1", None, "bunny", status="refused", error="the model refused: no"),
        caption("f2", "bunny sits in a room"),
    )
    table = found.captions
    assert table["frame_id"].to_list() == ["f1", "f2", "f0"]
    assert table["doubt"].to_list() == pytest.approx([1.0, 0.8, 0.0])
    assert table["reasons"].to_list()[0] == ["refused: the model refused: no"]
    assert table["rules"].to_list()[2] == ["missing_trigger", "leaked_name"]
    assert table["version"].to_list()[2] == 2
    assert audit.count_broken(table) == {"no_caption": 1, "missing_trigger": 1, "leaked_name": 2}


def test_captions_of_different_shots_that_read_alike_are_found():
    long = "bunny in a yellow raincoat waits by the bus stop near an old brick wall"
    texts = [long, f"{long}.", long, "a grey cat sleeps on the sofa"]
    nearest, similarity = near_identical.nearest_captions(texts, [0, 1, 1, 2])
    assert nearest[:3].tolist() == [2, 0, 0]
    assert similarity[2] == pytest.approx(1.0)
    assert similarity[1] > near_identical.MIN_SIMILARITY > similarity[3]
    nearest, similarity = near_identical.nearest_captions([long, long], [0, 0])
    assert (nearest.tolist(), similarity.tolist()) == ([-1, -1], [0.0, 0.0])
    found = audited(caption("f0", long, "bunny"), caption("f1", long, "bunny"))
    assert broken(found) == {"f0": ["near_identical"], "f1": ["near_identical"]}


def test_words_that_are_nearly_always_said_of_a_character_have_their_lift():
    """Of 5 pictures 4 say the coat, and 1 of 8 others: lift 0.8 / (2 / 10)."""
    texts = ["bunny character in a red coat"] * 4 + ["bunny character runs"]
    texts += ["a coat on the street"] + ["a street"] * 7
    who = [["bunny"]] * 5 + [[]] * 8
    found = accidental_word.find_words(texts, who, TRIGGERS, "character")
    assert found.select("word", "kind", "num_pictures").rows() == [
        ("red", "other", 4),
        ("coat", "garment", 4),
    ]
    assert found["lift"].to_list() == pytest.approx([0.8 / (1 / 10), 0.8 / (2 / 10)])
    few = accidental_word.find_words(texts[1:5], who[1:5], TRIGGERS, "character")
    assert few.is_empty()


def test_words_that_the_settings_mean_to_be_learned_are_no_accidents(tmp_path):
    """All five captions of bunny say sks, bunny, hare and coat, and none of the five others."""
    rows = [caption(f"f{i}", "sks bunny hare in a coat", "bunny") for i in range(5)]
    rows += [caption(f"f{i}", "a street") for i in range(5, 10)]
    for name, table in (make_tables(10) | {"caption": store.from_rows("caption", rows)}).items():
        store.write(tmp_path / "table", name, table)
    settings = CaptioningConfig(trigger_word="sks {name}", class_word="hare")
    found = audit.audit_film(tmp_path, settings)
    assert found.words.select("character", "word").rows() == [("bunny", "coat")]


def test_without_other_pictures_nothing_is_called_rare():
    texts, who = ["bunny in a coat"] * 9, [["bunny"]] * 9
    assert accidental_word.find_words(texts, who, TRIGGERS).is_empty()


def answer(provider: str, frame_id: str, text: str | None = None, **more) -> dict:
    row = {"provider": provider, "model": "m", "frame_id": frame_id, "text": text}
    row |= {"status": "done", "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.01}
    return {**row, "latency_s": 1.0, **more}


def test_providers_are_compared_on_what_both_captioned():
    answers = [
        answer("local", "f0", "an old text that was asked again"),
        answer("local", "f0", "bunny in a red coat, close-up"),
        answer("openai", "f0", "bunny wears a red hat in a close up"),
        answer("local", "f1", "bunny runs by night", latency_s=3.0),
        answer("openai", "f1", status="refused"),
        answer("openai", "f9", "of a picture that is no longer kept"),
    ]
    rows = [caption("f0", "bunny, medium shot", "bunny"), caption("f1", "bunny, night", "bunny")]
    found = audited(*rows, answers=answers)
    [pair] = found.pairs.to_dicts()
    assert (pair["one"], pair["other"], pair["num_pictures"]) == ("local m", "openai m", 1)
    # {red, coat, close-up} against {wears, red, hat, close-up}: two of three and four
    assert pair["agreement"] == pytest.approx(2 * 2 / 7)
    assert (pair["framing"], pair["light"], pair["least_frame_id"]) == (1.0, None, "f0")
    local, openai = found.providers.to_dicts()
    assert (local["num_answers"], local["num_refused"], local["input_tokens"]) == (3, 0, 300)
    assert (local["cost_usd"], local["latency_median_s"]) == (pytest.approx(0.03), 1.0)
    assert local["latency_p95_s"] == pytest.approx(2.8)
    assert (openai["num_answers"], openai["num_refused"], openai["num_failed"]) == (2, 1, 0)


def test_a_local_server_costs_nothing_and_an_unknown_price_stays_unknown():
    own = [answer(name, "f0", "bunny", cost_usd=None) for name in ("local", "openai")]
    found = provider_report.summarize(own)
    assert found.select("provider", "cost_usd").rows() == [("local", 0.0), ("openai", None)]


def test_agreement_is_one_for_the_same_words_and_none_for_others():
    assert provider_report.agreement("a red hat", "the red hat", ()) == 1.0
    assert provider_report.agreement("a red hat", "a blue coat", ()) == 0.0
    assert provider_report.agreement("bunny", "bunny", ("bunny",)) == 1.0
    assert provider_report.agreement("a hat by day", "in daylight", ()) == pytest.approx(2 / 3)


def test_names_prove_no_agreement_whatever_the_trigger_word_is():
    answers = [answer(name, "f0", "bunny and anna: a hat") for name in ("local", "openai")]
    answers[1]["text"] = "bunny and anna: a coat"
    found = audited(caption("f0", "bunny, a hat", "bunny"), answers=answers)
    assert found.pairs["agreement"].to_list() == [0.0]
    assert "disagreement" in broken(found)["f0"]


def test_calls_of_unlabelled_characters_and_long_captions_are_counted():
    triggers = {"anna": "anna", "bear": "brn bear"}
    rows = [
        caption("f0", "anna in a green place, day", "anna"),
        caption("f1", "anna and the brn bear outdoors", "anna"),
        caption("f2", "Bear"),
        caption("f3", "word " * 78),
        caption("f4", None, "anna", status="failed"),
    ]
    table = store.from_rows("caption", rows)
    assert (audit.count_foreign(table, triggers), audit.count_long(table)) == (2, 1)
    assert (audit.count_foreign(table[:0], triggers), audit.count_long(table[:0])) == (0, 0)
