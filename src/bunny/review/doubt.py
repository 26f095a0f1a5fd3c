"""Doubt of each item's cluster, from similarity to its own and to the next centroid.

Similarities are to centroids without the item itself, so that nothing vouches for itself. An item
is sure when it is like its own cluster and much less like the next one. What one answer puts right
is asked together, what is worth most first: see `ask`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from bunny.review import active_learning

STEP = 0.1  # margin at which 63 % of what a margin can say is said; set-ups of one place lie there
CHUNK = 4096  # rows that are compared at once
FLOOR = {"scene": 0.5, "character": 0.0}  # cosine to the own centroid that says nothing any more


def level_floor(noise_threshold: float) -> dict[str, float]:
    """`FLOOR` where shots of a scene are told from noise by this cosine."""
    return {**FLOOR, "scene": min(0.99, noise_threshold)}


def measure(
    asset: pl.DataFrame,
    vectors: Mapping[str, pl.DataFrame],
    is_said: np.ndarray,
    certainty: Mapping[str, float] | None = None,
    floor: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Measure `similarity`, `margin`, `doubt` and `question` of every item anew.

    Parameters
    ----------
    vectors : mapping of level to pl.DataFrame
        Tables `shot_vector` and `figure_vector`; items without a vector keep their values.
    is_said : np.ndarray, shape (n,), bool
        Of whom a person said where they belong: their doubt is 0.
    certainty : mapping of asset_id to float, optional
        In [0, 1], of what named a figure; joined with the vectors' by geometric mean.
    floor : mapping of level to float, optional
        Default `FLOOR`.

    Returns
    -------
    pl.DataFrame
        `asset` with these four columns anew. `question` counts from 0 at each level.
    """
    row = {asset_id: i for i, asset_id in enumerate(asset["asset_id"])}
    similarity = asset["similarity"].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
    margin = asset["margin"].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
    doubt = asset["doubt"].cast(pl.Float64).to_numpy().copy()
    number = _numbers(asset["cluster_id"])
    asked, worth = np.full(asset.height, active_learning.NOTHING, np.int64), np.zeros(asset.height)
    turn = asked.copy()
    for level, table in vectors.items():
        least = (floor or FLOOR)[level]
        for part in table.drop_nulls("vector").partition_by("model"):
            own = np.array([row.get(i, -1) for i in part["asset_id"]], np.int64)
            vector = np.asarray(part["vector"].to_numpy(), np.float32).reshape(len(own), -1)
            own, vector = own[own >= 0], vector[own >= 0]
            if len(own):
                found = compare(vector, number[own])
                similarity[own], margin[own] = found
                doubt[own] = doubt_of(*found, number[own] >= 0, least)
                first = int(asked.max()) + 1
                asked[own], worth[own] = _ask(asset[own], vector, ~is_said[own], first)
    candidate, size = active_learning.candidates(_perhaps(asset), ~is_said)
    is_first = candidate != active_learning.NOTHING
    asked = np.where(is_first, candidate + asked.max(initial=active_learning.NOTHING) + 1, asked)
    worth = np.where(is_first, size, worth)
    for level in vectors:
        at = (asset["level"] == level).to_numpy()
        turn[at] = active_learning.rank(asked[at], worth[at], is_first[at])
    if certainty:
        sure = np.array([certainty.get(i, np.nan) for i in asset["asset_id"]])
        joined = 1 - np.sqrt((1 - doubt) * np.clip(sure, 0, 1))
        doubt = np.where(np.isnan(sure) | (number < 0), doubt, joined)
    doubt = np.where(is_said, 0.0, doubt)
    return asset.with_columns(
        pl.Series("similarity", np.clip(similarity, -1, 1), dtype=pl.Float32).fill_nan(None),
        pl.Series("margin", margin, dtype=pl.Float32).fill_nan(None),
        pl.Series("doubt", np.clip(doubt, 0, 1), dtype=pl.Float32),
        pl.Series(
            "question",
            [None if k == active_learning.NOTHING else k for k in turn.tolist()],
            pl.Int32,
        ),
    )


