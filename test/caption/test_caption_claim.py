"""Claims that captions make, told by their words."""

import polars as pl
import pytest

from bunny.caption import caption_claim

TRIGGERS = {"bunny": "bunny", "anna": "ohwx anna", "al": "al"}


def claims(text: str, *characters: str) -> dict:
    row = {"frame_id": ["f0"], "text": [text], "characters": [list(characters)]}
    return caption_claim.read_claims(pl.DataFrame(row), TRIGGERS).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "missing", "fused", "repeated"),
    [
        ("a hare runs", ["bunny"], [], []),
        ("two bunnys run", ["bunny"], ["bunnys"], []),
        ("a bunny-like hare", ["bunny"], ["bunny-like"], []),
        ("Bunny's hat, a superbunny", [], ["superbunny"], []),
        ("bunny beside BUNNY", [], [], ["bunny"]),
        ("bunny runs, al also stands", [], [], []),  # "also" is no fused "al"
        ("bunny and an al-like man", [], ["al-like"], []),
    ],
)
def test_trigger_words_missing_fused_and_twice(text, missing, fused, repeated):
    found = claims(text, "bunny")
    assert (found["missing"], found["fused"], found["repeated"]) == (missing, fused, repeated)


def test_names_leak_by_trigger_by_name_and_beside_the_trigger_of_a_labelled_one():
    assert claims("bunny and anna", "bunny")["leaked"] == ["anna"]
    assert claims("bunny and ohwx anna", "bunny")["leaked"] == ["anna"]
    assert claims("ohwx anna stands", "anna")["leaked"] == []
    assert claims("ohwx anna stands, anna smiles", "anna")["leaked"] == ["anna"]
    assert claims("bunny in the savanna", "bunny")["leaked"] == []


def test_framing_light_and_numbers_are_read():
    found = claims("a close up of two young women and 3 men at sunset, then a wide shot by night")
    assert found["said_framing"] == ["close-up", "wide"]
    assert found["said_light"] == ["dusk", "night"]
    assert found["said_number"] == [2, 3]
    assert found["num_words"] == 18
    found = claims("a birthday, two trees, shot in a wide room")
    assert (found["said_framing"], found["said_light"], found["said_number"]) == ([], [], [])
