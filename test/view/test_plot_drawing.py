"""Drawings at several checkpoints and strengths: the figure, the titles, the grid in the report."""

import polars as pl
import pytest
from PIL import Image

from bunny.core import config
from bunny.table import store
from bunny.view import style, tile
from bunny.view.plot import training
from bunny.view.report import model
from bunny.view.report.section import ReportData


@pytest.fixture
def several(space, table):
    """The pictures of `space` as if two strengths of one checkpoint had drawn them."""
    plain = table("picture")
    worn = plain.filter(pl.col("adapter_file").is_not_null())
    parts = [
        worn.with_columns(
            step=pl.lit(300, pl.Int32),
            strength=pl.lit(strength, pl.Float32),
            similarity=(pl.lit(strength / 4) + 0.01 * pl.col("seed")).cast(pl.Float32),
            picture_id=pl.format("{}-{}", "picture_id", pl.lit(strength)),
        )
        for strength in (0.5, 1.0)
    ]
    made = pl.concat([plain.filter(pl.col("adapter_file").is_null()), *parts])
    store.write(space.table, "picture", made)
    folder = (space.root / made["file"][0]).parent
    Image.new("RGB", (3000, 600), "red").save(folder / training.GRID_FILE)
    return store.read(space.table, "picture")


def test_one_checkpoint_at_one_strength_is_no_grid(table):
    assert not training.has_several(table("picture"))
    assert not training.has_several(table("picture").drop("step"))  # of an older version


def test_the_figure_has_the_mean_of_each_strength_and_the_base(several, look):
    assert training.has_several(several)
    figure = training.plot_strength(several)
    points = figure.data.sort("strength")
    assert points["strength"].to_list() == [0.5, 1.0]
    seeds = several.drop_nulls("step")["seed"].mean()
    assert points["similarity"].to_list() == pytest.approx(
        [0.125 + 0.01 * seeds, 0.25 + 0.01 * seeds]
    )
    look("plot-strength", style.to_png(figure))
    nothing = training.plot_strength(several.with_columns(similarity=pl.lit(None, pl.Float32)))
    assert style.to_png(nothing)[:4] == b"\x89PNG"


def test_the_report_shows_the_grid_and_says_which_is_which(space, several):
    tiles = next(iter(tile.drawings(space.root, several).values()))
    assert {t.title for t in tiles} == {"base", "step 300, 0.5", "step 300, 1"}
    section = model.drawings(ReportData(root=space.root, film_id="x", config=config.Config()))
    assert "then each checkpoint and strength" in section.texts[0]
    assert [p.width_px for p in section.plots][-1] == 1600
    assert section.plots[-1].uri.startswith("data:image/png;base64,")
