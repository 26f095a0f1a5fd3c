"""Training sets that are out of date: what changed since they were made, and the run that follows.

A set is out of date where corrections hold that it was not made with, or where one of the stages
before it would give something else now. The run is `bunny run` in a separate process, so the board
that starts it keeps responding. Its progress is written to the film's logs, and every board of the
film shows it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from bunny import pipeline
from bunny.contract import fingerprint
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.review import event_log, undo
from bunny.table import store

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace
    from bunny.view.board.training_set import SentUpdate

LAST = "dataset"
STAGES = tuple(pipeline.STAGE)[: list(pipeline.STAGE).index(LAST) + 1]
MADE_OF = ("caption", LAST)  # stages between the corrections and the set
RECORD = r"(^|, )feedback changed"  # reason of a stage that would read more corrections
# Reasons that follow from corrections: tables written from them, a stage that a run did not reach.
FOLLOWS = rf"{RECORD}|(^|, )table \w+ changed|^stage \w+ \(unfinished\)"
SAY_NOTHING = ("undo", "comment")  # kinds of events that are no corrections
BUTTON = "Apply"


@dataclass(frozen=True, kw_only=True)
class SetChange:
    """Changes that a film's sets do not have yet."""

    num_corrections: int = 0
    others: tuple[str, ...] = ()  # settings, files and stages, in words

    def __bool__(self) -> bool:
        """Whether the sets are out of date."""
        return bool(self.num_corrections or self.others)

    def describe(self) -> str:
        """The changes in a few words; "" where there is none."""
        plural = "" if self.num_corrections == 1 else "s"
        number = f"{self.num_corrections} correction{plural} not yet in the set"
        parts = [number] if self.num_corrections else []
        parts += [f"changed since the set was made: {', '.join(self.others)}"] * bool(self.others)
        return "; ".join(parts)


def find_change(space: Workspace, config: Config) -> SetChange:
    """Find what changed since the sets of a film were made.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings.

    Returns
    -------
    SetChange
        Nothing for a film without a set, or with one that no stage made.
    """
    if not fingerprint.read_record(space.root, LAST) or not store.exists(space.table, LAST):
        return SetChange()
    reasons: dict[str, str] = {}
    for name in STAGES:
        stage = pipeline.make_stage(name, space, config)
        record = stage.record()
        if record and not stage.can_resume():
            has_ended = record["status"] == "done"
            reasons[name] = stage.why_stale() if has_ended else f"stage {name} (unfinished)"
    corrections = _count_corrections(space, is_carried=reasons.keys().isdisjoint(MADE_OF))
    follows = FOLLOWS if corrections else RECORD
    parts = [re.sub(follows, "", reason).strip(", ") for reason in reasons.values()]
    others = [part.replace(" changed", "") for part in parts if part]
    return SetChange(num_corrections=corrections, others=tuple(dict.fromkeys(others)))


def _count_corrections(space: Workspace, *, is_carried: bool) -> int:
    """Count corrections that hold now and are not in the set, or are in it and no longer hold.

    Parameters
    ----------
    is_carried : bool
        Whether the set was made from what stage review wrote last; otherwise corrections made
        since it was begun are not in it.
    """
    events = event_log.read(space.root)
    held = {e.event_id for e in events if e.kind not in SAY_NOTHING} - undo.undone(events)
    feedback = store.read_or_empty(space.table, "feedback").filter(~pl.col("is_undone"))
    feedback = feedback.filter(~pl.col("kind").is_in(SAY_NOTHING))
    if not is_carried:
        begun = _begun(space)
        feedback = feedback.filter([_moment(time) < begun for time in feedback["time"]])
    return len(held ^ set(feedback["event_id"]))


