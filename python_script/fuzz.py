"""Feed damaged files to `bunny` and count what becomes of them.

Small films of every container, reference pictures, settings, records, tables and all other files of
a finished workspace get bytes flipped, cut out, doubled, or joined with another file's. Each goes
to a command line in a process of its own, which must end soon, within its memory, with exit code 0,
or with one sentence and exit code 2 (or 1, where a stage says that too much of the film cannot be
read); it may write nothing outside its folder.

    python python_script/fuzz.py                          # 2,000 films and 400 other files
    python python_script/fuzz.py --films 200 --others 0 --seed 7 --keep /tmp/found
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "common"), str(ROOT / "python_script")]

import fuzz_workspace  # noqa: E402
from fuzz_damage import Case, damage  # noqa: E402

MOST_SECONDS = 60.0
MOST_BYTES = 6 << 30  # of addresses: libraries alone map 2 GiB
LONGEST_SENTENCE = 700
PREFIX = "bunny: "
WITHOUT_REPORT = "run-without-report"  # stands for a command line
CONTAINERS = (  # of `odd_film`: each container and codec that the tests make
    "one keyframe.mp4",
    "ten bits.mp4",
    "interlaced.mpg",
    "motion jpeg.avi",
    "with sound.mp4",
    "nom de fichier é 日本 (1) [x].avi",
    "animated.gif",
    "two streams.mkv",
    "live.mkv",
    "cut at 158.webm",
    "av1.mp4",
    "variable rate.mp4",
    "cut off.mp4",
    "tiny.mp4",
)
# Libraries write these where a user's settings of theirs would lie, or to make a temporary file.
OWN = tuple(str(Path.home() / place) for place in (".cache", ".config/matplotlib"))
ALLOWED = (
    *OWN,
    "/dev/",
    "/proc/",
    *(f"{tempfile.gettempdir()}/{name}" for name in ("tmp", "torchinductor_")),
)
# What `bunny doctor --workspace` and `bunny batch`, which list faults, end with.
LISTED = re.compile(r" problems$| films? done, ")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command line ended."""

    code: int  # negative: the signal that ended it
    said: str  # standard error
    seconds: float
    outside: tuple[str, ...]  # files that it opened for writing outside its folder

    @property
    def kind(self) -> str:
        """done, refused, failed, or what went wrong."""
        if self.outside:
            return "WROTE OUTSIDE"
        if self.code == -signal.SIGKILL:
            return "TOO LONG"
        if self.code < 0:
            return f"CRASHED {signal.Signals(-self.code).name}"
        if "Traceback" in self.said or "unexpected" in self.sentence:
            return "UNEXPECTED"
        if self.code == 0:
            return "done"
        if not self.sentence or len(self.sentence) > LONGEST_SENTENCE:
            return "NO SENTENCE"
        return {1: "failed", 2: "refused"}.get(self.code, f"EXIT CODE {self.code}")

    @property
    def is_fault(self) -> bool:
        """Whether it is not as promised."""
        return self.kind.isupper() or self.kind.startswith(("CRASHED", "EXIT"))

    @property
    def sentence(self) -> str:
        """What it ended with."""
        lines = self.said.splitlines()
        own = [line[line.index(PREFIX) :] for line in lines if PREFIX in line]  # after a bar, too
        return (own or [line for line in lines if LISTED.search(line)] or [""])[-1]


def run_command(
    arguments: list[str],
    folder: Path,
    most_seconds: float = MOST_SECONDS,
    *,
    is_forked: bool = True,
) -> Outcome:
    """Run a command line in a fork of this process, which has imported everything, or anew."""
    began = time.monotonic()
    said, outside = folder / "said.txt", folder / "outside.txt"
    child = multiprocessing.get_context("fork" if is_forked else "spawn").Process(
        target=_command, args=(arguments, folder, said, outside)
    )
    child.start()
    child.join(most_seconds)
    if child.is_alive():
        child.kill()
        child.join()
    code = -signal.SIGKILL if child.exitcode is None else child.exitcode
    child.close()
    wrote = outside.read_text(encoding="utf-8").splitlines() if outside.exists() else []
    return Outcome(
        code=code,
        said=said.read_text(encoding="utf-8", errors="replace") if said.exists() else "",
        seconds=time.monotonic() - began,
        outside=tuple(wrote),
    )


def _command(arguments: list[str], folder: Path, said: Path, outside: Path) -> None:
    """The work of the fork."""
    from bunny import cli

    for number in (1, 2):
        with said.open("ab") as stream:
            os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_watcher(folder.resolve(), outside))
    os.chdir(folder)
    code = 0
    try:
        if arguments[:1] == [WITHOUT_REPORT]:
            _run_without_report(Path(arguments[1]))
        elif arguments[0] in fuzz_workspace.READERS:
            fuzz_workspace.read(*arguments)
        else:
            sys.argv = ["bunny", *arguments]
            cli.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    os._exit(code)  # threads of the fork's libraries are not waited for


