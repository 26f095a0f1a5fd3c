"""How long it takes to say that nothing is to be done, beside `python -c "import polars"`.

    python test/bench/bench_start.py [--film FILM] [--rounds 5]

A film (by default a folder of 40 pictures drawn here) is run once `--until filter`; then `bunny
status`, the same run again and the import of Polars take turns, and the median counts. `cold` is
the run with its kept states removed, so that every stage's module is imported and looks for itself.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

NUM_PICTURES = 40


def main() -> None:
    """Run the commands in turns and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        film = args.film.resolve() if args.film else draw(home / "pictures")
        bunny = [sys.executable, "-m", "bunny"]
        run = [*bunny, "run", str(film), "--until", "filter", "--data-dir", "data"]
        rows = {
            "import polars": [sys.executable, "-c", "import polars"],
            "status": [*bunny, "status", "--data-dir", "data"],
            "run": run,
            "run, cold": run,
        }
        seconds(run, home)
        found = {name: [] for name in rows}
        for _ in range(args.rounds):
            for name, command in rows.items():
                if name.endswith("cold"):
                    for kept in home.glob("data/output/*/stage/state.json"):
                        kept.unlink()
                found[name].append(seconds(command, home))
    beside = statistics.median(found["import polars"])
    for name, times in found.items():
        middle = statistics.median(times)
        print(f"{name:14} {middle:5.2f} s  {middle / beside:4.1f} x  least {min(times):.2f} s")


def draw(folder: Path) -> Path:
    """A folder of pictures of different things."""
    folder.mkdir()
    for number in range(NUM_PICTURES):
        coarse = np.random.default_rng(number).integers(0, 255, (6, 10, 3), np.uint8)
        picture = cv2.resize(coarse, (320, 192), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)
    return folder


def seconds(command: list[str], home: Path) -> float:
    """Wall time of a command that has to succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