def _begun(space: Workspace) -> datetime:
    """When the run that made the sets began; when it ended, where a later one failed."""
    record = fingerprint.read_record(space.root, LAST)
    if record["status"] == "done":
        return _moment(record["started_at"])
    return datetime.fromtimestamp((space.table / f"{LAST}.parquet").stat().st_mtime, UTC)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def check_current(space: Workspace, config: Config) -> None:
    """Refuse to go on with sets that are out of date.

    Raises
    ------
    UserError
        If they are; names what changed and the button and command that make them again.
    """
    if change := find_change(space, config):
        raise UserError(
            f"{space.film_id}: expected a training set that is up to date, found "
            f"{change.describe()}; press {BUTTON} on the board or run `{command(space)}`, look at "
            "the new set, then approve it"
        )


def command(space: Workspace) -> str:
    """The command that does what the board's button does."""
    return f"bunny run {space.film_id} --until {LAST}"


class SetUpdate:
    """Changes that the sets of a film lack, for its board, and the run that applies them.

    Parameters
    ----------
    space : Workspace
        The film.
    load : callable
        Reads its settings as they are now.
    overrides : sequence of str
        Settings as given to ``--set``.
    """

    def __init__(
        self, space: Workspace, load: Callable[[], Config], overrides: Sequence[str] = ()
    ) -> None:
        self._space, self._load, self._overrides = space, load, tuple(overrides)
        self._folder = space.log / space.film_id / "apply"
        self._lock = threading.Lock()
        self._is_started = False  # a run of this process makes the sets
        self._error = ""
        self._known: tuple[object, SetChange] = (None, SetChange())

    def check(self) -> None:
        """Refuse to approve sets that are out of date, as `check_current` does."""
        check_current(self._space, self._load())

    def describe(self) -> SentUpdate:
        """The changes, how far the run is, and why the last one failed."""
        from bunny.batch import film_record
        from bunny.contract.progress import describe_seconds

        run = next(film_record.read_all(self._folder), None)  # this board's or another's
        is_running = run is not None or self._is_started
        words = "starting"
        if run is not None and run.stage:
            words = f"{run.stage}, {100 * run.share:.0f} %"
            if run.seconds_left is not None:
                words += f", about {describe_seconds(run.seconds_left)} left"
        change = self._known[1] if is_running else self._find()
        return {
            "text": change.describe(),
            "is_running": is_running,
            "share": 0.0 if run is None else run.share,
            "progress": words if is_running else "",
            "error": "" if is_running else self._error,
        }

    def start(self) -> None:
        """Begin the run; does nothing while one goes on."""
        with self._lock:
            if not self._is_started:
                self._is_started, self._error = True, ""
                threading.Thread(target=self._work, name="apply", daemon=True).start()

    def _find(self) -> SetChange:
        """The changes; computed again only after a file that they depend on has changed."""
        root = self._space.root
        paths = [root / "stage" / name / "stage.json" for name in STAGES]
        paths += [root / event_log.FILE, root / "source.json", root / "own_setting.json"]
        paths += sorted((workspace.project_root() / "config").glob("*.yaml"))
        stats = [path.stat() for path in paths if path.exists()]
        key = [(stat.st_mtime_ns, stat.st_size) for stat in stats]
        if self._known[0] != key:
            self._known = key, find_change(self._space, self._load())
        return self._known[1]

    def _work(self) -> None:
        """Run the film in a process of its own and keep the sentence that it failed with.

        Its report takes longer than the sets and is written after they are shown.
        """
        from bunny.batch.engine import FilmRunner
        from bunny.batch.film_list import FilmTask

        data, cores = str(self._space.root.parents[1]), os.cpu_count() or 1
        root, film_id = workspace.project_root(), self._space.film_id
        settings = (*self._overrides, "pipeline.has_report=false")
        runner = FilmRunner(root, data, self._folder, cores, self._folder)
        try:
            done = runner.run(FilmTask(film=film_id, settings=settings, until=LAST), num_retries=0)
            self._error = "" if done.status == "done" else done.attempts[-1].error
        except OSError as error:
            self._error = f"it could not be started: {error.strerror}"
        finally:
            self._is_started = False
        if not self._error and self._load().pipeline.has_report:
            report = [sys.executable, "-m", "bunny", "report", film_id, "--data-dir", data]
            report += [part for one in self._overrides for part in ("--set", one)]
            subprocess.run(report, cwd=root, capture_output=True, check=False)
