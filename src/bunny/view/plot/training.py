"""Plots of a fine-tune: loss, similarity of generated pictures by checkpoint and strength."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.core import image_file, safe_path
from bunny.view import contact_sheet, style
from bunny.view.report.section import ReportPlot

BASE, ADAPTER = "base model alone", "with the adapter"
SMOOTHING = 0.05  # share of the steps that the smooth line averages over

GRID_FILE = "grid.png"
GRID_MAX_PX = 1600  # of the longer side, inside the report

if TYPE_CHECKING:
    from plotnine import ggplot


def plot_loss(training_step: pl.DataFrame) -> ggplot:
    """Loss over the steps of each run: each step, a running mean, and the held-out pictures."""
    steps = training_step.drop_nulls("loss")
    if steps.is_empty():
        return style.empty_plot("no loss: nothing was trained")
    import plotnine as p9

    window = max(1, round(SMOOTHING * steps["step"].n_unique()))
    mean = pl.col("loss").rolling_mean(window, min_samples=1).over("run_id", order_by="step")
    lines = pl.concat(
        [
            steps.select("run_id", "step", loss=mean, kind=pl.lit("training (running mean)")),
            training_step.drop_nulls("held_out_loss").select(
                "run_id", "step", loss="held_out_loss", kind=pl.lit("held-out pictures")
            ),
        ]
    )
    held_out = lines.filter(pl.col("kind") == "held-out pictures")
    colour = {"training (running mean)": style.GOOD, "held-out pictures": style.BAD}
    return (
        p9.ggplot(lines, p9.aes("step", "loss", color="kind"))
        + p9.geom_point(p9.aes("step", "loss"), steps, color=style.GOOD, size=0.7, alpha=0.25)
        + _line(_joined(lines, "run_id", "kind"), "kind", size=1)
        + p9.geom_point(data=held_out, size=2)
        + p9.facet_wrap("run_id", ncol=1)
        + p9.scale_color_manual(values=colour)
        + p9.labs(
            x="training step",
            y="mean squared error (unit latents)",
            title="Training and held-out loss",
            subtitle=(
                "both should fall; held-out loss rising while training loss falls means overfitting"
            ),
        )
        + style.theme(2.2 + 1.6 * steps["run_id"].n_unique())
    )


def plot_picture_similarity(picture: pl.DataFrame) -> ggplot:
    """Similarity of each drawing to the held-out pictures, base beside adapter.

    A line joins the two drawings of one prompt and seed.
    """
    points = picture.drop_nulls("similarity").with_columns(model=model_word())
    if points.is_empty():
        return style.empty_plot(
            "no similarity: no picture was generated, or there was nothing to compare with"
        )
    import plotnine as p9

    means = points.group_by("model").agg(similarity=pl.col("similarity").mean())
    text = ", ".join(f"{m} {s:.3f}" for m, s in sorted(means.iter_rows()))
    points = points.with_columns(pair=pl.col("prompt") + pl.col("seed").cast(pl.String))
    return (
        p9.ggplot(points, p9.aes("model", "similarity"))
        + _line(_joined(points, "pair"), "pair", color=style.QUIET, alpha=0.6)
        + p9.geom_point(p9.aes(color="model"), size=2.6)
        + p9.scale_color_manual(values={BASE: style.QUIET, ADAPTER: style.GOOD}, guide=None)
        + p9.scale_x_discrete(limits=[BASE, ADAPTER], name="")
        + p9.labs(
            y="centred cosine similarity",
            title="Generated pictures and the character",
            subtitle=f"similarity to held-out pictures;\nmean: {text}",
        )
        + style.theme(3.0, 5.5)
    )


def model_word() -> pl.Expr:
    """Model that generated a picture, in words."""
    return pl.when(pl.col("adapter_file").is_null()).then(pl.lit(BASE)).otherwise(pl.lit(ADAPTER))


def _joined(points: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Keep points that have another of the same keys to be joined with."""
    return points.filter(pl.len().over(keys) > 1)


def _line(points: pl.DataFrame, group: str, **look) -> list:
    """A layer of lines, or no layer when there is nothing to join."""
    import plotnine as p9

    return [] if points.is_empty() else [p9.geom_line(p9.aes(group=group), points, **look)]


if TYPE_CHECKING:
    from plotnine import ggplot


def has_several(picture: pl.DataFrame) -> bool:
    """Whether more than one checkpoint or strength was drawn with."""
    if not {"step", "strength"} <= set(picture.columns):
        return False  # written before there were such grids
    worn = picture.filter(pl.col("adapter_file").is_not_null())
    return worn.select("step", "strength").unique().height > 1


def plot_strength(picture: pl.DataFrame) -> ggplot:
    """Mean similarity to the held-out pictures over the strength, a line a checkpoint.

    Parameters
    ----------
    picture : pl.DataFrame
        The table.

    Returns
    -------
    plotnine.ggplot
        The dashed line is the base alone.
    """
    if not picture.is_empty() and not has_several(picture):
        return style.empty_plot("only one checkpoint at one strength was drawn: nothing to compare")
    known = picture.drop_nulls("similarity")
    worn = known.drop_nulls(["step", "strength"])
    if worn.is_empty():
        return style.empty_plot(
            "no similarity: no picture was generated, or there was nothing to compare with"
        )
    import plotnine as p9

    keys = ("character", "step", "strength")
    points = worn.group_by(keys).agg(pl.col("similarity").mean()).sort(keys)
    points = points.with_columns(checkpoint=pl.format("step {}", "step"))
    order = points.sort("step")["checkpoint"].unique(maintain_order=True).to_list()
    colours = style.colours(order)
    base = known.filter(pl.col("adapter_file").is_null())
    floor = base.group_by("character").agg(pl.col("similarity").mean())
    lines = points.filter(pl.len().over("character", "step") > 1)
    return (
        p9.ggplot(points, p9.aes("strength", "similarity", color="checkpoint"))
        + (p9.geom_line(p9.aes(group="checkpoint"), lines, size=1) if lines.height else None)
        + p9.geom_point(size=2.6)
        + p9.geom_hline(
            p9.aes(yintercept="similarity"), floor, linetype="dashed", color=style.QUIET
        )
        + p9.facet_wrap("character", ncol=1)
        + p9.scale_color_manual(values=colours, limits=order, name="")
        + p9.labs(
            x="adapter strength",
            y="centred cosine similarity",
            title="Similarity by checkpoint and adapter strength",
            subtitle="mean over prompts and seeds; dashed: base model alone",
        )
        + style.theme(2.0 + 1.8 * points["character"].n_unique())
    )


def grids(root: Path, picture: pl.DataFrame) -> list[ReportPlot]:
    """The grids that stage generate wrote, for the report.

    Parameters
    ----------
    root : Path
        The film's folder.
    picture : pl.DataFrame
        The table; says which grids there are.

    Returns
    -------
    list of ReportPlot
        One a fine-tune; shrunk to 1600 px.
    """
    folders = dict.fromkeys(Path(f).parent for f in picture["file"].drop_nulls().sort())
    found = []
    for path in (safe_path.join(root, (f / GRID_FILE).as_posix()) for f in folders):
        if path.is_file():
            with image_file.open_picture(path) as opened:
                image = opened.convert("RGB")
            image.thumbnail((GRID_MAX_PX, GRID_MAX_PX))
            data = base64.b64encode(contact_sheet.to_png(image)).decode()
            alt = f"grid of generated pictures: {path.parent.name}"
            uri = f"data:image/png;base64,{data}"
            found.append(ReportPlot(uri=uri, alt=alt, width_px=image.width))
    return found
