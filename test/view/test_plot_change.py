"""The plot of the change score."""

import change_rows
import polars as pl
import pytest

from bunny.table import store
from bunny.view import style
from bunny.view.plot import film as plot

SHOT = pl.DataFrame(
    {"first_frame_index": [0, 10, 25], "transition_in": ["start", "cut", "dissolve"]}
)


def test_points_are_boundaries_and_what_was_no_cut():
    points = plot.score_points(change_rows.table(), SHOT, 1.0)
    assert points.rows() == [(0.5, 3.0, "cut"), (1.25, 1.2, "dissolve"), (1.5, 4.0, "no cut")]
    low = plot.score_points(change_rows.table(), SHOT, 0.7)  # exactly the score of frame 33
    assert low.rows()[-1] == (1.65, 0.7, "no cut")


def test_the_line_has_the_largest_score_of_each_span(monkeypatch):
    monkeypatch.setattr(plot, "MAX_POINTS", 4)
    line = plot.score_line(change_rows.table())
    assert line["score"].to_list() == [0.125, 3.0, 1.2, 4.0]
    assert line["timestamp_s"].to_list() == [0.0, 0.5, 1.0, 1.5]
    high = change_rows.table().with_columns(pl.col("cut_score") * 3)
    assert plot.score_line(high)["score"].max() == plot.MAX_SCORE


def test_titles_count_cuts_and_what_was_none():
    figure = plot.plot_change(change_rows.table(), SHOT, 1.0)
    assert figure.labels.title == "1 cuts at threshold 1"
    assert figure.labels.subtitle.startswith("1 large change ignored")
    assert style.to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("num_rows", [0, 1])
def test_nothing_measured_says_so(num_rows):
    change = change_rows.table().head(num_rows)
    figure = plot.plot_change(change, store.from_rows("shot", []), 1.0)
    assert type(figure.layers[0].geom).__name__ == "geom_text"
