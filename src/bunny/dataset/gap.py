"""Gaps of a training set, and the dropped views of the same film that would fill them.

Works on the tables `candidate` and `dataset` alone. Look-alikes of chosen views are no way to fill
a gap: they would add nothing.
"""

from __future__ import annotations

import math

import polars as pl

from bunny.dataset import coverage

MIN_EVEN_SHARE = 0.5  # of what an even spread would give a value; below it there is a gap
POSE_AND_SIZE = (
    "pose and size"  # an axis of cells; only those are named that no gap of one axis explains
)
ORDER = (*coverage.AXES, POSE_AND_SIZE)
FILTER_SETTING = {  # reason of the filter, which begins a filtered view's detail
    "blurred": "filtering.blur_threshold",
    "smeared": "filtering.max_smear",
    "blocky": "filtering.max_blockiness",
    "dark": "filtering.min_brightness",
    "bright": "filtering.max_brightness",
    "flat": "filtering.min_contrast",
    "subtitled": "filtering.max_subtitle_share",
    "duplicate": "filtering.duplicate_distance",
    "batch": "filtering.keep_best_per_batch",
    "black": "filtering.drop_kinds",
    "blank": "filtering.drop_kinds",
    "title": "filtering.drop_kinds",
    "credit": "filtering.drop_kinds",
}
SETTING = {
    "doubtful": "dataset.min_confidence",
    "small": "dataset.min_subject_px",
    "soft": "dataset.min_subject_sharpness",
    "surplus": "models.max_images",
}
NAMED_SETTING = r"\b((?:dataset|detection|filtering|models)\.[a-z_]+)"  # inside a detail
SET_FULL = "were wanted"  # ends the detail of views for which there was no room
AGAINST_ANOTHER = "second best"  # a doubtful view's detail when no setting of the set dropped it
SCHEMA = {
    "character": pl.String,
    "axis": pl.String,
    "value": pl.String,
    "num_pictures": pl.Int64,
    "num_wanted": pl.Int64,
    "num_seen": pl.Int64,
    "shot_index": pl.Int32,
    "timestamp_s": pl.Float64,
    "reason": pl.String,
    "detail": pl.String,
    "setting": pl.String,
    "num_dropped": pl.Int64,
    "subject_id": pl.String,
}


