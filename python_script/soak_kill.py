"""Kill whole runs at random moments and resume them: nothing may be lost, torn or different.

A person corrects the film all the while. The process group of both is killed (SIGKILL) and started
anew until the run is done; then every table, picture, adapter and record must equal those of a run
that nothing interrupted, byte for byte, and every correction that was acknowledged must stand in
the record. Then it begins anew, until there were so many kills.

    python python_script/soak_kill.py --kills 200              # 25 minutes on two cores
    python python_script/soak_kill.py --kills 20 --seed 1 --folder /tmp/soak

What may differ is listed in `TIMES` and `MEASURED`: records of when something was done and how
long it took.
"""

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "common"), str(ROOT / "python_script")]

import small_project  # noqa: E402

from bunny import pipeline  # noqa: E402
from bunny.command import correct  # noqa: E402
from bunny.core import workspace  # noqa: E402
from bunny.core.atomic import LEFTOVER  # noqa: E402  removed by a run an hour later
from bunny.core.workspace import Workspace  # noqa: E402
from bunny.review import create_event, event_log  # noqa: E402
from bunny.review.event_log import Event  # noqa: E402

# Files that say when something was done, or of which times a cache is valid.
TIMES = frozenset({".lock", ".lock.json", ".hash.json", "hash.json", "state.json", "report.html"})
# Keys of `stage.json` and columns of tables that are measured times, or name the machine's memory.
MEASURED = frozenset({"started_at", "seconds", "peak_memory_mb", "mtime_ns"})
LONGEST_S = 600.0  # for a run, on a busy machine
NUM_COMMENTS = 12
# Says the events that the record does not have, each at a moment of its own, and tells each one's
# id once it is on disk.
PERSON = """
import json, random, sys, time
from pathlib import Path
from bunny.review import event_log
folder, chance = Path(sys.argv[1]), random.Random(int(sys.argv[3]))
every = [event_log.from_dict(one) for one in json.loads(Path(sys.argv[2]).read_text())]
while not (folder / "source.json").exists():
    time.sleep(0.05)
said = {event.event_id for event in event_log.read(folder)}
for event in every:
    if event.event_id not in said:
        time.sleep(chance.expovariate(1.0))
        event_log.append(folder, [event])
        print(event.event_id, flush=True)
"""


