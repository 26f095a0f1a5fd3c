"""Words in common, weighted by rarity."""

import math

import pytest

from bunny.library.search import keyword


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two bunnies on the BEACH", ["two", "bunny", "beach"]),
        ("place-004, close-up of Pip's boxes", ["place-004", "close", "up", "pip", "box"]),
        ("grass glass bus this is", ["grass", "glass", "bus"]),
        ("person_02 at 7", ["person", "02", "7"]),
        ("", []),
        ("Łódź straße", ["łódź", "straße"]),
    ],
)
def test_tokens(text, found):
    assert keyword.tokens(text) == found


def test_share_by_hand():
    """Of three texts two have bunny, one has beach, none has zebra."""
    texts = ["bunny on a beach", "a bunny, bunny, bunny", "a bear"]
    match = keyword.match("zebra and bunny at the beach", texts)
    bunny, beach = math.log(1 + 3 / 2), math.log(1 + 3)
    assert match.share == pytest.approx([1, bunny / (bunny + beach), 0])
    assert match.known == ("bunny", "beach") and match.unknown == ("zebra",)


def test_nothing_in_common_or_nothing_asked_is_no_share():
    for query in ("zebra", "", "the on"):
        assert keyword.match(query, ["a bear"]).share.tolist() == [0]
    assert keyword.match("bear", []).share.size == 0


def test_common_words_in_the_query_s_order():
    assert keyword.common("beach bunnies beach", "a bunny on beaches") == ["beach", "bunny"]
