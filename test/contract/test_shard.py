"""Shards are filled once, in order, with few items open."""

import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from bunny.contract import machine
from bunny.contract.shard import (
    NoLongerWantedError,
    Shards,
    ShardWork,
    fill_missing,
    map_bounded,
    plan_missing,
)
from bunny.core import log
from bunny.table import migration, schema, store
from bunny.table.migration import Migration

ITEM = pl.DataFrame({"frame_id": [f"f{i}" for i in range(7)]})


def _measure(item):
    return {"embedding": [{"frame_id": item["frame_id"], "model": "m", "vector": [1.0]}]}


WORK = ShardWork(measure=_measure, tables=["embedding"])


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_rows_come_in_order_and_only_missing_shards_are_measured(tmp_path, pool):
    shards, told = Shards(tmp_path, "key"), []
    fill_missing(shards, ITEM, 3, WORK, pool)
    assert shards.done() == [0, 1, 2]
    before = shards.collect("embedding")
    assert before["frame_id"].to_list() == ITEM["frame_id"].to_list()
    import shutil

    shutil.rmtree(tmp_path / "key" / "000001")
    seen = []

    def note(item):
        seen.append(item["frame_id"])
        return _measure(item)

    work = ShardWork(measure=note, tables=["embedding"], advance=told.append)
    fill_missing(shards, ITEM, 3, work, pool)
    assert sorted(seen) == ["f3", "f4", "f5"] and told == [4, 1, 1, 1]
    assert shards.collect("embedding").equals(before)


def test_more_items_come_after_those_that_are_there(tmp_path, pool):
    shards = Shards(tmp_path, "key")
    fill_missing(shards, ITEM.head(4), 3, WORK, pool)
    fill_missing(shards, ITEM.tail(3), 3, WORK, pool, first=2)
    assert shards.done() == [0, 1, 2]
    assert shards.collect("embedding")["frame_id"].to_list() == ITEM["frame_id"].to_list()


