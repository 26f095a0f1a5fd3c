"""Plots of cluster stability, and advice on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.table import scalar
from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

# Two groupings with an index of 0.9 or more are called excellent, from 0.65 good recovery of the
# truth: Steinley 2004, "Properties of the Hubert-Arabie adjusted Rand index".
STEADY, SHAKY = 0.9, 0.65
AGAINST = {"order": "other orders of the shots", "sample": "nine tenths of the shots"}
GROUP_WORD = {"scene": "", "unknown": "people: ", "figure": "figures: "}


def plot_stability(stability: pl.DataFrame) -> ggplot:
    """Stability of scenes, unknown people and figures, a lane a comparison.

    Parameters
    ----------
    stability : pl.DataFrame
        Table stability; people and figures are left out where none unknown were grouped.
    """
    is_empty = (pl.col("level") != "scene") & (pl.col("num_clusters") == 0)
    rows = stability.filter(~is_empty).drop_nulls("rand_index")
    if rows.is_empty():
        return style.empty_plot(
            "not measured: fewer than two shots, or clustering.stability_runs is 0"
        )
    import plotnine as p9

    lanes = rows.with_columns(
        lane=pl.format(
            "{}{}, {}",
            pl.col("level").cast(pl.String).replace(GROUP_WORD),
            "method",
            pl.col("compared_with").replace(AGAINST),
        ),
        verdict=pl.when(pl.col("rand_index") >= STEADY)
        .then(pl.lit("steady"))
        .when(pl.col("rand_index") >= SHAKY)
        .then(pl.lit("mostly"))
        .otherwise(pl.lit("shaky")),
    ).sort("rand_index")
    colour = {"steady": style.GOOD, "mostly": style.QUIET, "shaky": style.BAD}
    low = min(0.0, scalar.as_float(lanes["lowest"].min()))
    return (
        p9.ggplot(lanes, p9.aes("rand_index", "lane", color="verdict"))
        + p9.geom_vline(xintercept=STEADY, linetype="dashed", color=style.INK, size=0.5)
        + p9.geom_segment(p9.aes(x="lowest", xend="rand_index", yend="lane"), size=1)
        + p9.geom_point(size=3)
        + p9.scale_color_manual(values=colour, breaks=list(colour))
        + p9.scale_x_continuous(limits=(low, 1.0))
        + p9.scale_y_discrete(limits=lanes["lane"].to_list(), name="")
        + p9.labs(
            x="adjusted Rand index (1: identical, 0: chance)",
            title="Stability of the scene and face clusters",
            subtitle=f"dashed: {STEADY}; above it, two clusterings count as the same",
        )
        + style.theme(1.5 + 0.26 * lanes.height)
    )


def advise(stability: pl.DataFrame, method: str = "incremental") -> str:
    """Say what a film's stability means and what to do.

    Parameters
    ----------
    stability : pl.DataFrame
        Table stability.
    method : str
        `clustering.scene_method`: only the incremental way depends on the order of the shots.

    Returns
    -------
    str
        One to four sentences.
    """
    rows = stability.filter(pl.col("level") == "scene").drop_nulls("rand_index")
    value = {(m, c): v for m, c, v in rows.select("method", "compared_with", "rand_index").rows()}
    if not value:
        return (
            "Stability was not measured: the film has fewer than two shots, or "
            "clustering.stability_runs is 0."
        )
    said = ["Scenes do not depend on the order of the shots."]
    if method == "incremental":
        said = [_of_order(value.get(("incremental", "order"), 1.0))]
    by_method = [v for (_, against), v in value.items() if against not in AGAINST]
    if by_method and min(by_method) < SHAKY:
        said.append(
            f"Clustering methods disagree ({min(by_method):.2f}): no distance "
            "threshold separates these places clearly. Merge and split scenes on the "
            "review board; corrections hold for every method."
        )
    by_sample = value.get((method, "sample"), 1.0)
    if by_sample < STEADY:
        said.append(
            f"Some scenes depend on single shots ({by_sample:.2f} with a tenth of the "
            "shots left out): review the doubtful ones first."
        )
    return " ".join([*said, *_of_people(stability)])


def _of_people(stability: pl.DataFrame) -> list[str]:
    """A sentence about unknown people where their groups are not steady."""
    own = stability.filter(
        pl.col("level") == "unknown",
        pl.col("compared_with") == "sample",
        pl.col("num_clusters") > 0,
    ).drop_nulls("rand_index")
    if own.is_empty():
        return []
    least = scalar.as_float(own["rand_index"].min())
    if least >= STEADY:
        return []
    return [
        f"Clusters of unknown faces depend on single shots ({least:.2f} with a tenth "
        "of the shots left out): look through each cluster before you name it."
    ]


def _of_order(index: float) -> str:
    if index >= STEADY:
        return f"Scenes hardly depend on the order of the shots ({index:.2f}): nothing to do."
    much = "somewhat" if index >= SHAKY else "much"
    return (
        f"Scenes depend {much} on the order of the shots ({index:.2f}): set "
        "clustering.scene_method to agglomerative, which clusters all shots at once."
    )
