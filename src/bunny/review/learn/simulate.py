"""A person who knows the truth clicks through a library: what does a click bring?

What counts as one click: placing one item where it belongs (drag it, or approve it where it is),
or naming one whole cluster, which merges it with the cluster of that name if there is one. Looking,
scrolling and opening a cluster cost nothing here, and the person makes no mistakes.

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

from bunny.review.learn import adapter, item, method, trial
from bunny.review.learn.item import NOBODY, Items

ORDERS = ("random", "doubt", "cluster")
SHARES = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of the items, as clicks
AUTO = "auto"  # the method that stands its trial, or none: what `bunny learn` would put into use
TRIED = ("threshold", "correlation")  # by `AUTO`; the triplet adapter costs a hundred times more


@dataclass(frozen=True, kw_only=True)
class Library:
    """Items as a machine grouped them, and who they are."""

    vector: np.ndarray  # (n, d) float32, unit length
    start: np.ndarray  # (n,) int64; `NOBODY`: the noise bucket
    truth: np.ndarray  # (n,) int64, from 0


def curve(
    library: Library,
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
    library : Library
    order : str
        `random`; `doubt`: the smallest margin first, asked again after every learning; `cluster`:
        clusters are named first, the largest first, then as `doubt`.
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
        raise ValueError(f"no order {order} or way {way}")
    rng = np.random.default_rng(seed)
    n = len(library.truth)
    held = rng.permutation(n)[: round(held_out_share * n)]
    is_open = np.ones(n, bool)
    is_open[held] = False
    items = begin(library)
    training = adapter.Training(steps=steps, seed=seed)
    rows, clicks = [], 0
    shown, margin = see(items, way, training)
    for share in shares:
        while clicks < round(share * n):
            items, spent = _click(items, library.truth, margin, is_open, order, rng)
            if not spent:
                break
            clicks += spent
        shown, margin = see(items, way, training)
        is_right = shown == library.truth
        accuracy = float(is_right[held].mean()) if len(held) else None
        whole = {"accuracy": accuracy, "library": float(is_right.mean())}
        rows.append({"clicks": clicks, "share": clicks / n, **whole})
    return pl.DataFrame(rows).with_columns(
        pl.lit(order).alias("order"), pl.lit(way).alias("way"), pl.lit(seed).alias("seed")
    )


def begin(library: Library) -> Items:
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


def see(items: Items, way: str, training: adapter.Training) -> tuple[np.ndarray, np.ndarray]:
    """Where the person sees every item, and its margin to the second cluster, (n,) each."""
    every = np.arange(len(items.said))
    known = items.is_said
    learned = None
    if way == AUTO and known.sum() > 1:
        learned = trial.run(items, TRIED, training=training).learned
    elif way != AUTO and known.sum() > 1:
        learned = method.learn(items, known, way, training)
    learned = learned or method.learn(items, known, method.NONE, training)
    cluster, _, margin = method.predict(learned, items, known, every)
    return np.where(known, items.said, cluster), margin


def _click(items, truth, margin, is_open, order, rng) -> tuple[Items, int]:
    """The next click; nothing is spent when there is nothing left to click on."""
    if order == "cluster":
        named = _name(items, truth)
        if named is not None:
            return named, 1
    rows = np.flatnonzero(is_open & ~items.is_said)
    if not len(rows):
        return items, 0
    row = rng.choice(rows) if order == "random" else rows[np.argmin(margin[rows])]
    said, group, fixed = items.said.copy(), items.group.copy(), items.is_fixed.copy()
    said[row], group[row], fixed[row] = truth[row], group.max() + 1, True
    return replace(items, said=said, group=group, is_fixed=fixed), 1


def _name(items: Items, truth: np.ndarray) -> Items | None:
    """Name the largest cluster that is nobody's by most of its members; None when none is left."""
    identities = int(truth.max()) + 1
    left = items.start[items.start >= identities]
    if not len(left):
        return None
    cluster = int(np.bincount(left).argmax())
    name = int(np.bincount(truth[items.start == cluster]).argmax())
    return replace(items, start=np.where(items.start == cluster, name, items.start))
