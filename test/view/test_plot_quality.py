"""Figures of notebook 02_filter and their numbers."""

import polars as pl

from bunny.core.config import FilteringConfig
from bunny.table import store
from bunny.view import style
from bunny.view.plot import film as plot_quality

STRICT = FilteringConfig(blur_threshold=0.6, min_contrast=0.03)


def is_words_only(figure) -> bool:
    return type(figure.layers[0].geom).__name__ == "geom_text"


def test_figures_are_drawn(table, look):
    """Without a warning (they are errors), as they were kept."""
    losses = plot_quality.plot_losses(table("quality"), STRICT)
    assert not is_words_only(losses)
    look("plot-losses", style.to_png(losses))
    groups = plot_quality.plot_groups(grouped(table), table("frame"))
    assert not is_words_only(groups)
    look("plot-groups", style.to_png(groups))


def test_figures_of_nothing_say_so(table):
    none = store.from_rows("quality", [])
    assert is_words_only(plot_quality.plot_losses(none, STRICT))
    assert is_words_only(plot_quality.plot_groups(none, store.from_rows("frame", [])))


def grouped(table) -> pl.DataFrame:
    """Frames 0, 1, 2 are one group, 5 and 20 another; the first of each stays."""
    quality = table("quality")
    names = quality["frame_id"].to_list()
    group = {0: 0, 1: 0, 2: 0, 5: 5, 20: 5}
    of = [names[group[i]] if i in group else None for i in range(len(names))]
    gone = [one if one != name else None for one, name in zip(of, names, strict=True)]
    return quality.with_columns(
        duplicate_group=pl.Series(of, dtype=pl.String),
        duplicate_of=pl.Series(gone, dtype=pl.String),
    )


def test_points_of_groups_by_hand(table):
    points = plot_quality.group_points(grouped(table), table("frame"))
    assert points["state"].to_list() == ["kept", "dropped", "dropped", "kept", "dropped"]
    assert points["lane"].n_unique() == 2
    assert points["lane"][0].startswith("3 frames from")
    times = table("frame").sort("frame_index")["timestamp_s"]
    assert points["timestamp_s"].to_list() == [times[i] for i in (0, 1, 2, 5, 20)]
