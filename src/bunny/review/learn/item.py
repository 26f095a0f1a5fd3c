"""Items and their corrections as arrays: what learning trains on and is judged by.

Vectors of different models, and of scenes and characters, are never compared; each pair of level
and model is learned alone. What the machine would say without a person's word is `start`: the
machine's cluster, under the name and after the mergers that people gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.review import asset_table, event_log
from bunny.review.event_log import Event
from bunny.review.state import ReviewState

NOBODY = -1  # noise bucket, nothing said, or no group
TELLING = ("assign", "approve", "split")  # events that say where an item is

TABLES = (*asset_table.TABLES, "embedding", "subject_vector")

Key = tuple[str, str]  # level, model

_FEEDBACK = {
    "event_id": pl.String,
    "time": pl.String,
    "kind": pl.String,
    "origin": pl.String,
    "asset_ids": pl.List(pl.String),
    "is_undone": pl.Boolean,
}


@dataclass(frozen=True, kw_only=True)
class Items:
    """n items of one level and model; numbers of clusters index `clusters`."""

    asset_id: tuple[str, ...]
    vector: np.ndarray  # (n, d) float32, unit length
    clusters: tuple[str, ...]
    start: np.ndarray  # (n,) int64; `NOBODY`: the noise bucket
    said: np.ndarray  # (n,) int64; where a person said it is; `NOBODY`: nobody did
    group: np.ndarray  # (n,) int64; said or barred items of one group are held out together
    barred: np.ndarray  # (n, c) bool; a person said it is not there
    is_fixed: np.ndarray  # (n,) bool; a person spoke of it: never moved by what is learned

    @property
    def is_said(self) -> np.ndarray:
        """(n,) bool; items that a person placed."""
        return self.said != NOBODY


def collect(
    asset: pl.DataFrame,
    vectors: pl.DataFrame | Sequence[pl.DataFrame],
    feedback: pl.DataFrame | None = None,
) -> dict[Key, Items]:
    """Bring tables into arrays, one set for each level and model.

    Parameters
    ----------
    asset : pl.DataFrame
        Table asset, after corrections.
    vectors : pl.DataFrame or sequence of them
        `asset_id`, `model`, `vector` (unit length; trailing zeros may fill it up): tables
        shot_vector and figure_vector.
    feedback : pl.DataFrame, optional
        Table feedback; without it every placed item is a group of its own.

    Returns
    -------
    dict of (level, model) to Items
        In order of the keys; items in order of `asset_id`.

    Notes
    -----
    A person placed an item who assigned, approved or split it off, not undone: table asset then
    has doubt 0. A rejection alone says only where it is not, a merger or a name speaks of clusters,
    and what was propagated came by likeness: none of these places an item. Groups, of items that
    were placed or rejected: items of one event belong together, and items of one shot and cluster,
    and what hangs together by these.
    """
    frames = [vectors] if isinstance(vectors, pl.DataFrame) else list(vectors)
    told = _told(asset, feedback)
    found: dict[Key, Items] = {}
    for frame in frames:
        for model in sorted(frame["model"].unique().to_list()):
            own = frame.filter(pl.col("model") == model).select("asset_id", "vector")
            rows = told.join(own, on="asset_id", how="inner").sort("asset_id")
            for level in sorted(rows["level"].unique().to_list()):
                found[level, model] = _items(rows.filter(pl.col("level") == level))
    return dict(sorted(found.items()))


def groups(event_id: Sequence[str], place: Sequence[object]) -> np.ndarray:
    """Number what hangs together by a common event or a common place.

    Parameters
    ----------
    event_id, place : sequences of length n

    Returns
    -------
    np.ndarray, shape (n,), int64
        From 0 in order of first appearance.

    Examples
    --------
    >>> groups(["a", "a", "b", "c"], [1, 2, 2, 3]).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(event_id)
    if n == 0:
        return np.zeros(0, np.int64)
    events = np.unique(np.asarray(event_id, dtype=str), return_inverse=True)[1]
    places = np.unique(np.asarray([str(p) for p in place]), return_inverse=True)[1]
    rows = np.concatenate([np.arange(n), np.arange(n)])
    columns = n + np.concatenate([events, events.max() + 1 + places])
    size = int(columns.max()) + 1
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    number = connected_components(graph, directed=False)[1][:n]
    first = {int(v): i for i, v in reversed(list(enumerate(number)))}
    order = {v: i for i, v in enumerate(sorted(first, key=first.__getitem__))}
    return np.array([order[int(v)] for v in number], np.int64)


