"""Drawn figures that nobody surely is: offered to people, who know them at sight.

Stage detect looks for each drawn character everywhere and names what is surely one. Of the rest,
tracks that stage cluster found strong enough to describe are figures more often than not: of nine
such in the sample all show one (two the character that was looked for, three another one of the
cast, four one without references or hardly to be seen). They lie in the noise bucket; only what a
person puts into a character reaches the tables of later stages.
"""

from collections.abc import Mapping

import polars as pl

BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]
COVERED = 0.3  # share of the smaller box inside the other, from which two boxes are one figure


def with_missed(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Table `label` with a nameless row for each described view of a figure without a label.

    Parameters
    ----------
    tables : mapping
        Tables label, region, subject_vector and reference.

    Returns
    -------
    pl.DataFrame
        The rows of `label`, then those of regions: character null, confidence 0. Left out are
        tracks that share a figure with a labelled face or region or with a more similar track,
        and candidates that are known by their faces alone.
    """
    label, region = tables["label"], tables["region"]
    drawn = tables["reference"].filter(pl.col("route") == "region")["character"].unique()
    named = label.join(region, left_on="subject_id", right_on="region_id")["track_id"].drop_nulls()
    views = (
        region.join(
            tables["subject_vector"].drop_nulls("vector").select(region_id="subject_id"),
            on="region_id",
            how="semi",
        )
        .drop_nulls("track_id")
        .filter(
            pl.col("candidate").is_in(drawn.to_list()),
            ~pl.col("track_id").is_in(named.unique().to_list()),
        )
    )
    free = _uncovered(views, label.drop_nulls("character"))
    rows = free.sort("region_id").select(
        subject_id="region_id",
        subject_type=pl.lit("region"),
        character=pl.lit(None, pl.String),
        frame_id="frame_id",
        shot_index="shot_index",
        **{side: pl.col(side) for side in BOX},
        distance=pl.lit(None, pl.Float32),
        margin=pl.lit(None, pl.Float32),
        confidence=pl.lit(0.0, pl.Float32),
        source=pl.lit("cluster"),
    )
    return pl.concat([label, rows.cast(dict(label.schema)).select(label.columns)])


def _uncovered(views: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Views of tracks that cover neither a labelled box nor the box of a stronger track."""
    taken = label.select("frame_id", *BOX, track_id=pl.lit(""))
    order = views.group_by("track_id").agg(pl.col("similarity").max())
    order = order.sort("similarity", "track_id", descending=[True, False])
    kept: list[str] = []
    for track_id in order["track_id"]:
        own = views.filter(pl.col("track_id") == track_id)
        if not _is_covered(own, taken):
            kept.append(track_id)
            taken = pl.concat([taken, own.select(taken.columns)])
    return views.filter(pl.col("track_id").is_in(kept))


def _is_covered(own: pl.DataFrame, taken: pl.DataFrame) -> bool:
    """Whether a box of one and a box of the other, in one frame, are the same figure's."""
    both = own.select("frame_id", *BOX).join(taken, on="frame_id", suffix="_other")
    wide = pl.min_horizontal("x1_px", "x1_px_other") - pl.max_horizontal("x0_px", "x0_px_other")
    high = pl.min_horizontal("y1_px", "y1_px_other") - pl.max_horizontal("y0_px", "y0_px_other")
    smaller = pl.min_horizontal(_area(""), _area("_other"))
    shared = wide.clip(0) * high.clip(0) / smaller.clip(1e-6)
    return bool((both.select(shared.alias("shared"))["shared"] >= COVERED).any())


def _area(suffix: str) -> pl.Expr:
    """Area of a box."""
    x0, y0, x1, y1 = (pl.col(side + suffix) for side in BOX)
    return (x1 - x0) * (y1 - y0)
