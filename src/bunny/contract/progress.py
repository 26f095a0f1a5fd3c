"""Progress of a whole run: one line with stage, share done and time left; the share of each stage.

What is left of a run is the rest of its running stage and what the later ones are expected to
take: as long as they took before on this machine, by the picture, or else as in `COSTS`; and
somewhat more or less as the stages of this run took longer or shorter than expected so far.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.contract import fingerprint
from bunny.contract.result import StageResult

if TYPE_CHECKING:
    from tqdm.auto import tqdm


FRAMES_PER_PICTURE = 25  # of a film, about: 47 minutes (68,165 frames) gave 2,674
MIN_PICTURES = 10  # of a film by which later ones are judged
MAX_FILMS = 5  # the newest ones that are
KNOWN_SHARE = 0.2  # of a stage, from which its own pace alone counts
# What the first stages say of later ones: little where they were short, and never more than this,
# since one stage's cost follows from what is in a film, such as drawn figures, and not another's.
MOST_OFF, PRIOR_S = 1.5, 20.0
REDRAW_S, LOGGED_S = 0.2, 10.0  # between two lines on a terminal and in a file
REPORT = "report"  # written after the stages


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Seconds that a stage takes: some to begin and end, and some for each picture."""

    fixed_s: float
    picture_s: float = 0.0

    def seconds(self, num_pictures: float) -> float:
        """Seconds for so many pictures."""
        return self.fixed_s + self.picture_s * num_pictures


# Two cores, defaults, the toy base: 55 photographs, and films of 0.5 to 47 minutes.
COSTS = {
    "extract": StageCost(fixed_s=0.5, picture_s=0.05),
    "filter": StageCost(fixed_s=0.1, picture_s=0.0005),
    "detect": StageCost(fixed_s=5.0, picture_s=0.13),
    "cluster": StageCost(fixed_s=6.0, picture_s=0.06),
    "review": StageCost(fixed_s=0.5, picture_s=0.001),
    "caption": StageCost(fixed_s=0.5, picture_s=0.005),
    "dataset": StageCost(fixed_s=3.0, picture_s=0.02),
    "clip": StageCost(fixed_s=0.1),
    "pair": StageCost(fixed_s=0.2),  # off by default
    "finetune": StageCost(fixed_s=180.0),
    "evaluate": StageCost(fixed_s=90.0),
    "generate": StageCost(fixed_s=30.0),
    REPORT: StageCost(fixed_s=6.0, picture_s=0.005),
}


def read_costs(output: Path) -> dict[str, StageCost]:
    """Costs of stages by the newest films of a folder of workspaces, else `COSTS`.

    The slowest film counts: where work was found done already, a stage took less.
    """
    films = sorted(output.glob("*/source.json"), key=lambda path: path.stat().st_mtime)
    found: dict[str, list[float]] = {name: [] for name in COSTS}
    for source in films[-MAX_FILMS:]:
        records = {name: fingerprint.read_record(source.parent, name) for name in COSTS}
        count = num_pictures(records["extract"])
        for name, record in records.items():
            if record.get("status") != "done":
                continue
            if not COSTS[name].picture_s:
                found[name].append(record["seconds"])
            elif count is not None and count >= MIN_PICTURES:
                found[name].append(max(0.0, record["seconds"] - COSTS[name].fixed_s) / count)
    return COSTS | {
        name: replace(COSTS[name], picture_s=max(seen))
        if COSTS[name].picture_s
        else StageCost(fixed_s=max(seen))
        for name, seen in found.items()
        if seen
    }


def num_pictures(record: fingerprint.StageRecord) -> int | None:
    """Pictures that stage extract gave, by its stage.json; None when it has not finished."""
    frame = record.get("tables", {}).get("frame")
    return frame.get("rows") if frame else None


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """How far a run is at one moment."""

    stage: str  # that runs; "" between two of them, and `REPORT` after the last
    number: int  # of `count` stages, of the one that runs or ran last
    count: int
    share: float  # of the run's time that has passed, in [0, 1]
    seconds_left: float


_current: list[RunProgress] = []  # of this process: the last run that began


def current() -> RunProgress | None:
    """The run of this process that began last, also once it ended; None before the first."""
    return _current[0] if _current else None


class StageBar:
    """Counts the items of the running stage, as a `tqdm` bar does."""

    def __init__(self, total: int | None, done: int, advance: Callable[[float], None]) -> None:
        self.total, self.n = total, done
        self._first, self._advance = done, advance

    def update(self, count: float = 1) -> None:
        """Say that so many more items are done."""
        self.n += count
        if self.total:
            self._advance(min(1.0, self.n / self.total))

    def set_postfix(self, **_: object) -> None:
        """Take what a stage tells of itself; the run's line has no place for it."""