@dataclass
class Tally:
    """What was tried and what was found."""

    kills: int = 0
    films: int = 0  # runs that came to their end
    inside: Counter[str] = field(default_factory=Counter)  # kills by the stage that was running
    acknowledged: int = 0  # corrections
    lost: int = 0
    torn: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """Lines for a person."""
        where = ", ".join(f"{n} {stage}" for stage, n in self.inside.most_common())
        lines = [
            f"{self.kills} kills (in {where}), {self.films} runs resumed to their end",
            f"{self.acknowledged} corrections acknowledged, {self.lost} lost",
            f"{len(self.torn)} files different from an uninterrupted run's",
        ]
        return "\n".join([*lines, *self.torn])


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How a run ended."""

    code: int  # exit code; -9 when it was killed
    stage: str  # that was running when it was killed, or ""
    acknowledged: tuple[str, ...]  # ids of corrections


class Killer:
    """Runs a film in a data folder of its own, with somebody who corrects it.

    Parameters
    ----------
    project : small_project.Project
    data : Path
        The data folder.
    events : sequence of Event
        What is said, in this order.
    seed : int
    """

    def __init__(
        self,
        project: small_project.Project,
        data: Path,
        events: Sequence[Event] = (),
        seed: int = 0,
    ) -> None:
        self.project, self.data, self.events = project, data, list(events)
        self.space = workspace.locate(project.folder, str(data), project.done["film_id"])
        self.root = self.space.root
        self._chance = random.Random(seed)
        self._before: dict[str, int] = {}  # times of the stages' records when a run began
        data.mkdir(parents=True, exist_ok=True)
        self._said = data.parent / f"{data.name}.json"
        self._said.write_text(json.dumps([event.to_dict() for event in events]), encoding="utf-8")

    def run_until(self, stage: str | None = None, seconds: float = LONGEST_S) -> Attempt:
        """Run, and kill all processes so many seconds after a stage began (None: the run)."""
        errors = self.data.parent / f"{self.data.name}.log"
        self._before = {name: _record_time(self.root, name) for name in pipeline.STAGE}
        line = small_project.run_arguments(self.project.film, self.data, has_report=True)
        with errors.open("w") as log:
            run = subprocess.Popen(
                small_project.command(*line),
                cwd=self.project.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                process_group=0,
            )
        person = self._start_person(run.pid)
        began = time.monotonic()
        while run.poll() is None and stage and not self._is_running(stage):
            time.sleep(0.003)
        moment = seconds + (time.monotonic() if stage else began)
        while run.poll() is None and time.monotonic() < moment:
            time.sleep(0.003)
        is_killed = run.poll() is None
        if is_killed:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        told = person.communicate()[0].split() if person else []
        if not is_killed and run.returncode:
            raise RuntimeError(f"the run failed: {errors.read_text()[-2000:]}")
        running = next(filter(self._is_running, pipeline.STAGE), "") if is_killed else ""
        return Attempt(code=run.returncode, stage=running, acknowledged=tuple(told))

    def _start_person(self, group: int) -> subprocess.Popen | None:
        if not self.events:
            return None
        seed = str(self._chance.randrange(2**31))
        command = [sys.executable, "-c", PERSON, str(self.root), str(self._said), seed]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, process_group=group, cwd=self.project.folder
        )

    def _is_running(self, stage: str) -> bool:
        """Whether a stage began in this run and did not end."""
        is_new = _record_time(self.root, stage) != self._before[stage]
        return is_new and _status(self.root, stage) == "running"

    def unfinished(self) -> list[str]:
        """Stages that have not ended."""
        return [stage for stage in pipeline.STAGE if _status(self.root, stage) != "done"]


def _record_time(root: Path, stage: str) -> int:
    try:
        return (root / "stage" / stage / "stage.json").stat().st_mtime_ns
    except OSError:
        return 0


def _status(root: Path, stage: str) -> str:
    try:
        text = (root / "stage" / stage / "stage.json").read_text(encoding="utf-8")
    except OSError:
        return ""
    return json.loads(text)["status"]


def make_corrections(project: small_project.Project) -> list[Event]:
    """Corrections of every kind that changes labels, clusters or captions, and comments.

    Their ids and times are fixed, so that two records of the same corrections are equal.
    """
    film = correct.open_reviewed_film(project.done["film_id"], str(project.folder / "data"))
    state, say = film.state, {"user": "ana", "origin": "cli"}
    items = film.state.content.ids
    shots = [i for i in items if state.level_of([i]) == "scene"]
    figures = [i for i in items if state.level_of([i]) == "character"]
    made = [
        create_event.assign(state, shots[:1], "the first place", **say),
        create_event.approve(state, shots[1:2], **say),
        create_event.caption_edit(state, shots[1:2], "bunny hops over the grass", **say),
        create_event.reject(state, figures[:1], **say),
        *(create_event.comment(state, shots[:1], f"note {i}", **say) for i in range(NUM_COMMENTS)),
    ]
    return [_fix(event, number) for number, event in enumerate(made)]


def make_comments(project: small_project.Project) -> list[Event]:
    """Comments alone: they change no table of a stage after review."""
    return [event for event in make_corrections(project) if event.kind == "comment"]


def _fix(event: Event, number: int) -> Event:
    return replace(
        event, event_id=f"{number:032x}", time=f"2026-01-01T00:00:{number:02d}.000000+00:00", seen=0
    )


def differences(whole: Workspace, found: Workspace) -> list[str]:
    """Files of two workspaces of a film that are not equal, or are in one of them alone.

    Of stage records and tables the keys and columns in `MEASURED` do not count; of everything else
    every byte does, but for the files in `TIMES`.
    """
    one, two = _files(whole), _files(found)
    faults = [f"{name}: only in one" for name in sorted(one.keys() ^ two.keys())]
    for name in sorted(one.keys() & two.keys()):
        if not _is_equal(one[name], two[name]):
            faults.append(f"{name}: differs")
    return faults


def _files(space: Workspace) -> dict[str, Path]:
    """Files by where they lie in the workspace or the folder of its weights."""
    places = {"output": space.root, "checkpoint": space.checkpoint}
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for name, folder in places.items()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in TIMES and not LEFTOVER.fullmatch(path.name)
    }


def _is_equal(one: Path, two: Path) -> bool:
    if one.read_bytes() == two.read_bytes():
        return True
    if one.name == "stage.json":
        return _record(one) == _record(two)
    if one.suffix == ".parquet":
        return _table(one).equals(_table(two))
    if one.suffix == ".pt":
        return _training_state(one) == _training_state(two)
    return False


def _record(path: Path) -> str:
    """A stage's record without what is measured, and what follows from it."""
    folder = path.parents[2] / "table"
    timed = {f for f in folder.glob("*.parquet") if MEASURED & set(pl.read_parquet_schema(f))}
    hashes = {hashlib.sha256(table.read_bytes()).hexdigest() for table in timed}

    def clean(value: object) -> object:
        if isinstance(value, dict):
            left_out = MEASURED | {"fingerprint"}  # a hash of `parts`, which are compared
            return {k: clean(v) for k, v in value.items() if k not in left_out}
        return "a table with times" if str(value) in hashes else value

    record = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps(clean(record), sort_keys=True)


