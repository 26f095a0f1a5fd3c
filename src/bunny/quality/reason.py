"""Reasons to drop a frame: thresholds, frame kinds, strictness, counts of what each removes."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import numpy as np
import polars as pl

from bunny.core.config import FilteringConfig, filter_preset
from bunny.quality import sharpness
from bunny.table import schema

KINDS = ("picture", "black", "blank", "title", "credit")

REASONS = tuple(cast(pl.Enum, schema.TABLE["quality"].columns()["reason"].dtype).categories)
KIND_COLUMNS = {"brightness", "dynamic_range", "background_share", "text_lines"}
CODE = {name: code for code, name in enumerate(REASONS)}

# Threshold to the column that it judges; `min_` and `blur_` ask for at least, `max_` for at most.
THRESHOLD_COLUMN = {
    "blur_threshold": "blur_score",
    "min_brightness": "brightness",
    "max_brightness": "brightness",
    "min_contrast": "contrast",
    "max_smear": "smear",
    "max_blockiness": "blockiness",
    "max_subtitle_share": "subtitle_share",
}


# What `blur_score` does not see; fitted by test/bench/bench_blur.py.
SMEAR_FREE, SMEAR_FULL = 0.2, 0.5  # pictures that nothing moved in have less; more says no more
SMEAR_WEIGHT = 3.0  # of what is above, as a fall of the score's log odds
SIZE_POWER = 2.0  # of the odds: a picture smaller than the working size is measured unshrunk
LEAST_SIDE = 320  # pixels; no smaller ones were fitted to
FAINT, LEAST_CONTRAST = 0.12, 0.03  # contrast: five in a hundred sharp frames have less than FAINT
SIZE_COLUMNS = {f"content_{side}_px" for side in ("x0", "y0", "x1", "y1")}


# Frames that are no picture; each number is the last that counts as one.
MAX_BLACK_BRIGHTNESS = 0.06  # video black is 0; noise and fades leave a little
MAX_FLAT_RANGE = 0.08  # dynamic_range: 20 grey levels, less than anything shown
MIN_BLANK_BACKGROUND = 0.98  # background_share of one colour all over
MIN_CARD_BACKGROUND = 0.9  # background_share beside the text; pictures had up to 0.8
MIN_CREDIT_LINES = 5  # a title card has fewer
MIN_CREDIT_BACKGROUND = 0.7  # so many lines need less of a ground, e.g. a gradient
MIN_LINES_OVER_PICTURE = 8  # so much text is credits, whatever lies behind it


def kind_expr() -> pl.Expr:
    """Kind of each frame from the columns of table `measure`.

    Black and blank frames have next to no range and no text; a title or credits are text on a
    ground of one colour, several lines on one that is mostly so, or very many on any ground. A
    card with few lines on a gradient or a picture stays a picture: `text_share` tells of it.

    Returns
    -------
    pl.Expr
        Column `kind`, `Enum(picture, black, blank, title, credit)`; null for frames without
        measures. Reads brightness, dynamic_range, background_share and text_lines.
    """
    lines, ground = pl.col("text_lines"), pl.col("background_share")
    is_flat = (pl.col("dynamic_range") <= MAX_FLAT_RANGE) & (lines == 0)
    is_card = (lines > 0) & (ground >= MIN_CARD_BACKGROUND)
    is_black = is_flat & (pl.col("brightness") <= MAX_BLACK_BRIGHTNESS)
    is_blank = is_flat & (ground >= MIN_BLANK_BACKGROUND)
    is_list = (lines >= MIN_CREDIT_LINES) & (ground >= MIN_CREDIT_BACKGROUND)
    is_credit = is_list | (lines >= MIN_LINES_OVER_PICTURE)
    return (
        pl.when(pl.any_horizontal(is_black.is_null(), is_card.is_null()))
        .then(None)
        .when(is_black)
        .then(pl.lit("black"))
        .when(is_blank)
        .then(pl.lit("blank"))
        .when(is_credit)
        .then(pl.lit("credit"))
        .when(is_card)
        .then(pl.lit("title"))
        .otherwise(pl.lit("picture"))
        .cast(pl.Enum(KINDS))
        .alias("kind")
    )


def sharpness_expr(columns: Collection[str]) -> pl.Expr:
    """Sharpness by which a frame is judged: `blur_score` corrected for what it does not see.

    Edges along a motion stay sharp and keep the score up; a picture whose longest side is below
    480 px is measured as it is, so that the same blur counts as less than in a larger one; mist
    and fades lower the score as if they were blur. The odds s / (1 - s) of the score are multiplied
    by exp(-3 m), where m is what `smear` has between 0.2 and 0.5, by (side / 480) squared for
    smaller pictures, at least by 0.44, and by 0.12 / `contrast` for fainter ones, at most by 4.

    Parameters
    ----------
    columns : collection of str
        Of the table `measure`; a correction whose columns are missing is left out.

    Returns
    -------
    pl.Expr
        Column `sharpness`, Float32 in [0, 1]; equal to `blur_score` where there is nothing to
        correct, null where that is.
    """
    score, factor = pl.col("blur_score"), pl.lit(1.0)
    if "contrast" in columns:
        factor = factor * FAINT / pl.col("contrast").fill_null(FAINT).clip(LEAST_CONTRAST, FAINT)
    if "smear" in columns:
        excess = pl.col("smear").fill_null(0).clip(SMEAR_FREE, SMEAR_FULL) - SMEAR_FREE
        factor = factor * (-SMEAR_WEIGHT * excess).exp()
    if set(columns) >= SIZE_COLUMNS:
        sides = (pl.col(f"content_{axis}1_px") - pl.col(f"content_{axis}0_px") for axis in "xy")
        side = pl.max_horizontal(*sides).clip(LEAST_SIDE, sharpness.WORKING_PX)
        factor = factor * (side / sharpness.WORKING_PX).fill_null(1) ** SIZE_POWER
    judged = factor * score / (1 - score + factor * score)
    return pl.when(factor != 1).then(judged).otherwise(score).cast(pl.Float32).alias("sharpness")


def _frame_reasons(filtering: FilteringConfig, columns: list[str]) -> list[tuple[str, pl.Expr]]:
    """Reasons in their order, and when each holds."""
    tests = (
        ("dark", "brightness", pl.col("brightness") < filtering.min_brightness),
        ("bright", "brightness", pl.col("brightness") > filtering.max_brightness),
        ("flat", "contrast", pl.col("contrast") < filtering.min_contrast),
        ("blurred", "blur_score", sharpness_expr(columns) < filtering.blur_threshold),
        ("smeared", "smear", pl.col("smear") > filtering.max_smear),
        ("blocky", "blockiness", pl.col("blockiness") > filtering.max_blockiness),
        ("subtitled", "subtitle_share", pl.col("subtitle_share") > filtering.max_subtitle_share),
    )
    kinds = filtering.drop_kinds if set(columns) >= KIND_COLUMNS else ()
    return [
        ("unreadable", is_unreadable()),
        *((name, kind_expr() == name) for name in kinds),
        *((name, holds) for name, column, holds in tests if column in columns),
    ]


def first_reason_code(filtering: FilteringConfig, columns: list[str]) -> pl.Expr:
    """The first reason that holds, UInt8 into `REASONS`; columns as of `_frame_reasons`."""
    codes = [
        pl.when(holds).then(pl.lit(CODE[name], pl.UInt8))
        for name, holds in _frame_reasons(filtering, columns)
    ]
    return pl.coalesce(*codes, pl.lit(CODE["kept"], pl.UInt8)).alias("code")


def is_unreadable() -> pl.Expr:
    """Whether nothing was measured on a frame."""
    return pl.col("error").is_not_null() | pl.col("blur_score").is_null()


def measure_strictness(measure: pl.DataFrame, without: frozenset[str] = frozenset()) -> np.ndarray:
    """The highest strictness at which every threshold still lets a frame pass.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`.
    without : frozenset of str
        Thresholds that are left out.

    Returns
    -------
    np.ndarray, shape (rows,), float64
        In [-1, 3]; NaN where nothing was measured.
    """
    found = np.full(measure.height, filter_preset.HIGHEST)
    for key, column in THRESHOLD_COLUMN.items():
        if key not in without and column in measure.columns:
            judged = sharpness_expr(measure.columns) if column == "blur_score" else pl.col(column)
            values = measure.select(judged.cast(pl.Float64)).to_series().to_numpy()
            found = np.fmin(found, highest_strictness(key, values))
    is_unreadable = measure["blur_score"].is_null().to_numpy()
    found[is_unreadable] = np.nan
    return found


def highest_strictness(key: str, values: np.ndarray) -> np.ndarray:
    """The highest strictness at which values pass one threshold.

    Parameters
    ----------
    key : str
        A key of `filter_preset.THRESHOLD_CURVE`.
    values : np.ndarray, shape (n,), float64
        NaN passes at every strictness.

    Returns
    -------
    np.ndarray, shape (n,), float64
        In [-1, 3]; of equal thresholds the highest strictness.
    """
    nodes = np.array(filter_preset.THRESHOLD_CURVE[key])
    if key.startswith("max_"):
        nodes, values = -nodes, -values
    levels = np.arange(nodes.size) + filter_preset.LOWEST
    found = np.interp(values, nodes, levels)
    return np.where(np.isnan(values), filter_preset.HIGHEST, found)


def count_losses(measure: pl.DataFrame, filtering: FilteringConfig) -> pl.DataFrame:
    """Count the frames that each reason of their own leaves out.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`.

    Returns
    -------
    pl.DataFrame
        `reason` (all but kept, duplicate and batch), `num_failed` (frames for which it holds) and
        `num_alone` (those for which no other does: what loosening this threshold would give back).
    """
    tests = _frame_reasons(filtering, measure.columns)
    holds = measure.select(expr.fill_null(False).alias(name) for name, expr in tests)
    number = holds.select(n=pl.sum_horizontal(pl.all().cast(pl.UInt8))).to_series()
    return pl.DataFrame(
        {
            "reason": holds.columns,
            "num_failed": [int(holds[name].sum()) for name in holds.columns],
            "num_alone": [int((holds[name] & (number == 1)).sum()) for name in holds.columns],
        },
        schema={"reason": pl.String, "num_failed": pl.Int64, "num_alone": pl.Int64},
    )
