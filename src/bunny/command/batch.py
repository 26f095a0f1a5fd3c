"""`bunny batch`: many films, each in a process of its own, on this machine or a Ray cluster."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import av
import polars as pl
from av.error import FFmpegError

from bunny import pipeline
from bunny.batch import batch_status, engine, film_list, film_needs, ray_engine
from bunny.batch.batch_status import BatchStatus
from bunny.batch.engine import FilmOutcome
from bunny.batch.film_list import FINETUNE, PREPARE, FilmTask
from bunny.batch.film_needs import FilmNeeds
from bunny.batch.ray_engine import NodePlaces
from bunny.command import film_workspace
from bunny.command.batch_monitor import BatchMonitor
from bunny.command.option.film import BatchOptions
from bunny.command.run import pair_references
from bunny.core import exit_code, film_file, workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, UserError
from bunny.core.film_file import FilmPlace
from bunny.table import corrected
from bunny.view.report import batch as batch_report

MAX_PARTS = 16  # of a film; the blocks of shards that processes take are no more
EMPTY: dict[str, Any] = dict.fromkeys(batch_report.COUNTS, 0) | {
    "node": None,
    "error": None,
    "num_attempts": 0,
    "seconds": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """Result of a batch."""

    table: pl.DataFrame  # `batch_film`
    folder: Path  # with the table, `status.json`, `report.html` and the log of each attempt

    @property
    def exit_code(self) -> int:
        """2 when the user can fix all films that are not done, 1 when not."""
        return exit_code.of_films(self.table["status"].cast(pl.String))

    def to_text(self) -> str:
        """Lines for a person."""
        return f"{batch_report.describe(self.table)}\n  report       {self.folder / 'report.html'}"

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"folder": str(self.folder), "films": self.table.to_dicts()})


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
) -> BatchResult:
    """Run a batch; its table is written as films run and end, its report in the end.

    Raises
    ------
    UserError
        For settings or stages that are wrong for all films, or a cluster that does not answer.
    KeyboardInterrupt
        After Ctrl-C; the table says which films were stopped.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    divide = _make_divider(data_dir)
    for task in {(task.settings, task.until): task for task in tasks}.values():
        divide(task)
    place = workspace.data_folder(root, config.project.data_dir)
    folder = _folder(place, tasks)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {task.film: _waiting(task) for task in tasks}
    space = workspace.locate(root, config.project.data_dir, "batch")
    monitor = BatchMonitor(rows, folder, space, config)
    job = _Job(
        tasks, {film: row["duration_s"] for film, row in rows.items()}, options, divide, monitor
    )
    try:
        with monitor:
            for outcome in job.outcomes(
                NodePlaces(
                    root=root,
                    data_dir=data_dir,
                    log_dir=folder / "log",
                    record_dir=monitor.record_dir,
                ),
                place / "output",
            ):
                monitor.note(outcome, _result(outcome, place))
    except KeyboardInterrupt:
        _finish(folder, monitor.table(), config)
        raise
    return BatchResult(table=_finish(folder, monitor.table(), config), folder=folder)


def _folder(place: Path, tasks: Sequence[FilmTask]) -> Path:
    """Folder of a batch: equal for equal batches."""
    return place / "batch" / hashlib.sha256(film_list.to_json(tasks).encode()).hexdigest()[:8]


def _make_divider(data_dir: str | None) -> Callable[[FilmTask], Sequence[FilmTask]]:
    """What divides films into phases by their settings, which it refuses where they are wrong."""

    @cache
    def look(settings: tuple[str, ...], until: str | None) -> tuple[tuple[str, ...], bool]:
        own = film_workspace.load_settings(data_dir, settings)[1]
        return pipeline.choose_stages(own, (), until), own.pipeline.force_rerun

    def divide(task: FilmTask) -> Sequence[FilmTask]:
        stages, is_forced = look(task.settings, task.until)
        return film_list.to_phases(task, stages, is_forced=is_forced)

    return divide


@dataclass(frozen=True)
class _Job:
    """Films of a batch and how they are to run."""

    tasks: Sequence[FilmTask]
    lengths: Mapping[str, float | None]
    options: BatchOptions
    divide: Callable[[FilmTask], Sequence[FilmTask]]
    monitor: BatchMonitor

    def outcomes(self, places: NodePlaces, output: Path) -> Iterator[FilmOutcome]:
        """What became of each film, as it comes."""
        options, cores = self.options, os.cpu_count() or 1
        workers = options.num_workers or max(1, cores // 2)
        most = min(MAX_PARTS, workers if options.engine == "local" else MAX_PARTS)
        tasks, helpers = film_list.part_tasks(
            self.tasks, self.lengths, 60 * options.part_minutes, most
        )
        if options.engine == "ray":
            return ray_engine.run_ray(
                tasks,
                places,
                _needs(options, output),
                address=options.address,
                helpers=helpers,
                note_slots=self.monitor.note_slots,
                **({"divide": self.divide} if options.gpus else {}),
            )
        self.monitor.note_slots(workers, 0)
        runner = engine.FilmRunner(
            places.root,
            places.data_dir,
            places.log_dir,
            max(1, cores // workers),
            places.record_dir,
        )
        return engine.run_local(tasks, runner, workers, helpers)


def _needs(options: BatchOptions, output: Path) -> FilmNeeds:
    """What a film asks Ray for."""
    memory: dict[str, int] = {}
    if options.memory_gib is None:
        memory = film_needs.estimate_memory(output)
    elif given := int(options.memory_gib * film_needs.GIB):
        memory |= dict.fromkeys(("", PREPARE, FINETUNE), given)
    return FilmNeeds(
        cpus=options.cpus,
        gpus=options.gpus,
        memory_bytes=memory,
        is_estimate=options.memory_gib is None,
    )


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
        "node": outcome.attempts[-1].node or None,
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


def _finish(folder: Path, table: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Write the report of a batch that has ended."""
    batch_report.write(folder, table, f"{config.project.name} {config.project.version}")
    return table


def read_status(tasks: Sequence[FilmTask], data_dir: str | None) -> BatchStatus:
    """Read how a batch stands, from another terminal or after it ended.

    Parameters
    ----------
    tasks : sequence of FilmTask
        Of the batch; none: the one of the data folder that was heard of last.
    data_dir : str, optional
        As of `bunny run`.

    Raises
    ------
    UserError
        If there is no such batch.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    place = workspace.data_folder(root, config.project.data_dir)
    return batch_status.read(
        _folder(place, tasks) if tasks else batch_status.find_newest(place / "batch")
    )


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
        raise UserError("--address needs --engine ray, got --engine local")
    if options.gpus and options.engine != "ray":
        raise UserError("--gpus needs --engine ray, got --engine local, where films share the GPU")
