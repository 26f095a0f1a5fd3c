"""The figure of a film's own pairs and its threshold."""

import polars as pl
import table_row

from bunny.table import store
from bunny.view import style
from bunny.view.plot import recognition

PAIR = [
    {
        "pair_id": f"{kind}{i}",
        "kind": kind,
        "one_id": f"a{i}",
        "other_id": f"b{i}",
        "similarity": value,
        "adapted_similarity": None,
    }
    for kind, values in (("same-track", [0.8, 0.82, 1.0]), ("same-frame", [0.1, -1.0]))
    for i, value in enumerate(values)
]
ROW = table_row.fill("calibration", threshold=0.37, num_same=3, num_different=2)


def _plot(pairs, rows, configured=0.4):
    tables = store.from_rows("pair", pairs), store.from_rows("calibration", rows)
    return recognition.plot_calibration(*tables, configured)


def test_both_kinds_are_shares_and_both_thresholds_are_drawn(look):
    figure = _plot(PAIR, [ROW])
    look("plot-calibration", style.to_png(figure))
    assert "recognition threshold 0.37" in figure.labels.title
    assert figure.labels.subtitle.startswith("3 pairs of one person")
    bars = figure.data.group_by("kind").agg(pl.col("share").sum())
    assert bars["share"].to_list() == [1.0, 1.0]
    assert figure.layers[1]._data["at"].to_list() == [
        0.4,
        store.from_rows("calibration", [ROW])["threshold"][0],
    ]


def test_one_threshold_is_one_line():
    figure = _plot(PAIR, [ROW], configured=0.372)
    assert figure.layers[1]._data["which"].to_list() == ["calibrated on this film"]


def test_adapted_similarities_are_shown_where_there_are_any():
    figure = _plot([{**PAIR[0], "adapted_similarity": 0.31}], [ROW])
    assert abs(figure.data["similarity"][0] - 0.325) < 1e-6  # the middle of 0.30 to 0.35


def test_no_pairs_say_so():
    for pairs, rows in (([], [ROW]), (PAIR, [])):
        figure = _plot(pairs, rows)
        assert type(figure.layers[0].geom).__name__ == "geom_text"
