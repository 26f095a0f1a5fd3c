"""Plot of the change score over time: cuts, what was no cut, and the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.view import style

MAX_POINTS = 1200  # of the line; of more frames the largest score of each span is drawn
MAX_SCORE = 6.0  # higher ones are drawn at the upper edge
VETO = ("flash", "passing", "light", "same-view")

if TYPE_CHECKING:
    from plotnine import ggplot


def plot_change(change: pl.DataFrame, shot: pl.DataFrame, threshold: float) -> ggplot:
    """Cut score of each frame, the threshold, where shots begin and what was taken for no cut.

    Parameters
    ----------
    change, shot : pl.DataFrame
        Tables of those names.
    threshold : float
        `extraction.cut_threshold`.
    """
    scores = change.drop_nulls("cut_score")
    if scores.is_empty():
        return style.empty_plot("no change score: stage extract has not run with detector fast")
    import plotnine as p9

    points = score_points(change, shot, threshold)
    colour = {"cut": style.GOOD, "fade": style.PALETTE[2], "dissolve": style.PALETTE[3],
              "no cut": style.BAD}  # fmt: skip
    shown = [name for name in colour if name in set(points["what"])]
    num_cuts = points.filter(pl.col("what") == "cut").height
    num_out = points.filter(pl.col("what") == "no cut").height
    return (
        p9.ggplot()
        + p9.geom_line(p9.aes("timestamp_s", "score"), score_line(change), color=style.QUIET)
        + p9.geom_hline(yintercept=threshold, color=style.INK, linetype="dashed", size=0.7)
        + p9.geom_point(p9.aes("timestamp_s", "score", color="what"), points, size=1.8)
        + p9.scale_color_manual(values=colour, breaks=shown)
        + p9.scale_y_continuous(limits=(0, MAX_SCORE), name="cut_score (1: a cut as configured)")
        + style.time_axis()
        + p9.labs(
            title=f"{num_cuts} cuts at threshold {threshold:g}",
            subtitle=f"{num_out} such changes: a flash, a passing object, the light or one view",
        )
        + style.theme(3.0)
    )


def score_line(change: pl.DataFrame) -> pl.DataFrame:
    """Largest score of each of `MAX_POINTS` spans of the film: `timestamp_s`, `score`."""
    size = max(1, -(-change.height // MAX_POINTS))
    score = pl.col("cut_score").fill_null(0.0).clip(upper_bound=MAX_SCORE)
    spans = change.with_row_index("row").group_by(pl.col("row") // size, maintain_order=True)
    return spans.agg(pl.col("timestamp_s").first(), score=score.max()).drop("row")


def score_points(change: pl.DataFrame, shot: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Frames where a shot begins, and those that reach the threshold and are no cut.

    Returns
    -------
    pl.DataFrame
        `timestamp_s`, `score`, `what`: cut, fade, dissolve or "no cut".
    """
    begins = shot.select(
        frame_index="first_frame_index", what=pl.col("transition_in").cast(pl.String)
    ).filter(pl.col("what") != "start")
    rows = change.select(
        "frame_index",
        "timestamp_s",
        score=pl.col("cut_score").fill_null(0.0),
        veto=pl.col("cut_veto").cast(pl.String),
    )
    no_cut = rows.filter(pl.col("score") >= threshold, pl.col("veto").is_in(VETO)).join(
        begins, on="frame_index", how="anti"
    )
    points = pl.concat(
        [
            rows.join(begins, on="frame_index").select("timestamp_s", "score", "what"),
            no_cut.select("timestamp_s", "score", what=pl.lit("no cut")),
        ]
    )
    return points.with_columns(pl.col("score").clip(upper_bound=MAX_SCORE)).sort("timestamp_s")
