"""Precision and recall of labels against a known truth."""

from collections.abc import Collection

import polars as pl

MIN_VISIBLE_SHARE = 0.3  # who is hidden or faded more than this need not be found


def score_labels(
    label: pl.DataFrame,
    frame: pl.DataFrame,
    box_truth: pl.DataFrame,
    *,
    min_visible_share: float = MIN_VISIBLE_SHARE,
    characters: Collection[str] | None = None,
) -> pl.DataFrame:
    """Precision and recall of each character over frames.

    Parameters
    ----------
    frame : pl.DataFrame
        Table `frame` (or those of its rows that were looked at): which frames count.
    box_truth : pl.DataFrame
        Columns `frame_index`, `character` and, if there, `visible_share`: who is in each frame.
        A label is right when its character is in that frame with any visible share; a character
        is missed only when `visible_share` is at least `min_visible_share`.
    characters : collection of str, optional
        Who could be found at all, i.e. has a reference; others in the truth are left out. All by
        default.

    Returns
    -------
    pl.DataFrame
        `character`, `num_true`, `num_labelled`, `num_right`, `num_found`, `precision`, `recall`
        (null where there is nothing to divide by), one row a character seen or labelled, and a last
        row `all`.
    """
    if "visible_share" not in box_truth.columns:
        box_truth = box_truth.with_columns(visible_share=pl.lit(1.0))
    if characters is not None:
        box_truth = box_truth.filter(pl.col("character").is_in(list(characters)))
    seen = frame.select("frame_id", pl.col("frame_index").cast(pl.Int64))
    truth = (
        box_truth.with_columns(pl.col("frame_index").cast(pl.Int64))
        .join(seen, on="frame_index")
        .group_by("frame_id", "character")
        .agg(pl.col("visible_share").max())
    )
    said = (
        label.filter(pl.col("character").is_not_null())
        .select("frame_id", "character")
        .unique()
        .join(seen, on="frame_id", how="semi")
        .with_columns(is_labelled=pl.lit(True))
    )
    pair = truth.join(said, on=["frame_id", "character"], how="full", coalesce=True).with_columns(
        is_there=pl.col("visible_share").is_not_null(),
        is_due=(pl.col("visible_share") >= min_visible_share).fill_null(False),
        is_labelled=pl.col("is_labelled").fill_null(False),
    )
    each = pair.group_by("character").agg(*_counts()).sort("character")
    whole = pair.select(pl.lit("all").alias("character"), *_counts())
    return pl.concat([each, whole]).with_columns(
        precision=_ratio("num_right", "num_labelled"), recall=_ratio("num_found", "num_true")
    )


def _counts() -> list[pl.Expr]:
    due, there, labelled = pl.col("is_due"), pl.col("is_there"), pl.col("is_labelled")
    return [
        due.sum().cast(pl.Int64).alias("num_true"),
        labelled.sum().cast(pl.Int64).alias("num_labelled"),
        (labelled & there).sum().cast(pl.Int64).alias("num_right"),
        (labelled & due).sum().cast(pl.Int64).alias("num_found"),
    ]


def _ratio(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))
