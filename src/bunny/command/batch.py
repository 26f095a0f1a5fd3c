"""`bunny batch`: many films, each in a process of its own, on this machine or a Ray cluster."""

import hashlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import polars as pl
from av.error import FFmpegError
from tqdm.auto import tqdm

from bunny import pipeline
from bunny.batch import engine, film_list, ray_engine
from bunny.batch.engine import FilmOutcome
from bunny.batch.film_list import FilmTask
from bunny.command import film_workspace
from bunny.command.run import pair_references
from bunny.core import film_file, workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, UserError
from bunny.core.film_file import FilmPlace
from bunny.core.workspace import Workspace
from bunny.table import corrected, store
from bunny.view.report import batch as batch_report

TABLE = "batch_film"
MAX_PARTS = 16  # of a film; the blocks of shards that processes take are no more
STATUSES = ("waiting", "running", "done", "refused", "failed", "stopped")
EMPTY: dict[str, Any] = dict.fromkeys(batch_report.COUNTS, 0) | {"num_attempts": 0, "seconds": 0.0}


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a batch runs."""

    engine: str = "local"  # or ray
    address: str | None = None  # of a Ray cluster
    num_workers: int = 0  # films at once on this machine; 0: one for each two cores
    cpus: float = 2.0  # cores that a film asks Ray for
    memory_gib: float = 0.0  # and memory; 0: none
    part_minutes: float = 30.0  # of a long film, for idle workers; 0: films are not parted


def make_tasks(
    films: Sequence[FilmPlace],
    references: Sequence[Path],
    lists: Sequence[Path],
    overrides: Sequence[str],
    until: str | None,
) -> list[FilmTask]:
    """The films of a batch with what holds for each.

    Raises
    ------
    UserError
        For lists that cannot be read, films that stand twice, or none at all.
    """
    given = [
        FilmTask(
            film=str(film.resolve()), references=None if folder is None else str(folder.resolve())
        )
        for film, folder in pair_references(films, references if films else ())
    ]
    tasks = [*given, *(task for path in lists for task in film_list.read_list(path))]
    if not films and len(references) == 1:
        own = str(references[0].resolve())
        tasks = [task if task.references else replace(task, references=own) for task in tasks]
    film_list.check_tasks(tasks)
    return list(film_list.with_common(tasks, overrides, until))


def run_batch(
    tasks: Sequence[FilmTask], options: BatchOptions, data_dir: str | None
) -> tuple[pl.DataFrame, Path]:
    """Run a batch; its table is written as each film ends, its report in the end.

    Returns
    -------
    pl.DataFrame
        Table `batch_film`.
    Path
        Its folder, with `batch_film.parquet`, `report.html` and the log of each attempt.

    Raises
    ------
    UserError
        For settings or stages that are wrong for all films, or a cluster that does not answer.
    KeyboardInterrupt
        After Ctrl-C; the table says which films were stopped.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    for settings, until in dict.fromkeys((task.settings, task.until) for task in tasks):
        own = film_workspace.load_settings(data_dir, settings)[1]
        pipeline.choose_stages(own, (), until)
    place = workspace.data_folder(root, config.project.data_dir)
    folder = place / "batch" / hashlib.sha256(film_list.to_json(tasks).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    rows = {task.film: _waiting(task) for task in tasks}
    queue = _Queue(rows, folder, workspace.locate(root, config.project.data_dir, "batch"), config)
    total = sum(row["duration_s"] or 0.0 for row in rows.values())
    is_counted = bool(total)
    try:
        with tqdm(
            total=round(total) or len(tasks),
            unit="s of film" if is_counted else "film",
            desc="batch",
            dynamic_ncols=True,
        ) as bar:
            lengths = {film: row["duration_s"] for film, row in rows.items()}
            for outcome in _outcomes(
                tasks, lengths, options, root, data_dir, folder / "log", queue.note_running
            ):
                row = rows[outcome.task.film]
                row |= _result(outcome, place)
                _write_table(folder, rows)
                queue.write()
                bar.update(round(row["duration_s"] or 0) if is_counted else 1)
                bar.set_postfix_str(_describe(rows))
                if outcome.status != "done":
                    bar.write(
                        f"{outcome.task.film}: {outcome.status}, {row['error']}", file=sys.stderr
                    )
    except KeyboardInterrupt:
        _finish(folder, rows, config)
        queue.note_running(0)
        raise
    queue.note_running(0)
    return _finish(folder, rows, config), folder


class _Queue:
    """How many films of a batch wait, run and ended, for `metrics.prom`.

    Ray does not say which films run: there they count as waiting until they end.
    """

    def __init__(
        self, rows: Mapping[str, Mapping[str, Any]], folder: Path, space: Workspace, config: Config
    ) -> None:
        self._rows, self._folder, self._space = rows, folder, space
        self._is_wanted = config.pipeline.has_metrics
        self._lock, self._num_running = threading.Lock(), 0
        self.write()

    def note_running(self, number: int) -> None:
        """Write how many run now; called in the threads of films."""
        self._num_running = number
        self.write()

    def write(self) -> None:
        """Write the queue as it is."""
        if not self._is_wanted:
            return
        from bunny.view import metric

        with self._lock:
            rows = list(self._rows.values())
            counts: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
            counts.update(row["status"] for row in rows)
            counts["running"] = min(self._num_running, counts["waiting"])
            counts["waiting"] -= counts["running"]
            failed = sum(row["num_attempts"] - (row["status"] == "done") for row in rows)
            metric.write_batch(self._space, self._folder, counts, failed)


def _outcomes(
    tasks: Sequence[FilmTask],
    lengths: Mapping[str, float | None],
    options: BatchOptions,
    root: Path,
    data_dir: str | None,
    log_dir: Path,
    note_running: Callable[[int], None],
) -> Iterator[FilmOutcome]:
    """What became of each film, as it comes."""
    cores = os.cpu_count() or 1
    workers = options.num_workers or max(1, cores // 2)
    most = min(MAX_PARTS, workers if options.engine == "local" else MAX_PARTS)
    tasks, helpers = film_list.part_tasks(tasks, lengths, 60 * options.part_minutes, most)
    if options.engine == "ray":
        return ray_engine.run_ray(
            tasks,
            address=options.address,
            root=root,
            data_dir=data_dir,
            log_dir=log_dir,
            cpus=options.cpus,
            memory_bytes=int(options.memory_gib * 2**30),
            helpers=helpers,
        )
    runner = engine.FilmRunner(root, data_dir, log_dir, max(1, cores // workers), note_running)
    return engine.run_local(tasks, runner, workers, helpers)


def _waiting(task: FilmTask) -> dict[str, Any]:
    """The row of a film that has not run."""
    return EMPTY | {"film": task.film, "status": "waiting", "duration_s": _duration(task.film)}


def _duration(film: str) -> float | None:
    """Length that a film's container says, in seconds; None where it says nothing."""
    try:
        with film_file.open_container(film_file.locate(film)) as container:
            return container.duration / av.time_base if container.duration else None
    except (OSError, ValueError, FFmpegError, BunnyError):
        return None


def _result(outcome: FilmOutcome, place: Path) -> dict[str, Any]:
    """Columns that are known once a film has run."""
    known: dict[str, Any] = {
        "film_id": outcome.film_id,
        "status": outcome.status,
        "num_attempts": len(outcome.attempts),
        "seconds": outcome.seconds,
        "error": outcome.attempts[-1].error or None,
    }
    if outcome.status == "done" and outcome.film_id:
        known |= _counts(place / "output" / outcome.film_id / "table")
    return known


def _counts(folder: Path) -> dict[str, int]:
    """What came of a film."""
    tables: Mapping[str, pl.DataFrame] = {
        name: corrected.read_or_empty(folder, name)
        for name in ("shot", "quality", "label", "caption", "dataset")
    }
    who = tables["label"]["character"].drop_nulls()
    return {
        "num_shots": tables["shot"].height,
        "num_frames": int(tables["quality"]["is_kept"].sum()),
        "num_labels": len(who),
        "num_characters": who.n_unique(),
        "num_captions": tables["caption"].filter(pl.col("status") == "done").height,
        "num_images": tables["dataset"].height,
    }


def _finish(folder: Path, rows: Mapping[str, Mapping[str, Any]], config: Config) -> pl.DataFrame:
    """Write the table and the report of a batch that has ended."""
    table = _write_table(folder, rows)
    batch_report.write(folder, table, f"{config.project.name} {config.project.version}")
    return table


def _write_table(folder: Path, rows: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Write the table of a batch as it stands."""
    table = store.from_rows(TABLE, rows.values())
    store.write(folder, TABLE, table)
    return table


def _describe(rows: Mapping[str, Mapping[str, Any]]) -> str:
    ended = [row for row in rows.values() if row["status"] != "waiting"]
    bad = sum(row["status"] != "done" for row in ended)
    return f"{len(ended)} of {len(rows)} films" + (f", {bad} put aside" if bad else "")


def describe(table: pl.DataFrame, folder: Path, *, as_json: bool = False) -> str:
    """What a batch ended with: lines for a person, or one JSON object."""
    if as_json:
        return json.dumps({"folder": str(folder), "films": table.to_dicts()})
    return f"{batch_report.describe(table)}\n  report       {folder / 'report.html'}"


def exit_code(table: pl.DataFrame) -> int:
    """0 when every film is done, 2 when people can mend all that are not, else 1."""
    left = set(table["status"].cast(pl.String)) - {"done"}
    return 0 if not left else 2 if left == {"refused"} else 1


def check_options(options: BatchOptions) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    UserError
        Saying which.
    """
    if options.engine not in ("local", "ray"):
        raise UserError(f"--engine: expected local or ray, got {options.engine}")
    if options.address and options.engine != "ray":
        raise UserError("--address: expected --engine ray with it, got --engine local")
