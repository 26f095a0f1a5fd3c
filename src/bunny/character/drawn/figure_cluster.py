"""Clusters of unlabelled drawn figures (figure-01, ...).

As with unknown people, two figures in one group spoil a training set and one figure in two groups
is mended by a click. So two figures of one frame are one only where their boxes share it, and what
was seen shortly or weakly and never again is noise.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from bunny.character import cluster, track
from bunny.table.box import BOX

NOISE = cluster.NOISE
COVERED = 0.3  # share of the smaller box inside the other, from which two boxes are one figure
MIN_COVERED = 0.5  # share of a track's views that lie on a character before all of it is that one
MIN_VIEWS = 2  # of a track that is a group by itself
# Mean chance, over a track, that it shows a figure; a track with less is noise. On ten films with
# known boxes this removes 60 of 90 groups of places, and 40 of 41 characters have a group.
MIN_OBJECTNESS = 0.97
COSINE = "cosine"  # scale of the vectors' likeness; no recogniser of faces is called so


def uncovered(figure: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Figures with a vector that no named face or region covers.

    Returns
    -------
    pl.DataFrame
        Rows of `figure`, `track_id` filled: a figure that was not followed is its own track. A
        track is left out altogether where at least half of its views in frames with a character lie
        on that character.
    """
    track_id = pl.coalesce("track_id", "figure_id").alias("track_id")
    usable = figure.filter(pl.col("error").is_null()).drop_nulls("embedding").with_columns(track_id)
    named = label.drop_nulls("character").select("frame_id", "character", *BOX)
    both = usable.select("figure_id", "frame_id", "track_id", *BOX).join(
        named, on="frame_id", suffix="_other"
    )
    view = both.group_by("figure_id", "track_id", "character").agg(
        is_covered=(covered_share() >= COVERED).any()
    )
    own = view.filter("is_covered")["figure_id"].unique()
    share = view.group_by("track_id", "character").agg(pl.col("is_covered").mean().alias("share"))
    whole = share.filter(pl.col("share") >= MIN_COVERED)["track_id"].unique()
    return usable.filter(
        ~pl.col("figure_id").is_in(own.to_list()), ~pl.col("track_id").is_in(whole.to_list())
    ).sort("track_id", "figure_id")


def group_figures(
    figure: pl.DataFrame, *, threshold: float, method: str = "agglomerative"
) -> pl.DataFrame:
    """Group figures by their tracks.

    Parameters
    ----------
    figure : pl.DataFrame
        From `uncovered`.
    threshold : float
        Mean cosine of each with each inside a group, in [0, 1].
    method : {"agglomerative", "hdbscan"}

    Returns
    -------
    pl.DataFrame
        `figure_id`, `shot_index`, `group` (from 0, that of most views first; `NOISE` for none),
        `similarity` to the group's centroid (null for noise), in order of `track_id` and
        `figure_id`.

    Notes
    -----
    By `cluster.group_unknown`, whose threshold is the cosine to the centroid: in a large group that
    is the square root of the mean cosine of each with each.
    """
    figure = figure.sort("track_id", "figure_id")
    is_figure = pl.col("objectness").mean().over("track_id") >= MIN_OBJECTNESS
    found = _group_sure(figure.filter(is_figure), threshold, method).drop("shot_index")
    wanted = figure.select("figure_id", "shot_index")
    joined = wanted.join(found, on="figure_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("group").fill_null(NOISE))


def _group_sure(figure: pl.DataFrame, threshold: float, method: str) -> pl.DataFrame:
    """As `group_figures`, of tracks that surely show a figure."""
    if not figure.height:
        return cluster.join_groups(figure, "figure_id", cluster.NOBODY, *cluster.NO_GROUPS)
    number = figure["track_id"].rle_id().to_numpy().astype(np.int64)
    counts = np.bincount(number)
    objectness, starts = figure["objectness"].to_numpy(), np.r_[0, np.cumsum(counts)]
    tracks = cluster.UnknownTracks(
        embedding=cluster.track_vectors(track.embedding_array(figure), objectness, starts),
        num_faces=counts,
        recogniser=COSINE,
        apart=cannot_link(figure, number),
        is_enough=counts >= MIN_VIEWS,
    )
    least = max(0.0, threshold) ** 0.5
    found = cluster.group_unknown(tracks, least, method=method, twin=np.inf)
    return cluster.join_groups(figure, "figure_id", number, *found)


def cannot_link(figure: pl.DataFrame, number: np.ndarray) -> np.ndarray:
    """Pairs (p, 2) of tracks that are two figures of one frame, each once, the lower number first.

    Parameters
    ----------
    figure : pl.DataFrame
        Rows of table `figure`.
    number : np.ndarray, shape (n,), int
        Which track each is of.
    """
    seen = figure.select("frame_id", *BOX, number=pl.Series(number))
    both = seen.join(seen, on="frame_id", suffix="_other")
    both = both.filter(pl.col("number") < pl.col("number_other"), covered_share() < COVERED)
    rows = both.select("number", "number_other").unique().sort("number", "number_other")
    return rows.to_numpy().astype(np.int64)


def covered_share() -> pl.Expr:
    """Area that boxes `x0_px`… and `x0_px_other`… share, in shares of the smaller, in [0, 1]."""
    wide = pl.min_horizontal("x1_px", "x1_px_other") - pl.max_horizontal("x0_px", "x0_px_other")
    high = pl.min_horizontal("y1_px", "y1_px_other") - pl.max_horizontal("y0_px", "y0_px_other")
    smaller = pl.min_horizontal(_area(""), _area("_other"))
    return (wide.clip(0) * high.clip(0) / smaller.clip(1e-6)).alias("shared")


def add_unlabelled_figures(label: pl.DataFrame, figure: pl.DataFrame) -> pl.DataFrame:
    """Table `label` with a nameless row for each figure that has none.

    Parameters
    ----------
    label, figure : pl.DataFrame
        Tables of those names; of `figure` those rows that are wanted.

    Returns
    -------
    pl.DataFrame
        The rows of `label`, then those of figures: subject_type region, character null. Confidence
        is that there is a figure at all.
    """
    more = figure.join(label, left_on="figure_id", right_on="subject_id", how="anti")
    return add_unlabelled_rows(label, more, "figure_id", pl.col("objectness"))


def add_unlabelled_rows(
    label: pl.DataFrame, more: pl.DataFrame, subject: str, confidence: pl.Expr
) -> pl.DataFrame:
    """Table `label` with a nameless row of type region for each of `more`, by id.

    Parameters
    ----------
    more : pl.DataFrame
        Columns `frame_id`, `shot_index`, those of a box and the ids.
    subject : str
        Column of the ids.
    confidence : pl.Expr
        Over `more`.
    """
    rows = more.sort(subject).select(
        subject_id=subject,
        subject_type=pl.lit("region"),
        character=pl.lit(None, pl.String),
        frame_id="frame_id",
        shot_index="shot_index",
        **{side: pl.col(side) for side in BOX},
        distance=pl.lit(None, pl.Float32),
        margin=pl.lit(None, pl.Float32),
        confidence=confidence,
        source=pl.lit("cluster"),
    )
    return pl.concat([label, rows.cast(label.schema).select(label.columns)])


def _area(suffix: str) -> pl.Expr:
    """Area of a box."""
    x0, y0, x1, y1 = (pl.col(side + suffix) for side in BOX)
    return (x1 - x0) * (y1 - y0)
