"""Scenes by who is there."""

import polars as pl

from bunny.scene import cluster_table

SCHEMA = {
    "level": pl.String,
    "shot_index": pl.Int32,
    "cluster_id": pl.String,
    "name": pl.String,
    "who": pl.List(pl.String),
    "start_s": pl.Float64,
    "end_s": pl.Float64,
}


def _asset(*rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_company_by_hand():
    found = cluster_table.scenes_by_characters(
        _asset(
            ("scene", 0, "scene-001", "kitchen", ["pip", "bunny"], 0.0, 2.0),
            ("scene", 1, "scene-001", "kitchen", [], 2.0, 2.5),
            ("scene", 2, "scene-002", None, ["bunny"], 2.5, 3.0),
            ("scene", 3, "scene-001", "kitchen", ["bunny", "pip", "bunny"], 3.0, 4.0),
            ("scene", 4, None, None, ["pip"], 4.0, 4.5),
            ("character", 0, "bunny", None, ["bunny"], 0.0, 2.0),
        )
    )
    assert found.rows() == [
        ("scene-001", ["bunny", "pip"], "kitchen with bunny, pip", [0, 3], 3.0),
        ("scene-001", [], "kitchen empty", [1], 0.5),
        ("scene-002", ["bunny"], "scene-002 with bunny", [2], 0.5),
        (None, ["pip"], "no scene with pip", [4], 0.5),
    ]


def test_every_shot_is_in_one_row_and_unknown_times_are_null():
    asset = _asset(
        ("scene", 5, "scene-001", None, None, None, None),
        ("scene", 1, "scene-001", None, [""], None, None),
    )
    found = cluster_table.scenes_by_characters(asset)
    assert found.rows() == [("scene-001", [], "scene-001 empty", [1, 5], None)]


def test_no_scenes():
    found = cluster_table.scenes_by_characters(_asset())
    assert found.is_empty() and found.columns == ["cluster_id", "who", "name", "shots", "seconds"]
