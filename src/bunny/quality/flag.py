"""Which frames are good enough: thresholds applied to stored measures, no pixel is read."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.quality import duplicate

REASONS = ("kept", "blurred", "dark", "bright", "flat", "duplicate", "batch", "unreadable")


@dataclass(frozen=True, kw_only=True)
class QualityThreshold:
    """What a frame needs to be kept; each number is the last that is still good."""

    blur_threshold: float = 0.2  # least blur_score
    min_brightness: float = 0.06
    max_brightness: float = 0.96
    min_contrast: float = 0.03
    duplicate_distance: int = 4  # bits; up to this two frames are the same picture
    batch_size: int = 1  # neighbouring frames of which the sharpest stay; 1: all
    keep_best_per_batch: int = 1


def flag(measure: pl.LazyFrame, threshold: QualityThreshold) -> pl.LazyFrame:
    """Add `is_kept`, `reason` and `duplicate_of` to measures.

    The first reason that holds is given, in the order unreadable, dark, bright, flat, blurred,
    duplicate, batch. Duplicates are sought over the whole film among the frames that are good in
    themselves; batches are of `batch_size` neighbouring rows in the order of `frame_id`, and of
    each the sharpest `keep_best_per_batch` of the frames still in stay.

    Parameters
    ----------
    measure : pl.LazyFrame
        Columns of the table `measure`.
    threshold : QualityThreshold

    Returns
    -------
    pl.LazyFrame
        The same rows in the order of `frame_id`, with three more columns.
    """
    own = _own_reason(threshold)
    rows = measure.sort("frame_id").with_columns(reason=own)
    rows = rows.map_batches(
        lambda frame: _mark_duplicates(frame, threshold.duplicate_distance),
        schema=rows.collect_schema() | {"duplicate_of": pl.String},
        projection_pushdown=False,
        predicate_pushdown=False,
        slice_pushdown=False,
    )
    return _mark_batches(rows, threshold).with_columns(
        is_kept=pl.col("reason") == "kept", reason=pl.col("reason").cast(pl.Enum(REASONS))
    )


def count_reasons(flagged: pl.LazyFrame) -> pl.LazyFrame:
    """Count frames by reason: columns `reason` and `num_frames`, a row for each reason there is."""
    return (
        flagged.group_by(pl.col("reason").cast(pl.Enum(REASONS)))
        .agg(num_frames=pl.len().cast(pl.Int64))
        .sort("reason")
    )


def _own_reason(threshold: QualityThreshold) -> pl.Expr:
    """Judge a frame by itself."""
    is_unreadable = pl.col("error").is_not_null() | pl.col("blur_score").is_null()
    return (
        pl.when(is_unreadable)
        .then(pl.lit("unreadable"))
        .when(pl.col("brightness") < threshold.min_brightness)
        .then(pl.lit("dark"))
        .when(pl.col("brightness") > threshold.max_brightness)
        .then(pl.lit("bright"))
        .when(pl.col("contrast") < threshold.min_contrast)
        .then(pl.lit("flat"))
        .when(pl.col("blur_score") < threshold.blur_threshold)
        .then(pl.lit("blurred"))
        .otherwise(pl.lit("kept"))
    )


def _mark_duplicates(frame: pl.DataFrame, max_distance: int) -> pl.DataFrame:
    """Name the frame that stays beside those that go."""
    good = np.flatnonzero((frame["reason"] == "kept").to_numpy())
    phash = frame["phash"].fill_null(0).to_numpy()[good]
    score = frame["blur_score"].fill_null(0).to_numpy()[good]
    kept_by = good[duplicate.find_duplicates(phash, score, max_distance)]
    names, stays = frame["frame_id"].to_list(), [None] * frame.height
    for here, other in zip(good[kept_by != good], kept_by[kept_by != good], strict=True):
        stays[here] = names[other]
    of = pl.Series("duplicate_of", stays, dtype=pl.String)
    reason = pl.when(of.is_not_null()).then(pl.lit("duplicate")).otherwise(pl.col("reason"))
    return frame.with_columns(reason=reason).with_columns(of)


def _mark_batches(rows: pl.LazyFrame, threshold: QualityThreshold) -> pl.LazyFrame:
    """Let only the sharpest of each batch stay."""
    if threshold.batch_size <= 1:
        return rows
    batch = pl.int_range(pl.len()) // threshold.batch_size
    is_in = pl.col("reason") == "kept"
    score = pl.when(is_in).then(pl.col("blur_score"))
    rank = score.rank("ordinal", descending=True).over(batch)
    is_beaten = is_in & (rank > threshold.keep_best_per_batch)
    return rows.with_columns(
        reason=pl.when(is_beaten).then(pl.lit("batch")).otherwise(pl.col("reason"))
    )