def _run_without_report(film: Path) -> None:
    """As `bunny run FILM --until filter`, without the report, which takes longer than all else."""
    from bunny import pipeline
    from bunny.command import film_workspace
    from bunny.core import exit_code, workspace
    from bunny.core.error import BunnyError

    try:
        root, config = film_workspace.load_settings("data", ())
        space = workspace.create(root, "data", film, None)
        pipeline.run(space, config, ("extract", "filter"))
    except BunnyError as error:
        print(f"{PREFIX}{error}", file=sys.stderr)
        raise SystemExit(exit_code.of_error(error)) from error
    except Exception:  # noqa: BLE001 it is counted
        traceback.print_exc()
        raise SystemExit(1) from None


def _watcher(folder: Path, outside: Path) -> Callable:
    """An audit hook that notes files opened for writing, made, moved or removed elsewhere."""
    inside = (str(folder), *ALLOWED)
    changing = {"os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.symlink": (1,)}
    changing |= {"os.link": (1,), "os.rmdir": (0,), "os.truncate": (0,), "os.chmod": (0,)}
    is_noting = False

    def hook(event: str, values: tuple) -> None:
        nonlocal is_noting
        if is_noting:
            return
        paths = [values[place] for place in changing.get(event, ())]
        if event == "open" and isinstance(values[2], int):
            is_written = values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            paths = [values[0]] if is_written else []
        for path in paths:
            if not isinstance(path, str | bytes):
                continue  # an open file
            whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 it may be no valid path
            if not whole.startswith(inside):
                is_noting = True
                with outside.open("a", encoding="utf-8") as stream:
                    stream.write(f"{event} {whole}\n")
                is_noting = False

    return hook


# -- cases -----------------------------------------------------------------------------------------


def make_sources(folder: Path) -> Path:
    """Undamaged inputs: films, reference pictures, and a small workspace.

    They are made in a fork: a library that has begun threads here would wait for them in each
    fork to come, where they are not.
    """
    maker = multiprocessing.get_context("fork").Process(target=_make_sources, args=(folder,))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise RuntimeError("the inputs could not be made")
    return folder


def _make_sources(folder: Path) -> None:
    import cv2
    import odd_film

    films = folder / "film"
    films.mkdir(parents=True)
    for name in CONTAINERS:
        odd_film.make(name, films)
    pictures = folder / "picture"
    pictures.mkdir()
    for suffix in ("jpg", "png", "webp", "bmp"):
        data = cv2.imencode(f".{suffix}", odd_film.texture(3, 240, 160))[1]
        (pictures / f"anna.{suffix}").write_bytes(data.tobytes())
    space = folder / "space"
    space.mkdir()
    (space / "config").mkdir()
    shutil.copy(ROOT / "config" / "main.yaml", space / "config")
    shutil.copy(films / "one keyframe.mp4", space / "film.mp4")
    done = run_command(["run", "film.mp4", "--data-dir", "data", "--until", "review"], space)
    if done.code:
        raise RuntimeError(done.said)
    [root] = (space / "data" / "output").glob("film-*")
    (root / "feedback.jsonl").write_text(_record(root), encoding="utf-8")
    fuzz_workspace.make_sources(
        folder, lambda line, place: run_command(line, place, 600, is_forked=False)
    )


def _record(root: Path) -> str:
    """A record of a few corrections of a film."""
    import json

    from bunny.command import correct
    from bunny.review import create_event

    film = correct.open_reviewed_film(root.name, str(root.parents[1]))
    ids, ana = film.state.content.ids[:2], create_event.EventContext(user="ana")
    events = [
        create_event.comment(film.state, ana, ids[:1], "a comment"),
        create_event.assign(film.state, ana, ids[:1], "a place"),
        create_event.caption_edit(film.state, ana, ids[:1], "bunny hops"),
    ]
    return "".join(json.dumps(event.to_dict()) + "\n" for event in events)


def film_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged film, which is run until stage filter; one in ten by the whole command."""
    paths = sorted((sources / "film").iterdir())
    path, other = chance.sample(paths, 2)
    way, data = damage(path.read_bytes(), other.read_bytes(), chance)
    film = folder / f"film{path.suffix}"
    film.write_bytes(data)
    arguments = [WITHOUT_REPORT, film.name]
    if chance.random() < 0.1:
        arguments = ["run", film.name, "--data-dir", "data", "--until", "filter"]
    return Case(subject=path.suffix.lstrip(".") or "no suffix", way=way, arguments=arguments)


def picture_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged reference picture, which `bunny references` reads."""
    path, other = chance.sample(sorted((sources / "picture").iterdir()), 2)
    way, data = damage(path.read_bytes(), other.read_bytes(), chance)
    (folder / "people").mkdir()
    (folder / "people" / path.name).write_bytes(data)
    arguments = ["references", "people", "--data-dir", "data"]
    return Case(subject="reference picture", way=way, arguments=arguments)


