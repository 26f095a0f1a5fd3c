"""Figures about the choice of pictures: what each threshold takes, and groups of duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.quality import loss_count
from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

    from bunny.quality.reason import QualityThreshold

MAX_GROUPS = 16  # lanes that still read; the largest groups are shown


def plot_losses(quality: pl.DataFrame, threshold: QualityThreshold) -> ggplot:
    """How many pictures each threshold leaves out, alone or together with another one.

    Parameters
    ----------
    quality : pl.DataFrame
        Table quality.
    threshold : QualityThreshold
        Those that decided it.
    """
    losses = loss_count.count_losses(quality, threshold)
    losses = losses.filter(pl.col("num_failed") > 0)
    if losses.is_empty():
        return style.nothing("no threshold leaves out a picture")
    import plotnine as p9

    alone, shared = "by this alone", "by another one too"
    bars = pl.concat(
        [
            losses.select("reason", pictures="num_alone", how=pl.lit(alone)),
            losses.select(
                "reason", pictures=pl.col("num_failed") - pl.col("num_alone"), how=pl.lit(shared)
            ),
        ]
    )
    order = losses.sort("num_failed", "reason")["reason"].to_list()
    return (
        p9.ggplot(bars, p9.aes("reason", "pictures", fill="how"))
        + p9.geom_col(width=0.65)
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order, name="")
        + p9.scale_y_continuous(expand=(0, 0, 0.12, 0), breaks=style.whole)
        + p9.scale_fill_manual(values={alone: style.BAD, shared: style.QUIET})
        + p9.labs(
            title="What each threshold takes away",
            subtitle=f"{quality.height} pictures, {int(quality['is_kept'].sum())} kept",
            y="pictures left out",
        )
        + style.theme(1.5 + 0.32 * losses.height)
    )


def plot_groups(quality: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """Where the largest groups of near duplicates lie in the film, the picture that stays marked.

    Parameters
    ----------
    quality, frame : pl.DataFrame
        Tables of those names.
    """
    grouped = quality.filter(pl.col("duplicate_group").is_not_null())
    if grouped.is_empty():
        return style.nothing("no picture is a near duplicate of another one")
    import plotnine as p9

    points = group_points(quality, frame)
    lanes = points["lane"].unique(maintain_order=True).to_list()
    colour = {"stays": style.GOOD, "left out": style.BAD}
    num_groups = grouped["duplicate_group"].n_unique()
    shown = f"the {len(lanes)} largest" if num_groups > len(lanes) else "all of them"
    return (
        p9.ggplot(points, p9.aes("timestamp_s", "lane", color="state"))
        + p9.geom_point(size=2)
        + p9.scale_color_manual(values=colour, breaks=list(colour))
        + p9.scale_y_discrete(limits=lanes[::-1], name="")
        + style.time_axis()
        + p9.labs(
            title=f"{num_groups} groups of near duplicates",
            subtitle=f"{grouped.height} pictures in them, one of each stays; shown: {shown}",
        )
        + style.theme(1.4 + 0.24 * len(lanes))
    )


def group_points(quality: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Pictures of the largest groups: `timestamp_s`, `lane`, `state`; large groups first."""
    size = pl.len().over("duplicate_group")
    points = (
        quality.filter(pl.col("duplicate_group").is_not_null())
        .join(frame.select("frame_id", "timestamp_s"), on="frame_id")
        .with_columns(size=size, begin=pl.col("timestamp_s").min().over("duplicate_group"))
        .sort("size", "begin", "timestamp_s", "frame_id", descending=[True, False, False, False])
    )
    largest = points["duplicate_group"].unique(maintain_order=True).head(MAX_GROUPS).to_list()
    is_left_out = pl.col("duplicate_of").is_not_null()
    begin = pl.col("begin").map_elements(style.clock, return_dtype=pl.String)
    return points.filter(pl.col("duplicate_group").is_in(largest)).select(
        "timestamp_s",
        lane=pl.format("{} pictures from {} ({})", "size", begin, _number(largest)),
        state=pl.when(is_left_out).then(pl.lit("left out")).otherwise(pl.lit("stays")),
    )


def _number(groups: list[str]) -> pl.Expr:
    """Number of a group among those shown, so that two of one size and time differ."""
    return pl.col("duplicate_group").replace_strict(
        groups, list(range(1, len(groups) + 1)), return_dtype=pl.Int64
    )
