"""Track table: one row a track with its name, slack and best picture.

What does not depend on thresholds (`list_subjects`) is made once; `describe` joins a decision to
it. A face's track is the face followed through its shot. A drawn figure is one character looked
for in one shot, or its track where detection followed it.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from bunny.character import track
from bunny.character.drawn import figure_label
from bunny.character.label import ReferenceSet
from bunny.table.box import BOX
from bunny.view.tile import UNKNOWN

EVERYBODY = "everybody"
SORTS = ("doubt", "size", "time")
NEAR = 0.15  # a nameless one that misses a name by more is no question about that name
SLACK_DIGITS = 6  # similarities are float32: what differs by less is the same

# What a decision says of each subject, see `preview.judge`.
DECISION = ("subject_id", "character", "similarity", "margin", "confidence", "slack")


def list_subjects(
    face: pl.DataFrame, region: pl.DataFrame, frame: pl.DataFrame, nearest: Mapping[str, str]
) -> pl.DataFrame:
    """All faces and figures with their track and place, the best view of each track first.

    Parameters
    ----------
    face, region : pl.DataFrame
        Rows of their tables.
    frame : pl.DataFrame
        Rows of `frame`, and of `extra_frame`, whose pictures are not stored.
    nearest : mapping of track_id to character
        The character that each track of faces is most like.

    Returns
    -------
    pl.DataFrame
        `subject_id`, `kind` (face, figure, drawn figure), `track_id`, `nearest`, `frame_id`,
        `shot_index`, `timestamp_s`, `file` (null: no picture stored), the box, `size_px` (its
        height). Those
        with a picture come before those without, within that the better view first.
    """
    quality = track.view_quality(
        *(face[c].to_numpy() for c in ("score", "yaw", "size_px", "sharpness"))
    )
    shared = ["frame_id", "shot_index", *BOX]
    faces = face.select(
        pl.lit("face").alias("kind"),
        "track_id",
        *shared,
        subject_id="face_id",
        nearest=pl.col("track_id").replace_strict(nearest, default=None, return_dtype=pl.String),
        view=pl.Series(quality, dtype=pl.Float32),
    )
    lane = pl.col("track_id").fill_null(pl.format("shot {}", "shot_index"))
    figures = region.select(
        pl.when(figure_label.is_figure())
        .then(pl.lit("drawn figure"))
        .otherwise(pl.lit("figure"))
        .alias("kind"),
        pl.format("{} {}", lane, "candidate").alias("track_id"),
        *shared,
        subject_id="region_id",
        nearest="candidate",
        view=pl.col("similarity").cast(pl.Float32),
    )
    places = frame.select("frame_id", "timestamp_s", "file")
    return (
        pl.concat([faces, figures.select(faces.columns)])
        .with_columns(size_px=(pl.col("y1_px") - pl.col("y0_px")).cast(pl.Float32))
        .join(places, on="frame_id", how="left", maintain_order="left")
        .sort(pl.col("file").is_null(), "view", "subject_id", descending=[False, True, False])
        .drop("view")
    )


def describe(subject: pl.DataFrame, decision: pl.DataFrame) -> pl.DataFrame:
    """One row a track.

    Parameters
    ----------
    subject : pl.DataFrame
        From `list_subjects`.
    decision : pl.DataFrame
        Columns `DECISION`, one row a subject.

    Returns
    -------
    pl.DataFrame
        `track_id`, `kind`, `character` (null: unknown), `nearest`, `shot_index`, `start_s`,
        `end_s`, `num_pictures`, `num_named`, `size_px`, `similarity`, `margin`, `confidence`,
        `slack`, `doubt` and the best view: `subject_id`, `file`, the box.

    Notes
    -----
    `slack` is by how much the similarity and the margin pass their thresholds, whichever passes by
    less; negative is a shortfall. `doubt` is 1 at the threshold and falls by as much as the slack
    grows; it is 1 too where the name does not follow from the thresholds: one lost to a likelier
    face of the same picture, or given because of a second witness.
    """
    both = subject.join(
        decision.select(DECISION), on="subject_id", how="inner", maintain_order="left"
    )
    tracks = both.group_by("track_id", maintain_order=True).agg(
        pl.first("kind", "nearest", "shot_index", "subject_id", "file", *BOX),
        pl.col("timestamp_s").min().alias("start_s"),
        pl.col("timestamp_s").max().alias("end_s"),
        pl.len().alias("num_pictures"),
        pl.col("character").count().alias("num_named"),
        pl.col("character").drop_nulls().first().alias("character"),
        pl.col("size_px", "similarity", "margin", "confidence", "slack").max(),
    )
    is_named = pl.col("character").is_not_null()
    follows = is_named == (pl.col("slack").round(SLACK_DIGITS) >= 0)
    doubt = 1 - pl.col("slack").abs().clip(0, 1)
    return tracks.with_columns(
        doubt=pl.when(follows | pl.col("slack").is_null()).then(doubt).otherwise(1.0)
    )


def select(tracks: pl.DataFrame, name: str = EVERYBODY, sort: str = "doubt") -> pl.DataFrame:
    """Rows of `describe` that concern one character, in order.

    Parameters
    ----------
    name : str
        A character: its tracks and the nameless ones that just miss its name. "unknown": those
        without a name. "everybody": all.
    sort : {"doubt", "size", "time"}
        The most doubtful, the largest or the earliest first.

    Raises
    ------
    ValueError
        If there is no such order.

    Notes
    -----
    A figure without a name is only a place that was compared; it counts as a question where it
    misses the name by less than `NEAR`.
    """
    if sort not in SORTS:
        raise ValueError(f"sort: expected one of {', '.join(SORTS)}, got {sort!r}")
    is_named = pl.col("character").is_not_null()
    is_near = pl.col("slack").fill_null(-1.0) > -NEAR
    rows = tracks.filter(is_named | (pl.col("kind") == "face") | is_near)
    if name == UNKNOWN:
        rows = rows.filter(~is_named)
    elif name != EVERYBODY:
        just_missed = ~is_named & is_near & (pl.col("nearest") == name)
        rows = rows.filter((pl.col("character") == name).fill_null(value=False) | just_missed)
    key = {"doubt": "doubt", "size": "size_px", "time": "start_s"}[sort]
    return rows.sort(
        key, "track_id", descending=[sort != "time", False], nulls_last=True, maintain_order=True
    )


def count(subject: pl.DataFrame, decision: pl.DataFrame) -> dict[str, tuple[int, int, int]]:
    """Frames, shots and tracks by character; faces without a name are "unknown", last."""
    named = decision.select("subject_id", "character").join(
        subject.select("subject_id", "kind", "frame_id", "shot_index", "track_id"), on="subject_id"
    )
    rows = (
        named.filter(pl.col("character").is_not_null() | (pl.col("kind") == "face"))
        .group_by(pl.col("character").fill_null(UNKNOWN))
        .agg(pl.col("frame_id", "shot_index", "track_id").n_unique())
    )
    order = sorted(rows.iter_rows(), key=lambda r: (r[0] == UNKNOWN, -r[1], r[0]))
    return {name: (frames, shots, tracks) for name, frames, shots, tracks in order}


def changed(subject: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Tracks that gain, lose or change a name between two decisions.

    Returns
    -------
    pl.DataFrame
        `track_id`, `before`, `after` (null: unknown), `kind` ("gains", "loses", "changes"),
        `num_pictures` and the best view of those that change: `subject_id`, `file`, the box,
        `timestamp_s`. The most pictures first.
    """
    names = before.select("subject_id", before="character").join(
        after.select("subject_id", after="character"), on="subject_id", how="full", coalesce=True
    )
    names = names.filter(pl.col("before").ne_missing(pl.col("after")))
    view = subject.drop("kind").join(names, on="subject_id", how="inner", maintain_order="left")
    kind = (
        pl.when(pl.col("before").is_null())
        .then(pl.lit("gains"))
        .when(pl.col("after").is_null())
        .then(pl.lit("loses"))
        .otherwise(pl.lit("changes"))
    )
    return (
        view.group_by("track_id", "before", "after", maintain_order=True)
        .agg(pl.first("subject_id", "file", "timestamp_s", *BOX), pl.len().alias("num_pictures"))
        .with_columns(kind=kind)
        .sort("num_pictures", "track_id", descending=[True, False], maintain_order=True)
    )


def names_of(cast: ReferenceSet, tracks: pl.DataFrame) -> list[str]:
    """Options of the character picker."""
    known = {*cast.face, *cast.drawn, *tracks["character"].drop_nulls().to_list()}
    return [EVERYBODY, *sorted(known), UNKNOWN]
