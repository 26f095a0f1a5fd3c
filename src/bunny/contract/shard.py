"""Shards: finished pieces of a stage's work, filled by a pool; a kill loses at most one.

A shard is a folder with one parquet file a table, written under a temporary name and renamed: it
is there whole or not at all. Shards lie under a key; work of another key is never mixed in.
"""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from bunny.core import atomic, log, telemetry
from bunny.table import schema, store

STATE = "state.json"

LOGGED = {"frame_id": "item", "shot_index": "shot"}  # columns, to fields of the log's lines
OPEN_ITEMS = 8  # whose pixels may be in memory at a time

Item = TypeVar("Item")
Found = TypeVar("Found")
Rows = Mapping[str, list[dict[str, Any]]]  # of each table


class Shards:
    """The shards of one stage under one key.

    Parameters
    ----------
    folder : Path
        Holds one folder a key.
    key : str
        What the shards depend on, hashed.
    note_progress : callable, optional
        Told (done, total) after each shard.
    """

    def __init__(
        self, folder: Path, key: str, note_progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.folder = folder / key
        self._note_progress = note_progress

    def is_done(self, index: int) -> bool:
        """Whether shard `index` is there, whole."""
        return self._path(index).is_dir()

    def is_readable(self) -> bool:
        """Whether the tables of all shards have schemas that can be read today."""
        return all(map(store.is_readable, self.folder.glob("[0-9]*/*.parquet")))

    def has_all(self, num_items: int, size: int) -> bool:
        """Whether the shards of so many items, `size` each, are all there."""
        return len(self.done()) >= -(-num_items // size)

    def done(self) -> list[int]:
        """Indices of all finished shards, in order."""
        return sorted(int(p.name) for p in self.folder.glob("[0-9]*") if p.is_dir())

    def put(
        self,
        index: int,
        tables: Mapping[str, pl.DataFrame],
        total: int = 0,
        *,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the tables of shard `index`, each checked against its schema.

        `state`, of JSON values, says how to go on after it.
        """
        temporary = self.folder / f".{index:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        for name, frame in tables.items():
            store.write(temporary, name, frame)
        if state is not None:
            atomic.write_bytes(temporary / STATE, json.dumps(state).encode())
        atomic.replace_folder(temporary, self._path(index))
        if self._note_progress and total:
            self._note_progress(len(self.done()), total)

    def get(self, index: int, table: str) -> pl.DataFrame:
        """Read one table of one shard."""
        return store.read(self._path(index), table)

    def state(self, index: int) -> dict[str, Any] | None:
        """How to go on after shard `index`; None when nothing was kept."""
        path = self._path(index) / STATE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def collect(self, table: str) -> pl.DataFrame:
        """All rows of `table` over all shards; an empty table when there is none."""
        frames = [
            self.get(i, table).with_columns(
                pl.col(c).cast(pl.List(pl.Float32)) for c in schema.VECTOR.get(table, ())
            )
            for i in self.done()
            if store.exists(self._path(i), table)
        ]
        frames = [f for f in frames if f.height]
        if not frames:
            return store.from_rows(table, [])
        return store.check(table, pl.concat(frames, how="vertical"))

    def clear(self) -> None:
        """Forget every shard of this key."""
        atomic.remove_folder(self.folder)

    def drop_others(self) -> None:
        """Forget the shards of every other key."""
        if not self.folder.parent.is_dir():
            return
        for path in self.folder.parent.iterdir():
            if path != self.folder:
                atomic.remove_folder(path)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}"


def fill_missing(
    shards: Shards,
    items: pl.DataFrame,
    size: int,
    measure: Callable[[Any], Rows],
    pool: Executor,
    *,
    tables: Iterable[str],
    open_items: Callable[[pl.DataFrame], Iterable[Any]] | None = None,
    advance: Callable[[int], object] = lambda count: None,
    first: int = 0,
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
    first : int
        Index of the shard of the first items.
    """
    names = tuple(tables)
    pieces = dict(enumerate(items.iter_slices(size), start=first))
    todo = [i for i in pieces if not shards.is_done(i)]
    advance(sum(piece.height for i, piece in pieces.items() if i not in todo))
    if not todo:
        return
    left = pl.concat([pieces[i] for i in todo])
    opened = open_items(left) if open_items else left.iter_rows(named=True)
    found = map_bounded(pool, _in_context(measure), _with_place(pieces, todo, opened), OPEN_ITEMS)
    for index in todo:
        rows: dict[str, list] = {name: [] for name in names}
        with (
            log.context(shard=index),
            telemetry.span("shard", kind=shards.folder.parent.name, shard=index),
        ):
            for _ in range(pieces[index].height):
                for name, more in next(found).items():
                    rows[name] += more
                advance(1)
            shards.put(index, {n: store.from_rows(n, rows[n]) for n in names}, len(pieces))


def _with_place(
    pieces: Mapping[int, pl.DataFrame], todo: Iterable[int], opened: Iterable[Any]
) -> Iterator[tuple[dict[str, str | int], Any]]:
    """Each item with the fields that name it in the log: its shard, and its row's first key."""
    places = (
        {"shard": index} | {LOGGED[key]: value for key, value in row.items() if value is not None}
        for index in todo
        for row in _rows_of(pieces[index])
    )
    return zip(places, opened, strict=False)


def _rows_of(piece: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The columns that the log names, row by row; empty rows where it has none of them."""
    known = [name for name in LOGGED if name in piece.columns]
    return piece.select(known).iter_rows(named=True) if known else ({} for _ in range(piece.height))


def _in_context(measure: Callable[[Any], Rows]) -> Callable[[Any], Rows]:
    """The same on items with their places, which the log lines of the measurement carry."""

    def measure_here(placed: tuple[dict[str, str | int], Any]) -> Rows:
        with log.context(**placed[0]):
            return measure(placed[1])

    return measure_here


def map_bounded(
    pool: Executor, function: Callable[[Item], Found], items: Iterable[Item], most: int
) -> Iterator[Found]:
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
