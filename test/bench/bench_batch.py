"""Films side by side: `python test/bench/bench_batch.py FILM [--copies 6] [--simulate 10000]`.

Copies of a film run until a stage by processes of one core each, first one at a time, then two.
Printed are films an hour, their ratio, and what a film costs beside its stages: the start of its
process and the engine. From these an estimate, with its arithmetic, for 500 feature films.

With `--simulate` so many links to the film are a batch whose films take a known time and do
nothing: what is left is what the batch itself costs, its table and its report.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import av

from bunny.batch import engine
from bunny.batch.film_list import FilmTask
from bunny.command import batch
from bunny.command.option.film import BatchOptions

FEATURE_S, NUM_FEATURES, NUM_CORES = 110 * 60, 500, 64
SIMULATED_S, WORKERS = 0.5, 64


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--references", type=Path)
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--until", default="dataset")
    parser.add_argument("--simulate", type=int, default=0, metavar="FILMS")
    args = parser.parse_args()
    if args.simulate:
        simulate(args.film, args.simulate)
        return
    with av.open(str(args.film)) as container:
        length = container.duration / av.time_base
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            found[workers] = measure(args, Path(folder) / str(workers), workers)
    print("| films at once | seconds | films an hour | seconds beside the stages, a film |")
    print("|---|---|---|---|")
    for workers, (seconds, beside, _) in found.items():
        rate = 3600 * args.copies / seconds
        print(f"| {workers} | {seconds:.1f} | {rate:.0f} | {beside:.2f} |")
    ratio = found[1][0] / found[2][0]
    print(f"\ntwo at once: {ratio:.2f} times the films of one, {os.cpu_count()} cores")
    _, beside, work = found[1]
    share = work / length
    hours = NUM_FEATURES * (FEATURE_S * share + beside) / NUM_CORES / 3600
    print(
        f"{NUM_FEATURES} films of {FEATURE_S / 60:.0f} minutes on {NUM_CORES} cores, one a film, "
        f"memory and disks aside: {NUM_FEATURES} * ({FEATURE_S} s * {share:.3f} + {beside:.1f} s) "
        f"/ {NUM_CORES} = {hours:.1f} hours"
    )


def measure(args: argparse.Namespace, folder: Path, workers: int) -> tuple[float, float, float]:
    """Seconds of the batch; seconds a film beside its stages; seconds of a film's stages."""
    folder.mkdir()
    tasks = []
    for number in range(args.copies):
        copy = shutil.copy(args.film, folder / f"film{number}{args.film.suffix}")
        references = str(args.references.resolve()) if args.references else None
        tasks.append(FilmTask(film=str(copy), references=references, until=args.until))
    runner = engine.FilmRunner(folder, str(folder / "data"), folder / "log", 1)
    started = time.monotonic()
    outcomes = list(engine.run_local(tasks, runner, workers))
    seconds = time.monotonic() - started
    assert all(one.status == "done" for one in outcomes), [one.attempts for one in outcomes]
    stages = [
        sum(stage["seconds"] for stage in one.attempts[-1].report["stages"].values())
        for one in outcomes
    ]
    work = sum(stages) / len(stages)
    beside = sum(one.seconds for one in outcomes) / len(outcomes) - work
    return seconds, beside, work


class SimulatedRunner(engine.FilmRunner):
    """Takes a known time for each film."""

    def run(self, task: FilmTask) -> engine.FilmOutcome:
        """Wait, and say that the film is done."""
        time.sleep(SIMULATED_S)
        report = {"film_id": Path(task.film).stem, "stages": {}}
        attempt = engine.Attempt(exit_code=0, seconds=SIMULATED_S, report=report)
        return engine.FilmOutcome(task=task, attempts=(attempt,))


def simulate(film: Path, number: int) -> None:
    """Processor time of a batch of so many films, beside what they take themselves."""
    engine.FilmRunner = SimulatedRunner
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"film{n:06d}{film.suffix}" for n in range(number)]
        for place in places:
            place.symlink_to(film.resolve())
        tasks = [FilmTask(film=str(place)) for place in places]
        began, started = time.process_time(), time.monotonic()
        options = BatchOptions(num_workers=WORKERS)
        done = batch.run_batch(tasks, options, str(Path(folder) / "data"))
        cpu, wall = time.process_time() - began, time.monotonic() - started
        assert done.exit_code == 0 and done.table.height == number
        page = (done.folder / "report.html").stat().st_size
    ideal = number * SIMULATED_S / WORKERS
    print(
        f"{number} films of {SIMULATED_S} s, {WORKERS} at once: {wall:.0f} s (their own time "
        f"{ideal:.0f} s), {cpu:.0f} s of processor time, {1000 * cpu / number:.1f} ms a film, "
        f"report {page / 2**20:.1f} MB"
    )


if __name__ == "__main__":
    main()
