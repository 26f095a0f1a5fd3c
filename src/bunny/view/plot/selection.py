"""Figures about the pictures chosen: how alike they are, and why other views were left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.dataset import coverage
from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

NUM_BINS = 40
RELATION = {
    "same frame": ("nearest is cut from the same frame", "#56B4E9"),
    "same shot": ("nearest is of the same shot", style.GOOD),
    "other shot": ("nearest is of another shot", "#6F5BA8"),
}


def plot_neighbours(near: pl.DataFrame) -> ggplot:
    """How far each training picture is from the one most like it.

    Parameters
    ----------
    near : pl.DataFrame
        Columns image_id, nearest_id, distance, relation; see `bunny.dataset.coverage.nearest`.
    """
    if near.is_empty():
        return style.nothing("fewer than two training pictures can be compared")
    import plotnine as p9

    median = float(near["distance"].median())
    first = near.sort("distance", "image_id").row(0, named=True)
    alike = near.filter(pl.col("distance") < coverage.ALIKE).height
    width = max(float(near["distance"].max()), 2 * coverage.ALIKE) * 1.001 / NUM_BINS
    bins = near.with_columns(bin=((pl.col("distance") / width).floor() + 0.5) * width)
    bins = bins.group_by("bin", "relation").agg(pictures=pl.len()).sort("bin", "relation")
    return (
        p9.ggplot(bins, p9.aes("bin", "pictures", fill="relation"))
        + p9.annotate("rect", xmin=0, xmax=coverage.ALIKE, ymin=0, ymax=_top(bins) * 1.05,
                      fill=style.BAD, alpha=0.09)
        + p9.geom_col(width=width, color=style.PAPER, size=0.3)
        + p9.geom_vline(xintercept=median, linetype="dashed", color=style.INK)
        + p9.geom_vline(xintercept=first["distance"], color=style.BAD)
        + p9.scale_fill_manual(
            values={name: colour for name, (_, colour) in RELATION.items()},
            labels=lambda names: [RELATION[name][0] for name in names])
        + p9.scale_y_continuous(breaks=style.whole, expand=(0, 0, 0.02, 0))
        + p9.scale_x_continuous(limits=(0, None), expand=(0, 0, 0.02, 0))
        + p9.labs(
            x="distance to the most similar picture (0: the same; 1: as like as any two of the "
            "film)",
            y="pictures",
            title="How varied is the set?",
            subtitle=f"shaded: {alike} of {near.height} look like another one; orange: the most "
            f"alike pair, {first['distance']:.3f}; dashed: median {median:.2f}",
        )
        + style.theme(3.2)
    )  # fmt: skip


def plot_reasons(candidate: pl.DataFrame) -> ggplot:
    """How many labelled views were chosen and why the others were not."""
    if candidate.is_empty():
        return style.nothing("nobody was labelled, or stage dataset has not run")
    import plotnine as p9

    counts = count_reasons(candidate)
    order = counts["why"].to_list()
    chosen = candidate.filter("is_chosen").height
    room = float(counts["views"].max()) / 80
    return (
        p9.ggplot(counts, p9.aes("why", "views", fill="is_chosen"))
        + p9.geom_col(width=0.7)
        + p9.geom_text(
            p9.aes(label="views"), ha="left", nudge_y=room, size=9, color=style.INK)
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order[::-1], name="")
        + p9.scale_y_continuous(breaks=style.whole, expand=(0, 0, 0.07, 0))
        + p9.scale_fill_manual(values={True: style.GOOD, False: style.BAD}, guide=None)
        + p9.labs(
            y="labelled views",
            title="Why views of the character were left out",
            subtitle=f"{chosen} of {candidate.height} chosen; a long bar names the setting to "
            "look at first",
        )
        + style.theme(1.25 + 0.26 * len(order), 6.5)
    )  # fmt: skip


def count_reasons(candidate: pl.DataFrame) -> pl.DataFrame:
    """Count views by reason; those that the filter dropped by the filter's own reason.

    Returns
    -------
    pl.DataFrame
        `why`, `views`, `is_chosen`; the chosen first, then the commonest reason.
    """
    reason = pl.col("reason").cast(pl.String)
    by_filter = pl.lit("filtered: ") + pl.col("detail").str.extract(r"^(\w+)")
    why = pl.when(reason == "filtered").then(by_filter).otherwise(reason)
    return (
        candidate.group_by(why=pl.coalesce(why, reason))
        .agg(views=pl.len())
        .with_columns(is_chosen=pl.col("why") == "chosen")
        .sort("is_chosen", "views", "why", descending=[True, True, False])
    )


def _top(bins: pl.DataFrame) -> float:
    """Height of the highest stack of bars."""
    return float(bins.group_by("bin").agg(pl.col("pictures").sum())["pictures"].max())
