"""Figures about who is seen and what is said: similarity of labels, when, words of captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

NOBODY = "nobody known"
MAX_NAMES = 16


def plot_similarity(label: pl.DataFrame, face_threshold: float, region_threshold: float) -> ggplot:
    """How like their references the labelled faces and regions are, with both thresholds.

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
        return style.nothing("nobody was compared with a reference")
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
        + p9.geom_jitter(height=0.22, width=0, size=1.8, alpha=0.75, random_state=0)
        + p9.geom_vline(p9.aes(xintercept="at"), lines, linetype="dashed", color=style.INK)
        + p9.facet_wrap("kind", ncol=1, scales="free_y")
        + p9.scale_color_manual(values=colour, guide=None)
        + p9.labs(
            x="cosine similarity to the nearest reference (1 is the same picture)",
            y="",
            title="How sure the names are",
            subtitle="dashed: the threshold from which a name is given",
        )
        + style.theme(1.4 + 0.3 * points.select("kind", "name").n_unique())
    )


def plot_presence(label: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """When each named character is seen, one lane a character."""
    seen = (
        label.drop_nulls("character")
        .join(frame.select("frame_id", "timestamp_s"), on="frame_id")
        .select("timestamp_s", "confidence", name="character", kind=_kind())
    )
    if seen.is_empty():
        return style.nothing("nobody was named")
    import plotnine as p9

    names = _names(seen["name"])[:MAX_NAMES]
    return (
        p9.ggplot(seen.filter(pl.col("name").is_in(names)), p9.aes("timestamp_s", "name"))
        + p9.geom_point(p9.aes(color="name", shape="kind"), size=2.4, alpha=0.85)
        + p9.scale_color_manual(values=style.colours(names), guide=None)
        + p9.scale_shape_manual(values={"faces": "o", "drawn figures": "s"})
        + p9.scale_y_discrete(limits=names[::-1], name="")
        + style.time_axis()
        + p9.expand_limits(x=(0, float(frame["timestamp_s"].max())))
        + p9.labs(title="Who is seen when")
        + style.theme(1.5 + 0.26 * len(names))
    )


def plot_captions(caption: pl.DataFrame) -> ggplot:
    """How many words the captions have."""
    words = caption.drop_nulls("text").select(words=pl.col("text").str.split(" ").list.len())
    if words.is_empty():
        return style.nothing("no captions: stage caption has not run or every one failed")
    import plotnine as p9

    distinct = caption.drop_nulls("text")["text"].n_unique()
    counts = words.group_by("words").len("captions").sort("words")
    return (
        p9.ggplot(counts, p9.aes("words", "captions"))
        + p9.geom_col(fill=style.GOOD, width=0.9)
        + p9.scale_x_continuous(name="words in a caption", breaks=style.whole)
        + p9.scale_y_continuous(breaks=style.whole)
        + p9.expand_limits(x=(0, float(counts["words"].max()) + 1))
        + p9.labs(
            title="How long the captions are",
            subtitle=f"{words.height} captions, {distinct} different",
        )
        + style.theme(2.4)
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
