"""Figures followed through a shot."""

import numpy as np
import polars as pl

from bunny.character.drawn import figure_label
from bunny.table import box as table_box

BOX = [0.0, 0.0, 100.0, 200.0]


def _moved(dx, factor=1.0):
    return [dx, 0.0, dx + 100 * factor, 200 * factor]


def _linked(*items):
    rank, box = zip(*items, strict=True)
    return figure_label.link_boxes(list(rank), np.array(box)).tolist()


def test_a_figure_that_walks_stays_one():
    # 150 px aside is past any overlap but within 0.75 lengths of 200 px, reached exactly at 0
    assert _linked((0, BOX), (1, _moved(60)), (2, _moved(200))) == [0, 0, 0]
    assert _linked((0, BOX), (1, _moved(150))) == [0, 1]


def test_one_missed_frame_is_bridged_two_are_not():
    assert _linked((0, BOX), (2, BOX)) == [0, 0]
    assert _linked((0, BOX), (3, BOX)) == [0, 1]


def test_another_size_is_another_figure():
    assert _linked((0, BOX), (1, _moved(0, 2.4))) == [0, 0]
    assert _linked((0, BOX), (1, _moved(0, 2.6))) == [0, 1]


def test_a_box_elsewhere_leaves_the_track_open():
    assert _linked((0, BOX), (1, _moved(900)), (2, BOX)) == [0, 1, 0]


def test_two_boxes_of_one_frame_are_two_tracks():
    assert _linked((0, BOX), (0, BOX)) == [0, 1]


def _region(*rows):
    names = ["region_id", "frame_id", "shot_index", "candidate"]
    kinds = [pl.String, pl.String, pl.Int64, pl.String] + 4 * [pl.Float32]
    schema = dict(zip([*names, *table_box.BOX], kinds, strict=True))
    return pl.DataFrame([(*r, *BOX) for r in rows], schema=schema, orient="row")


def _frame(shots):
    ids = [f"f{i}" for i in range(len(shots))]
    return pl.DataFrame({"frame_id": ids, "frame_index": range(len(shots)), "shot_index": shots})


def test_tracks_are_of_one_shot_and_one_candidate_in_the_regions_own_order():
    region = _region(
        ("c", "f1", 0, "x"), ("a", "f0", 0, "x"), ("b", "f0", 0, "y"), ("d", "f2", 1, "x")
    )
    found = figure_label.link_regions(region, _frame([0, 0, 1]), "film")
    assert found["region_id"].to_list() == ["c", "a", "b", "d"]
    assert found["track_id"].to_list() == [f"film-f0000{n}" for n in (0, 0, 1, 2)]


def test_no_regions_no_tracks():
    found = figure_label.link_regions(_region(), _frame([0]), "film")
    assert found.height == 0 and found.schema["track_id"] == pl.String
