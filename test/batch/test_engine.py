"""Films in processes of their own: done, refused, crashed, stopped."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from bunny.batch import engine, film_list, film_process
from bunny.batch.engine import FilmRunner
from bunny.batch.film_list import FilmTask

pytestmark = pytest.mark.slow


def runner(tmp_path: Path) -> FilmRunner:
    return FilmRunner(tmp_path, str(tmp_path / "data"), tmp_path / "log", 1)


def task(film: Path, **more) -> FilmTask:
    return FilmTask(film=str(film), until="filter", **more)


def processes(film: Path) -> list[int]:
    """Running processes that have a film among their arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"run" in arguments and str(film).encode() in arguments:
            found.append(int(place.name))
    return found


def wait_for(condition, seconds: float = 60.0):
    """What a condition gives once it is true."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)
    return found


def test_a_film_is_run_and_one_that_is_missing_is_refused(tmp_path, film):
    tasks = [task(film("a")), task(tmp_path / "nothing.mp4")]
    found = {Path(one.task.film).stem: one for one in engine.run_local(tasks, runner(tmp_path), 2)}
    done, refused = found["a"], found["nothing"]
    assert (done.status, len(done.attempts), done.attempts[0].error) == ("done", 1, "")
    table = tmp_path / "data" / "output" / str(done.film_id) / "table" / "frame.parquet"
    assert pl.read_parquet(table).height >= 1
    assert (refused.status, len(refused.attempts), refused.film_id) == ("refused", 1, None)
    assert "found no such file" in refused.attempts[0].error
    assert "\n" not in refused.attempts[0].error


@pytest.mark.skipif(sys.platform != "linux", reason="finds the film's process in /proc")
def test_a_process_that_dies_is_tried_again(tmp_path, film):
    long = film("long", seconds=8)
    killed = []

    def kill_first():
        [first, *_] = wait_for(lambda: processes(long))
        os.kill(first, signal.SIGKILL)
        killed.append(first)

    killer = threading.Thread(target=kill_first)
    killer.start()
    outcome = runner(tmp_path).run(task(long))
    killer.join()
    assert (len(killed), len(outcome.attempts), outcome.status) == (1, 2, "done")
    assert outcome.attempts[0].exit_code == -signal.SIGKILL
    assert "SIGKILL" in outcome.attempts[0].error


@pytest.mark.skipif(sys.platform != "linux", reason="finds the film's process in /proc")
def test_a_film_that_always_crashes_is_put_aside_and_the_others_run(tmp_path, film):
    poisoned, fine = film("poisoned", seconds=8), film("fine")
    is_over = threading.Event()

    def kill_all():
        while not is_over.wait(0.02):
            for process in processes(poisoned):
                os.kill(process, signal.SIGSEGV)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        tasks = [task(poisoned), task(fine)]
        found = {Path(o.task.film).stem: o for o in engine.run_local(tasks, runner(tmp_path), 1)}
    finally:
        is_over.set()
        killer.join()
    assert (found["poisoned"].status, len(found["poisoned"].attempts)) == ("failed", 3)
    assert "SIGSEGV" in found["poisoned"].attempts[-1].error
    assert found["fine"].status == "done"


def test_stopping_ends_films_and_keeps_what_they_have(tmp_path, film):
    long = film("long", seconds=20)
    own, found = runner(tmp_path), []
    thread = threading.Thread(target=lambda: found.append(own.run(task(long))))
    thread.start()
    log = wait_for(lambda: list((tmp_path / "log").glob("*.log")))[0]
    wait_for(lambda: "extract" in log.read_text(encoding="utf-8"))
    own.stop()
    thread.join(60)
    [outcome] = found
    assert outcome.status == "stopped"
    assert own.run(task(long)).status == "stopped"  # nothing begins after that
    again = runner(tmp_path).run(task(long))
    assert again.status == "done"


def test_a_film_stops_when_its_parent_dies(tmp_path, film):
    """The parent is a process that starts a film and is killed."""
    long = film("long", seconds=20)
    command = [sys.executable, "-m", "bunny", "run", str(long), "--data-dir", str(tmp_path / "d")]
    code = (
        "import subprocess, sys, os, time\n"
        f"p = subprocess.Popen({command!r}, stdin=subprocess.PIPE, stderr=subprocess.PIPE,"
        f" env=os.environ | {{{film_process.VARIABLE!r}: '1'}})\n"
        "print(p.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_for(lambda: list((tmp_path / "d").rglob("source.json")))
        parent.kill()

    def is_gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(is_gone)


def test_an_idle_worker_helps_with_a_long_film(tmp_path, film):
    films = [film("long", seconds=60), film("b")]
    tasks, helpers = film_list.part_tasks(
        [task(path) for path in films], {str(films[0]): 60.0, str(films[1]): 1.0}, 20.0, most=2
    )
    assert [one.film for one in helpers] == [str(films[0])]
    records = tmp_path / "running"
    own = FilmRunner(tmp_path, str(tmp_path / "data"), tmp_path / "log", 1, records)
    outcomes = list(engine.run_local(tasks, own, 2, helpers))
    assert {one.status for one in outcomes} == {"done"} and len(outcomes) == 2
    assert (tmp_path / "log" / "long-assist-0.log").exists()
    assert list(records.iterdir()) == []  # who helps has none, and those of films go with them
    alone = FilmRunner(tmp_path, str(tmp_path / "alone"), tmp_path / "log", 1)
    assert [one.status for one in engine.run_local([task(films[0])], alone, 1)] == ["done"]
    for path in (tmp_path / "alone").glob("output/*/table/*.parquet"):
        other = tmp_path / "data" / path.relative_to(tmp_path / "alone")
        assert other.read_bytes() == path.read_bytes(), path.name
    assert not processes(films[0])


def test_help_for_a_film_that_cannot_run_ends_with_it(tmp_path):
    nothing = task(tmp_path / "nothing.mp4", settings=("pipeline.num_parts=2",))
    began = time.monotonic()
    helpers = [dataclasses.replace(nothing, is_helper=True)]
    [refused] = engine.run_local([nothing], runner(tmp_path), 2, helpers)
    assert refused.status == "refused"
    assert time.monotonic() - began < 30