def _told(asset: pl.DataFrame, feedback: pl.DataFrame | None) -> pl.DataFrame:
    """Assets with `is_fixed`, `is_moved`, `event_id` (what placed each, or null), `reject_id`."""
    is_said = (pl.col("source").cast(pl.String) == "person") & (pl.col("doubt") <= 0)
    rows = asset.with_columns(
        pl.col("level").cast(pl.String), (is_said | pl.col("is_approved")).alias("is_fixed")
    )
    if feedback is None:
        return rows.with_columns(
            pl.when("is_fixed").then("asset_id").alias("event_id"),
            (pl.col("is_fixed") & ~pl.col("is_approved")).alias("is_moved"),
            pl.col("asset_id").alias("reject_id"),
        )
    last = _last(feedback, TELLING)
    gone = _last(feedback, ("reject",)).select("asset_id", reject_id="event_id")
    rows = rows.join(last, on="asset_id", how="left", maintain_order="left")
    return rows.join(gone, on="asset_id", how="left", maintain_order="left").with_columns(
        pl.when("is_fixed").then("event_id").alias("event_id"),
        pl.col("is_moved").fill_null(value=False),
        pl.col("reject_id").fill_null(pl.col("asset_id")),
    )


def _last(feedback: pl.DataFrame, kinds: Sequence[str]) -> pl.DataFrame:
    """Of each item the last event of some kinds, and whether any of them moved it."""
    is_one = pl.col("kind").cast(pl.String).is_in(kinds)
    return (
        feedback.filter(~pl.col("is_undone"), is_one, pl.col("origin") != "propagated")
        .sort("time", "event_id")
        .select("event_id", pl.col("kind").cast(pl.String), asset_id="asset_ids")
        .explode("asset_id")
        .drop_nulls("asset_id")
        .group_by("asset_id", maintain_order=True)
        .agg(pl.col("event_id").last(), is_moved=(pl.col("kind") != "approve").any())
    )


def _items(rows: pl.DataFrame) -> Items:
    """Arrays of the rows of one level and model."""
    home = _home(rows)
    start_id = [home.get(m) for m in rows["machine_cluster_id"].to_list()]
    said_id = [
        c if e is not None else None for c, e in rows.select("cluster_id", "event_id").iter_rows()
    ]
    clusters = tuple(sorted({c for c in (*start_id, *said_id) if c is not None}))
    number = {c: i for i, c in enumerate(clusters)}
    said = np.array([number.get(c, NOBODY) for c in said_id], np.int64)
    barred = np.zeros((rows.height, len(clusters)), bool)
    for i, gone in enumerate(rows["rejected_from"].to_list()):
        barred[i, [number[c] for c in gone or () if c in number]] = True
    barred[said != NOBODY, said[said != NOBODY]] = False
    group = np.full(rows.height, NOBODY, np.int64)
    judges = (said != NOBODY) | barred.any(axis=1)
    spoken = rows.filter(pl.Series(judges))
    where = list(zip(spoken["shot_index"], spoken["cluster_id"], strict=True))
    event_id = spoken.select(pl.coalesce("event_id", "reject_id")).to_series()
    group[judges] = groups(event_id.to_list(), where)
    return Items(
        asset_id=tuple(rows["asset_id"].to_list()),
        vector=_vectors(rows["vector"]),
        clusters=clusters,
        start=np.array([number.get(c, NOBODY) for c in start_id], np.int64),
        said=said,
        group=group,
        barred=barred,
        is_fixed=rows["is_fixed"].to_numpy().astype(bool),
    )


