"""Label-cost curve: accuracy against clicks of a simulated reviewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

WORDS = {
    "none": "none",
    "threshold": "thresholds",
    "triplet": "triplet adapter",
    "correlation": "correlation",
    "auto": "chosen by bunny learn",
}
ORDER = {
    "random": "in random order",
    "doubt": "most doubtful first",
    "cluster": "name clusters first",
    "gain": "most valuable questions first",
}
GOAL, GOAL_SHARE = 0.99, 0.01  # of items right, with clicks on so many
MIN_SHARE = 0.001  # where no click stands on the logarithmic axis


def summarise(curve: pl.DataFrame, measure: str = "accuracy") -> pl.DataFrame:
    """Mean accuracy at each number of clicks, and the range of nine in ten seeds.

    Parameters
    ----------
    curve : pl.DataFrame
        Rows of `simulated_reviewer.curve`, with `film` where there are several.
    measure : str
        `accuracy` (held-out items) or `library` (all items).

    Returns
    -------
    pl.DataFrame
        `film`, `order`, `way`, `clicks`, `share`, `accuracy`, `low`, `high`, `seeds`.
    """
    keys = ["film", "order", "way", "clicks", "share"]
    rows = curve if "film" in curve.columns else curve.with_columns(pl.lit("").alias("film"))
    return (
        rows.group_by(keys)
        .agg(
            pl.col(measure).mean().alias("accuracy"),
            pl.col(measure).quantile(0.05, "linear").alias("low"),
            pl.col(measure).quantile(0.95, "linear").alias("high"),
            pl.len().alias("seeds"),
        )
        .sort(keys)
    )


def plot_cost(curve: pl.DataFrame, measure: str = "accuracy") -> ggplot:
    """Accuracy against clicks, a row of panels a film, a panel an order, a line a way.

    Parameters
    ----------
    curve, measure
        As for `summarise`.
    """
    rows = summarise(curve, measure)
    if rows.is_empty():
        return style.empty_plot("no simulated clicks to plot")
    import plotnine as p9

    rows = rows.with_columns(pl.col("film").str.replace_all(r"([:,]) ", "$1\n"))
    films = rows["film"].unique(maintain_order=True).to_list()
    words = {way: word for way, word in WORDS.items() if way in set(rows["way"])}
    rows = rows.with_columns(
        at=pl.col("share").clip(MIN_SHARE),
        turn=pl.col("order").replace_strict(ORDER).cast(pl.Enum(list(ORDER.values()))),
        line=pl.col("way").replace_strict(WORDS).cast(pl.Enum(list(words.values()))),
        film=pl.col("film").cast(pl.Enum(films)),
    )
    colour = dict(zip(words.values(), (style.QUIET, *style.PALETTE), strict=False))
    ticks = [MIN_SHARE, 0.0025, 0.01, 0.03, 0.1, 0.3, 1.0]
    goal = pl.DataFrame({"x": [GOAL_SHARE], "y": [GOAL]})
    return (
        p9.ggplot(rows, p9.aes("at", "accuracy", color="line", fill="line"))
        + p9.geom_hline(yintercept=GOAL, linetype="dotted", color=style.INK)
        + p9.geom_vline(xintercept=GOAL_SHARE, linetype="dotted", color=style.INK)
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), alpha=0.12, color="none")
        + p9.geom_line(size=0.9)
        + p9.geom_point(size=1.4)
        + p9.geom_point(p9.aes("x", "y"), goal, inherit_aes=False, shape="+", size=5)
        + p9.facet_grid("film", "turn", scales="free_y")
        + p9.scale_x_log10(name="clicks as a share of the items", breaks=ticks, labels=_ticks)
        + p9.scale_color_manual(values=colour)
        + p9.scale_fill_manual(values=colour, guide=None)
        + p9.labs(
            y="share of items in the right cluster",
            title="Accuracy by number of corrections",
            subtitle="bands: 90 % of the seeds; dotted: the goal, 0.99 with clicks on 1 %",
        )
        + style.theme(1.2 + 1.9 * len(films), 10.0)
    )


def _ticks(shares: Sequence[float] | Sequence[str]) -> list[str]:
    """Shares as per cent; where no click stands is called 0."""
    return [
        "0" if share <= MIN_SHARE * 1.001 else f"{share * 100:.3g} %"
        for share in map(float, shares)
    ]
