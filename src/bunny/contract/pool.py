"""Fills the shards that are missing, by a pool, in order, with a bounded number of items open."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from typing import Any

import polars as pl

from bunny.contract.shard import Shards
from bunny.table import store

OPEN_ITEMS = 8  # whose pixels may be in memory at a time

Rows = Mapping[str, list[dict[str, Any]]]  # of each table


def fill(
    shards: Shards,
    items: pl.DataFrame,
    size: int,
    measure: Callable[[Any], Rows],
    pool: Executor,
    *,
    tables: Iterable[str],
    open_items: Callable[[pl.DataFrame], Iterable[Any]] | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Measure the items of every shard that is not there yet.

    Parameters
    ----------
    shards : Shards
    items : pl.DataFrame
        One row an item, in fixed order.
    size : int
        Items a shard.
    measure : callable
        From an item to rows of each table; called in threads of `pool`.
    pool : Executor
    tables : iterable of str
        What a shard holds, be it empty.
    open_items : callable, optional
        From the rows that are left to as many items, e.g. with their pixels; by default each row
        as a mapping. Taken from lazily.
    advance : callable, optional
        Told how many items are done, for progress.
    """
    names = tuple(tables)
    pieces = list(items.iter_slices(size))
    todo = [i for i in range(len(pieces)) if not shards.is_done(i)]
    advance(sum(piece.height for i, piece in enumerate(pieces) if i not in todo))
    if not todo:
        return
    left = pl.concat([pieces[i] for i in todo])
    opened = open_items(left) if open_items else left.iter_rows(named=True)
    found = map_bounded(pool, measure, opened, OPEN_ITEMS)
    for index in todo:
        rows: dict[str, list] = {name: [] for name in names}
        for _ in range(pieces[index].height):
            for name, more in next(found).items():
                rows[name] += more
            advance(1)
        shards.put(index, {n: store.from_rows(n, rows[n]) for n in names}, len(pieces))


def map_bounded(
    pool: Executor, function: Callable[[Any], Any], items: Iterable[Any], most: int
) -> Iterator[Any]:
    """As `Executor.map`, in order, with at most `most` items taken and not yet given back.

    `Executor.map` takes all items at once, which for pictures fills the memory.
    """
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