def _home(rows: pl.DataFrame) -> dict[str | None, str]:
    """Which cluster a machine's cluster is today: where most of its members are that follow it.

    Those that a person moved do not follow, nor those that were learned to be elsewhere. A cluster
    that nobody follows is still called as the machine called it: what was said of its members one
    by one must not stand for what the machine would say.
    """
    known = rows.filter(pl.col("machine_cluster_id").is_not_null())
    found = {machine: machine for machine in known["machine_cluster_id"].to_list()}
    follows = ~pl.col("is_moved") & (pl.col("source").cast(pl.String) != "learned")
    counts = (
        known.filter(follows)
        .drop_nulls("cluster_id")
        .group_by("machine_cluster_id", "cluster_id")
        .len()
        .sort(["machine_cluster_id", "len", "cluster_id"], descending=[False, True, False])
        .unique("machine_cluster_id", keep="first", maintain_order=True)
    )
    return found | dict(counts.select("machine_cluster_id", "cluster_id").iter_rows())


def _vectors(column: pl.Series) -> np.ndarray:
    """(n, d) unit vectors without the zeros that fill all of them up."""
    if not len(column):
        return np.zeros((0, 1), np.float32)
    is_array = isinstance(column.dtype, pl.Array)
    matrix = np.array(column.to_numpy() if is_array else column.to_list(), np.float32)
    used = np.flatnonzero(np.abs(matrix).max(axis=0))
    matrix = matrix[:, : int(used[-1]) + 1 if len(used) else 1]
    return unit(matrix)


def unit(vector: np.ndarray) -> np.ndarray:
    """Scale rows (n, d) to length 1; rows of zeros stay."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return (vector / np.maximum(length, 1e-12)).astype(np.float32)


def read_corrected(
    tables: Mapping[str, pl.DataFrame],
    events: Sequence[Event],
    film_id: str,
    noise_threshold: float,
) -> tuple[pl.DataFrame, pl.DataFrame, list[pl.DataFrame]]:
    """Assets as the machine has them with all corrections, those corrections, and the vectors.

    Made anew from the tables of detect and cluster: in what stage review wrote, an item that an
    earlier version moved no longer shows where the machine had it.

    Parameters
    ----------
    tables : mapping
        Those of `TABLES`.
    events : sequence of Event
        The film's whole record.
    noise_threshold : float
        Cosine below which a rejected item belongs nowhere.

    Returns
    -------
    (pl.DataFrame, pl.DataFrame, list of pl.DataFrame)
        Table `asset`; `_feedback_table`; vectors of shots and of figures.
    """
    shot_vector = asset_table.shot_vectors(tables, film_id)
    vectors = [shot_vector, asset_table.figure_vectors(tables)]
    machine = asset_table.machine_assets(tables, shot_vector, film_id)
    state = ReviewState.of(machine, shot_vector, noise_threshold=noise_threshold).replay(events)
    return state.frame(), _feedback_table(state), vectors


def _feedback_table(state: ReviewState) -> pl.DataFrame:
    """Events that hold, with the items that they mean today."""
    rows = [
        (
            e.event_id,
            event_log.moment(e).isoformat(timespec="microseconds"),
            e.kind,
            e.origin,
            state.touched(e.event_id)[0],
            False,
        )
        for e in state.events
    ]
    return pl.DataFrame(rows, schema=_FEEDBACK, orient="row")


def count_corrections(feedback: pl.DataFrame) -> int:
    """Corrections of items by a person: assigned, approved, split off or rejected."""
    kinds = (*TELLING, "reject")
    is_own = pl.col("kind").cast(pl.String).is_in(kinds) & (pl.col("origin") != "propagated")
    return feedback.filter(is_own & ~pl.col("is_undone")).height


def member_clusters(items: Items, is_known: np.ndarray) -> np.ndarray:
    """Cluster of each item as far as the person's word is known, else where the machine has it.

    Parameters
    ----------
    is_known : np.ndarray, shape (n,), bool
        Items whose `said` may be used.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Barred items are nowhere.
    """
    start = items.start.copy()
    rows = np.flatnonzero(start != NOBODY)
    start[rows[items.barred[rows, start[rows]]]] = NOBODY
    return np.where(is_known, items.said, start)
