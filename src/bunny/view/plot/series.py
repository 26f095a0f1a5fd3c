"""Plots of a series: who is in which films, and what a joint set has of each film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

NO_PEOPLE = "the library is empty: add films with `bunny library add`"
NO_SET = "no pictures to train on: name an identity, run its films and add them again"
MAX_LANES = 40  # identities, named ones and those of most films first
FEW, MANY = "#D6E6F2", style.GOOD
SIDE = {"train": style.GOOD, "held-out": style.PALETTE[1]}


def presence(member: pl.DataFrame) -> pl.DataFrame:
    """Views of each identity in each film.

    Parameters
    ----------
    member : pl.DataFrame
        Columns identity_id, name, film_id, num_views; those of no identity are left out.

    Returns
    -------
    pl.DataFrame
        `lane` (the name, or the identity's id), `film_id`, `num_views`; named identities first,
        then those of most films, at most `MAX_LANES`.
    """
    rows = member.drop_nulls("identity_id").with_columns(lane=pl.coalesce("name", "identity_id"))
    lanes = (
        rows.group_by("lane")
        .agg(
            is_nameless=pl.col("name").is_null().any(),
            num_films=pl.col("film_id").n_unique().cast(pl.Int64),
        )
        .sort("is_nameless", -pl.col("num_films"), "lane")
        .head(MAX_LANES)
    )
    cells = rows.group_by("lane", "film_id").agg(pl.col("num_views").sum())
    return (
        lanes.select("lane")
        .join(cells, on="lane", maintain_order="left")
        .sort(
            pl.col("lane").replace_strict(
                {name: i for i, name in enumerate(lanes["lane"])}, default=0, return_dtype=pl.Int64
            ),
            "film_id",
        )
    )


def plot_presence(member: pl.DataFrame) -> ggplot:
    """Identities by films; a cell says in how many views the film shows the person.

    Parameters
    ----------
    member : pl.DataFrame
        As `presence`.
    """
    cells = presence(member)
    if cells.is_empty():
        return style.empty_plot(NO_PEOPLE)
    import plotnine as p9

    lanes = cells["lane"].unique(maintain_order=True).to_list()
    num_films = cells["film_id"].n_unique()
    several = cells.group_by("lane").len().filter(pl.col("len") > 1).height
    return (
        p9.ggplot(cells, p9.aes("film_id", "lane", fill="num_views", label="num_views"))
        + p9.geom_tile(color=style.PAPER, size=1)
        + p9.geom_text(size=8)
        + p9.scale_fill_gradient(low=FEW, high=MANY, guide=None)
        + p9.scale_y_discrete(limits=lanes[::-1])
        + p9.labs(
            x="film",
            y="",
            title=f"{len(lanes)} identities in {num_films} films",
            subtitle=f"number of views in each film; {several} are in more than one",
        )
        + style.theme(1.3 + 0.3 * len(lanes))
        + p9.theme(axis_text_x=p9.element_text(rotation=30, ha="right"))
    )


def plot_split(planned: pl.DataFrame) -> ggplot:
    """Pictures of a joint set by film, trained on and held out.

    Parameters
    ----------
    planned : pl.DataFrame
        Columns film_id and split.
    """
    if planned.is_empty():
        return style.empty_plot(NO_SET)
    import plotnine as p9

    rows = planned.group_by("film_id", "split").len("pictures").sort("film_id", "split")
    films = rows["film_id"].unique().sort().to_list()
    held = planned.filter(pl.col("split") == "held-out").height
    return (
        p9.ggplot(rows, p9.aes("film_id", "pictures", fill="split"))
        + p9.geom_col(width=0.7)
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=films[::-1], name="")
        + p9.scale_fill_manual(values=SIDE, breaks=list(SIDE))
        + p9.labs(
            y="pictures",
            title=f"{planned.height} pictures from {len(films)} films",
            subtitle=f"{held} held out of training",
        )
        + style.theme(1.6 + 0.3 * len(films))
    )
