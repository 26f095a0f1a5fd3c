"""Shards: finished pieces of a stage's work, filled by a pool; a kill loses at most one.

A shard is a folder with one parquet file a table, written under a temporary name and renamed: it
is there whole or not at all. Shards lie under a key; work of another key is never mixed in.

Several processes may fill the shards of one key together (`pipeline.num_parts`): each takes blocks
of shards that nobody works on, under a lock that falls with its process.
"""

import hashlib
import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from bunny.core import atomic, log, telemetry
from bunny.table import schema, store

STATE = "state.json"
PLAN = "plan.json"
CLAIM = ".claim"  # folder of the locks of blocks that a process works on
NUM_BLOCKS = 16  # of shards: the process that ends last is not far behind the others
POLL_S = 0.2  # between two looks at blocks that others work on

LOGGED = {"frame_id": "item", "shot_index": "shot"}  # columns, to fields of the log's lines
OPEN_ITEMS = 8  # whose pixels may be in memory at a time

Item = TypeVar("Item")
Found = TypeVar("Found")
Rows = Mapping[str, list[dict[str, Any]]]  # of each table


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """How the rows of shards are made."""

    measure: Callable[[Any], Rows]  # from an item; called in threads
    tables: Sequence[str]  # what a shard holds, be it empty
    # From the rows that are left to as many items, e.g. with their pixels; None: each row as a
    # mapping. Taken from lazily.
    open_items: Callable[[pl.DataFrame], Iterable[Any]] | None = None
    advance: Callable[[int], object] = lambda count: None  # told how many items are done


