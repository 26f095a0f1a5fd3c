"""Kill whole runs at random moments and resume them: nothing may be lost, torn or different.

A person corrects the film all the while. The process group of both is killed (SIGKILL) and started
anew until the run is done; then every table, picture, clip, adapter and record must equal those of
a run that nothing interrupted, byte for byte, and every correction that was acknowledged must stand
in the record. Then it begins anew, until there were so many kills.

Every stage is on, clips and pairs too. Each place of a run gets about as many kills as any other:
its stages, its start, the moments between two stages, and its end with the report.

    python python_script/soak_kill.py --kills 200              # 40 minutes on two cores
    python python_script/soak_kill.py --kills 20 --seed 1 --folder /tmp/soak
    python python_script/soak_kill.py --kills 40 --stream --parts 2

What may differ, e.g. how long something took, is listed in `workspace_difference`.
"""

import argparse
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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "common"), str(ROOT / "python_script")]

import small_project  # noqa: E402
import workspace_difference  # noqa: E402

from bunny import pipeline  # noqa: E402
from bunny.command import correct  # noqa: E402
from bunny.core import workspace  # noqa: E402
from bunny.review import create_event, event_log  # noqa: E402
from bunny.review.event_log import Event  # noqa: E402

LONGEST_S = 600.0  # for a run, on a busy machine
NUM_COMMENTS = 12
# Stages that are off by default, small.
CLIPS_AND_PAIRS = (
    "clip.preset=own",
    "clip.fps=12",
    "clip.num_frames=[17,9]",
    "clip.width_px=320",
    "clip.height_px=192",
    "pair.kinds=[reference,edit,clip]",
    "pair.min_gap_seconds=0",
    "pair.max_background_similarity=1",
)
# So that a character has two shots of one split to pair, whatever is corrected.
PAIRED = ("models.held_out_share=0", "models.characters=[bunny,bruno]")
# Places of a run beside its stages.
START, BETWEEN, END = "start", "between stages", "end"
ANYWHERE = "anywhere"
PLACES = (START, *pipeline.STAGE, BETWEEN, END)
TRIES = 2  # at one place of one film
START_S = 3.0  # for a process to come to its first stage
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
        time.sleep(chance.expovariate(float(sys.argv[4])))
        event_log.append(folder, [event])
        print(event.event_id, flush=True)
