"""Plots of an evaluation: metrics by step, confusion, copying."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.core import safe_path
from bunny.table import scalar
from bunny.view import style
from bunny.view.tile import Tile

if TYPE_CHECKING:
    from plotnine import ggplot

NO_EVALUATION = "no evaluation: stage evaluate has not run, or no adapter was trained"
PANEL = {  # metrics of the prompts for choosing, in the order of the panels
    "identity": "identity (0: another person, 1: as in the film)",
    "recognised": "recognition rate",
    "agreement": "prompt agreement",
    "nobody": "share with nobody recognised",
    "copied": "share of copies",
    "score": "score used to choose",
}
METRIC_WORD = {
    "real": "frames of the film",
    "base": "base model alone",
    "adapter": "with the adapter",
}
NUM_BINS = 30
TAIL = ("unknown", "nobody")


def plot_steps(evaluation: pl.DataFrame) -> ggplot:
    """Each measure of each checkpoint on the prompts for choosing, the base's as a line across.

    Bars are 95 % intervals over prompts and seeds; the chosen checkpoint is a full dot.
    """
    rows = evaluation.filter(
        pl.col("prompt_set").cast(pl.String) == "choose",
        pl.col("about") == "",
        pl.col("metric").is_in(list(PANEL)),
    )
    if rows.filter(pl.col("step") > 0).is_empty():
        return style.empty_plot(NO_EVALUATION)
    import plotnine as p9

    chosen = evaluation.filter(pl.col("metric") == "chosen").select("run_id", chosen="step")
    rows = rows.join(chosen, on="run_id", how="left", maintain_order="left").with_columns(
        panel=_ordered("metric", PANEL),
        is_chosen=pl.col("step") == pl.col("chosen"),
        who=pl.col("character"),
    )
    points, base = rows.filter(pl.col("step") > 0), rows.filter(pl.col("step") == 0)
    names = points["who"].unique().sort().to_list()
    bounds = points.drop_nulls("low")
    lines = points.filter(pl.len().over("run_id", "metric") > 1)
    colour = style.colours(names)
    flat, span = p9.aes(yintercept="value", color="who"), p9.aes(ymin="low", ymax="high")
    return (
        p9.ggplot(points, p9.aes("step", "value", color="who"))
        + (None if base.is_empty() else p9.geom_hline(flat, base, linetype="dashed"))
        + (None if lines.is_empty() else p9.geom_line(p9.aes(group="run_id"), lines))
        + (None if bounds.is_empty() else p9.geom_linerange(span, bounds, size=0.8))
        + p9.geom_point(p9.aes(fill="is_chosen"), size=3, shape="o")
        + p9.facet_wrap("panel", ncol=2)
        + p9.expand_limits(y=(0, 1))
        + p9.scale_color_manual(values=colour, guide=None if len(names) == 1 else "legend")
        + p9.scale_fill_manual(values={True: style.INK, False: style.PAPER}, guide=None)
        + p9.scale_x_continuous(breaks=sorted(points["step"].unique().to_list()))
        + p9.labs(
            x="training step",
            y="",
            title="Measures of each checkpoint",
            subtitle="dashed: base model alone; bars: 95 % intervals over prompts and seeds; "
            "black dot: chosen",
        )
        + style.theme(1.0 + 1.7 * -(-points["metric"].n_unique() // 2))
    )


def plot_confusion(evaluation: pl.DataFrame) -> ggplot:
    """Confusion matrix of characters: the film's pictures, the base model's, the adapter's.

    Rows of the first panel say how far the recogniser itself can be trusted.
    """
    rows = evaluation.filter(
        pl.col("metric") == "confusion",
        pl.col("prompt_set").cast(pl.String).is_in(["real", "report", "other"]),
    )
    if rows.is_empty():
        return style.empty_plot(NO_EVALUATION)
    import plotnine as p9

    kind = (
        pl.when(pl.col("prompt_set").cast(pl.String) == "real")
        .then(pl.lit("real"))
        .when(pl.col("step") == 0)
        .then(pl.lit("base"))
        .otherwise(pl.lit("adapter"))
    )
    rows = rows.with_columns(kind=kind).with_columns(
        panel=_ordered("kind", METRIC_WORD),
        label=(100 * pl.col("value")).round(0).cast(pl.Int64).cast(pl.String),
    )
    rows = rows.with_columns(tone=pl.when(pl.col("value") > 0.5).then(1).otherwise(0))
    who = rows["character"].unique().sort().to_list()
    taken = [*who, *(t for t in TAIL if t in rows["about"].to_list())]
    taken += sorted(set(rows["about"]) - set(taken))
    return (
        p9.ggplot(rows, p9.aes("about", "character"))
        + p9.geom_tile(p9.aes(fill="value"), color=style.PAPER, size=1)
        + p9.geom_text(p9.aes(label="label", color="factor(tone)"), size=8)
        + p9.facet_wrap("panel", ncol=3)
        + p9.scale_x_discrete(limits=taken, name="recognised as")
        + p9.scale_y_discrete(limits=who[::-1], name="character shown or asked for")
        + p9.scale_fill_gradient(low="#EDF3F8", high=style.GOOD, limits=(0, 1), guide=None)
        + p9.scale_color_manual(values={0: style.INK, 1: style.PAPER}, guide=None)
        + p9.labs(
            title="Confusion matrix of characters",
            subtitle="per cent of each row; correct ones are on the diagonal",
        )
        + style.theme(1.5 + 0.34 * len(who), 9.5)
        + p9.theme(axis_text_x=p9.element_text(rotation=40, ha="right"))
    )


def plot_copying(picture: pl.DataFrame) -> ggplot:
    """Similarity of each generated picture to its nearest training picture; copies in orange."""
    drawn = picture.filter(pl.col("prompt_set").cast(pl.String) != "real").drop_nulls("nearest")
    if drawn.is_empty():
        return style.empty_plot(NO_EVALUATION)
    import plotnine as p9

    order = {False: METRIC_WORD["base"], True: METRIC_WORD["adapter"]}
    low, high = scalar.as_float(drawn["nearest"].min()), scalar.as_float(drawn["nearest"].max())
    width = max(high - low, 0.05) * 1.001 / NUM_BINS
    bins = drawn.with_columns(
        bin=low + (((pl.col("nearest") - low) / width).floor() + 0.5) * width,
        panel=(pl.col("step") > 0).replace_strict(
            order, return_dtype=pl.Enum(list(order.values()))
        ),
        flagged=pl.col("is_copy").fill_null(value=False),
    )
    copies = bins.filter("flagged").height
    counts = bins.group_by("bin", "panel", "flagged").agg(pictures=pl.len()).sort("bin", "flagged")
    return (
        p9.ggplot(counts, p9.aes("bin", "pictures", fill="flagged"))
        + p9.geom_col(width=width, color=style.PAPER, size=0.3)
        + p9.facet_wrap("panel", ncol=1)
        + p9.scale_fill_manual(values={True: style.BAD, False: style.GOOD}, guide=None)
        + p9.scale_y_continuous(breaks=style.whole_number_ticks, expand=(0, 0, 0.05, 0))
        + p9.labs(
            x="cosine similarity to the nearest training picture (1: identical)",
            y="drawings",
            title="Does the adapter copy training pictures?",
            subtitle=f"orange: {copies} of {drawn.height} nearer than held-out frames usually are",
        )
        + style.theme(1.2 + 1.3 * counts["panel"].n_unique())
    )


def tiles(root: Path, picture: pl.DataFrame) -> dict[str, list[Tile]]:
    """Drawings of prompt set `report` by prompt: for each seed the base's, then the adapter's."""
    rows = picture.filter(pl.col("prompt_set").cast(pl.String) == "report")
    rows = rows.sort("run_id", "prompt", "seed", "step", maintain_order=True)
    found: dict[str, list[Tile]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["prompt"], []).append(_tile(root, row))
    return found


def _tile(root: Path, row: dict) -> Tile:
    is_right = row["recognised"] == row["character"]
    who = row["recognised"] or "not measured"
    number = "" if row["identity"] is None else f", identity {row['identity']:.2f}"
    copy = ", a copy" if row["is_copy"] else ""
    return Tile(
        file=None if row["file"] is None else safe_path.join(root, row["file"]),
        title=f"step {row['step']}" if row["step"] else "base",
        note=row["error"] or f"{who}{number}{copy}",
        tone="bad" if row["is_copy"] else "good" if is_right else "plain",
    )


def _ordered(column: str, words: dict[str, str]) -> pl.Expr:
    """Words for names, in the order of the mapping."""
    kind = pl.Enum(list(words.values()))
    return pl.col(column).cast(pl.String).replace_strict(words, return_dtype=kind)