class NoLongerWantedError(Exception):
    """The run that a process helped has ended or was begun anew."""


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
    num_parts : int
        Processes that fill them together; 1: no other process writes here.
    is_wanted : callable, optional
        Whether the work is still wanted; asked of a process that helps another.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        note_progress: Callable[[int, int], None] | None = None,
        *,
        num_parts: int = 1,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder / key
        self.num_parts = num_parts
        self.num_put = 0  # shards that this process has made
        self._note_progress, self._is_wanted = note_progress, is_wanted

    @contextmanager
    def claim(self, name: str, *, is_waiting: bool = False) -> Iterator[bool]:
        """Be the only process that works on something here; gives whether this one is.

        Parameters
        ----------
        is_waiting : bool
            Wait until no other works on it.

        Raises
        ------
        NoLongerWantedError
        """
        if self.num_parts == 1:
            yield True
            return
        from filelock import FileLock, Timeout

        self.check_wanted()
        (self.folder / CLAIM).mkdir(parents=True, exist_ok=True)
        held = FileLock(self.folder / CLAIM / f"{name}.lock")
        try:
            held.acquire(timeout=-1 if is_waiting else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()

    def check_wanted(self) -> None:
        """Raise `NoLongerWantedError` where a process helps a run that is gone."""
        if not self._is_wanted():
            raise NoLongerWantedError

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
        self.num_put += 1
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


def plan_missing(
    shards: Shards, wanted: pl.DataFrame, table: str, size: int
) -> tuple[pl.DataFrame, int]:
    """Plan which of the wanted frames are still to be measured, and from which shard on.

    A plan is kept and holds until other frames are wanted: after a kill, and for every process that
    fills the shards, the same frames lie in the same shards. No shard's index is used twice.

    Parameters
    ----------
    shards : Shards
        Filled for one choice of frames after another; what they hold is never measured again.
    wanted : pl.DataFrame
        With `frame_index`.
    table : str
        Of the shards, with `frame_index`.
    size : int
        Frames a shard.

    Returns
    -------
    missing : pl.DataFrame
        Rows of `wanted` in order of `frame_index`, of finished shards of the plan too.
    first : int
        Index of the shard of the first of them.
    """
    indices = wanted["frame_index"].sort()
    said = [hashlib.sha256(indices.to_numpy().tobytes()).hexdigest(), size]
    with shards.claim("plan", is_waiting=True):
        known, done = _read_plan(shards), set(shards.done())
        left = indices.filter(~indices.is_in(shards.collect(table)["frame_index"].implode()))
        planned = [
            index
            for place, index in enumerate(known.get("frame", ()))
            if known["first"] + place // size not in done
        ]
        if known.get("wanted") != said or not set(left).issubset(planned):
            first = max([*done, known.get("last", -1)]) + 1
            known = {"wanted": said, "first": first, "last": first + len(left) // size}
            known["frame"] = left.to_list()
            atomic.write_bytes(shards.folder / PLAN, json.dumps(known).encode())
    rows = wanted.filter(pl.col("frame_index").is_in(known["frame"])).sort("frame_index")
    return rows, known["first"]


def _read_plan(shards: Shards) -> dict[str, Any]:
    path = shards.folder / PLAN
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def fill_missing(
    shards: Shards,
    items: pl.DataFrame,
    size: int,
    work: ShardWork,
    pool: Executor,
    *,
    first: int = 0,
) -> None:
    """Measure the items of every shard that is not there yet.

    Parameters
    ----------
    items : pl.DataFrame
        One row an item, in fixed order.
    size : int
        Items a shard.
    first : int
        Index of the shard of the first items.
    """
    pieces = dict(enumerate(items.iter_slices(size), start=first))
    todo = [i for i in pieces if not shards.is_done(i)]
    work.advance(sum(piece.height for i, piece in pieces.items() if i not in todo))
    fill = partial(_fill, shards, pieces, work, pool)
    if todo and shards.num_parts == 1:
        fill(todo)
    elif todo:
        size = max(1, len(pieces) // NUM_BLOCKS)
        every = list(pieces)
        blocks = [every[start : start + size] for start in range(0, len(every), size)]
        others = set(todo) - share(shards, blocks, fill)
        work.advance(sum(pieces[index].height for index in others))


def share(
    shards: Shards, blocks: Iterable[Sequence[int]], fill: Callable[[Sequence[int]], None]
) -> set[int]:
    """Fill the blocks that no other process works on, and wait for those that one does.

    Parameters
    ----------
    blocks : iterable of sequences of int
        Indices of shards; the same for every process.
    fill : callable
        Fills some shards of a block.

    Returns
    -------
    set of int
        Shards that this process filled. A block whose process died is free again.

    Raises
    ------
    NoLongerWantedError
        See `Shards.claim`.
    """
    waiting, own = list(blocks), set()
    while waiting:
        for block in list(waiting):
            if all(map(shards.is_done, block)):
                waiting.remove(block)
                continue
            with shards.claim(f"{block[0]:06d}") as is_mine:
                mine = [index for index in block if not shards.is_done(index)]
                if is_mine and mine:
                    fill(mine)
                    own.update(mine)
            if is_mine:
                waiting.remove(block)
        if waiting:
            time.sleep(POLL_S)
    return own


def _fill(
    shards: Shards,
    pieces: Mapping[int, pl.DataFrame],
    work: ShardWork,
    pool: Executor,
    todo: Sequence[int],
) -> None:
    """Measure the items of these shards, in order."""
    left = pl.concat([pieces[i] for i in todo])
    opened = work.open_items(left) if work.open_items else left.iter_rows(named=True)
    placed = _with_place(pieces, todo, opened)
    found = map_bounded(pool, _in_context(work.measure), placed, OPEN_ITEMS)
    for index in todo:
        rows: dict[str, list] = {name: [] for name in work.tables}
        with (
            log.context(shard=index),
            telemetry.span("shard", kind=shards.folder.parent.name, shard=index),
        ):
            for _ in range(pieces[index].height):
                for name, more in next(found).items():
                    rows[name] += more
                work.advance(1)
            shards.put(index, {n: store.from_rows(n, rows[n]) for n in work.tables}, len(pieces))


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
