"""Look-alikes of corrected items, shown before a correction is propagated to them.

What is then done is an ordinary event with origin `propagated`: an undo takes all of it back, and
it moves nobody of whom a person said something else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from bunny.review.state import ReviewState

SCHEMA = {"asset_id": pl.String, "similarity": pl.Float32}


def look_alikes(
    state: ReviewState,
    vectors: pl.DataFrame,
    asset_ids: Sequence[str],
    threshold: float,
    limit: int,
    *,
    cluster_id: str | None = None,
) -> pl.DataFrame:
    """Find items that look like some of a level; nothing is changed.

    Parameters
    ----------
    vectors : pl.DataFrame
        Table `shot_vector` or `figure_vector`.
    asset_ids : sequence of str
        Of one level.
    threshold : float
        Least cosine to the nearest of them, inclusive; only vectors of one model are compared.
    limit : int
        At most so many, the most alike first.
    cluster_id : str, optional
        Where they are to go. Items that are there already, or were rejected from there, are left
        out; by default that is where the given items are now.

    Returns
    -------
    pl.DataFrame
        `asset_id`, `similarity`; none of the given items, and nobody of whom a person said where
        it belongs.
    """
    level = state.level_of(asset_ids)
    given = {state.item(asset_id) for asset_id in asset_ids}
    targets = _targets(state, given, cluster_id, level)
    found: list[tuple[str, float]] = []
    for part in vectors.drop_nulls("vector").partition_by("model"):
        ids = part["asset_id"].to_list()
        rows = np.array([state.content.row.get(i, -1) for i in ids], np.int64)
        own = np.array([row in given for row in rows.tolist()], bool)
        if not own.any():
            continue
        vector = np.asarray(part["vector"].to_numpy(), np.float32).reshape(len(ids), -1)
        alike = (vector @ vector[own].T).max(axis=1)
        for k in np.flatnonzero((alike >= threshold) & ~own & (rows >= 0)):
            if _is_open(state, int(rows[k]), targets, level):
                found.append((ids[k], float(min(1.0, alike[k]))))
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return pl.DataFrame(found[:limit], schema=SCHEMA, orient="row")


def _targets(state: ReviewState, given: set[int], cluster_id: str | None, level) -> set[int]:
    """Numbers of the clusters that look-alikes would go to."""
    if cluster_id is None:
        return {int(state.now.cluster[i]) for i in given}
    known = state.find_cluster(cluster_id, level) if cluster_id else None
    return set() if known is None else {state.number(known, level)}


def _is_open(state: ReviewState, item: int, targets: set[int], level) -> bool:
    """Whether nothing speaks against moving an item."""
    if state.content.is_scene[item] != (level == "scene") or state.now.is_said[item]:
        return False
    return int(state.now.cluster[item]) not in targets and not state.now.barred(item) & targets
