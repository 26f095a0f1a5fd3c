"""Simulated reviewer who knows the truth: accuracy against clicks.

What counts as one click: placing one item where it belongs (drag it, or approve it where it is);
naming one whole cluster, which merges it with the cluster of that name if there is one; dragging a
run of items that stand side by side to one cluster, or approving a page of items where they are,
with one click more for each of them that belongs elsewhere (it is placed there first). Looking,
scrolling and opening a cluster cost nothing here, and the person makes no mistakes.

Held-out items are never looked at: where they lie in a run they go with it, right or wrong, nobody
places them, and nothing is learned from them.

The person's cluster of an identity is the one matched to it: at the start clusters and identities
are matched one to one so that most items are right, which costs no click, since grouping is
measured here and not naming. A cluster left over (a fragment of somebody who has a larger one) is
right for nobody until it is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from bunny.review import active_learning
from bunny.review import doubt as review_doubt
from bunny.review.learn import cross_validation, item, method, triplet
from bunny.review.learn.item import NOBODY, Items

ORDERS = ("random", "doubt", "cluster", "gain")
SHARES = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of the items, as clicks
AUTO = "auto"  # the method that stands its trial, or none: what `bunny learn` would put into use
PAGE = 40  # items in film order that are approved at once, for `AUTO` to see what would do harm
TRIED = ("threshold", "correlation")  # by `AUTO`; the triplet adapter costs a hundred times more


@dataclass(frozen=True, kw_only=True)
class SimulatedLibrary:
    """Items as a machine grouped them, and who they are."""

    vector: np.ndarray  # (n, d) float32, unit length
    start: np.ndarray  # (n,) int64; `NOBODY`: the noise bucket
    truth: np.ndarray  # (n,) int64, from 0


def curve(
    library: SimulatedLibrary,
    order: str,
    way: str,
    *,
    shares: Sequence[float] = SHARES,
    held_out_share: float = 0.3,
    seed: int = 0,
    steps: int = 100,
) -> pl.DataFrame:
    """Accuracy against clicks, by one person.

    Parameters
    ----------
    library : SimulatedLibrary
    order : str
        `random`; `doubt`: one by one by the board's doubt; `cluster`: clusters are named first, the
        largest first, then as `doubt`; `gain`: the board's order, questions by worth (see `ask`),
        then as `doubt`. Asked again at every share, as if stage review ran there. With `AUTO` the
        first thing in order `gain` is a page approved, as `bunny learn` asks for.
    way : str
        `none`, one of `method.METHODS`, or `AUTO`.
    shares : sequence of float
        Clicks as shares of the number of items, rising; between them nothing is learned.
    held_out_share : float
        Items that the person never clicks on; accuracy is measured on them.
    seed : int
    steps : int
        Of the triplet adapter's training.

    Returns
    -------
    pl.DataFrame
        `clicks`, `share`, `accuracy` (of the held-out items), `library` (of all items, clicked
        ones included), `order`, `way`, `seed`.

    Raises
    ------
    ValueError
        If `order` or `way` is unknown.
    """
    if order not in ORDERS or way not in (method.NONE, *method.METHODS, AUTO):
        raise ValueError(f"unknown order {order} or way {way}")
    rng = np.random.default_rng(seed)
    n = len(library.truth)
    held = rng.permutation(n)[: round(held_out_share * n)]
    is_open = np.ones(n, bool)
    is_open[held] = False
    items = begin(library)
    training = triplet.TripletTraining(steps=steps, seed=seed)
    rows, clicks = [], 0
    shown = see(items, way, training)
    for share in shares:
        queue = ask_first(items, shown, order, library.truth.max() + 1, rng)
        if share > 0 and not clicks and (order, way) == ("gain", AUTO):
            items, clicks = approve(items, library.truth, rng.permutation(np.flatnonzero(is_open)))
        while clicks < round(share * n):
            items, spent = _click(items, library.truth, queue, is_open, order)
            if not spent:
                break
            clicks += spent
        shown = see(items, way, training)
        is_right = shown == library.truth
        accuracy = float(is_right[held].mean()) if len(held) else None
        whole = {"accuracy": accuracy, "library": float(is_right.mean())}
        rows.append({"clicks": clicks, "share": clicks / n, **whole})
    return pl.DataFrame(rows).with_columns(
        pl.lit(order).alias("order"), pl.lit(way).alias("way"), pl.lit(seed).alias("seed")
    )


def begin(library: SimulatedLibrary) -> Items:
    """Items before the first click; cluster number k below the number of identities is theirs."""
    from scipy.optimize import linear_sum_assignment

    identities = int(library.truth.max()) + 1
    found = [c for c in np.unique(library.start).tolist() if c != NOBODY]
    together = np.zeros((len(found), identities), np.int64)
    for k, cluster in enumerate(found):
        together[k] = np.bincount(library.truth[library.start == cluster], minlength=identities)
    one, other = linear_sum_assignment(-together)
    number = {found[k]: int(t) for k, t in zip(one, other, strict=True) if together[k, t]}
    for cluster in found:
        number.setdefault(cluster, identities + sum(v >= identities for v in number.values()))
    size = max([identities, *(v + 1 for v in number.values())])
    n = len(library.truth)
    return Items(
        asset_id=tuple(map(str, range(n))),
        vector=item.unit(library.vector),
        clusters=tuple(map(str, range(size))),
        start=np.array([number.get(c, NOBODY) for c in library.start.tolist()], np.int64),
        said=np.full(n, NOBODY, np.int64),
        group=np.full(n, NOBODY, np.int64),
        barred=np.zeros((n, size), bool),
        is_fixed=np.zeros(n, bool),
    )


def see(items: Items, way: str, training: triplet.TripletTraining) -> np.ndarray:
    """Cluster in which the person sees every item, (n,)."""
    known = items.is_said
    learned = None
    if way == AUTO and known.sum() > 1:
        learned = cross_validation.run(items, TRIED, training=training).learned
    elif way != AUTO and known.sum() > 1:
        learned = method.learn(items, known, way, training)
    learned = learned or method.learn(items, known, method.NONE, training)
    cluster, _, _ = method.predict(learned, items, known, np.arange(len(known)))
    return np.where(known, items.said, cluster)


def ask_first(
    items: Items, shown: np.ndarray, order: str, identities: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, int]]:
    """Rows that are asked about together, in the order in which the person meets them.

    With each run the cluster that is asked about as a whole, `NOBODY` where it is about items.

    Parameters
    ----------
    items : Items
    shown : np.ndarray, shape (n,), int
        Where the person sees every item.
    order : str
        One of `ORDERS`.
    identities : int
        Clusters below this number have a name.
    rng : np.random.Generator
    """
    n = len(shown)
    if order == "random":
        return [(np.array([row]), NOBODY) for row in rng.permutation(n)]
    similarity, margin = review_doubt.compare(items.vector, shown)
    doubt = review_doubt.doubt_of(similarity, margin, shown >= 0, review_doubt.FLOOR["character"])
    singles = [(np.array([row]), NOBODY) for row in np.argsort(-doubt, kind="stable")]
    if order != "gain":
        return singles
    num = len(items.clusters)
    is_named = np.arange(num) < identities
    barred = np.argwhere(items.barred)
    question, worth = active_learning.questions(
        items.vector, shown, ~items.is_said, is_named, barred
    )
    turn = active_learning.rank(question, worth)
    runs = [np.flatnonzero(turn == k) for k in range(turn.max() + 1)]
    return [(run, max(NOBODY, int(question[run[0]]) - num)) for run in runs] + singles


def _click(items, truth, queue, is_open, order) -> tuple[Items, int]:
    """The next question and what it costs; nothing is spent when nothing is left to ask."""
    largest = _largest(items, truth) if order == "cluster" else NOBODY
    if largest != NOBODY:
        return _name(items, truth, largest, items.start == largest), 1
    while queue:
        run, cluster = queue.pop(0)
        looked = run[is_open[run] & ~items.is_said[run]]
        if len(looked) and cluster != NOBODY:
            return _name(items, truth, cluster, looked), 1
        if len(looked):
            return drag(items, truth, run, looked)
    return items, 0


def approve(items: Items, truth: np.ndarray, rows: np.ndarray) -> tuple[Items, int]:
    """Approve a page, an event for each cluster; what belongs elsewhere is placed first."""
    looked = rows[:PAGE]
    is_right = items.start[looked] == truth[looked]
    each = np.where(is_right, truth[looked], truth.max() + 1 + np.arange(len(looked)))
    return _place(items, truth, looked, each), 1 + int((~is_right).sum())


def drag(items: Items, truth: np.ndarray, run: np.ndarray, looked: np.ndarray) -> tuple[Items, int]:
    """Drag a run where most of what the person looks at belongs; what does not is placed first."""
    most = int(np.bincount(truth[looked]).argmax())
    is_right = truth[looked] == most
    each = np.where(is_right, 0, 1 + np.arange(len(looked)))
    start, follows = items.start.copy(), np.setdiff1d(run[~items.is_said[run]], looked)
    start[follows] = most
    placed = _place(replace(items, start=start), truth, looked, each)
    return placed, 1 + int((~is_right).sum())


def _place(items: Items, truth: np.ndarray, rows: np.ndarray, event: np.ndarray) -> Items:
    """Items that a person placed where they belong; those of one `event` are one group."""
    said, group, fixed = items.said.copy(), items.group.copy(), items.is_fixed.copy()
    said[rows], fixed[rows] = truth[rows], True
    group[rows] = group.max() + 1 + np.unique(event, return_inverse=True)[1]
    return replace(items, said=said, group=group, is_fixed=fixed)


def _largest(items: Items, truth: np.ndarray) -> int:
    """The largest cluster that is nobody's; `NOBODY` when none is left."""
    left = items.start[items.start > truth.max()]
    return int(np.bincount(left).argmax()) if len(left) else NOBODY


def _name(items: Items, truth: np.ndarray, cluster: int, looked: np.ndarray) -> Items:
    """Name a cluster by most of those of its members that the person looks at."""
    name = int(np.bincount(truth[looked]).argmax())
    return replace(items, start=np.where(items.start == cluster, name, items.start))