def compare(vector: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare items with the centroids of their own and of all other clusters.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length.
    number : np.ndarray, shape (n,), int
        Cluster from 0, or negative for noise.

    Returns
    -------
    similarity : np.ndarray, shape (n,)
        Cosine to the mean of the others of its cluster; of noise to the nearest cluster; NaN of
        one that is alone, or when there is no cluster.
    margin : np.ndarray, shape (n,)
        That less the cosine to the best other cluster, the same of noise; NaN without another.
    """
    known, place = np.unique(number[number >= 0], return_inverse=True)
    similarity, margin = np.full(len(number), np.nan), np.full(len(number), np.nan)
    if not len(known):
        return similarity, margin
    inside = np.flatnonzero(number >= 0)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(len(known)))
    total = np.add.reduceat(vector[inside[order]], first, axis=0)
    size = np.bincount(place)
    column = np.full(len(number), -1)
    column[inside] = place
    length = np.maximum(np.linalg.norm(total, axis=1), 1e-12)
    for start in range(0, len(number), CHUNK):
        rows = slice(start, start + CHUNK)
        cosine = vector[rows] @ (total / length[:, None]).T
        mine, k = column[rows], np.arange(len(cosine))
        is_in = mine >= 0
        own = np.full(len(cosine), np.nan)
        own[is_in] = _without_self(
            cosine[k[is_in], mine[is_in]] * length[mine[is_in]],
            length[mine[is_in]],
            size[mine[is_in]],
        )
        cosine[k[is_in], mine[is_in]] = -np.inf
        nearest = cosine.argmax(axis=1)
        best = cosine[k, nearest]
        cosine[k, nearest] = -np.inf
        second = np.where(is_in, np.nan, cosine.max(axis=1))
        best = np.where(np.isinf(best), np.nan, best)
        similarity[rows] = np.where(is_in, own, best)
        margin[rows] = np.where(is_in, own - best, best - second)
    return similarity, np.where(np.isinf(margin), np.nan, margin)


def doubt_of(
    similarity: np.ndarray, margin: np.ndarray, is_in: np.ndarray, floor: float
) -> np.ndarray:
    """Doubt in [0, 1] from `compare`: one less the geometric mean of what both say.

    Of a cluster it is 1 at the floor or without a margin. An item in noise, or alone, is the more
    doubtful the nearer it is to a cluster: between 0.5 and 1.
    """
    alike = np.clip((similarity - floor) / (1 - floor), 0, 1)
    apart = 1 - np.exp(-np.clip(np.nan_to_num(margin, nan=10.0), 0, None) / STEP)
    inside = 1 - np.sqrt(alike * apart)
    alone = 0.5 + 0.5 * np.clip(np.nan_to_num(similarity, nan=0.0), 0, 1)
    return np.where(is_in & ~np.isnan(similarity), inside, alone)


def _without_self(dot: np.ndarray, length: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Cosine of unit vectors to totals of clusters less themselves; NaN of one alone.

    With v a member of total t: (t - v) v = t v - 1, and the square of |t - v| is |t|² - 2 t v + 1.
    """
    rest = np.sqrt(np.maximum(length**2 - 2 * dot + 1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((size > 1) & (rest > 1e-6), (dot - 1) / rest, np.nan)


def _ask(
    part: pl.DataFrame, vector: np.ndarray, is_open: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Questions about items of one model, from number `first` on, and their worth."""
    names = part["cluster_id"].drop_nulls().unique(maintain_order=True).to_list()
    number = {name: i for i, name in enumerate(names)}
    own = np.array([number.get(c, -1) for c in part["cluster_id"].to_list()], np.int64)
    named = set(part.drop_nulls("name")["cluster_id"].to_list())
    barred = [
        (i, number[c])
        for i, gone in enumerate(part["rejected_from"].to_list())
        for c in gone
        if c in number
    ]
    question, worth = active_learning.questions(
        vector,
        own,
        is_open,
        np.array([name in named for name in names], bool),
        np.array(barred, np.int64).reshape(-1, 2),
    )
    return np.where(
        question == active_learning.NOTHING, active_learning.NOTHING, question + first
    ), worth


def _perhaps(asset: pl.DataFrame) -> list[str | None]:
    """The character that each item may be, unless it has a name or was said not to be that one."""
    is_open = pl.col("name").is_null() & ~pl.col("rejected_from").list.contains(pl.col("perhaps"))
    return asset.select(pl.when(is_open).then("perhaps")).to_series().to_list()


def _numbers(cluster_id: pl.Series) -> np.ndarray:
    """Number of each cluster, -1 of noise; ids of both levels never meet in one comparison."""
    ids = {name: i for i, name in enumerate(cluster_id.drop_nulls().unique(maintain_order=True))}
    return np.array([-1 if c is None else ids[c] for c in cluster_id.to_list()], np.int64)
