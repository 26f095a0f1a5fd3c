"""Captions against labels, counted by hand."""

from bunny.caption import audit
from bunny.table import store

TRIGGER = {"anna": "anna", "bear": "brn bear"}


def _captions(*rows: tuple[str | None, list[str]]):
    return store.from_rows(
        "caption",
        [
            {"frame_id": f"f{i}", "version": 1, "provider": "tags", "text": text}
            | {"characters": names, "status": "done" if text else "failed"}
            for i, (text, names) in enumerate(rows)
        ],
    )


def test_missing_triggers_are_put_in_front_once():
    text, added = audit.add_triggers("a woman in a field", ["anna", "brn bear", "anna"])
    assert (text, added) == ("anna, brn bear, a woman in a field", ["anna", "brn bear"])
    assert audit.add_triggers("Anna, in a field", ["anna"]) == ("Anna, in a field", [])
    assert audit.add_triggers("", ["anna"]) == ("anna", ["anna"])


def test_a_word_inside_another_does_not_count():
    assert not audit.has_word("savannah at dusk", "anna")
    assert audit.has_word("with ANNA.", "anna")
    assert audit.has_word("a c++ mug", "c++")


def test_faults_are_found_and_counted():
    captions = _captions(
        ("anna in a green place, day", ["anna"]),
        ("a woman in a green place", ["anna"]),
        ("anna and the brn bear outdoors", ["anna"]),
        ("Bear", []),
        ("word " * 78, []),
        (None, ["anna"]),
    )
    checked = audit.check(captions, TRIGGER)
    assert checked["missing"].to_list() == [[], ["anna"], [], [], []]
    assert checked["foreign"].to_list() == [[], [], ["bear"], ["bear"], []]
    assert checked["num_words"].to_list() == [6, 6, 6, 1, 78]
    assert audit.count(checked) == {
        "num_captions": 5,
        "num_missing": 1,
        "num_foreign": 2,
        "num_short": 1,
        "num_long": 1,
    }


def test_no_caption_has_no_fault():
    counts = audit.count(audit.check(_captions(), TRIGGER))
    assert set(counts.values()) == {0}
