"""Shards are filled once, in order, with few items open."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from bunny.contract import machine
from bunny.contract.shard import Shards, fill_missing, map_bounded
from bunny.core import log
from bunny.table import migration, schema
from bunny.table.migration import Migration

ITEM = pl.DataFrame({"frame_id": [f"f{i}" for i in range(7)]})


def _measure(item):
    return {"embedding": [{"frame_id": item["frame_id"], "model": "m", "vector": [1.0]}]}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_rows_come_in_order_and_only_missing_shards_are_measured(tmp_path, pool):
    shards, told = Shards(tmp_path, "key"), []
    fill_missing(shards, ITEM, 3, _measure, pool, tables=["embedding"])
    assert shards.done() == [0, 1, 2]
    before = shards.collect("embedding")
    assert before["frame_id"].to_list() == ITEM["frame_id"].to_list()
    import shutil

    shutil.rmtree(tmp_path / "key" / "000001")
    seen = []

    def note(item):
        seen.append(item["frame_id"])
        return _measure(item)

    fill_missing(shards, ITEM, 3, note, pool, tables=["embedding"], advance=told.append)
    assert sorted(seen) == ["f3", "f4", "f5"] and told == [4, 1, 1, 1]
    assert shards.collect("embedding").equals(before)


def test_more_items_come_after_those_that_are_there(tmp_path, pool):
    shards = Shards(tmp_path, "key")
    fill_missing(shards, ITEM.head(4), 3, _measure, pool, tables=["embedding"])
    fill_missing(shards, ITEM.tail(3), 3, _measure, pool, tables=["embedding"], first=2)
    assert shards.done() == [0, 1, 2]
    assert shards.collect("embedding")["frame_id"].to_list() == ITEM["frame_id"].to_list()


def test_an_item_may_give_nothing(tmp_path, pool):
    shards = Shards(tmp_path, "key")
    fill_missing(shards, ITEM, 4, lambda item: {}, pool, tables=["embedding"])
    assert shards.done() == [0, 1] and shards.collect("embedding").height == 0


def test_few_items_are_open_at_a_time(pool):
    taken, gate = [], threading.Event()

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    found = map_bounded(pool, lambda i: gate.wait(5) and i, items(), 4)
    gate.set()
    assert next(found) == 0 and len(taken) == 4
    assert list(found) == list(range(1, 50))


def test_what_goes_wrong_in_a_thread_is_raised_here(pool):
    with pytest.raises(ZeroDivisionError):
        list(map_bounded(pool, lambda i: 1 / i, [1, 0], 4))


def test_log_lines_from_threads_name_film_shard_and_item(tmp_path):
    path = log.configure(tmp_path / "log")

    def measure(item):
        logging.getLogger("bunny.measure").info("looked")
        return _measure(item)

    with log.context(film="meadow"), machine.thread_pool(3) as threads:
        fill_missing(Shards(tmp_path, "key"), ITEM, 3, measure, threads, tables=["embedding"])
    log.configure(None)
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    said = sorted((line["film"], line["shard"], line["item"]) for line in lines)
    assert said == [("meadow", index // 3, f"f{index}") for index in range(7)]


def test_shards_of_a_schema_that_is_read_no_more_are_told(tmp_path, pool, monkeypatch):
    shards = Shards(tmp_path, "key")
    assert shards.is_readable()
    fill_missing(shards, ITEM, 3, _measure, pool, tables=["embedding"])
    assert shards.is_readable()
    monkeypatch.setitem(schema.VERSION, "embedding", 2)
    assert not shards.is_readable()
    step = Migration(table="embedding", from_version=1, to_version=2, change=lambda table: table)
    monkeypatch.setattr(migration, "MIGRATIONS", (step,))
    assert shards.is_readable() and shards.collect("embedding").height == ITEM.height