def test_an_item_may_give_nothing(tmp_path, pool):
    shards = Shards(tmp_path, "key")
    nothing = ShardWork(measure=lambda item: {}, tables=["embedding"])
    fill_missing(shards, ITEM, 4, nothing, pool)
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

    work = ShardWork(measure=measure, tables=["embedding"])
    with log.context(film="meadow"), machine.thread_pool(3) as threads:
        fill_missing(Shards(tmp_path, "key"), ITEM, 3, work, threads)
    log.configure(None)
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    said = sorted((line["film"], line["shard"], line["item"]) for line in lines)
    assert said == [("meadow", index // 3, f"f{index}") for index in range(7)]


def test_shards_of_a_schema_that_is_read_no_more_are_told(tmp_path, pool, monkeypatch):
    shards = Shards(tmp_path, "key")
    assert shards.is_readable()
    fill_missing(shards, ITEM, 3, WORK, pool)
    assert shards.is_readable()
    monkeypatch.setitem(schema.VERSION, "embedding", 2)
    assert not shards.is_readable()
    step = Migration(table="embedding", from_version=1, to_version=2, change=lambda table: table)
    monkeypatch.setattr(migration, "MIGRATIONS", (step,))
    assert shards.is_readable() and shards.collect("embedding").height == ITEM.height


def _shared(folder, **options):
    return Shards(folder, "key", num_parts=2, **options)


def test_two_fill_the_same_shards_each_once(tmp_path, pool):
    item = pl.DataFrame({"frame_id": [f"f{i:02}" for i in range(40)]})
    seen, meet = [], threading.Barrier(2, timeout=30)

    def fill(_):
        shards = _shared(tmp_path)

        def measure(row):
            if not seen:  # both have begun before anything is done
                meet.wait()
            seen.append(row["frame_id"])
            return _measure(row)

        told = []
        work = ShardWork(measure=measure, tables=["embedding"], advance=told.append)
        with ThreadPoolExecutor(1) as own:
            fill_missing(shards, item, 1, work, own)
        return shards.num_put, sum(told)

    with ThreadPoolExecutor(2) as both:
        (one, told_one), (two, told_two) = both.map(fill, range(2))
    assert one + two == 40 and one > 0 and two > 0
    assert told_one == told_two == 40  # each tells of the items that the other measured
    assert sorted(seen) == item["frame_id"].to_list()
    assert Shards(tmp_path, "key").collect("embedding")["frame_id"].to_list() == sorted(seen)


def test_a_block_whose_process_died_is_filled_by_another(tmp_path, pool):
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bunny.contract.shard import Shards\n"
        "with Shards(Path(sys.argv[1]), 'key', num_parts=2).claim('000000') as is_mine:\n"
        "    print(is_mine, flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "True\n"
        shards = _shared(tmp_path)
        with shards.claim("000000") as is_mine:
            assert not is_mine
        threading.Timer(1.0, holder.kill).start()
        fill_missing(shards, ITEM, 3, WORK, pool)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert holder.returncode != 0  # the work waited for it
    assert shards.num_put == 3
    assert shards.collect("embedding")["frame_id"].to_list() == ITEM["frame_id"].to_list()


def test_who_helps_stops_when_it_is_wanted_no_more(tmp_path, pool):
    asked = iter((True, False))
    shards = _shared(tmp_path, is_wanted=lambda: next(asked))
    with pytest.raises(NoLongerWantedError):
        fill_missing(shards, ITEM, 1, WORK, pool)
    assert shards.done() == [0]


def _put_frames(shards, index, frames):
    rows = [
        {
            "frame_id": f"f{i}",
            "film_id": "f",
            "shot_index": 0,
            "frame_index": i,
            "pts": i,
            "time_base_num": 1,
            "time_base_den": 24,
            "timestamp_s": i / 24,
            "reason": "extra",
            "error": None,
        }
        for i in frames
    ]
    shards.put(index, {"extra_frame": store.from_rows("extra_frame", rows)})


def test_a_plan_holds_for_the_same_frames_and_uses_no_index_twice(tmp_path):
    shards = Shards(tmp_path, "key")
    wanted = pl.DataFrame({"shot_index": [0, 0, 1, 1], "frame_index": [3, 5, 8, 13]})

    missing, first = plan_missing(shards, wanted, "extra_frame", 2)
    assert missing["frame_index"].to_list() == [3, 5, 8, 13] and first == 0
    _put_frames(shards, 0, [3, 5])
    again, first = plan_missing(shards, wanted, "extra_frame", 2)  # as after a kill
    assert again.equals(missing) and first == 0
    more = pl.DataFrame({"shot_index": [0, 2], "frame_index": [5, 21]})
    missing, first = plan_missing(shards, more, "extra_frame", 2)
    assert missing["frame_index"].to_list() == [21]
    assert first > 1  # a process of the first plan may still be at its second shard


@pytest.mark.parametrize("size", [1, 3])
def test_a_plan_of_shards_of_another_size_holds_no_more(tmp_path, size):
    shards = Shards(tmp_path, "key")
    wanted = pl.DataFrame({"frame_index": [3, 5, 8, 13]})
    plan_missing(shards, wanted, "extra_frame", 2)
    _put_frames(shards, 0, [3, 5])
    missing, first = plan_missing(shards, wanted, "extra_frame", size)
    assert missing["frame_index"].to_list() == [8, 13] and first > 1


def test_what_was_taken_out_of_a_finished_shard_is_planned_again(tmp_path):
    """As rows of somebody who was forgotten."""
    shards = Shards(tmp_path, "key")
    wanted = pl.DataFrame({"frame_index": [3, 5, 8]})
    plan_missing(shards, wanted, "extra_frame", 2)
    _put_frames(shards, 0, [3, 5])
    _put_frames(shards, 1, [8])
    assert plan_missing(shards, wanted, "extra_frame", 2)[1] == 0
    _put_frames(shards, 0, [5])
    missing, first = plan_missing(shards, wanted, "extra_frame", 2)
    assert missing["frame_index"].to_list() == [3] and first > 1
