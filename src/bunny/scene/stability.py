"""Stability of clusters: adjusted Rand index under other orders, samples and methods.

Three questions, each answered by the adjusted Rand index of two groupings (Hubert and Arabie 1985):
would the incremental way have found the same with the shots in another order; would a method find
the same in nine tenths of the shots; do the methods agree? 1 is the same grouping, 0 what chance
gives. An item in the noise bucket counts as a group of its own. Scenes are asked about here,
unknown people by the stage, in the same way (`compare_groupings`).
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypedDict

import numpy as np

from bunny.core.config import ClusteringConfig
from bunny.scene import cluster as scene_cluster
from bunny.scene.cluster import NOISE

SHARE = 0.9  # of the shots in a sample
MAX_FRAMES = 3000  # of a longer film so many are looked at, whole shots chosen by the seed
METHODS = tuple(scene_cluster.METHOD)


class StabilityRow(TypedDict):
    """Row of table `stability` without `level`."""

    method: str
    compared_with: str  # order, sample or another method
    rand_index: float
    lowest: float
    num_runs: int
    num_clusters: int


def measure_stability(
    vector: np.ndarray, shot_index: np.ndarray, config: ClusteringConfig, seed: int = 0
) -> list[StabilityRow]:
    """Measure the stability of a film's scenes.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length, in the order of the film.
    shot_index : np.ndarray, shape (n,), int
        Frames of one shot stay together, in orders as in samples.
    config : ClusteringConfig
        Section `clustering` of the settings; each of its methods is tried.

    Returns
    -------
    list of StabilityRow
        As `compare_groupings`; only the incremental method depends on the order.
    """
    vector = np.asarray(vector, np.float32)

    def find(rows: np.ndarray, method: str) -> np.ndarray:
        own = config.model_copy(update={"scene_method": method})
        return scene_cluster.group_frames(vector[rows], own).cluster

    ordered, num_runs = ("incremental",), config.stability_runs
    return compare_groupings(shot_index, find, METHODS, ordered, num_runs=num_runs, seed=seed)


def compare_groupings(
    shot_index: np.ndarray,
    find: Callable[[np.ndarray, str], np.ndarray],
    methods: Sequence[str],
    ordered: Sequence[str] = (),
    *,
    num_runs: int = 8,
    seed: int = 0,
) -> list[StabilityRow]:
    """Measure how far groupings of the same items agree.

    Parameters
    ----------
    shot_index : np.ndarray, shape (n,), int
        Of each item: shots stay whole, in orders as in samples.
    find : callable
        From rows (m,) in the order that they are to be taken in, and a method, to a group number
        or `NOISE` for each of them (m,).
    ordered : sequence of str
        Those of them whose result depends on the order of the items.
    num_runs : int
        Orders and samples that are tried.

    Returns
    -------
    list of StabilityRow
        Each method of `ordered` against other orders,
        each method against samples, each pair of methods. None when `num_runs` is 0 or there are
        fewer than two shots.
    """
    shot_index = np.asarray(shot_index)
    shots = np.unique(shot_index)
    if num_runs < 1 or len(shots) < 2:
        return []
    rng = np.random.default_rng(seed)
    looked_at = _within(shot_index, rng.permutation(shots))
    shot_index = shot_index[looked_at]
    shots = np.unique(shot_index)
    whole = {method: find(looked_at, method) for method in methods}
    orders = [_in_order_of(shot_index, rng.permutation(shots)) for _ in range(num_runs)]
    least = max(1, int(SHARE * len(shots)))
    chosen = [rng.permutation(shots)[:least] for _ in range(num_runs)]
    samples = [np.flatnonzero(np.isin(shot_index, own)) for own in chosen]
    rows = []
    for method, kind, choices in (
        *((method, "order", orders) for method in ordered),
        *((method, "sample", samples) for method in methods),
    ):
        index = [
            adjusted_rand_index(whole[method][own], find(looked_at[own], method)) for own in choices
        ]
        rows.append(_row(method, kind, index, whole))
    for one, other in combinations(methods, 2):
        rows.append(_row(one, other, [adjusted_rand_index(whole[one], whole[other])], whole))
    return rows


def adjusted_rand_index(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two groupings of the same items, each `NOISE` a group of its own.

    Parameters
    ----------
    one, other : np.ndarray, shape (n,), int

    Returns
    -------
    float
        In [-1, 1]; 1 for fewer than two items.
    """
    if len(one) < 2:
        return 1.0
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(_alone(one), _alone(other)))


def _row(
    method: str, compared_with: str, index: list[float], whole: dict[str, np.ndarray]
) -> StabilityRow:
    return {
        "method": method,
        "compared_with": compared_with,
        "rand_index": float(np.mean(index)),
        "lowest": min(index),
        "num_runs": len(index),
        "num_clusters": int(whole[method].max()) + 1,
    }


def _alone(cluster: np.ndarray) -> np.ndarray:
    """Each `NOISE` its own number."""
    return np.where(cluster == NOISE, -1 - np.arange(len(cluster)), cluster)


def _within(shot_index: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """Frames of the first of `shots` that stay within `MAX_FRAMES`, in the order of the film."""
    total = np.cumsum([np.count_nonzero(shot_index == shot) for shot in shots])
    taken = shots[: max(2, int(np.searchsorted(total, MAX_FRAMES, side="right")))]
    rows = np.flatnonzero(np.isin(shot_index, taken))
    return rows[:: -(-len(rows) // MAX_FRAMES)]


def _in_order_of(shot_index: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """All frames by a new order of their shots; inside a shot as they are."""
    rank = np.empty(len(shots), dtype=np.int64)
    rank[np.searchsorted(np.sort(shots), shots)] = np.arange(len(shots))
    return np.argsort(rank[np.searchsorted(np.sort(shots), shot_index)], kind="stable")
