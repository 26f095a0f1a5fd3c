"""Works off the queue of films in the background: checks what was received, runs what waits."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bunny.batch.engine import FilmRunner
from bunny.batch.film_queue import FilmQueue
from bunny.batch.queued_film import QueuedFilm
from bunny.core import disk_full, exit_code
from bunny.core.error import BunnyError, UserError
from bunny.video.probe import probe

logger = logging.getLogger(__name__)

TICK_S = 0.5
TRIES = 3  # attempts to store a film, e.g. on a network folder
PROBE_S = 120.0  # for a decoder to open a film


class QueueWorker:
    """Two threads beside a server: one checks films that arrived, one runs them in their order.

    A film runs as `bunny run` in a process of its own, so that a decoder that crashes takes neither
    the server nor the queue with it. Of several servers of one folder only one works.

    Parameters
    ----------
    root : Path
        The project's folder.
    data_dir : str
        As of `bunny run`.
    settings : sequence of str
        ``section.key=value`` for every film.
    until : str
        Last stage.
    """

    def __init__(
        self, queue: FilmQueue, root: Path, data_dir: str, settings: Sequence[str], until: str
    ) -> None:
        self._queue, self._root, self._data_dir = queue, root, data_dir
        self._settings, self._until = tuple(settings), until
        self._ended = threading.Event()
        self._num_failed: Counter[str] = Counter()  # tries to keep a film, by entry
        self._said: set[str] = set()
        self._runner: FilmRunner | None = None
        self._thread = threading.Thread(target=self._work, name="film queue", daemon=True)

    def begin(self) -> None:
        """Start to work."""
        self._thread.start()

    def end(self) -> None:
        """Stop; a film that runs keeps what it has and waits for the next start of a server."""
        self._ended.set()
        if self._runner is not None:
            self._runner.stop()
        self._thread.join()

    def _work(self) -> None:
        """Wait until no other server works, then check and run until the end."""
        while not self._ended.is_set():
            with self._noted("the queue of films"), self._queue.working() as is_mine:
                if is_mine:
                    self._queue.go_on()
                    runs = threading.Thread(target=self._run_films, name="film run", daemon=True)
                    runs.start()
                    self._watch()
                    runs.join()
            self._ended.wait(TICK_S)

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """Log what goes wrong with a film, or the folder, once; the others go on."""
        try:
            yield
        except (BunnyError, OSError) as error:
            said = f"{what}: {disk_full.describe(error) or error}"
            if said not in self._said:
                logger.warning(said)
            self._said.add(said)

    def _watch(self) -> None:
        """Check films that arrived, and stop one that nobody wants any more."""
        while not self._ended.is_set():
            with self._noted("the queue of films"):
                for film in self._queue.films():
                    if film.state == "checking":
                        self._check(film)
                    if film.state == "running" and film.is_unwanted and self._runner is not None:
                        self._runner.stop()
            self._ended.wait(TICK_S)

    def _check(self, film: QueuedFilm) -> None:
        with self._noted(film.name):
            try:
                self._queue.check(film.entry, probe_apart)
            except OSError as error:
                self._num_failed[film.entry] += 1
                if self._num_failed[film.entry] < TRIES:
                    raise
                self._queue.fail(film.entry, f"it could not be kept ({error.strerror})")

    def _run_films(self) -> None:
        while not self._ended.is_set():
            with self._noted("the queue of films"):
                film = self._queue.take()
                if film is not None:
                    self._run(film)
                    continue
            self._ended.wait(TICK_S)

    def _run(self, film: QueuedFilm) -> None:
        """Run a film that was taken."""
        runner = FilmRunner(
            self._root,
            self._data_dir,
            self._queue.log_folder(film.entry),
            max(1, os.cpu_count() or 1),
            self._queue.record_folder(film.entry),
        )
        self._runner = runner
        if self._ended.is_set():  # `end` may have looked before there was a runner
            runner.stop()
        try:
            task = self._queue.task(film, self._settings, self._until)
            self._queue.end(film.entry, runner.run(task))
        except OSError as error:
            logger.warning("%s: could not be run: %s", film.name, error)
            self._queue.fail(film.entry, f"it could not be run ({error.strerror})")
        finally:
            self._runner = None


def probe_apart(path: Path) -> None:
    """Open a film in a process of its own: what crashes a decoder may be sent by anybody.

    Raises
    ------
    UserError
        If it is no film; one sentence.
    """
    command = [sys.executable, "-m", "bunny.batch.queue_worker", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{path}: expected a film, found a file that did not open within {PROBE_S:.0f} s; "
            "convert it"
        ) from error
    if done.returncode == exit_code.USER_FAULT:
        raise UserError(done.stderr.strip().splitlines()[-1])
    if done.returncode != exit_code.DONE:
        raise UserError(f"{path}: expected a film, found one that crashes the decoder; convert it")


if __name__ == "__main__":
    try:
        probe(Path(sys.argv[1]))
    except UserError as fault:
        sys.stderr.write(f"{fault}\n")
        sys.exit(exit_code.USER_FAULT)
