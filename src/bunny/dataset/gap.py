"""Gaps of a training set, and the dropped views of the same film that would fill them.

Works on the tables `candidate` and `dataset` alone. Look-alikes of chosen views are no way to fill
a gap: they would add nothing.

What fills a gap is a shot of the same film, with the change that it needs: views that were left
out, look-alikes without the name, and shots of the character whose frames were looked at too far
apart for faces to be caught from every side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from bunny.dataset import addition, coverage
from bunny.dataset.addition import ANY_AXIS
from bunny.table import scalar

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
AXIS_OPTION = {"shot_size": "size", POSE_AND_SIZE: "pose+size"}  # axes as a person types them
NEEDED_OPTION = {"doubtful": "sure", addition.UNLABELLED: "sure", "duplicate": "duplicates"}
SPARSE = "not looked at"  # a reason: the shot may have views between the frames looked at
DENSE_S, AGAIN_S = 0.75, 0.25  # frames further apart are sparse; how often they are looked at then
TIE = 0.02  # identities so near are one
PROMPT_WORD = {  # of an evaluation's prompt: the gap that a weak answer to it points at
    "close-up": ("shot_size", "close-up"),
    "medium shot": ("shot_size", "medium"),
    "wide shot": ("shot_size", "wide"),
    "full body": ("shot_size", "wide"),
    "night": ("light", "dark"),
    "left profile": ("pose", "left-profile"),
    "right profile": ("pose", "right-profile"),
}
WAY_SCHEMA = {
    "character": pl.String,
    "axis": pl.String,
    "value": pl.String,
    "shot_index": pl.Int32,
    "timestamp_s": pl.Float64,
    "reason": pl.String,
    "detail": pl.String,
    "num_views": pl.Int64,
    "needs": pl.String,
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
    views = _with_words(candidate)
    shown = _with_words(coverage.pictures(dataset))
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


def _with_words(table: pl.DataFrame) -> pl.DataFrame:
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
        .sort(
            "sharpness", "confidence", "subject_id", descending=[True, True, False], nulls_last=True
        )
    )
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


def gap_name(axis: str, value: str) -> str:
    """A gap's name on the command line.

    Examples
    --------
    >>> gap_name("shot_size", "close-up"), gap_name("pose and size", "left, wide")
    ('size:close-up', 'pose+size:left,wide')
    """
    return f"{AXIS_OPTION.get(axis, axis)}:{value.replace(', ', ',')}"


def find_ways(
    gaps: pl.DataFrame, candidate: pl.DataFrame, sparse: pl.DataFrame | None = None
) -> pl.DataFrame:
    """List the shots that would fill gaps.

    Parameters
    ----------
    gaps : pl.DataFrame
        At least `character`, `axis`, `value`, one row a gap; see `find_gaps`. Axis ``any``
        with an empty value means every view.
    candidate : pl.DataFrame
        Rows of table candidate whose `reason` may also be ``unlabelled``; more columns do no harm.
    sparse : pl.DataFrame, optional
        From `find_sparse`.

    Returns
    -------
    pl.DataFrame
        A row for each gap, shot and reason: `timestamp_s` and `detail` of the sharpest view,
        `num_views`, and what it `needs` to come in: nothing (null), ``sure`` or ``duplicates``,
        ``frames`` where more frames must be looked at first, ``never`` for what cannot be read.
        What needs least first, then most views, then film order.
    """
    views = _with_words(candidate).filter(~pl.col("is_chosen"))
    views = views.with_columns(pl.col("reason").cast(pl.String)).sort(
        "sharpness", "confidence", "subject_id", descending=[True, True, False], nulls_last=True
    )
    by_axis = [
        views.drop_nulls(axis).with_columns(axis=pl.lit(axis), value=pl.col(axis)) for axis in ORDER
    ]
    by_axis.append(views.with_columns(axis=pl.lit(ANY_AXIS), value=pl.lit("")))
    needs = pl.col("reason").replace_strict(NEEDED_OPTION, default=None, return_dtype=pl.String)
    keys = ("character", "axis", "value", "shot_index", "reason")
    found = (
        pl.concat(by_axis)
        .group_by(keys, maintain_order=True)
        .agg(pl.col("timestamp_s", "detail").first(), num_views=pl.len().cast(pl.Int64))
        .with_columns(
            needs=pl.when(pl.col("reason") == addition.UNREADABLE)
            .then(pl.lit("never"))
            .otherwise(needs)
        )
    )
    wanted = gaps.select("character", "axis", "value").unique(maintain_order=True)
    parts = [found.select(*WAY_SCHEMA)]
    if sparse is not None:
        poses = wanted.filter(pl.col("axis").is_in(["pose", ANY_AXIS]))
        parts.append(poses.join(sparse, on="character").select(*WAY_SCHEMA))
    order = {None: 0, "sure": 1, "duplicates": 2, "frames": 3, "never": 4}
    return (
        wanted.with_row_index("gap")
        .join(pl.concat(parts), on=("character", "axis", "value"), maintain_order="left")
        .with_columns(rank=pl.col("needs").replace_strict(order, return_dtype=pl.Int64))
        .sort(
            "gap",
            "rank",
            "num_views",
            "shot_index",
            "reason",
            descending=[False] * 2 + [True] + [False] * 2,
        )
        .select(pl.col(column).cast(dtype) for column, dtype in WAY_SCHEMA.items())
    )


def find_sparse(candidate: pl.DataFrame, frame: pl.DataFrame, shot: pl.DataFrame) -> pl.DataFrame:
    """Shots in which a character's face is labelled and frames were looked at far apart.

    Parameters
    ----------
    frame : pl.DataFrame
        Columns `shot_index` and `timestamp_s` of every frame that was looked at.

    Returns
    -------
    pl.DataFrame
        Columns of `find_ways` less `axis` and `value`. Drawn characters have none: only kept
        frames are looked at for them.
    """
    looked = frame.group_by("shot_index").agg(num=pl.len())
    every = (
        shot.join(looked, on="shot_index", how="left", maintain_order="left")
        .with_columns(
            every_s=(pl.col("end_s") - pl.col("start_s")) / pl.col("num").fill_null(1).clip(1)
        )
        .filter(pl.col("every_s") > DENSE_S)
    )
    faces = candidate.filter(pl.col("subject_type") == "face")
    return (
        faces.select("character", "shot_index")
        .unique()
        .join(every, on="shot_index")
        .sort("character", "shot_index")
        .select(
            "character",
            "shot_index",
            timestamp_s="start_s",
            reason=pl.lit(SPARSE),
            detail=pl.format("a frame every {} s", pl.col("every_s").round(1)),
            num_views=pl.lit(0, pl.Int64),
            needs=pl.lit("frames"),
        )
    )


def find_weak(pictures: pl.DataFrame) -> pl.DataFrame:
    """Values that the trained model draws worse than others, by an evaluation's pictures.

    Parameters
    ----------
    pictures : pl.DataFrame
        Rows of table evaluation_picture: `character`, `step`, `prompt_set`, `prompt`, `identity`
        (null, where nobody was found: counts as 0).

    Returns
    -------
    pl.DataFrame
        `character`, `axis`, `value`, `detail`: of each word of `PROMPT_WORD` that some report
        prompts of a trained step have and others lack, where identity with it is lower by two
        standard errors (Welch 1947).
    """
    drawn = pictures.filter(
        pl.col("step") > 0, pl.col("prompt_set") == "report", pl.col("prompt").is_not_null()
    ).with_columns(pl.col("identity").fill_null(0.0).cast(pl.Float64))
    rows = []
    for (name,), own in sorted(drawn.partition_by("character", as_dict=True).items()):
        for word, place in PROMPT_WORD.items():
            has = pl.col("prompt").str.contains(word, literal=True)
            one, other = own.filter(has)["identity"], own.filter(~has)["identity"]
            if min(len(one), len(other)) < 2:
                continue
            mean, others = scalar.as_float(one.mean()), scalar.as_float(other.mean())
            spread, spread_others = scalar.as_float(one.var()), scalar.as_float(other.var())
            error = math.sqrt(spread / len(one) + spread_others / len(other))
            if mean < others - 2 * error - TIE:
                text = f"prompts with {word!r}: identity {mean:.2f}, others {others:.2f}"
                rows.append((name, *place, text))
    schema = pl.Schema(dict.fromkeys(("character", "axis", "value", "detail"), pl.String))
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.unique(("character", "axis", "value"), keep="first", maintain_order=True)


def notes(candidate: pl.DataFrame) -> list[str]:
    """Limits of the measured gaps that a reader needs to know."""
    found = [
        (
            "Views from behind cannot be identified: poses are read from faces, so the "
            "pose of such a view is unknown."
        )
    ]
    for (name,), views in sorted(candidate.partition_by("character", as_dict=True).items()):
        if not coverage.has_pose(views):
            found.append(f"Too few faces of {name} are found to judge its poses.")
        if (views["subject_type"] == "region").all():
            found.append(
                f"{name} is searched for in kept frames only: if the film has more of "
                "it, lower the filtering or extraction settings and run extract "
                "again."
            )
    return found


def select_ways(ways: pl.DataFrame, *, is_sure: bool, has_duplicates: bool) -> pl.DataFrame:
    """Rows of `find_ways` that an addition would bring in, or look at again."""
    allowed = ["frames", *["sure"] * is_sure, *["duplicates"] * has_duplicates]
    return ways.filter(pl.col("needs").is_null() | pl.col("needs").is_in(allowed))


def shots_of(ways: pl.DataFrame) -> Sequence[int]:
    """Shots of ways, in film order."""
    return ways["shot_index"].unique().sort().to_list()
