"""Drawn figures that nobody surely is: offered to people, who know them at sight.

Stage detect looks for each drawn character everywhere and names what is surely one. Of the rest,
unknown figures of table `figure` lie in the groups that stage cluster gave them. Tracks of regions
that stage cluster found strong enough to describe are figures more often than not: of nine such in
the sample all show one (two the character that was looked for, three another one of the cast, four
one without references or hardly to be seen). They lie in the noise bucket. Only what a person puts
into a character reaches the tables of later stages.
"""

from collections.abc import Mapping

import polars as pl

from bunny.character.drawn import figure_cluster
from bunny.character.drawn.figure_cluster import BOX, COVERED

MIN_OBJECTNESS = figure_cluster.MIN_OBJECTNESS  # of a figure in no group, to be offered


def with_missed(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Table `label` with a nameless row for each view of a figure that no name covers.

    Parameters
    ----------
    tables : mapping
        Tables label, figure, cluster, region, subject_vector and reference.

    Returns
    -------
    pl.DataFrame
        The rows of `label`, those of unknown figures, then those of regions (confidence 0);
        character null. Left out are figures in no group that are weak and have no candidate; of
        regions, tracks that share a figure with a labelled face or region, with an unknown figure
        or with a more similar track, and candidates that are known by their faces alone.
    """
    label, region = tables["label"], tables["region"]
    shown = _figures(tables)
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
    boxes = [label.drop_nulls("character"), shown]
    free = _uncovered(views, pl.concat(one.select("frame_id", *BOX) for one in boxes))
    both = figure_cluster.with_figures(label, shown)
    return figure_cluster.with_nameless(both, free, "region_id", pl.lit(0.0))


def candidates(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Which character each nameless figure or region is more like than not.

    Parameters
    ----------
    tables : mapping
        Tables figure, region and label, the last one as `with_missed` gives it.

    Returns
    -------
    pl.DataFrame
        `subject_id`, `perhaps` (a character) and `chance` (above 0, without a scale): a figure's
        score, or by how much a region is more like its candidate than like any other.
    """
    figure = tables["figure"].select("candidate", subject_id="figure_id", chance="score")
    region = tables["region"].select("candidate", subject_id="region_id", chance="margin")
    nameless = tables["label"].filter(
        pl.col("character").is_null(), pl.col("subject_type") == "region"
    )
    both = pl.concat([figure, region]).drop_nulls("candidate").filter(pl.col("chance") > 0)
    return both.join(nameless, on="subject_id", how="semi").select(
        "subject_id", "chance", perhaps="candidate"
    )


def _figures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Uncovered figures, less tracks that are in no group, weak, and like nobody."""
    free = figure_cluster.uncovered(tables["figure"], tables["label"])
    grouped = tables["cluster"].filter(pl.col("level") == "unknown").drop_nulls("cluster_id")
    is_likely = pl.col("candidate").is_not_null() & (pl.col("score").fill_null(0) > 0)
    is_wanted = (
        pl.col("figure_id").is_in(grouped["item_id"].to_list())
        | (pl.col("objectness") >= MIN_OBJECTNESS)
        | is_likely
    )
    return free.filter(is_wanted.any().over("track_id"))


def _uncovered(views: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """Views of tracks that cover neither a box that is taken nor the box of a stronger track."""
    taken = taken.with_columns(track_id=pl.lit(""))
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
    return bool((both.select(figure_cluster.shared())["shared"] >= COVERED).any())
