"""Memory of stage extract over a film of 10 and one of 60 minutes, 1080p: it should not grow.

    python test/bench/bench_memory.py [--material FOLDER] [--minutes 10 60] [--plot curve.png]

Both films run the same two minutes over and over. Each stage runs in a process of its own whose
resident memory is read twice a second.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import film as films
import polars as pl
import psutil

EVERY_S = 0.5
MOST_GROWTH = 1.10
MOST_MIB = 1024


def main() -> None:
    """Run stage extract over each film and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", type=Path)
    parser.add_argument("--minutes", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    cache = Path(tempfile.gettempdir())
    name = "material" if args.material else "sample"
    short = films.make(cache / f"bench_{name}_1080p.mp4", args.material)
    curves = []
    for minutes in args.minutes:
        with tempfile.TemporaryDirectory() as folder:
            film = films.repeat(short, Path(folder) / f"{minutes}.mp4", 60 * minutes)
            curves.append(curve(film, Path(folder)).with_columns(minutes=pl.lit(minutes)))
    table = pl.concat(curves)
    print_table(table)
    if args.plot:
        plot(table, args.plot)


def curve(film: Path, folder: Path) -> pl.DataFrame:
    """Resident memory of a stage over its run: `seconds`, `mib`."""
    bench = Path(__file__).with_name("bench_extract.py")
    command = [sys.executable, bench, "--film", film, "--run-stage", "shot", folder]
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    process, started, rows = psutil.Process(child.pid), time.perf_counter(), []
    while child.poll() is None:
        try:
            mib = process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            break
        rows.append({"seconds": time.perf_counter() - started, "mib": mib})
        time.sleep(EVERY_S)
    if child.wait():
        raise SystemExit(f"{film.name}: stage extract failed")
    return pl.DataFrame(rows)


def print_table(table: pl.DataFrame) -> None:
    """Peaks, and how they compare."""
    peaks = table.group_by("minutes", maintain_order=True).agg(
        pl.col("mib").max(), pl.col("seconds").max()
    )
    for minutes, mib, seconds in peaks.iter_rows():
        print(f"{minutes:3d} minutes: peak {mib:6.0f} MiB, {seconds:5.0f} s")
    growth = peaks["mib"][-1] / peaks["mib"][0]
    print(f"growth {growth:.3f} (at most {MOST_GROWTH}); at most {MOST_MIB} MiB")


def plot(table: pl.DataFrame, path: Path) -> None:
    """Draw memory over the run."""
    from plotnine import aes, geom_line, ggplot, labs

    rows = table.with_columns(
        share=pl.col("seconds") / pl.col("seconds").max().over("minutes"),
        film=pl.format("{} minutes", "minutes"),
    )
    figure = (
        ggplot(rows, aes("share", "mib", color="film"))
        + geom_line()
        + labs(x="share of the run", y="resident memory, MiB", color="")
    )
    figure.save(path, width=7, height=3.5, dpi=120, verbose=False)


if __name__ == "__main__":
    main()
