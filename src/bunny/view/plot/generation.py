"""Figures about drawings at several checkpoints and strengths, and their grids as pictures."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.view import contact_sheet, style
from bunny.view.report.section import Plot

if TYPE_CHECKING:
    from plotnine import ggplot

GRID_FILE = "grid.png"
GRID_MAX_PX = 1600  # of the longer side, inside the report


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
    known = picture.drop_nulls("similarity")
    worn = known.drop_nulls(["step", "strength"])
    if worn.is_empty():
        return style.nothing("no similarity: nothing was drawn, or there was nothing to compare")
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
        + ([p9.geom_line(p9.aes(group="checkpoint"), lines, size=1)] if lines.height else [])
        + p9.geom_point(size=2.6)
        + p9.geom_hline(
            p9.aes(yintercept="similarity"), floor, linetype="dashed", color=style.QUIET
        )
        + p9.facet_wrap("character", ncol=1)
        + p9.scale_color_manual(values=colours, limits=order, name="")
        + p9.labs(
            x="strength of the adapter",
            y="centred cosine similarity",
            title="Which checkpoint and strength draw the character",
            subtitle="mean over prompts and seeds; dashed: the base alone",
        )
        + style.theme(2.0 + 1.8 * points["character"].n_unique())
    )


def grids(root: Path, picture: pl.DataFrame) -> list[Plot]:
    """The grids that stage generate wrote, for the report.

    Parameters
    ----------
    root : Path
        The film's folder.
    picture : pl.DataFrame
        The table; says which grids there are.

    Returns
    -------
    list of Plot
        One a fine-tune; shrunk to 1600 px.
    """
    from PIL import Image

    folders = dict.fromkeys(Path(f).parent for f in picture["file"].drop_nulls().sort())
    found = []
    for path in (root / folder / GRID_FILE for folder in folders):
        if path.is_file():
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            image.thumbnail((GRID_MAX_PX, GRID_MAX_PX))
            data = base64.b64encode(contact_sheet.to_png(image)).decode()
            alt = f"grid of the drawings of {path.parent.name}"
            uri = f"data:image/png;base64,{data}"
            found.append(Plot(uri=uri, alt=alt, width_px=image.width))
    return found
