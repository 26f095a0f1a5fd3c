import json
import math

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.dataset import coverage
from bunny.table import store


def make_dataset(rows: list[tuple], **more) -> pl.DataFrame:
    """Rows of (pose, size, place, light); picture i is of frame i and shot i // 2."""
    made = [
        {"image_id": f"i{n}", "character": "anna", "role": "subject", "frame_id": f"f{n}"}
        | {"subject_id": f"f{n}-f0", "shot_index": n // 2, "file": f"dataset/anna/{n}.png"}
        | {"pose": pose, "shot_size": size, "place": place, "light": light, "caption": "anna"}
        | more
        for n, (pose, size, place, light) in enumerate(rows)
    ]
    return table_row.table("dataset", made)


FOUR = [
    ("frontal", "close-up", "scene-000", "bright"),
    ("frontal", "close-up", "scene-000", "bright"),
    ("left", "medium", "scene-000", None),
    ("unknown", "wide", None, "dark"),
]


def test_cells_are_counted_with_their_gaps():
    cells = coverage.count_cells(make_dataset(FOUR))
    assert cells.height == 6 * 3  # five poses and, as there is one, unknown
    assert cells["pictures"].sum() == 4
    found = cells.filter(pl.col("pictures") > 0).rows()
    assert found == [("left", "medium", 1), ("frontal", "close-up", 2), ("unknown", "wide", 1)]


def test_places_are_those_of_the_set_and_none_stands_last():
    cells = coverage.count_cells(make_dataset(FOUR), ("place", "shot_size"))
    assert cells["place"].unique(maintain_order=True).to_list() == ["scene-000", "no place"]
    assert cells["pictures"].to_list() == [2, 1, 0, 0, 0, 1]


def test_balance_by_hand():
    """Of three known poses two are frontal: H = ln 3 - 2/3 ln 2."""
    balance = coverage.balance_of(make_dataset(FOUR), "pose")
    entropy = math.log(3) - 2 / 3 * math.log(2)
    assert balance.num_known == 3
    assert balance.effective == pytest.approx(math.exp(entropy))
    assert balance.evenness == pytest.approx(entropy / math.log(5))
    assert (balance.largest, balance.largest_share) == ("frontal", pytest.approx(2 / 3))
    assert balance.count["right"] == 0 and "unknown" not in balance.count


def test_an_even_spread_is_even_and_one_place_is_not_uneven():
    rows = [("left", "medium", place, light) for place in "ab" for light in ("dark", "bright")]
    even = coverage.balance_of(make_dataset(rows), "place")
    assert (even.evenness, even.effective) == (pytest.approx(1), pytest.approx(2))
    one = coverage.balance_of(make_dataset(rows[:2]), "place")
    assert (one.evenness, one.effective, one.largest_share) == (1, 1, 1)


def test_nothing_known_of_an_axis():
    balance = coverage.balance_of(make_dataset([(None, "wide", None, None)]), "pose")
    assert balance.evenness is None and balance.largest is None and balance.num_known == 0


def test_summary_by_hand():
    vector = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [0, 0, 2]])
    dataset = make_dataset(FOUR)
    dataset = dataset.with_columns(
        split=pl.when(pl.col("image_id") == "i3").then(pl.lit("held-out")).otherwise("split"),
        frame_id=pl.when(pl.col("image_id") == "i3").then(pl.lit("f2")).otherwise("frame_id"),
    )
    found = coverage.summarise(dataset, vector)
    assert (found.character, found.num_pictures, found.num_held_out) == ("anna", 4, 1)
    assert (found.num_frames, found.num_shots) == (3, 2)
    assert (found.num_cells, found.num_empty) == (15, 13)
    # K / 4 has eigenvalues 1.6 / 4, 0.4 / 4 of the first two and 2 / 4 of the others
    share = np.array([0.4, 0.1, 0.5])
    assert found.vendi == pytest.approx(math.exp(-(share * np.log(share)).sum()))
    assert found.commonest_share == pytest.approx(0.5)
    assert found.nearest_max == pytest.approx(0.4)
    assert (found.num_alike, found.held_out_distance) == (2, pytest.approx(0))
    first, second = found.pairs
    assert (first.one_id, first.other_id, first.relation) == ("i2", "i3", "same frame")
    assert (second.one_file, second.relation) == ("dataset/anna/0.png", "same shot")
    assert json.loads(json.dumps(found.to_dict()))["pairs"][1]["distance"] == pytest.approx(0.4)


def test_summary_without_vectors():
    found = coverage.summarise(make_dataset(FOUR))
    assert found.vendi is None and found.num_alike is None and found.pairs == ()


def test_where_no_pose_is_known_cells_are_sizes():
    found = coverage.summarise(make_dataset([(None, "wide", None, None)] * 3))
    assert (found.num_cells, found.num_empty) == (3, 2)


def test_few_known_poses_are_not_judged():
    """As of a drawn character, on whom a face is found now and then."""
    few = coverage.summarise(make_dataset([("left", "wide", None, None)] + FOUR[3:] * 2))
    assert (few.has_pose, few.num_cells) == (False, 3)
    half = coverage.summarise(make_dataset([("left", "wide", None, None), FOUR[3]]))
    assert (half.has_pose, half.num_cells, half.num_empty) == (True, 15, 14)


def test_summary_of_nothing():
    found = coverage.summarise(store.from_rows("dataset", []), np.zeros((0, 8)))
    assert (found.num_pictures, found.character, found.vendi) == (0, "", None)
    assert found.balance["place"].largest is None


def test_class_pictures_are_not_counted():
    dataset = pl.concat([make_dataset(FOUR), make_dataset(FOUR, role="class")])
    assert coverage.summarise(dataset).num_pictures == 4
    assert coverage.summarise(make_dataset(FOUR, role=None)).num_pictures == 4


def test_pictures_that_cannot_be_read_are_left_out_of_likeness():
    vector = np.array([[1.0, 0], [np.nan, 0], [0, 1], [0, 0]])
    found = coverage.summarise(make_dataset(FOUR), vector)
    assert found.num_pictures == 4
    assert found.vendi == pytest.approx(2)
    near = coverage.nearest(make_dataset(FOUR), vector)
    assert near.rows() == [("i0", "i2", 1.0, "other shot"), ("i2", "i0", 1.0, "other shot")]


def test_refusals():
    two = pl.concat([make_dataset(FOUR), make_dataset(FOUR, character="ben")])
    with pytest.raises(ValueError, match="pictures of one character, got \\['anna', 'ben'\\]"):
        coverage.summarise(two)
    with pytest.raises(ValueError, match="one embedding for each of 4 pictures"):
        coverage.summarise(make_dataset(FOUR), np.ones((3, 2)))
