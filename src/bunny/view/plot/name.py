"""Figures of notebook 03: how much of a film has names, and how large its faces are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

STATE = ("somebody named", "only unknown faces", "nobody")
MAX_BINS = 40
SIZE_PX = (24, 32, 48, 64, 96, 128, 192, 256, 384)  # edges between the bins of a face's height
SIZES = [f"< {SIZE_PX[0]}", *(f"{a}–{b}" for a, b in pairwise(SIZE_PX)), f"≥ {SIZE_PX[-1]}"]


def cover_names(label: pl.DataFrame, frame: pl.DataFrame, max_bins: int = MAX_BINS) -> pl.DataFrame:
    """Share of the pictures of each stretch of film that show somebody named, unknown, nobody.

    Parameters
    ----------
    label : pl.DataFrame
        Table label.
    frame : pl.DataFrame
        `frame_id`, `timestamp_s` of the pictures.
    max_bins : int
        Stretches of equal length, no more than there are pictures.

    Returns
    -------
    pl.DataFrame
        `middle_s`, `length_s`, `state` (one of `STATE`), `share` in [0, 1]; a stretch without
        pictures has no row.
    """
    seen = label.group_by("frame_id").agg(pl.col("character").is_not_null().any().alias("named"))
    rows = frame.select("frame_id", "timestamp_s").join(seen, on="frame_id", how="left")
    is_named = pl.col("named")
    state = pl.when(is_named).then(pl.lit(STATE[0])).when(~is_named).then(pl.lit(STATE[1]))
    num_bins = max(1, min(max_bins, rows.height))
    length_s = max(float(rows["timestamp_s"].max() or 0), 1e-3) / num_bins
    stretch = (pl.col("timestamp_s") / length_s).floor().clip(0, num_bins - 1)
    counts = rows.group_by(
        ((stretch + 0.5) * length_s).alias("middle_s"),
        state.otherwise(pl.lit(STATE[2])).cast(pl.Enum(STATE)).alias("state"),
    ).len()
    share = pl.col("len") / pl.col("len").sum().over("middle_s")
    return counts.select(
        "middle_s", pl.lit(length_s).alias("length_s"), "state", share.alias("share")
    ).sort("middle_s", "state")


def plot_coverage(label: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """How much of the film has names: stacked shares over time, see `cover_names`.

    Parameters
    ----------
    label, frame : pl.DataFrame
        Their tables.
    """
    kept = frame.filter(pl.col("file").is_not_null())
    if kept.is_empty():
        return style.nothing("no picture was taken: run stage extract first")
    import plotnine as p9

    shares = cover_names(label, kept)
    colour = dict(zip(STATE, (style.GOOD, style.BAD, style.QUIET), strict=True))
    return (
        p9.ggplot(shares, p9.aes("middle_s", "share", fill="state"))
        + p9.geom_col(width=float(shares["length_s"][0]), position=p9.position_stack(reverse=True))
        + p9.scale_fill_manual(values=colour)
        + p9.scale_y_continuous(name="share of the pictures", expand=(0, 0))
        + style.time_axis()
        + p9.labs(title="How much of the film has names")
        + style.theme(2.6)
    )


def count_sizes(face: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Faces by their height, named and unknown.

    Parameters
    ----------
    face, label : pl.DataFrame
        Their tables.

    Returns
    -------
    pl.DataFrame
        `height_px` (one of `SIZES`), `name` ("named" or "unknown"), `faces`.
    """
    named = (
        pl.when(pl.col("character").is_null()).then(pl.lit("unknown")).otherwise(pl.lit("named"))
    )
    names = label.filter(pl.col("subject_type") == "face").select(
        named.alias("name"), face_id="subject_id"
    )
    bins = np.digitize(face["size_px"].to_numpy(), SIZE_PX).tolist()
    height = pl.Series("height_px", [SIZES[i] for i in bins], dtype=pl.Enum(SIZES))
    return (
        face.select("face_id", height)
        .join(names, on="face_id")
        .group_by("height_px", "name")
        .agg(pl.len().alias("faces"))
        .sort("height_px", "name")
    )


def plot_sizes(face: pl.DataFrame, label: pl.DataFrame) -> ggplot:
    """How large the faces are, named and unknown, see `count_sizes`."""
    counts = count_sizes(face, label)
    if counts.is_empty():
        return style.nothing("no face was found")
    import plotnine as p9

    return (
        p9.ggplot(counts, p9.aes("height_px", "faces", fill="name"))
        + p9.geom_col(width=0.85)
        + p9.scale_fill_manual(values={"named": style.GOOD, "unknown": style.BAD})
        + p9.scale_x_discrete(name="height of the face in pixels", limits=SIZES)
        + p9.scale_y_continuous(breaks=style.whole)
        + p9.labs(title="How large the faces are")
        + style.theme(2.6)
    )
