"""Precision and recall against a truth."""

import sys
from pathlib import Path

import polars as pl

from bunny.character import label_score

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import cluster_score

sys.path.pop(0)

FRAME = pl.DataFrame({"frame_id": ["f0", "f1", "f2"], "frame_index": [0, 10, 20]})
TRUTH = pl.DataFrame(
    {
        "frame_index": [0, 10, 20, 0, 99],
        "character": ["anna", "anna", "anna", "ben", "ben"],
        "visible_share": [1.0, 0.3, 0.1, 1.0, 1.0],
    }
)


def _labels(*rows):
    return pl.DataFrame(rows, schema={"frame_id": pl.String, "character": pl.String}, orient="row")


def _row(found, name):
    return found.row(by_predicate=pl.col("character") == name, named=True)


def test_by_hand():
    label = _labels(("f0", "anna"), ("f0", "anna"), ("f2", "anna"), ("f1", "ben"), ("f1", None))
    found = label_score.score_labels(label, FRAME, TRUTH)
    anna, ben, whole = (_row(found, name) for name in ("anna", "ben", "all"))
    # anna: due in f0 and f1 (0.3 is enough), found in f0; right in f2 too, where she need not be
    assert (anna["num_true"], anna["num_labelled"], anna["num_right"]) == (2, 2, 2)
    assert (anna["precision"], anna["recall"]) == (1.0, 0.5)
    assert (ben["precision"], ben["recall"]) == (0.0, 0.0)  # frame 99 was not looked at
    assert whole["precision"] == 2 / 3 and whole["recall"] == 1 / 3


def test_nothing_said_has_no_precision():
    found = label_score.score_labels(_labels(), FRAME, TRUTH)
    assert _row(found, "all")["precision"] is None and _row(found, "all")["recall"] == 0


def test_who_could_not_be_found_is_left_out():
    found = label_score.score_labels(_labels(("f0", "anna")), FRAME, TRUTH, characters={"anna"})
    assert found["character"].to_list() == ["anna", "all"]
    assert _row(found, "all")["recall"] == 0.5


def test_truth_without_shares_counts_whole():
    found = label_score.score_labels(_labels(("f2", "anna")), FRAME, TRUTH.drop("visible_share"))
    assert _row(found, "anna")["recall"] == 1 / 3


def test_groups_by_hand():
    """Group x has two of Anna and one of Ben; y one of Anna; one face of four grouped is wrong."""
    found = cluster_score.score_groups(
        ["x", "x", "x", "y", None], ["anna", "anna", "ben", "anna", "ben"]
    )
    assert found["purity"] == 0.75 and abs(found["noise_share"] - 0.2) < 1e-9
    assert found["num_groups"] == 2 and found["groups_per_person"] == 1.5


def test_no_group_has_no_purity():
    found = cluster_score.score_groups([None], ["anna"])
    assert found["purity"] != found["purity"] and found["noise_share"] == 1
