"""What is known of a batch while it runs: its table, `status.json`, metrics and the view of it.

Which films run is read from the records that their processes renew (`batch/film_record`), the same
for processes of this machine and of Ray's nodes; all is written by one thread every few seconds, so
that a film that ends costs no more in a batch of thousands than in one of ten.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl

from bunny.batch import batch_status, film_record, time_left
from bunny.batch.batch_status import STATUSES, BatchStatus, FilmLeft
from bunny.batch.engine import FilmOutcome
from bunny.batch.film_list import FINETUNE, PREPARE
from bunny.batch.film_record import RunningFilm
from bunny.batch.live_view import LiveView
from bunny.batch.time_left import FilmPace
from bunny.core import atomic
from bunny.core.config import Config
from bunny.core.error import BunnyError
from bunny.core.workspace import Workspace
from bunny.table import store

logger = logging.getLogger(__name__)

TABLE = "batch_film"
RECORDS = "running"  # folder of records of films that run, in the batch's own
REFRESH_S = 5.0
METRICS_S = 15.0  # between two metrics of the same films: each time those of all are joined


class BatchMonitor:
    """Keeps what is known of a batch, and shows and writes it until the block ends.

    Parameters
    ----------
    rows : mapping of str to dict
        Of table `batch_film`, by film; they change as films run and end.
    folder : Path
        Of the batch.
    space : Workspace
        Any of the data folder, for metrics.
    """

    def __init__(
        self, rows: Mapping[str, dict[str, Any]], folder: Path, space: Workspace, config: Config
    ) -> None:
        self._rows, self._folder, self._space = rows, folder, space
        self._has_metrics = config.pipeline.has_metrics
        self.record_dir = folder / RECORDS
        self._view = LiveView(sys.stderr)
        self._started_at = film_record.now()
        self._lengths = _fill_lengths({film: row["duration_s"] for film, row in rows.items()})
        self._pace, self._slots, self._num_failed = FilmPace(), (1, 0), 0
        self._prepared: set[str] = set()  # films that wait, but for their fine-tune alone
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._is_changed, self._metrics_at = True, float("-inf")
        self._thread = threading.Thread(target=self._work, name="batch monitor", daemon=True)

    def __enter__(self) -> BatchMonitor:
        """Begin to watch; records that an earlier, killed batch left are gone."""
        atomic.remove_folder(self.record_dir)
        self.record_dir.mkdir(parents=True)
        self.refresh()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write how it ended."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            for row in self._rows.values():
                if row["status"] == "running":
                    row["status"] = "stopped"
            self._is_changed = True
            atomic.remove_folder(self.record_dir)
            self.refresh(is_over=True)
            self._view.close()

    def note_slots(self, num_films: int, num_finetunes: int) -> None:
        """Say how many films, and fine-tunes that need a GPU, can run at once."""
        self._slots = (num_films, num_finetunes)

    def note(self, outcome: FilmOutcome, known: Mapping[str, Any]) -> None:
        """Say what became of a film.

        Parameters
        ----------
        known : mapping
            Columns of its row.
        """
        with self._lock:
            row = self._rows[outcome.task.film]
            row |= known
            self._is_changed = True
            self._num_failed += outcome.num_failed
            if outcome.status == "done" and _has_worked(outcome):
                finetunes = [one.seconds for one in outcome.attempts if one.phase == FINETUNE]
                length = self._lengths[outcome.task.film]
                self._pace.note(outcome.seconds, length, sum(finetunes) if finetunes else None)
            if outcome.status != "done":
                film = outcome.task.film
                error = (row["error"] or "").removeprefix(f"{film}: ")
                self._view.say(f"{film}: {outcome.status}: {error}")

    def table(self) -> pl.DataFrame:
        """Table `batch_film` as it stands."""
        with self._lock:
            return store.from_rows(TABLE, self._rows.values())

    def _work(self) -> None:
        while not self._ended.wait(REFRESH_S):
            try:
                self.refresh()
            except (BunnyError, OSError) as error:  # the last one, as the batch ends, tells
                logger.debug("%s: %s", self._folder, error)

    def refresh(self, *, is_over: bool = False) -> None:
        """Look which films run, and write and show it."""
        with self._lock:
            running = self._find_running()
            status = self._status(running, is_over)
            batch_status.write(status)
            if self._is_changed:
                store.write(self._folder, TABLE, self.table())
            is_due = self._is_changed or time.monotonic() - self._metrics_at > METRICS_S
            if self._has_metrics and is_due:
                self._write_metrics(status)
            self._is_changed = False
            if not is_over:
                self._view.show(status)

    def _find_running(self) -> list[RunningFilm]:
        """Films that run, and their rows brought up to date."""
        found = [
            film
            for film in film_record.read_all(self.record_dir)
            if self._rows.get(film.film, {}).get("status") in ("waiting", "running")
        ]
        self._prepared |= {film.film for film in found if film.phase == PREPARE}
        nodes = {film.film: film.node for film in found}
        for film, row in self._rows.items():
            if row["status"] not in ("waiting", "running"):
                continue
            now = {"status": "running" if film in nodes else "waiting", "node": nodes.get(film)}
            if any(row[key] != value for key, value in now.items()):
                row |= now
                self._is_changed = True
        return found

    def _status(self, running: list[RunningFilm], is_over: bool) -> BatchStatus:
        rows = list(self._rows.values())
        counts = Counter(row["status"] for row in rows)
        left = time_left.estimate(
            self._pace,
            [(film, self._lengths[film.film]) for film in running],
            [
                0.0 if film in self._prepared else self._lengths[film]
                for film, row in self._rows.items()
                if row["status"] == "waiting"
            ],
            *self._slots,
        )
        return BatchStatus(
            folder=str(self._folder),
            started_at=self._started_at,
            seen_at=film_record.now(),
            is_over=is_over,
            counts={status: counts[status] for status in STATUSES},
            num_workers=self._slots[0],
            seconds_left=0.0 if is_over else left,
            running=tuple(running),
            put_aside=tuple(
                FilmLeft(
                    film=row["film"],
                    status=row["status"],
                    num_attempts=row["num_attempts"],
                    error=row["error"] or "",
                )
                for row in rows
                if row["status"] in ("refused", "failed", "stopped")
            ),
        )

    def _write_metrics(self, status: BatchStatus) -> None:
        from bunny.view import metric

        self._metrics_at = time.monotonic()
        metric.write_batch(
            self._space,
            self._folder,
            status.counts,
            self._num_failed,
            seconds_left=status.seconds_left,
            running=[asdict(film) for film in status.running],
        )


def _fill_lengths(lengths: Mapping[str, float | None]) -> dict[str, float]:
    """Lengths of films in seconds; one that is not known is taken for the mean of the others."""
    known = [length for length in lengths.values() if length]
    usual = fmean(known) if known else 1.0
    return {film: length or usual for film, length in lengths.items()}


def _has_worked(outcome: FilmOutcome) -> bool:
    """Whether a film's run had something to do: one that was found done says nothing of others."""
    return any(
        stage["status"] == "done"
        for attempt in outcome.attempts
        for stage in attempt.report.get("stages", {}).values()
    )