"""


@dataclass
class Tally:
    """What was tried and what was found."""

    kills: int = 0
    films: int = 0  # runs that came to their end
    inside: Counter[str] = field(default_factory=Counter)  # kills by place
    acknowledged: int = 0  # corrections
    lost: int = 0
    torn: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """Lines for a person."""
        where = ", ".join(f"{self.inside[place]} {place}" for place in PLACES)
        lines = [
            f"{self.kills} kills ({where}), {self.films} runs resumed to their end",
            f"{self.acknowledged} corrections acknowledged, {self.lost} lost",
            f"{len(self.torn)} files different from an uninterrupted run's",
        ]
        return "\n".join([*lines, *self.torn])


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How a run ended."""

    code: int  # exit code; -9 when it was killed
    place: str  # of `PLACES`, where it was killed, or ""
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
    settings : sequence of str
        As after `--set`.
    film : str, optional
        Address of the film; default: the project's file.
    has_helper : bool
        Whether a second process shares the work.
    pause_s : float
        Mean time between two corrections.
    """

    def __init__(
        self,
        project: small_project.Project,
        data: Path,
        events: Sequence[Event] = (),
        seed: int = 0,
        *,
        settings: Sequence[str] = (),
        film: str | None = None,
        has_helper: bool = False,
        pause_s: float = 1.0,
    ) -> None:
        self.project, self.data, self.events = project, data, list(events)
        self.space = workspace.locate(project.folder, str(data), project.done["film_id"])
        self.root = self.space.root
        line = small_project.run_arguments(film or project.film, data, has_report=True)
        self._line = [*line, *(part for one in settings for part in ("--set", one))]
        self._has_helper, self._pause_s = has_helper, pause_s
        self._chance = random.Random(seed)
        self._before: dict[str, int] = {}  # times of the stages' records when a run began
        data.mkdir(parents=True, exist_ok=True)
        self._said = data.parent / f"{data.name}.json"
        self._said.write_text(json.dumps([event.to_dict() for event in events]), encoding="utf-8")

    def run_until(
        self, place: str | None = None, seconds: float = LONGEST_S, *, after: str | None = None
    ) -> Attempt:
        """Run, and kill all processes some seconds after the run came to a place.

        Parameters
        ----------
        place : str, optional
            A stage that has begun; default: the run has.
        seconds : float
        after : str, optional
            A stage that has ended, instead of `place`.
        """
        errors = self.data.parent / f"{self.data.name}.log"
        self._before = {name: _record_time(self.root, name) for name in pipeline.STAGE}
        with errors.open("w") as log:
            run = self._start(0, log)
            helper = self._start(run.pid, log, "--assist") if self._has_helper else None
        person = self._start_person(run.pid)
        while run.poll() is None and not self._has_come(place, after):
            time.sleep(0.003)
        moment = time.monotonic() + seconds
        while run.poll() is None and time.monotonic() < moment:
            time.sleep(0.003)
        is_killed = run.poll() is None
        if is_killed:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        told = person.communicate()[0].split() if person else []
        if helper:
            helper.wait()
        if not is_killed and run.returncode:
            raise RuntimeError(f"the run failed: {errors.read_text()[-2000:]}")
        where = self._place() if is_killed else ""
        return Attempt(code=run.returncode, place=where, acknowledged=tuple(told))

    def _start(self, group: int, log: IO[str], *more: str) -> subprocess.Popen:
        return subprocess.Popen(
            small_project.command(*self._line, *more),
            cwd=self.project.folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
            process_group=group,
        )

    def _start_person(self, group: int) -> subprocess.Popen | None:
        if not self.events:
            return None
        seed = str(self._chance.randrange(2**31))
        where = [str(self.root), str(self._said)]
        command = [sys.executable, "-c", PERSON, *where, seed, str(1 / self._pause_s)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, process_group=group, cwd=self.project.folder
        )

    def _has_come(self, place: str | None, after: str | None) -> bool:
        if after:
            return self._is_new(after) and _status(self.root, after) == "done"
        return place is None or self._is_running(place)

    def _is_new(self, stage: str) -> bool:
        return _record_time(self.root, stage) != self._before[stage]

    def _is_running(self, stage: str) -> bool:
        """Whether a stage began in this run and did not end."""
        return self._is_new(stage) and _status(self.root, stage) == "running"

    def _place(self) -> str:
        """Where a run was killed."""
        running = next(filter(self._is_running, pipeline.STAGE), "")
        if not running and not self.unfinished():
            return END
        return running or (BETWEEN if any(map(self._is_new, pipeline.STAGE)) else START)

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
    state, ana = film.state, create_event.EventContext(user="ana", origin="cli")
    items = film.state.content.ids
    shots = [i for i in items if state.level_of([i]) == "scene"]
    figures = [i for i in items if state.level_of([i]) == "character"]
    made = [
        create_event.assign(state, ana, shots[:1], "the first place"),
        create_event.approve(state, ana, shots[1:2]),
        create_event.caption_edit(state, ana, shots[1:2], "bunny hops over the grass"),
        create_event.reject(state, ana, figures[:1]),
        *(create_event.comment(state, ana, shots[:1], f"note {i}") for i in range(NUM_COMMENTS)),
    ]
    return [_fix(event, number) for number, event in enumerate(made)]


def make_comments(project: small_project.Project) -> list[Event]:
    """Comments alone: they change no table of a stage after review."""
    return [event for event in make_corrections(project) if event.kind == "comment"]


def _fix(event: Event, number: int) -> Event:
    return replace(
        event, event_id=f"{number:032x}", time=f"2026-01-01T00:00:{number:02d}.000000+00:00", seen=0
    )


def count_lost(root: Path, acknowledged: Iterable[str]) -> int:
    """How many acknowledged corrections the record does not have, or has twice."""
    said = Counter(event.event_id for event in event_log.read(root))
    return sum(said[one] != 1 for one in set(acknowledged))


@dataclass(kw_only=True)
class Pace:
    """How long runs take on this machine now."""

    whole_s: float
    stage_s: dict[str, float]  # as they took last
    rest_s: float  # start, end and what lies between stages

    def renew(self, root: Path) -> None:
        """Hear how long a film's stages took; kills meant for a stage come too late otherwise."""
        for stage in self.stage_s:
            if _status(root, stage) == "done":
                self.stage_s[stage] = _seconds(root, stage)

    def moment(self, place: str, killer: Killer, chance: random.Random) -> dict[str, Any]:
        """When to kill in order to hit a place, as arguments of `Killer.run_until`."""
        left = killer.unfinished()
        if place in self.stage_s:
            return {"place": place, "seconds": chance.uniform(0.0, self.stage_s[place])}
        if place == BETWEEN and len(left) > 1:
            # The last is left out: after it comes the end.
            return {"after": chance.choice(left[:-1][:4]), "seconds": chance.uniform(0.0, 0.03)}
        if place == END and left:
            return {"after": left[-1], "seconds": chance.uniform(0.0, self.rest_s)}
        longest = self.whole_s / 2 if place == ANYWHERE else START_S
        return {"seconds": chance.uniform(0.1, longest)}


