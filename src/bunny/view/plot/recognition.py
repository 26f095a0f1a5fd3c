"""Plots of named characters: similarity, calibration, presence, captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.table import scalar
from bunny.view import style

NOBODY = "no known character"
MAX_NAMES = 16
BIN = 0.05  # of similarity, in a histogram
PAIR_KIND = {"same-track": "one person (same track)", "same-frame": "two people (same frame)"}
SEED = 1  # of the jitter; plotnine takes 0 for none
SAME = 0.005  # two thresholds that differ by less are one line

if TYPE_CHECKING:
    from plotnine import ggplot


def plot_similarity(label: pl.DataFrame, face_threshold: float, region_threshold: float) -> ggplot:
    """Similarity of labelled faces and regions to their references, with both thresholds.

    Parameters
    ----------
    label : pl.DataFrame
        Table label.
    face_threshold, region_threshold : float
        `detection.similarity_threshold` and `detection.drawn_threshold`.
    """
    points = label.drop_nulls("distance").select(
        similarity=1 - pl.col("distance").cast(pl.Float64),
        name=pl.col("character").fill_null(NOBODY),
        kind=_kind(),
    )
    if points.is_empty():
        return style.empty_plot("no face was compared with a reference picture")
    import plotnine as p9

    lines = pl.DataFrame(
        {"kind": ["faces", "drawn figures"], "at": [face_threshold, region_threshold]}
    ).filter(pl.col("kind").is_in(points["kind"].unique().to_list()))
    known = [n for n in _names(points["name"]) if n != NOBODY]
    names = [*known[:MAX_NAMES], NOBODY]
    points = points.filter(pl.col("name").is_in(names))
    colour = style.colours(names) | {NOBODY: style.QUIET}
    return (
        p9.ggplot(points, p9.aes("similarity", "name", color="name"))
        + p9.geom_jitter(height=0.22, width=0, size=1.8, alpha=0.75, random_state=SEED)
        + p9.geom_vline(p9.aes(xintercept="at"), lines, linetype="dashed", color=style.INK)
        + p9.facet_wrap("kind", ncol=1, scales="free_y")
        + p9.scale_color_manual(values=colour, guide=None)
        + p9.labs(
            x="cosine similarity to the nearest reference picture (1: identical)",
            y="",
            title="Similarity to the reference pictures",
            subtitle="dashed: minimum similarity for a name;\n"
            "for drawn figures the lead over other characters counts too",
        )
        + style.theme(1.6 + 0.3 * points.select("kind", "name").n_unique())
    )


def plot_calibration(pair: pl.DataFrame, calibration: pl.DataFrame, configured: float) -> ggplot:
    """Similarity of one person's faces and of two people's faces in this film, with the thresholds.

    Parameters
    ----------
    pair : pl.DataFrame
        Table pair; where vectors were adapted to the film, their similarities are shown.
    calibration : pl.DataFrame
        Table calibration; its row for faces gives the threshold that holds.
    configured : float
        `detection.similarity_threshold`.
    """
    row = calibration.filter(pl.col("route") == "face")
    if pair.is_empty() or row.is_empty():
        return style.empty_plot("no pair of clear faces in one track or one frame to compare")
    import plotnine as p9

    points = pair.select(
        similarity=pl.coalesce("adapted_similarity", "similarity").cast(pl.Float64),
        kind=pl.col("kind").cast(pl.String).replace(PAIR_KIND),
    )
    holds = float(row["threshold"][0])
    lines = pl.DataFrame(
        {"at": [configured, holds], "which": ["from the configuration", "calibrated on this film"]}
    ).filter(pl.Series([abs(configured - holds) > SAME, True]))
    colour = dict(zip(PAIR_KIND.values(), (style.GOOD, style.BAD), strict=True))
    dash = {"from the configuration": "dotted", "calibrated on this film": "dashed"}
    counts = dict(points.group_by("kind").len().iter_rows())
    said = ", ".join(f"{counts.get(name, 0)} pairs of {name}" for name in PAIR_KIND.values())
    return (
        p9.ggplot(_bins(points), p9.aes("similarity", "share"))
        + p9.geom_col(p9.aes(fill="kind"), position="identity", alpha=0.6, width=BIN)
        + p9.geom_vline(p9.aes(xintercept="at", linetype="which"), lines, color=style.INK, size=0.8)
        + p9.scale_fill_manual(values=colour)
        + p9.scale_linetype_manual(values=dash)
        + p9.scale_y_continuous(labels=lambda values: [f"{100 * v:.0f} %" for v in values])
        + p9.labs(
            x="cosine similarity of two faces (1: identical)",
            y="share of pairs",
            title=f"Face pairs of this film: recognition threshold {holds:.2f}",
            subtitle=said,
        )
        + style.theme(3.2)
    )


def plot_presence(label: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """When each named character is seen, one lane a character."""
    seen = (
        label.drop_nulls("character")
        .join(frame.select("frame_id", "timestamp_s"), on="frame_id")
        .select("timestamp_s", "confidence", name="character", kind=_kind())
    )
    if seen.is_empty():
        return style.empty_plot("no character was recognised")
    import plotnine as p9

    names = _names(seen["name"])[:MAX_NAMES]
    return (
        p9.ggplot(seen.filter(pl.col("name").is_in(names)), p9.aes("timestamp_s", "name"))
        + p9.geom_point(p9.aes(color="name", shape="kind"), size=2.4, alpha=0.85)
        + p9.scale_color_manual(values=style.colours(names), guide=None)
        + p9.scale_shape_manual(values={"faces": "o", "drawn figures": "s"})
        + p9.scale_y_discrete(limits=names[::-1], name="")
        + style.time_axis()
        + p9.expand_limits(x=(0, scalar.as_float(frame["timestamp_s"].max())))
        + p9.labs(title="When each character appears")
        + style.theme(1.5 + 0.26 * len(names))
    )


def plot_captions(caption: pl.DataFrame) -> ggplot:
    """Histogram of words per caption."""
    words = caption.drop_nulls("text").select(words=pl.col("text").str.split(" ").list.len())
    if words.is_empty():
        return style.empty_plot("no captions: stage caption has not run or every caption failed")
    import plotnine as p9

    distinct = caption.drop_nulls("text")["text"].n_unique()
    counts = words.group_by("words").len("captions").sort("words")
    return (
        p9.ggplot(counts, p9.aes("words", "captions"))
        + p9.geom_col(fill=style.GOOD, width=0.9)
        + p9.scale_x_continuous(name="words per caption", breaks=style.whole_number_ticks)
        + p9.scale_y_continuous(breaks=style.whole_number_ticks)
        + p9.expand_limits(x=(0, scalar.as_float(counts["words"].max()) + 1))
        + p9.labs(title="Caption length", subtitle=f"{words.height} captions, {distinct} different")
        + style.theme(2.4)
    )


def _bins(points: pl.DataFrame) -> pl.DataFrame:
    """Shares of pairs by similarity, each kind by itself."""
    at = (pl.col("similarity") / BIN).floor().clip(-1 / BIN, 1 / BIN - 1)
    return (
        points.group_by("kind", at=at)
        .len("pairs")
        .with_columns(
            similarity=(pl.col("at") + 0.5) * BIN,
            share=pl.col("pairs") / pl.col("pairs").sum().over("kind"),
        )
        .sort("kind", "at")
    )


def _kind() -> pl.Expr:
    return (
        pl.when(pl.col("subject_type") == "face")
        .then(pl.lit("faces"))
        .otherwise(pl.lit("drawn figures"))
    )


def _names(column: pl.Series) -> list[str]:
    """Names, the most frequent first."""
    return (
        column.rename("name")
        .to_frame()
        .group_by("name")
        .len()
        .sort("len", "name", descending=[True, False])["name"]
        .to_list()
    )


if TYPE_CHECKING:
    from plotnine import ggplot
