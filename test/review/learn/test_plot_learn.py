"""The label-cost curve: what is averaged, and that it draws."""

import sys
from pathlib import Path

import polars as pl
import pytest

from bunny.view import style

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import plot_label_cost

sys.path.pop(0)


@pytest.fixture
def curve():
    rows = [
        {
            "clicks": c,
            "share": c / 100,
            "accuracy": a,
            "library": a,
            "order": "doubt",
            "way": "none",
            "seed": s,
        }
        for s, values in enumerate([(0.5, 0.7), (0.6, 0.9), (0.7, 0.8)])
        for c, a in zip((0, 1), values, strict=True)
    ]
    return pl.DataFrame(rows)


def test_mean_and_range_over_seeds(curve):
    found = plot_label_cost.summarise(curve)
    assert found["clicks"].to_list() == [0, 1]
    assert found["accuracy"].to_list() == pytest.approx([0.6, 0.8])
    assert found["low"].to_list() == pytest.approx([0.51, 0.71])  # 5 % between three values
    assert found["high"].to_list() == pytest.approx([0.69, 0.89])
    assert found["seeds"].to_list() == [3, 3]


def test_the_curve_draws(curve, look):
    films = pl.concat([curve.with_columns(pl.lit(name).alias("film")) for name in ("b", "a")])
    look("plot-cost", style.to_png(plot_label_cost.plot_cost(films)))


def test_without_clicks_a_sentence_stands_in(curve):
    figure = plot_label_cost.plot_cost(curve.clear())
    assert "no simulated clicks" in figure.layers[0].geom.aes_params["label"]
