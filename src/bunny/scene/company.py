"""Which shots of a place have whom in them: "the kitchen with the bunny"."""

import polars as pl

NOBODY = "empty"
NOISE = "no scene"


def company(asset: pl.DataFrame) -> pl.DataFrame:
    """Part each scene by who is there.

    Parameters
    ----------
    asset : pl.DataFrame
        Columns `level`, `shot_index`, `cluster_id`, `name`, `who`, `start_s`, `end_s` of table
        `asset`; rows of level `scene` count. `who` may be in any order and name somebody twice.

    Returns
    -------
    pl.DataFrame
        One row for each scene and company in it: `cluster_id` (null: the noise bucket), `who`
        (sorted, each name once, without empty ones), `name` ("kitchen with bunny, pip", "scene-003
        empty"), `shots` (sorted list of `shot_index`), `seconds` (null where no time is known).
        By scene, the noise bucket last; in it, most shots first, then by names.
    """
    scene = asset.filter(pl.col("level") == "scene")
    seconds = (pl.col("end_s") - pl.col("start_s")).clip(0)
    together = (
        scene.with_columns(who=_people(), seconds=seconds)
        .group_by("cluster_id", "who")
        .agg(
            pl.col("name").drop_nulls().sort().first(),
            shots=pl.col("shot_index").unique().sort(),
            seconds=pl.when(pl.col("seconds").is_not_null().any()).then(pl.col("seconds").sum()),
        )
    )
    place = pl.coalesce("name", "cluster_id", pl.lit(NOISE))
    people = pl.col("who").list.join(", ")
    words = pl.when(pl.col("who").list.len() > 0).then(pl.lit("with ") + people)
    return (
        together.with_columns(name=place + pl.lit(" ") + words.otherwise(pl.lit(NOBODY)))
        .sort(
            "cluster_id", pl.col("shots").list.len(), people,
            descending=[False, True, False], nulls_last=True,
        )
        .select("cluster_id", "who", "name", "shots", "seconds")
    )  # fmt: skip


def _people() -> pl.Expr:
    """Names of column `who`, sorted, each once; none is an empty list."""
    names = pl.col("who").fill_null([]).list.drop_nulls()
    return names.list.eval(pl.element().filter(pl.element() != "")).list.unique().list.sort()
