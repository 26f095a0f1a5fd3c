"""Unknown drawn figures of a film as rows: which are one, and how far that can be relied on."""

import polars as pl

from bunny.character.drawn import figure_cluster
from bunny.core.config import Clustering
from bunny.scene import person_rows

PREFIX = "figure"


def rows(nameless: pl.DataFrame, wanted: Clustering) -> list[dict]:
    """Rows of table `cluster`, level `unknown`: `figure-01` and on, or noise.

    Parameters
    ----------
    nameless : pl.DataFrame
        From `figure_group.uncovered`.
    wanted : Clustering
        Section `clustering` of the settings.
    """
    return person_rows.to_rows(_group(nameless, wanted, wanted.unknown_method), PREFIX)


def stability(nameless: pl.DataFrame, wanted: Clustering, seed: int) -> pl.DataFrame:
    """Table `stability` of the unknown figures; no way depends on their order."""
    return person_rows.measure_stability("figure", nameless, _group, wanted, seed)


def _group(figure: pl.DataFrame, wanted: Clustering, method: str) -> pl.DataFrame:
    """Which figures are one, in their order, which is by track already."""
    return figure_cluster.group_figures(figure, threshold=wanted.figure_threshold, method=method)
