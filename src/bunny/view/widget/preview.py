"""Preview of what thresholds would decide, from stored measures alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import calibrate, film_calibration
from bunny.character import label as naming
from bunny.character.drawn import figure_label
from bunny.core.config import ClusteringConfig, DetectionConfig
from bunny.scene import cluster as grouping
from bunny.table import store

NO_SCENE = "no scene"


@dataclass(frozen=True, kw_only=True)
class PreviewTables:
    """Tables from which faces and figures are labelled."""

    face: pl.DataFrame
    tracks: list[dict]
    region: pl.DataFrame
    cast: naming.ReferenceSet
    num_frames: pl.DataFrame  # by shot
    is_learned: bool  # whether the stage learned from the film, see `study`


@dataclass(frozen=True, kw_only=True)
class PreviewComparison:
    """Similarity of the faces to the references; no threshold is in it."""

    face: naming.TrackSimilarity
    nearest: dict[str, str]  # the character that each track is most like
    learned: film_calibration.FilmCalibration | None


@dataclass(frozen=True, kw_only=True)
class PreviewDecision:
    """Decision under given thresholds."""

    label: pl.DataFrame  # rows of table label
    subject: pl.DataFrame  # columns `track_table.DECISION`: every face and every figure
    threshold: dict[str, float]  # that holds for "face", "figure" and "drawn figure"
    is_measured: bool  # whether the film moved that of faces


def read_tables(folder: Path) -> PreviewTables:
    """Read the tables of stage detect; each may be missing."""
    table = {n: store.read_or_empty(folder, n) for n in ("frame", "face", "region", "reference")}
    is_broken = pl.col("error").is_not_null()  # frames that could not be read
    broken = table["face"].filter(is_broken)["frame_id"].to_list()
    looked_at = pl.col("file").is_not_null() & ~pl.col("frame_id").is_in(broken)
    counts = table["frame"].filter(looked_at).group_by("shot_index")
    return PreviewTables(
        face=table["face"].filter(~is_broken, pl.col("track_id").is_not_null()),
        tracks=_tracks(store.read_or_empty(folder, "track")),
        region=table["region"],  # of windows the support is voted anew at each threshold
        cast=naming.read_reference_set(table["reference"]),
        num_frames=counts.agg(pl.len().alias("num_frames")),
        is_learned=store.read_or_empty(folder, "calibration").height > 0,
    )


def compare(seen: PreviewTables, wanted: DetectionConfig, seed: int = 0) -> PreviewComparison:
    """Compare faces with the references, once for all thresholds.

    Parameters
    ----------
    wanted : DetectionConfig
        Its `is_adapted` holds, thresholds do not matter.
    seed : int
        Of the settings.
    """
    learned = None
    if seen.is_learned and seen.face.height:
        learned = naming.calibrate_film(seen.face, seen.tracks, seen.cast, wanted, seed)
    found = naming.compare(seen.face, seen.tracks, seen.cast, learned)
    nearest: dict[str, str] = {}
    if found.names:
        best = found.similarity.argmax(axis=1).tolist()
        ids = [track["track_id"] for track in seen.tracks]
        nearest = {one: found.names[i] for one, i in zip(ids, best, strict=True)}
    return PreviewComparison(face=found, nearest=nearest, learned=learned)


def judge(
    seen: PreviewTables, compared: PreviewComparison, wanted: DetectionConfig
) -> PreviewDecision:
    """Decide as stage detect does, by the same functions over the same tables.

    Parameters
    ----------
    compared : PreviewComparison
        From `compare`.
    """
    votes = naming.vote(seen.region, seen.num_frames, wanted)
    learned = _recalibrate(compared, wanted)
    label = naming.decide_compared(compared.face, votes, seen.cast, wanted, learned)
    face = naming.face_threshold(wanted, learned)
    figure = naming.figure_threshold(votes, seen.cast, wanted)
    subjects = [_faces(label, face, wanted.min_margin), _figures(label, votes, figure, wanted)]
    return PreviewDecision(
        label=label,
        subject=pl.concat(subjects, how="vertical_relaxed"),
        threshold={"face": face, "figure": figure, "drawn figure": wanted.figure_score},
        is_measured=face != wanted.similarity_threshold,
    )


def judge_scenes(
    frame: pl.DataFrame, embedding: pl.DataFrame, settings: Mapping[str, Any]
) -> pl.DataFrame:
    """Assign pictures to scenes under thresholds and the method (if given) of `clustering`.

    Returns
    -------
    pl.DataFrame
        `frame_id`, `file`, `timestamp_s`, `scene` ("no scene" for noise), `similarity`, in film
        order.
    """
    known = frame.join(embedding.drop_nulls("vector"), on="frame_id").sort(
        "frame_index", "frame_id"
    )
    vector = np.array(known["vector"].to_list(), dtype=np.float32)
    found = grouping.group_frames(vector, ClusteringConfig(**settings))
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
        "pictures in scenes": named.height,
        "in no scene": scenes.height - named.height,
    }


def _tracks(track: pl.DataFrame) -> list[dict]:
    """Rows of table track with their vectors as arrays."""
    rows = track.drop("embedding").to_dicts()
    vectors = np.array(track["embedding"].to_list(), dtype=np.float32)
    return [row | {"embedding": vector} for row, vector in zip(rows, vectors, strict=True)]


def _recalibrate(
    compared: PreviewComparison, wanted: DetectionConfig
) -> film_calibration.FilmCalibration | None:
    """Calibration at another threshold; only who is taken for a stranger changes."""
    learned = compared.learned
    if learned is None or not compared.face.names:
        return learned
    pairs = learned.pair
    if learned.trial.adaptation is not None:
        pairs = pairs.with_columns(similarity="adapted_similarity")
    strangers = film_calibration.impostor_similarity(
        compared.face.similarity, wanted.similarity_threshold
    )
    return replace(learned, estimate=calibrate.estimate(pairs, strangers))


def _faces(label: pl.DataFrame, threshold: float, min_margin: float) -> pl.DataFrame:
    """Decision on each face, with its slack."""
    similarity = 1 - pl.col("distance")
    slack = pl.min_horizontal(similarity - threshold, pl.col("margin") - min_margin)
    return label.filter(pl.col("subject_type") == "face").select(
        "subject_id", "character", "margin", "confidence", similarity=similarity, slack=slack
    )


def _figures(
    label: pl.DataFrame, votes: pl.DataFrame, threshold: float, wanted: DetectionConfig
) -> pl.DataFrame:
    """The same of each place that a figure was looked for in; its support is what counts."""
    of_windows = pl.min_horizontal(
        pl.col("support") - threshold, pl.col("margin") - wanted.drawn_margin
    )
    of_figures = pl.col("support") - wanted.figure_score
    slack = pl.when(figure_label.is_figure()).then(of_figures).otherwise(of_windows)
    known = label.filter(pl.col("subject_type") == "region")
    return (
        votes.select("margin", subject_id="region_id", similarity="support", slack=slack)
        .join(
            known.select("subject_id", "character", "confidence"),
            on="subject_id",
            how="left",
            maintain_order="left",
        )
        .select("subject_id", "character", "margin", "confidence", "similarity", "slack")
    )