def find_gaps(candidate: pl.DataFrame, dataset: pl.DataFrame) -> pl.DataFrame:
    """List what a set has too little of and who was dropped that would fill it.

    Parameters
    ----------
    candidate, dataset : pl.DataFrame
        Tables of those names, of any number of characters.

    Returns
    -------
    pl.DataFrame
        A row for each gap, shot and reason, the widest gap first and in it the shot with most:

        - `character`, `axis` (pose, shot_size, place, light, pose and size), `value`;
        - `num_pictures` in the set, `num_wanted`, `num_seen`: views of the film, dropped or not;
        - `shot_index`, `timestamp_s`, `reason`, `detail`, `num_dropped`, `subject_id`: of views
          that were dropped, time and detail those of the sharpest; null where there are none;
        - `setting`: the key that would bring them in; null when none would.

    Notes
    -----
    Wanted is half of an even share of the pictures whose value is known, over all values of pose,
    size and light, whether the film shows them or not; one picture of each place that the
    character is seen in; and one of each pose and size of which both are there. Sizes are those of
    the crops in the set, and of the film's framing in the candidates.
    """
    parts = [
        _gaps_of(name, views, dataset.filter(pl.col("character") == name))
        for (name,), views in sorted(candidate.partition_by("character", as_dict=True).items())
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def _gaps_of(name: str, candidate: pl.DataFrame, dataset: pl.DataFrame) -> pl.DataFrame:
    """Gaps of one character."""
    views = with_words(candidate)
    shown = with_words(coverage.pictures(dataset))
    cells = _cells(views, shown).filter(pl.col("num_pictures") < pl.col("num_wanted"))
    filling = _filling(views)
    rows = cells.join(filling, on=("axis", "value"), how="left", maintain_order="left")
    single = rows.filter(pl.col("axis") != POSE_AND_SIZE)
    known = single.select("axis", "value").unique()
    both = rows.filter(pl.col("axis") == POSE_AND_SIZE, pl.col("setting").is_not_null()).filter(
        ~_is_explained(known)
    )
    return (
        pl.concat([single, both])
        .with_columns(
            pl.lit(name).alias("character"),
            pl.col("num_dropped").fill_null(0),
            place_in_order=pl.col("axis").replace_strict({a: i for i, a in enumerate(ORDER)}),
            has_setting=pl.col("setting").is_not_null(),
        )
        .sort(
            pl.col("num_pictures") / pl.col("num_wanted"),
            "place_in_order",
            "rank",
            "has_setting",
            "num_dropped",
            "shot_index",
            "reason",
            descending=[False, False, False, True, True, False, False],
        )
        .select(pl.col(column).cast(dtype) for column, dtype in SCHEMA.items())
    )


def with_words(table: pl.DataFrame) -> pl.DataFrame:
    """Values of every axis as words, null where they are not known."""
    pose = pl.col("pose").cast(pl.String).replace(coverage.UNKNOWN, None)
    size = pl.col("shot_size").cast(pl.String)
    light = pl.col("light").cast(pl.String).replace(coverage.UNKNOWN, None)
    place = pl.col("place").replace(coverage.NO_PLACE, None)
    return table.with_columns(
        pose=pose, shot_size=size, light=light, place=place, **{POSE_AND_SIZE: pose + ", " + size}
    )


def _cells(views: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Each value of each axis: how many pictures there are, are wanted, and views the film has."""
    rows = []
    for axis in ORDER:
        values = _values(axis, views, shown)
        have, seen = _count(shown, axis), _count(views, axis)
        fair = math.ceil(MIN_EVEN_SHARE * sum(have.values()) / max(1, len(values)))
        wanted = 1 if axis in ("place", POSE_AND_SIZE) else max(1, fair)
        rows += [
            (axis, value, rank, have.get(value, 0), wanted, seen.get(value, 0))
            for rank, value in enumerate(values)
        ]
    numbers = ("rank", "num_pictures", "num_wanted", "num_seen")
    schema = pl.Schema({"axis": pl.String, "value": pl.String, **dict.fromkeys(numbers, pl.Int64)})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _values(axis: str, views: pl.DataFrame, shown: pl.DataFrame) -> list[str]:
    """What may be wanted of an axis: nothing where the views do not tell."""
    present = {*views[axis].drop_nulls(), *shown[axis].drop_nulls()}
    if not present or axis == "place":
        return sorted(present)
    if axis in ("pose", POSE_AND_SIZE) and not coverage.has_pose(views):
        return []
    if axis == POSE_AND_SIZE:
        return [f"{p}, {s}" for p in coverage.POSE for s in coverage.VALUE["shot_size"]]
    return list(coverage.VALUE[axis])


def _count(table: pl.DataFrame, axis: str) -> dict[str, int]:
    return dict(table.drop_nulls(axis).group_by(axis).len().iter_rows())


def _filling(views: pl.DataFrame) -> pl.DataFrame:
    """Dropped views that are no look-alikes, by value, shot and reason."""
    dropped = (
        views.filter(~pl.col("is_chosen"), pl.col("reason") != "duplicate")
        .with_columns(pl.col("reason").cast(pl.String), setting=_setting())
        .sort("sharpness", "confidence", "subject_id", descending=[True, True, False],
              nulls_last=True)
    )  # fmt: skip
    keys = ("axis", "value", "shot_index", "reason", "setting")
    return (
        pl.concat(
            [
                dropped.drop_nulls(axis).with_columns(axis=pl.lit(axis), value=pl.col(axis))
                for axis in ORDER
            ]
        )
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("timestamp_s", "detail", "subject_id").first(),
            num_dropped=pl.len().cast(pl.Int64),
        )
    )


def _setting() -> pl.Expr:
    """The key that dropped a view: as its detail names it, or by reason."""
    reason, detail = pl.col("reason").cast(pl.String), pl.col("detail")
    by_filter = detail.str.extract(r"^(\w+)").replace_strict(FILTER_SETTING, default=None)
    return (
        pl.when(reason == "filtered")
        .then(by_filter)
        .when(detail.str.ends_with(SET_FULL))
        .then(pl.lit(SETTING["surplus"]))
        .when((reason == "doubtful") & detail.str.contains(AGAINST_ANOTHER, literal=True))
        .then(None)
        .otherwise(
            pl.coalesce(
                detail.str.extract(NAMED_SETTING),
                reason.replace_strict(SETTING, default=None, return_dtype=pl.String),
            )
        )
    )


def _is_explained(known: pl.DataFrame) -> pl.Expr:
    """Whether a cell of pose and size lacks what a gap of one axis names already."""
    gaps = set(known.iter_rows())
    pose, size = (pl.col("value").str.split(", ").list.get(i) for i in (0, 1))
    return pose.is_in([v for a, v in gaps if a == "pose"]) | size.is_in(
        [v for a, v in gaps if a == "shot_size"]
    )
