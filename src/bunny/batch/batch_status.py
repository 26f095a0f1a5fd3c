"""How a batch stands: `status.json` in its folder, and the lines that people see of it.

The batch writes it every few seconds; the terminal, `bunny batch --status` and metrics show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bunny.batch import film_record
from bunny.batch.film_list import FINETUNE, PREPARE
from bunny.batch.film_record import RunningFilm
from bunny.contract.progress import describe_seconds
from bunny.contract.row_count import plural
from bunny.core import atomic
from bunny.core.error import UserError

FILE = "status.json"
STATUSES = ("waiting", "running", "done", "refused", "failed", "stopped")
BAR = 20  # characters
NAME = 32  # characters of a film's name
GONE_S = 60.0  # without a word from a batch that ran


@dataclass(frozen=True, kw_only=True)
class FilmLeft:
    """A film without a result, and why."""

    film: str
    status: str  # refused, failed or stopped
    num_attempts: int
    error: str


@dataclass(frozen=True, kw_only=True)
class BatchStatus:
    """How a batch stands at one moment."""

    folder: str
    started_at: str  # UTC, ISO 8601
    seen_at: str  # the moment
    is_over: bool
    counts: Mapping[str, int]  # films by `STATUSES`
    num_workers: int  # films at once
    seconds_left: float | None  # None: not known yet
    running: tuple[RunningFilm, ...]
    put_aside: tuple[FilmLeft, ...]

    @property
    def num_films(self) -> int:
        """All films of the batch."""
        return sum(self.counts.values())

    @property
    def num_put_aside(self) -> int:
        """Films that ended without a result."""
        return self.counts["refused"] + self.counts["failed"]

    def is_gone(self, now: str) -> bool:
        """Whether the batch ended without a word, as by a kill."""
        silent = datetime.fromisoformat(now) - datetime.fromisoformat(self.seen_at)
        return not self.is_over and silent.total_seconds() > GONE_S

    def summary(self) -> str:
        """One sentence with counts and time left.

        Examples
        --------
        "3 of 12 films done, 1 failed, 2 running, 6 waiting; about 25 min left"
        """
        counts = self.counts
        words = [f"{counts['done']} of {self.num_films} films done"]
        words += [f"{self.num_put_aside} failed"] if self.num_put_aside else []
        words += [f"{counts[s]} {s}" for s in ("stopped", "running", "waiting") if counts[s]]
        said = ", ".join(words)
        if self.is_over:
            return said
        if self.seconds_left is None:
            return f"{said}; time left unknown so far"
        return f"{said}; about {describe_seconds(self.seconds_left)} left"

    def lines(self) -> Iterator[str]:
        """The view: a summary, and a line for each film that runs."""
        yield f"batch {Path(self.folder).name}: {self.summary()}"
        for film in self.running:
            yield f"  {_describe_film(film)}"

    def to_text(self, now: str | None = None) -> str:
        """The view for `bunny batch --status`, with the films that failed."""
        now = now or film_record.now()
        lines = list(self.lines())
        moment = datetime.fromisoformat(self.seen_at)
        if self.is_over:
            lines.append(f"  ended {moment:%Y-%m-%d %H:%M} UTC")
        elif self.is_gone(now):
            lines.append(
                f"  no sign of it since {moment:%Y-%m-%d %H:%M} UTC, so it was killed; run the "
                "same command again to resume"
            )
        lines += [
            f"  {film.film}: {film.status} after {plural(film.num_attempts, 'attempt')}: "
            f"{(film.error or '').removeprefix(f'{film.film}: ')}"
            for film in self.put_aside
        ]
        report = Path(self.folder) / "report.html"
        return "\n".join([*lines, f"  report {report}"] if self.is_over else lines)

    def to_json(self, now: str | None = None) -> str:
        """One JSON object on one line."""
        return json.dumps({**asdict(self), "is_gone": self.is_gone(now or film_record.now())})


def _describe_film(film: RunningFilm) -> str:
    """One line on a film that runs."""
    name = Path(film.film).name
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    return f"{name:{NAME}} {_describe_progress(film)}  {_describe_place(film)}"


def _describe_progress(film: RunningFilm) -> str:
    """Stage, share done and time left of a film that runs."""
    full = round(BAR * film.share)
    stage = film.stage or "starting"
    stage += f" ({film.stage_number} of {film.num_stages})" if film.num_stages else ""
    left = "" if film.seconds_left is None else f" about {describe_seconds(film.seconds_left)} left"
    return f"{stage:20} |{'#' * full}{' ' * (BAR - full)}| {100 * film.share:3.0f} %{left}"


def _describe_place(film: RunningFilm) -> str:
    """Where a film runs and how often that was tried."""
    words = [f"on {film.node}"]
    words += {PREPARE: ["before its fine-tune"], FINETUNE: ["fine-tune"]}.get(film.phase, [])
    words += [f"attempt {film.attempt}"] if film.attempt > 1 else []
    return ", ".join(words)


def write(status: BatchStatus) -> None:
    """Write the status of a batch into its folder."""
    text = json.dumps(asdict(status), indent=1)
    atomic.write_bytes(Path(status.folder) / FILE, text.encode())


def read(folder: Path) -> BatchStatus:
    """Read the status of a batch.

    Raises
    ------
    UserError
        If there is none, or one that is damaged or of another version.
    """
    path = folder / FILE
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known["running"] = tuple(RunningFilm(**one) for one in known["running"])
        known["put_aside"] = tuple(FilmLeft(**one) for one in known["put_aside"])
        return BatchStatus(**known)
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = "none" if not path.exists() else "a file that cannot be read"
        raise UserError(
            f"{path}: expected the status of a batch, found {why}; run the batch again"
        ) from error


def find_newest(home: Path) -> Path:
    """Folder of the batch that was heard of last.

    Parameters
    ----------
    home : Path
        Folder of all batches of a data folder.

    Raises
    ------
    UserError
        If there is none.
    """
    found = sorted(home.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UserError(
            f"{home}: expected a batch, found none; begin one with `bunny batch FILM...`, or give "
            "its --data-dir"
        )
    return found[-1].parent