class RunProgress:
    """The progress line of a run.

    Parameters
    ----------
    stages : iterable of str
        Those that will run, in order; the report comes after them.
    costs : mapping of str to StageCost
        From `read_costs`.
    pictures : float or None
        Pictures of the film; None: they follow from the first bar of stage extract.
    is_folder : bool
        Whether each frame is a picture.
    is_shown : bool
        Whether a line is drawn.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        stages: Iterable[str],
        costs: Mapping[str, StageCost] = COSTS,
        *,
        pictures: float | None = None,
        is_folder: bool = False,
        is_shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = [*stages, REPORT]
        self._count = len(self._waiting) - 1
        self._costs, self._pictures, self._is_folder = costs, pictures, is_folder
        self._clock = clock
        self._began = clock()
        self._running: str | None = None
        self._stage_began = self._bar_began = self._began
        self._bar_share = self._share = 0.0
        self._took, self._expected = 0.0, 0.0  # by stages that ended
        self._shown = 0.0
        self._drawn_at = float("-inf")
        self._line = _line(is_shown)
        self._redraw_s = REDRAW_S if sys.stderr.isatty() else LOGGED_S
        _current[:] = [self]

    def begin(self, stage: str) -> None:
        """Say that a stage begins; one that is not among those that will run takes no time."""
        if stage not in self._waiting:  # it is up to date
            return
        self._waiting.remove(stage)
        self._running, self._share, self._bar_share = stage, 0.0, 0.0
        self._stage_began = self._bar_began = self._clock()
        self._draw(is_due=True)

    @contextmanager
    def bar(self, total: int | None, done: int = 0) -> Iterator[StageBar]:
        """Count the items of the running stage."""
        if self._running == "extract" and total and self._pictures is None:
            self._pictures = total / (1 if self._is_folder else FRAMES_PER_PICTURE)
        self._bar_began = self._clock()
        self._share = self._bar_share = min(1.0, done / total) if total else 0.0
        self._draw(is_due=True)
        yield StageBar(total, done, self._advance)

    def end(self, result: StageResult) -> None:
        """Say that the running stage ended."""
        if result.name == "extract":
            self._pictures = float(result.tables["frame"])
        if result.status == "done" and self._running:
            self._took += self._clock() - self._stage_began
            self._expected += self._cost(result.name)
        self._running = None

    def close(self) -> None:
        """Take the line away."""
        self._line.close()

    def seconds_left(self) -> float:
        """Seconds until the run ends, as far as can be told."""
        pace = (self._took + PRIOR_S) / (self._expected + PRIOR_S)
        pace = min(MOST_OFF, max(1 / MOST_OFF, pace))
        left = sum(self._cost(stage) for stage in self._waiting)
        return pace * left + (self._rest(pace) if self._running else 0.0)

    def share(self) -> float:
        """Share of the run's time that has passed, in [0, 1]; it never falls."""
        passed = self._clock() - self._began
        self._shown = max(self._shown, passed / max(1e-9, passed + self.seconds_left()))
        return self._shown

    def snapshot(self) -> RunSnapshot:
        """How far the run is now; may be called from another thread."""
        running = self._running
        is_over = running is None and self._waiting == [REPORT]
        return RunSnapshot(
            stage=REPORT if is_over else running or "",
            number=self._number(),
            count=self._count,
            share=self.share(),
            seconds_left=self.seconds_left(),
        )

    def _number(self) -> int:
        """Which of the stages that have something to do runs, from 1."""
        return min(self._count, self._count - len(self._waiting) + 1)

    def _cost(self, stage: str) -> float:
        return self._costs[stage].seconds(self._pictures or 0.0)

    def _rest(self, pace: float) -> float:
        """Seconds that the running stage still takes: as expected, then ever more by its pace."""
        now = self._clock()
        expected = pace * self._cost(str(self._running))
        seen = self._share - self._bar_share
        if seen <= 0:
            return max(0.0, expected - (now - self._stage_began))
        own = (now - self._bar_began) / seen * (1 - self._share)
        weight = min(1.0, seen / KNOWN_SHARE)
        return weight * own + (1 - weight) * (1 - self._share) * expected

    def _advance(self, share: float) -> None:
        self._share = share
        self._draw()

    def _draw(self, is_due: bool = False) -> None:
        now = self._clock()
        if not is_due and now - self._drawn_at < self._redraw_s:
            return
        self._drawn_at = now
        place = f"{self._number()} of {self._count}"
        self._line.set_description_str(f"{self._running} ({place})", False)
        self._line.set_postfix_str(f"about {describe_seconds(self.seconds_left())} left", False)
        self._line.n = round(100 * self.share())
        self._line.refresh()


def describe_seconds(seconds: float) -> str:
    """Words for a span of time, as exact as it can be meant.

    Examples
    --------
    >>> describe_seconds(42), describe_seconds(780), describe_seconds(5400)
    ('42 s', '13 min', '1 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def describe_shares(seconds: Mapping[str, float]) -> str:
    """One line with what each part took, as a share; parts of under half a percent are left out.

    Parameters
    ----------
    seconds : mapping of str to float
        Of each part.

    Examples
    --------
    >>> describe_shares({"extract": 1.0, "filter": 0.001, "detect": 3.0})
    'extract 25 %, detect 75 %'
    """
    total = sum(seconds.values())
    shares = {name: 100 * one / total for name, one in seconds.items()} if total else {}
    return ", ".join(f"{name} {share:.0f} %" for name, share in shares.items() if share >= 0.5)


def _line(is_shown: bool) -> tqdm:
    """The bar that the line is drawn with; it is gone when it is closed."""
    from tqdm.auto import tqdm

    form = "{desc} |{bar:20}| {percentage:3.0f} %{postfix}"
    return tqdm(
        total=100, file=sys.stderr, leave=False, bar_format=form, disable=not is_shown, delay=0.01
    )
