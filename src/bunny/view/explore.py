"""What thresholds would decide, from stored measures alone; widgets and notebooks show it.

The decisions are those of the stages: the same pure functions over the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import drawn
from bunny.character import label as naming
from bunny.quality import solve
from bunny.scene import cluster as grouping
from bunny.table import store

UNKNOWN = "unknown"
NO_SCENE = "no scene"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the naming of faces and figures is decided from."""

    face: pl.DataFrame
    tracks: list[dict]
    region: pl.DataFrame
    cast: naming.Cast
    num_frames: pl.DataFrame  # by shot


def read_seen(folder: Path) -> Seen:
    """Read the tables of stage detect; each may be missing."""
    table = {n: store.read_or_empty(folder, n) for n in ("frame", "face", "region", "reference")}
    face = table["face"].filter(pl.col("error").is_null(), pl.col("track_id").is_not_null())
    counts = table["frame"].filter(pl.col("file").is_not_null()).group_by("shot_index")
    return Seen(
        face=face,
        tracks=store.read_or_empty(folder, "track").to_dicts(),
        region=table["region"].drop("support", strict=False),  # voted anew at each threshold
        cast=naming.read_cast(table["reference"]),
        num_frames=counts.agg(pl.len().alias("num_frames")),
    )


def judge_quality(measure: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    """Apply `filtering` settings to measures.

    Parameters
    ----------
    measure : pl.DataFrame
        Table measure, or quality without its decision.
    settings : mapping
        Keys of the section `filtering`.

    Returns
    -------
    pl.DataFrame
        With the columns that table quality has more than table measure.
    """
    return solve.judge(measure, settings)[0]


def judge_labels(seen: Seen, settings: Mapping[str, Any]) -> pl.DataFrame:
    """Name faces and figures under thresholds of `detection`; gives a table label."""
    keys = ("similarity_threshold", "min_margin", "drawn_threshold", "drawn_margin")
    setting = naming.LabelSetting(**{key: settings[key] for key in keys})
    votes = drawn.vote(
        seen.region.lazy(), seen.num_frames.lazy(), min_margin=setting.drawn_margin
    ).collect()
    rows = naming.decide(seen.face, seen.tracks, votes, seen.cast, setting)
    return store.from_rows("label", rows)


def count_names(label: pl.DataFrame) -> dict[str, int]:
    """Count faces and figures by name, unknown ones last."""
    rows = label.group_by(pl.col("character").fill_null(UNKNOWN)).len().iter_rows()
    return dict(sorted(rows, key=lambda kv: (kv[0] == UNKNOWN, -kv[1], kv[0])))


def changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Subjects whose name differs: `subject_id`, `before`, `after`.

    A figure that is in one of the tables only counts as unknown in the other.
    """
    both = before.select("subject_id", before="character").join(
        after.select("subject_id", after="character"), on="subject_id", how="full", coalesce=True
    )
    return both.filter(pl.col("before").ne_missing(pl.col("after"))).sort("subject_id")


def judge_scenes(
    frame: pl.DataFrame, embedding: pl.DataFrame, settings: Mapping[str, Any]
) -> pl.DataFrame:
    """Assign pictures to scenes under thresholds of `clustering`.

    Returns
    -------
    pl.DataFrame
        `frame_id`, `file`, `timestamp_s`, `scene` ("no scene" for noise), `similarity`, in film
        order.
    """
    join = settings["scene_threshold"]
    threshold = grouping.SceneThreshold(join=join, noise=min(settings["noise_threshold"], join))
    known = frame.join(embedding.drop_nulls("vector"), on="frame_id").sort(
        "frame_index", "frame_id"
    )
    vector = np.array(known["vector"].to_list(), dtype=np.float32)
    found = grouping.assign(vector, threshold)
    names = [NO_SCENE if c == grouping.NOISE else f"scene-{c + 1:03d}" for c in found.cluster]
    return known.select("frame_id", "file", "timestamp_s").with_columns(
        scene=pl.Series(names, dtype=pl.String),
        similarity=pl.Series(found.similarity, dtype=pl.Float32),
    )


def count_scenes(scenes: pl.DataFrame) -> dict[str, int]:
    """Count scenes, pictures in them, and pictures in none."""
    named = scenes.filter(pl.col("scene") != NO_SCENE)
    return {
        "scenes": named["scene"].n_unique(),
        "pictures in them": named.height,
        "in none": scenes.height - named.height,
    }
