"""Films side by side: `python test/bench/bench_batch.py FILM [--copies 6]`.

Copies of a film run until a stage by processes of one core each, first one at a time, then two.
Printed are films an hour, their ratio, and what a film costs beside its stages: the start of its
process and the engine. From these an estimate, with its arithmetic, for 500 feature films.
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

FEATURE_S, NUM_FEATURES, NUM_CORES = 110 * 60, 500, 64


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--references", type=Path)
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--until", default="dataset")
    args = parser.parse_args()
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


if __name__ == "__main__":
    main()