def _table(path: Path) -> pl.DataFrame:
    """A table without measured times; one that has none must be equal byte for byte."""
    table = pl.read_parquet(path)
    own = MEASURED & set(table.columns)
    return table.drop(own) if own else pl.DataFrame({"file": [path.as_posix()]})


def _training_state(path: Path) -> bytes:
    """All of a training checkpoint but its time, as bytes."""
    import torch

    state = torch.load(path, weights_only=True)
    state.pop("seconds")
    data = io.BytesIO()
    torch.save(state, data)
    return data.getvalue()


def count_lost(root: Path, acknowledged: Iterable[str]) -> int:
    """How many acknowledged corrections the record does not have, or has twice."""
    said = Counter(event.event_id for event in event_log.read(root))
    return sum(said[one] != 1 for one in set(acknowledged))


def soak(folder: Path, kills: int, seed: int) -> Tally:
    """Kill and resume runs until there were so many kills; the last run is finished too."""
    chance, tally = random.Random(seed), Tally()
    project = small_project.make(folder / "project")
    events = make_corrections(project)
    whole = Killer(project, folder / "whole")
    whole.root.mkdir(parents=True)
    event_log.append(whole.root, events)
    began = time.monotonic()
    whole.run_until()
    usual_s = time.monotonic() - began
    lengths = {stage: _seconds(whole.root, stage) for stage in pipeline.STAGE}
    while tally.kills < kills:
        killer = Killer(project, folder / f"killed-{tally.films}", events, chance.randrange(2**31))
        acknowledged: list[str] = []
        while killer.unfinished() and tally.kills < kills:
            stage, seconds = None, chance.uniform(0.1, 0.5 * usual_s)
            if chance.random() < 0.7:
                stage = chance.choice(killer.unfinished()[:3])
                seconds = chance.uniform(0.0, 2 * lengths[stage] + 0.2)  # it may end before
            done = killer.run_until(stage, seconds)
            acknowledged += done.acknowledged
            if done.code == -signal.SIGKILL:
                tally.kills += 1
                tally.inside[done.stage or "between stages"] += 1
        for _ in range(2):  # the second run hears what was said after review had run
            acknowledged += killer.run_until().acknowledged
        tally.films += 1
        tally.acknowledged += len(set(acknowledged))
        tally.lost += count_lost(killer.root, acknowledged)
        faults = differences(whole.space, killer.space)
        tally.torn += [f"{killer.data.name}/{fault}" for fault in faults]
        print(f"{tally.kills} kills, {tally.films} runs, {tally.lost} lost, {len(faults)} differ")
        sys.stdout.flush()
        if not faults:
            shutil.rmtree(killer.data)
    return tally


def _seconds(root: Path, stage: str) -> float:
    path = root / "stage" / stage / "stage.json"
    return json.loads(path.read_text(encoding="utf-8"))["seconds"]


def main() -> int:
    """Print the tally; 1 where anything was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where films are run; default: a temporary one")
    given = parser.parse_args()
    if sys.platform == "win32":
        parser.error("expected Linux or macOS: this kills process groups and forks")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bunny-soak-"))
    began = time.monotonic()
    tally = soak(folder.resolve(), given.kills, given.seed)
    print(tally.to_text())
    print(f"{(time.monotonic() - began) / 60:.0f} minutes, in {folder}")
    return int(bool(tally.lost or tally.torn))


if __name__ == "__main__":
    raise SystemExit(main())
