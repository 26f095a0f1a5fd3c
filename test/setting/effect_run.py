"""Effects of the settings of the project, of how stages run, and of the seed."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable

import polars as pl
import pytest
from setting_effect import Effect, Seen, differ

from bunny.core import workspace
from bunny.core.error import StageError, UserError
from bunny.table import store


def _report_head(seen: Seen) -> str:
    """What the report says above its title."""
    seen.bunny("report")
    page = (seen.space.root / "report.html").read_text(encoding="utf-8")
    return re.search(r"Diffusion Bunny · (.+?)</p>", page).group(1)


def _where_films_are(seen: Seen) -> tuple[list[str], bool]:
    """Folders of films that a run in an empty project makes, and whether `status` finds one."""
    home = seen.data / "empty project"
    home.mkdir()
    seen.bunny("run", seen.space.source()["film"], "--only", "generate", folder=home, may_fail=True)
    made = [path.relative_to(home).parts[:2] for path in home.rglob("source.json")]
    listed = seen.bunny("status", folder=home).out
    return ["/".join(parts) for parts in made], seen.space.film_id in listed


def _has_report(seen: Seen) -> bool:
    """Whether a run that did something leaves a report."""
    (seen.space.root / "report.html").unlink(missing_ok=True)
    seen.bunny("run", seen.space.film_id, "--only", "filter", "--force")
    return (seen.space.root / "report.html").exists()


def _stages_run(seen: Seen) -> list[str]:
    said = seen.bunny("run", seen.space.film_id, "--json")
    return list(json.loads(said.out.splitlines()[-1])["stages"])


def _what_runs_again(seen: Seen) -> tuple[str, bool]:
    """What becomes of a finished stage; whether another one makes the shards that it has anew."""
    [done] = seen.run("filter")
    shard = next((seen.space.stage("cluster") / "shard" / "scene").rglob("*.parquet"))
    before = shard.stat().st_mtime_ns
    (seen.space.table / "cluster.parquet").unlink()
    seen.run("cluster")
    return done.status, shard.stat().st_mtime_ns != before


def _num_threads(seen: Seen) -> tuple[int, int]:
    """Threads of pools that worked in stages extract and cluster, on a machine of four cores."""
    forced = {"pipeline.force_rerun": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 4)
        return tuple(
            _count_threads(lambda stage=stage: seen.run(stage, more=forced))
            for stage in ("extract", "cluster")
        )


def _count_threads(work: Callable[[], object]) -> int:
    found = set()

    def note(*_event) -> None:
        thread = threading.current_thread()
        if thread.name.startswith("ThreadPoolExecutor"):
            found.add(thread.ident)

    threading.setprofile(note)
    try:
        work()
    finally:
        threading.setprofile(None)
    return len(found)


def _num_shards(seen: Seen) -> tuple[int, int]:
    """Shards of the film's three shots in stage extract, of its six pictures in stage cluster."""
    shutil.rmtree(seen.space.stage("extract"))
    shutil.rmtree(seen.space.stage("cluster"))
    seen.run("extract", "cluster")
    kinds = (("extract", "shot"), ("cluster", "scene"))
    return tuple(
        len([p for p in (seen.space.stage(stage) / "shard" / kind).glob("*/*") if p.is_dir()])
        for stage, kind in kinds
    )


def _end_with_a_broken_picture(seen: Seen) -> str:
    """How stage caption ends when one of six pictures cannot be read."""
    next(seen.space.frame.iterdir()).write_bytes(b"no picture")
    try:
        [done] = seen.run("caption", more={"captioning.class_word": "hare"})
    except StageError:
        return "failed"
    return done.status


def _held_out(seen: Seen) -> set[str]:
    """Pictures held out of a training set whose every picture is a shot of its own."""
    shot = {name: i for i, name in enumerate(seen.table("label")["frame_id"].unique().sort())}
    for name in ("frame", "extra_frame", "label", "label_corrected"):
        own = pl.col("frame_id").replace_strict(shot, return_dtype=pl.Int32)
        store.write(seen.space.table, name, seen.table(name).with_columns(shot_index=own))
    seen.run("dataset")
    return set(seen.table("dataset").filter(split="held-out")["frame_id"].str.tail(8))


def _run_beside_another(seen: Seen) -> bool:
    """Whether a stage runs although another writer holds the film for a second."""
    is_held = threading.Event()

    def hold() -> None:
        with workspace.lock(seen.space):
            is_held.set()
            time.sleep(1.0)

    writer = threading.Thread(target=hold)
    writer.start()
    is_held.wait()
    try:
        seen.run("filter")
    except UserError as error:
        assert f"process {os.getpid()} on" in str(error)
        return False
    finally:
        writer.join()
    return True


def _has_metrics(seen: Seen) -> bool:
    """Whether a stage's metrics are written for Prometheus."""
    for path in seen.space.log.glob("metrics.prom"):
        path.unlink()
    seen.run("filter")
    return (seen.space.log / "metrics.prom").exists()


EFFECT = {
    "pipeline.has_metrics": Effect(
        values=(True, False), look=_has_metrics, gives=(True, False), film="measured_film"
    ),
    "pipeline.has_report": Effect(values=(True, False), look=_has_report, gives=(True, False)),
    "pipeline.lock_wait_seconds": Effect(
        values=(0, 60), look=_run_beside_another, gives=(False, True), film="measured_film"
    ),
    "project.name": Effect(
        values=("meadow", "shore"),
        look=_report_head,
        gives=("meadow 0.1.0", "shore 0.1.0"),
        film="bare_film",
    ),
    "project.version": Effect(
        values=("1.2", "3.4"),
        look=_report_head,
        gives=("diffusion-bunny 1.2", "diffusion-bunny 3.4"),
        film="bare_film",
    ),
    "project.data_dir": Effect(
        values=("here", "over/there"),
        look=_where_films_are,
        gives=((["here/output"], True), (["over/there"], True)),
        film="bare_film",
    ),
    "pipeline.stages": Effect(
        values=(("filter",), ("filter", "extract")),
        look=_stages_run,
        gives=(["filter"], ["extract", "filter"]),
    ),
    "pipeline.force_rerun": Effect(
        values=(False, True), look=_what_runs_again, gives=(("skipped", False), ("done", True))
    ),
    "pipeline.parallel_processing": Effect(
        values=(False, True),
        look=_num_threads,
        holds=lambda off, on: off == (0, 1) and on[0] > 0 and on[1] > 1,
    ),
    "pipeline.shard_size": Effect(values=(1, 64), look=_num_shards, gives=((3, 6), (1, 1))),
    "pipeline.max_failed_share": Effect(
        values=(0.1, 0.2), look=_end_with_a_broken_picture, gives=("failed", "done")
    ),
    "seed": Effect(values=(0, 1), look=_held_out, holds=differ),
}