def settings_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged settings file, in which every key stands."""
    shutil.copytree(sources / "space", folder, dirs_exist_ok=True)
    path = folder / "config" / "main.yaml"
    data = path.read_bytes()
    way, data = damage(data, data, chance)
    path.write_bytes(data)
    return Case(subject="settings", way=way, arguments=["status"])


def record_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged record of corrections."""
    shutil.copytree(sources / "space", folder, dirs_exist_ok=True)
    [path] = folder.glob("data/output/*/feedback.jsonl")
    data = path.read_bytes()
    way, data = damage(data, data, chance)
    path.write_bytes(data)
    arguments = ["run", "film.mp4", "--data-dir", "data", "--only", "review"]
    return Case(subject="record of corrections", way=way, arguments=arguments)


def table_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged table, which a later stage reads."""
    shutil.copytree(sources / "space", folder, dirs_exist_ok=True)
    tables = {"frame": "detect", "measure": "filter", "shot": "review", "label": "review"}
    name = chance.choice(sorted(tables))
    [path] = folder.glob(f"data/output/*/table/{name}.parquet")
    way, data = damage(path.read_bytes(), path.read_bytes(), chance)
    path.write_bytes(data)
    arguments = ["run", "film.mp4", "--data-dir", "data", "--only", tables[name]]
    return Case(subject="table", way=way, arguments=arguments)


OTHER_CASES = (picture_case, settings_case, record_case, table_case, *fuzz_workspace.CASES)


def make_cases(num_films: int, num_others: int, seed: int) -> Iterator[tuple[int, Callable]]:
    """Number and maker of each case; the number is its own seed."""
    for index in range(num_films):
        yield seed * 1_000_000 + index, film_case
    for index in range(num_others):
        yield seed * 1_000_000 + num_films + index, OTHER_CASES[index % len(OTHER_CASES)]


def run_case(number: int, make: Callable, sources: Path, place: Path) -> tuple[Case, Outcome]:
    """Make one case and run it, in a folder that is empty afterwards unless it is a fault."""
    folder = place / f"case-{number}"
    folder.mkdir(parents=True)
    case = make(sources, folder, random.Random(number))
    outcome = run_command(case.arguments, folder, is_forked=case.is_forked)
    if not outcome.is_fault:
        shutil.rmtree(folder)
    return case, outcome


def import_everything() -> None:
    """What commands import late, so that a fork need not."""
    import plotnine  # noqa: F401

    import bunny.cli
    import bunny.command.references
    import bunny.command.run
    import bunny.pipeline
    import bunny.stage.cluster
    import bunny.stage.detect
    import bunny.stage.extract
    import bunny.stage.filter
    import bunny.stage.review
    import bunny.view.report.page  # noqa: F401


def fuzz(num_films: int, num_others: int, seed: int, place: Path, workers: int = 1) -> list:
    """Run all cases; gives (number, case, outcome) of each, in order."""
    import_everything()
    sources = make_sources(place / "source")
    cases = list(make_cases(num_films, num_others, seed))
    found = []
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(run_case, n, make, sources, place) for n, make in cases]
        for (number, _), future in zip(cases, waiting, strict=True):
            case, outcome = future.result()
            found.append((number, case, outcome))
            if outcome.is_fault:
                print(f"{outcome.kind}: case-{number}, {case.subject}, {case.way}", flush=True)
                print("   " + " | ".join(outcome.said.splitlines()[-3:])[-600:], flush=True)
            elif len(found) % 100 == 0:
                print(f"{len(found)} of {len(cases)}", flush=True)
    return found


def describe(found: list) -> str:
    """Counts by subject, as a Markdown table."""
    kinds: defaultdict[str, Counter] = defaultdict(Counter)
    for _, case, outcome in found:
        kinds[case.subject][outcome.kind] += 1
    names = sorted({kind for own in kinds.values() for kind in own})
    lines = ["| input | files | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for subject, own in sorted(kinds.items()):
        cells = [str(own[name]) for name in names]
        lines.append(f"| {subject} | {sum(own.values())} | " + " | ".join(cells) + " |")
    longest = max(outcome.seconds for _, _, outcome in found)
    return "\n".join([*lines, f"longest: {longest:.1f} s"])


def main() -> int:
    """Print counts; 1 where anything was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--others", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for inputs that found a fault")
    given = parser.parse_args()
    if sys.platform == "win32":
        parser.error("expected Linux or macOS: this kills process groups and forks")
    place = given.keep or Path(tempfile.mkdtemp(prefix="bunny-fuzz-"))
    found = fuzz(given.films, given.others, given.seed, place.resolve(), given.workers)
    faults = sum(outcome.is_fault for _, _, outcome in found)
    print(describe(found))
    print(f"{faults} of {len(found)} not as promised; their inputs are in {place}")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
