"""Tables to arrays: who was placed by whom, and where the machine has the rest."""

import numpy as np
import polars as pl

from bunny.review.learn import item
from bunny.review.learn.item import NOBODY

ROWS = [
    ("a", "person-01", "anna", ""),  # person-01 was called anna: all follow
    ("b", "person-01", "anna", "approved"),
    ("c", "person-02", "anna", "moved"),
    ("d", "person-02", "person-02", ""),
    ("e", "person-03", "person-02", "followed"),  # person-03 went into person-02
    ("f", None, "anna", "moved"),
    ("g", None, None, ""),
    ("h", "person-02", "person-02", ""),
]
EYE = dict(zip("abcdefgh", np.eye(8), strict=True))


def collect(make_asset, make_vectors, feedback=None, **asset):
    found = item.collect(make_asset(ROWS, **asset), make_vectors(EYE), feedback)
    return found["character", "made"]


def names(items, numbers):
    return [None if k == NOBODY else items.clusters[k] for k in numbers]


def test_start_follows_names_and_mergers_but_not_what_a_person_moved(make_asset, make_vectors):
    items = collect(make_asset, make_vectors)
    assert names(items, items.start) == [
        "anna",
        "anna",
        "person-02",
        "person-02",
        "person-02",
        None,
        None,
        "person-02",
    ]


def test_what_was_said_of_every_member_is_not_what_the_machine_said(
    make_asset, make_vectors, make_feedback
):
    rows = [("a", "person-01", "anna", "moved"), ("b", "person-02", "anna", "approved")]
    feedback = make_feedback(("assign", ["a"]), ("assign", ["b"]), ("approve", ["b"]))
    own = item.collect(make_asset(rows), make_vectors(EYE), feedback)["character", "made"]
    assert names(own, own.start) == ["person-01", "person-02"]
    assert names(own, own.said) == ["anna", "anna"]


def test_only_a_persons_own_word_places_an_item(make_asset, make_vectors):
    items = collect(make_asset, make_vectors)
    assert names(items, items.said) == [None, "anna", "anna", None, None, "anna", None, None]
    assert items.is_fixed.tolist() == [k in "bcf" for k in "abcdefgh"]


def test_items_of_one_event_are_one_group(make_asset, make_vectors, make_feedback):
    feedback = make_feedback(("approve", ["b"]), ("assign", ["c", "f"]))
    items = collect(make_asset, make_vectors, feedback)
    assert items.group[1] != items.group[2] == items.group[5]
    assert items.group[[0, 3, 4, 6, 7]].tolist() == [NOBODY] * 5


def test_what_was_propagated_is_no_event_of_a_person(make_asset, make_vectors, make_feedback):
    feedback = make_feedback(("assign", ["c", "f"]), origin="propagated")
    assert not collect(make_asset, make_vectors, feedback).is_said.any()
    assert item.count_corrections(feedback) == 0


def test_a_rejected_cluster_is_barred(make_asset, make_vectors):
    items = collect(make_asset, make_vectors, rejected={"g": ["person-02", "gone"]})
    assert [(row, items.clusters[c]) for row, c in np.argwhere(items.barred)] == [(6, "person-02")]


def test_items_rejected_together_are_one_group(make_asset, make_vectors, make_feedback):
    feedback = make_feedback(("approve", ["b"]), ("reject", ["d", "g"]), ("reject", ["a"]))
    gone = {"d": ["person-02"], "g": ["person-02"], "a": ["person-02"]}
    items = collect(make_asset, make_vectors, feedback, rejected=gone)
    assert items.group[3] == items.group[6] != items.group[0]
    assert (items.group == NOBODY).tolist() == [k not in "abdg" for k in "abcdefgh"]


def test_models_are_kept_apart_and_fillers_cut_off(make_asset, make_vectors):
    short = {k: [0.6, 0.8, 0.0, 0.0] for k in "ab"}
    long = {k: [0.0, 0.6, 0.0, 0.8] for k in "cd"}
    both = pl.concat([make_vectors(short, "face"), make_vectors(long, "drawn")])
    found = item.collect(make_asset(ROWS), both)
    assert {key: one.vector.shape for key, one in found.items()} == {
        ("character", "face"): (2, 2),
        ("character", "drawn"): (2, 4),
    }


def test_groups_hang_together_by_events_and_places():
    assert item.groups(["a", "b", "c", "d"], [(1, "x"), (1, "x"), (2, "x"), (2, "y")]).tolist() == [
        0,
        0,
        1,
        2,
    ]
    assert item.groups([], []).tolist() == []


def test_no_items_no_arrays(make_asset, make_vectors):
    assert item.collect(make_asset([]), make_vectors(EYE)) == {}
