"""Engines of a batch: each film runs as `bunny run` in a process of its own.

A decoder that crashes takes its own process with it and no other film. What a person can mend
(exit code 2) is not tried again; anything else is, twice, and then the film is put aside. A film
that is run again goes on where it stopped, so nothing is done twice.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bunny.batch import film_process, film_record
from bunny.batch.film_list import PREPARE, FilmTask
from bunny.batch.film_record import RunningFilm
from bunny.core import atomic, exit_code, film_file, log

logger = logging.getLogger(__name__)

NUM_RETRIES = 2
STOP_S = film_process.STOP_S + 5  # that a film has to stop in, before it is killed
# Polars' handler of Ctrl-C lets a thread that waits for a lock wait on: only when that ends does
# Python learn of it, which would be when a film ends.
POLL_S = 0.5
LOG_BYTES = 60  # the film's share of a log file's name
PREFIX = "bunny: "  # of the sentence that a failed run ends with


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run of a film."""

    exit_code: int
    seconds: float
    report: dict[str, Any] = field(default_factory=dict)  # of `bunny run --json`
    error: str = ""  # the sentence it ended with
    node: str = ""  # where it ran
    phase: str = ""  # of `FilmTask`


@dataclass(frozen=True, kw_only=True)
class FilmOutcome:
    """What became of a film."""

    task: FilmTask
    attempts: tuple[Attempt, ...]

    @property
    def status(self) -> str:
        """done, refused (a person can mend it), failed (after all attempts) or stopped."""
        return exit_code.film_status(self.attempts[-1].exit_code)

    @property
    def film_id(self) -> str | None:
        """None where the film was never opened."""
        known = [one.report["film_id"] for one in self.attempts if "film_id" in one.report]
        return known[-1] if known else None

    @property
    def seconds(self) -> float:
        """Of all attempts."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def num_failed(self) -> int:
        """Attempts that did not end well."""
        return sum(attempt.exit_code != 0 for attempt in self.attempts)


class FilmRunner:
    """Runs films as `bunny run` in processes of their own, and stops them together.

    Parameters
    ----------
    root : Path
        The project's folder, in which they run.
    data_dir : str, optional
        As of `bunny run`; None: that of the settings.
    log_dir : Path
        Of what each film's process writes.
    num_threads : int
        For the numerical libraries of a process.
    record_dir : Path, optional
        Of the records of films that run, see `film_record`; None: none are kept.
    node : str
        Name of where they run; "": that of this machine.
    """

    def __init__(
        self,
        root: Path,
        data_dir: str | None,
        log_dir: Path,
        num_threads: int,
        record_dir: Path | None = None,
        *,
        node: str = "",
    ) -> None:
        self._root, self._data_dir = root, data_dir
        self._record_dir, self._node = record_dir, node or socket.gethostname()
        self._log_dir, self._num_threads = log_dir, num_threads
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen, FilmTask] = {}
        self._is_stopped = self._is_help_over = False

    def run(self, task: FilmTask, *, num_retries: int = NUM_RETRIES) -> FilmOutcome:
        """Run a film until it is done or refused, or has failed once more than `num_retries`."""
        lost = self._find_lost(task)
        attempts: list[Attempt] = []
        while True:
            attempts.append(self._attempt(task, len(lost) + len(attempts)))
            outcome = FilmOutcome(task=task, attempts=(*lost, *attempts))
            if outcome.status != "failed" or len(attempts) > num_retries:
                return outcome

    def assist(self, task: FilmTask, number: int) -> Attempt:
        """Share the work of a film that runs; whatever becomes of that, the film is none the worse.

        Parameters
        ----------
        number : int
            Names its log.
        """
        found = self._attempt(task, number)
        logger.debug("help for %s: %s %s", task.film, found.report.get("assisted"), found.error)
        return found

    def stop(self, *, only_helpers: bool = False) -> None:
        """Stop every film, or only those who help; what they have stays."""
        with self._lock:
            self._is_help_over = True
            self._is_stopped = self._is_stopped or not only_helpers
            running = [p for p, task in self._running.items() if task.is_helper or not only_helpers]
        for process in running:
            _close_input(process)
        until = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _attempt(self, task: FilmTask, number: int) -> Attempt:
        started = time.monotonic()
        command = [sys.executable, "-m", "bunny", *task.to_arguments(), "--json"]
        command += ["--data-dir", self._data_dir] if self._data_dir else []
        record = self._make_record(task, number)
        place = self._log_dir / _log_name(task, number)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with place.open("w", encoding="utf-8") as errors, self._lock:
                if self._is_stopped or (task.is_helper and self._is_help_over):
                    return Attempt(exit_code=exit_code.STOPPED, seconds=0.0, error="stopped")
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    stdin=subprocess.PIPE,  # its end stops the film, see `film_process`
                    cwd=self._root,
                    env=_environment(task, self._num_threads, record),
                    **_own_session(),
                )
                self._running[process] = task
            said = self._wait_for(process)
        finally:
            if record is not None:
                film_record.remove(record)
        found = _read_attempt(
            exit_code.STOPPED if self._is_stopped and process.returncode else process.returncode,
            time.monotonic() - started,
            said.decode("utf-8", "replace"),
            place.read_text(encoding="utf-8", errors="replace"),
        )
        return replace(found, node=self._node, phase=task.phase)

    def _find_lost(self, task: FilmTask) -> list[Attempt]:
        """Attempts that went with their worker: each leaves a record that nobody removed."""
        if self._record_dir is None:
            return []
        left = film_record.read(film_record.path_of(self._record_dir, task.film))
        if left is None or left.phase != task.phase:
            return []
        one = Attempt(
            exit_code=exit_code.FAILED,
            seconds=left.elapsed_s,
            error="lost its worker",
            node=left.node,
            phase=left.phase,
        )
        return [replace(one, seconds=0.0)] * (left.attempt - 1) + [one]

    def _make_record(self, task: FilmTask, number: int) -> Path | None:
        """Say that a film runs; those who help are no films."""
        if self._record_dir is None or task.is_helper:
            return None
        path, now = film_record.path_of(self._record_dir, task.film), film_record.now()
        known = RunningFilm(
            film=task.film,
            node=self._node,
            attempt=number + 1,
            phase=task.phase,
            started_at=now,
            seen_at=now,
        )
        film_record.write(path, known)
        return path

    def _wait_for(self, process: subprocess.Popen) -> bytes:
        """Wait for the end of a process; what it said."""
        try:
            assert process.stdout is not None
            with process.stdout as stream:
                said = stream.read()
            process.wait()
            return said
        finally:
            _close_input(process)
            with self._lock:
                self._running.pop(process, None)


def _log_name(task: FilmTask, number: int) -> str:
    """File for what an attempt writes."""
    stem = atomic.cut_name(film_file.locate(task.film).stem, LOG_BYTES) or "film"
    kind = "assist-" if task.is_helper else f"{task.phase}-" if task.phase else ""
    return f"{stem}-{kind}{number}.log"


def _own_session() -> dict[str, Any]:
    """Options of a process that Ctrl-C does not reach: it comes to the batch, which stops films."""
    if hasattr(os, "setsid"):
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def _close_input(process: subprocess.Popen) -> None:
    """Close the standard input of a process, which stops it if it still runs."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _environment(task: FilmTask, num_threads: int, record: Path | None) -> Mapping[str, str]:
    """Environment of a film's process: films side by side share the cores.

    What an engine gave this process stays as it is, such as the GPUs that Ray allotted; but one
    that prepares a film was given none, and Ray does not hide them.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    own = dict.fromkeys(names, str(num_threads)) | {
        "PYTHONIOENCODING": "utf-8",
        "BUNNY_PIPELINE__LOCK_WAIT_SECONDS": str(2 * STOP_S),  # of a lost worker's run, which ends
    }
    if num_threads == 1:
        own["BUNNY_PIPELINE__PARALLEL_PROCESSING"] = "false"
    wanted = {film_process.VARIABLE: "1"}
    if record is not None:
        wanted[film_process.RECORD] = str(record.resolve())
    if task.phase == PREPARE:
        wanted["CUDA_VISIBLE_DEVICES"] = ""
    return own | os.environ | wanted


def _read_attempt(code: int, seconds: float, said: str, errors: str) -> Attempt:
    """What a process that ended has said."""
    report: dict[str, Any] = {}
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            try:
                report = json.loads(line)
            except ValueError:
                continue
            break
    error = ""
    if code:
        lines = [line for part in errors.splitlines() for line in part.split("\r")]
        ours = [line.partition(PREFIX)[2] for line in lines if PREFIX in line]  # after a bar's end
        error = _describe_signal(code) or (ours[-1].strip() if ours else "")
        error = log.redact(error or f"ended with exit code {code} and printed nothing")
    return Attempt(exit_code=code, seconds=seconds, report=report, error=error)


def _describe_signal(code: int) -> str:
    """The signal that ended a process; "" where none did, as on Windows."""
    try:
        return f"crashed ({signal.Signals(-code).name})" if code < 0 else ""
    except ValueError:  # a number without a name here
        return ""


def run_local(
    tasks: Sequence[FilmTask],
    runner: FilmRunner,
    num_workers: int,
    helpers: Sequence[FilmTask] = (),
) -> Iterator[FilmOutcome]:
    """Run films on this machine, some at a time; outcomes as they come.

    Parameters
    ----------
    num_workers : int
        Processes at a time.
    helpers : sequence of FilmTask
        Start once no film waits any more; see `film_list.part_tasks`.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once all processes have stopped.
    """
    with ThreadPoolExecutor(num_workers, thread_name_prefix="batch") as pool:
        waiting: set[Future[FilmOutcome]] = {pool.submit(runner.run, task) for task in tasks}
        helping = [pool.submit(runner.assist, task, i) for i, task in enumerate(helpers)]
        try:
            while waiting:
                done, waiting = wait(waiting, POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            for future in waiting:
                future.cancel()
            runner.stop()
            raise
        finally:
            for future in helping:
                future.cancel()
            runner.stop(only_helpers=True)
