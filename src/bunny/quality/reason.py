"""What can be wrong with a frame by itself: thresholds, and the reason that each gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import polars as pl

from bunny.quality import frame_kind

REASONS = (
    *("kept", "blurred", "dark", "bright", "flat", "duplicate", "batch", "unreadable"),
    *("black", "blank", "title", "credit", "smeared", "blocky", "subtitled"),
)
NO_PICTURE = ("black", "blank", "title", "credit")  # kinds of frame that may be dropped
KIND_COLUMNS = {"brightness", "dynamic_range", "background_share", "text_lines"}
CODE = {name: code for code, name in enumerate(REASONS)}


@dataclass(frozen=True, kw_only=True)
class QualityThreshold:
    """What a frame needs to be kept; each number is the last that is still good."""

    blur_threshold: float = 0.2  # least blur_score
    min_brightness: float = 0.06
    max_brightness: float = 0.96
    min_contrast: float = 0.03
    max_smear: float = 1.0  # 1: off, as the next two
    max_blockiness: float = 1.0
    max_subtitle_share: float = 1.0
    drop_kinds: tuple[str, ...] = NO_PICTURE
    duplicate_distance: int = 4  # bits; up to this two frames may be the same picture
    duplicate_structure: float = 0.9  # and from this similarity on they are
    batch_size: int = 1  # neighbouring frames of which the best stay; 1: all
    keep_best_per_batch: int = 1


def threshold_of(settings: Mapping[str, Any]) -> QualityThreshold:
    """Take the thresholds from settings of `filtering`; other keys are left aside."""
    names = {field.name for field in fields(QualityThreshold)}
    found = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k in names}
    return QualityThreshold(**found)


def own_reasons(threshold: QualityThreshold, columns: list[str]) -> list[tuple[str, pl.Expr]]:
    """Reasons in their order, and when each holds.

    Parameters
    ----------
    columns : list of str
        Of the table `measure`; a threshold whose column is missing is left out.
    """
    tests = (
        ("dark", "brightness", pl.col("brightness") < threshold.min_brightness),
        ("bright", "brightness", pl.col("brightness") > threshold.max_brightness),
        ("flat", "contrast", pl.col("contrast") < threshold.min_contrast),
        ("blurred", "blur_score", pl.col("blur_score") < threshold.blur_threshold),
        ("smeared", "smear", pl.col("smear") > threshold.max_smear),
        ("blocky", "blockiness", pl.col("blockiness") > threshold.max_blockiness),
        ("subtitled", "subtitle_share", pl.col("subtitle_share") > threshold.max_subtitle_share),
    )
    kinds = threshold.drop_kinds if set(columns) >= KIND_COLUMNS else ()
    return [
        ("unreadable", is_unreadable()),
        *((name, frame_kind.kind_expr() == name) for name in kinds),
        *((name, holds) for name, column, holds in tests if column in columns),
    ]


def own_code(threshold: QualityThreshold, columns: list[str]) -> pl.Expr:
    """The first reason that holds, UInt8 into `REASONS`; columns as of `own_reasons`."""
    codes = [
        pl.when(holds).then(pl.lit(CODE[name], pl.UInt8))
        for name, holds in own_reasons(threshold, columns)
    ]
    return pl.coalesce(*codes, pl.lit(CODE["kept"], pl.UInt8)).alias("code")


def is_unreadable() -> pl.Expr:
    """Whether nothing was measured on a frame."""
    return pl.col("error").is_not_null() | pl.col("blur_score").is_null()