def soak(
    folder: Path, kills: int, seed: int, *, is_streamed: bool = False, num_parts: int = 1
) -> Tally:
    """Kill and resume runs until there were so many kills; the last run is finished too.

    Parameters
    ----------
    folder : Path
    kills, seed : int
    is_streamed : bool
        Whether the film lies on an S3 server of this process.
    num_parts : int
        `pipeline.num_parts`; from 2 on a helper shares the work.
    """
    chance, tally = random.Random(seed), Tally()
    home = folder / "project"
    is_made = (home / small_project.DONE).exists()
    project = small_project.read(home) if is_made else small_project.make(home)
    events = make_corrections(project)
    settings = (*CLIPS_AND_PAIRS, *PAIRED, f"pipeline.num_parts={num_parts}")
    with film_server(project.film) if is_streamed else nullcontext() as film:
        options = {"settings": settings, "film": film, "has_helper": num_parts > 1, "pause_s": 4.0}
        whole = Killer(project, folder / "whole", **options)
        whole.root.mkdir(parents=True)
        event_log.append(whole.root, events)
        pace = measure(whole)
        for kind in ("clip", "pair/clip"):
            if not any((whole.root / kind).rglob("*.*")):
                raise RuntimeError(f"expected {kind} of the small project, found no file")
        while tally.kills < kills:
            data, own = folder / f"killed-{tally.films}", chance.randrange(2**31)
            killer = Killer(project, data, events, own, **options)
            heard = kill_at_every_place(killer, pace, tally, kills, chance)
            compare(whole, killer, heard, tally)
    return tally


def measure(whole: Killer) -> Pace:
    """Run without a kill."""
    began = time.monotonic()
    whole.run_until()
    whole_s = time.monotonic() - began
    lengths = {stage: _seconds(whole.root, stage) for stage in pipeline.STAGE}
    return Pace(whole_s=whole_s, stage_s=lengths, rest_s=max(1.0, whole_s - sum(lengths.values())))


def kill_at_every_place(
    killer: Killer, pace: Pace, tally: Tally, kills: int, chance: random.Random
) -> list[str]:
    """Kill a film's run at each place that had too few kills; the corrections acknowledged."""
    heard: list[str] = []
    share = -(-kills // len(PLACES))
    # In the order of the run; between two stages at several moments of it.
    between = (BETWEEN, ANYWHERE)
    order = [START, *(p for stage in pipeline.STAGE for p in (stage, chance.choice(between))), END]
    for place in order:
        for _ in range(1 if place in between else TRIES):
            is_over = place in pipeline.STAGE and place not in killer.unfinished()
            if tally.kills >= kills or is_over or tally.inside[place] >= share:
                break
            done = killer.run_until(**pace.moment(place, killer, chance))
            heard += done.acknowledged
            pace.renew(killer.root)
            if done.code == -signal.SIGKILL:
                tally.kills += 1
                tally.inside[done.place] += 1
    return heard


def compare(whole: Killer, killer: Killer, heard: list[str], tally: Tally) -> None:
    """Let a killed film's run come to its end, and note what is lost or differs."""
    for _ in range(2):  # the second run hears what was said after review had run
        heard += killer.run_until().acknowledged
    tally.films += 1
    tally.acknowledged += len(set(heard))
    tally.lost += count_lost(killer.root, heard)
    faults = workspace_difference.find(whole.space, killer.space)
    tally.torn += [f"{killer.data.name}/{fault}" for fault in faults]
    print(f"{tally.kills} kills, {tally.films} runs, {tally.lost} lost, {len(faults)} differ")
    print(f"   {dict(tally.inside)}", flush=True)
    if not faults:
        shutil.rmtree(killer.data)


@contextmanager
def film_server(film: Path) -> Iterator[str]:
    """A film on an S3 server of this machine; gives its address, for processes started here."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "soak",
        "AWS_SECRET_ACCESS_KEY": "soak",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
    }
    client = boto3.client("s3")
    client.create_bucket(Bucket="films")
    client.put_object(
        Bucket="films", Key=film.name, Body=film.read_bytes(), ChecksumAlgorithm="SHA256"
    )
    yield f"s3://films/{film.name}"
    server.stop()


def _seconds(root: Path, stage: str) -> float:
    path = root / "stage" / stage / "stage.json"
    return json.loads(path.read_text(encoding="utf-8"))["seconds"]


def main() -> int:
    """Print the tally; 1 where anything was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where films are run; default: a temporary one")
    parser.add_argument("--stream", action="store_true", help="the film lies on a local S3 server")
    parser.add_argument("--parts", type=int, default=1, help="from 2 on a second process helps")
    given = parser.parse_args()
    if sys.platform == "win32":
        parser.error("expected Linux or macOS: this kills process groups and forks")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bunny-soak-"))
    began = time.monotonic()
    tally = soak(
        folder.resolve(),
        given.kills,
        given.seed,
        is_streamed=given.stream,
        num_parts=given.parts,
    )
    print(tally.to_text())
    print(f"{(time.monotonic() - began) / 60:.0f} minutes, in {folder}")
    return int(bool(tally.lost or tally.torn))


if __name__ == "__main__":
    raise SystemExit(main())
