"""How fast stage extract is, beside ffmpeg and PySceneDetect in the same run.

    python test/bench/bench_extract.py [--film FILM | --material FOLDER] [--rounds 3]
    python test/bench/bench_extract.py --again [--film FILM]

Every row is a command of its own on the same two cores; rows take turns, and the median counts.
Ratios are to `ffmpeg -threads 2 … -f null -`, for method keyframe to the same with
`-skip_frame nokey`. Stage rows are the stage's own seconds as in stage.json; the command's start
(imports, hashing the film) stands beside them. ffmpeg and scenedetect are peers here only.

`--again` extracts the film, changes settings that only decide and extracts it once more: each line
is the time of deciding again over that of a full extract with the same settings, with the share of
shots whose pictures were read. The tables must be equal.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import film as films

from bunny.core import workspace
from bunny.core.config import Config
from bunny.stage.extract import Extract
from bunny.table import store

HERE = Path(__file__).resolve()
CORES = 2
FFMPEG = ["ffmpeg", "-v", "error", "-threads", "2"]
NULL = ["-f", "null", "-"]


def main() -> None:
    """Make the film, run the rows in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film", type=Path)
    parser.add_argument("--material", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run-stage", nargs=2, metavar=("METHOD", "FOLDER"))
    parser.add_argument("--again", action="store_true")
    args = parser.parse_args()
    if args.run_stage:
        run_stage(args.film, *args.run_stage)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        name = "material" if args.material else "sample"
        cache = Path(tempfile.gettempdir()) / f"bench_{name}_1080p.mp4"
        film = args.film or films.make(cache, args.material)
        if args.again:
            print_again(film, Path(folder))
        else:
            print_table(measure(film, Path(folder), args.rounds))


CHANGES = (
    {"cut_threshold": 1.2},
    {"cut_threshold": 1.5},
    {"cut_threshold": 0.8},
    {"cut_threshold": 3.0},
    {"min_shot_frames": 24},
    {"static_range": 0.07},
)


def print_again(film: Path, folder: Path) -> None:
    """One line a change of settings: seconds, their ratio, shots, shots that are new."""
    first, seconds = extract(film, folder / "first", {})
    change = first.output_dir / "table" / "change.parquet"
    minutes = store.read(change.parent, "film")["duration_s"][0] / 60
    rows = store.read(change.parent, "change").height
    size = change.stat().st_size / minutes / 1000
    print(f"full extract {seconds:.2f} s of {minutes:.2f} minutes of film")
    print(f"table change: {rows} rows, {size:.1f} kB a minute")
    print(f"{'setting':28}{'again s':>9}{'full s':>9}{'ratio':>8}{'shots':>7}{'new':>5}")
    for number, changed in enumerate(CHANGES):
        again_dir, whole_dir = folder / f"again{number}", folder / f"whole{number}"
        shutil.copytree(folder / "first", again_dir)
        again, again_s = extract(film, again_dir, changed)
        whole, whole_s = extract(film, whole_dir, changed)
        for name in again.writes:
            one, two = (store.read(s.output_dir / "table", name) for s in (again, whole))
            if not one.equals(two, null_equal=True):
                raise SystemExit(f"table {name} differs from a full extract after {changed}")
        old, new = (store.read(s.output_dir / "table", "shot") for s in (first, again))
        span = ["first_frame_index", "end_frame_index", "kind"]
        num_new = new.join(old, on=span, how="anti").height
        words = ", ".join(f"{key} {value}" for key, value in changed.items())
        print(
            f"{words:28}{again_s:9.2f}{whole_s:9.2f}{again_s / whole_s:8.3f}"
            f"{new.height:7}{num_new:5}"
        )
        shutil.rmtree(again_dir)
        shutil.rmtree(whole_dir)


def extract(film: Path, folder: Path, extraction: dict) -> tuple[Extract, float]:
    """Run stage extract in this process; gives it and the seconds that it took."""
    space = workspace.create(folder, "data", film, None)
    stage = Extract(Config.model_validate({"extraction": extraction}), space.root, space.root)
    started = time.perf_counter()
    stage.execute()
    return stage, time.perf_counter() - started


def run_stage(film: Path, method: str, folder: str) -> None:
    """Run stage extract alone and print its record as JSON."""
    space = workspace.create(Path(folder), "data", film, None)
    config = Config.model_validate({"extraction": {"method": method}})
    stage = Extract(config, space.root, space.root)
    stage.execute()
    print(json.dumps(stage.record()))


def measure(film: Path, folder: Path, rounds: int) -> dict[str, dict]:
    """Seconds of each row, in turns."""
    rows = {name: {"seconds": [], "stage": []} for name in commands(film, folder)}
    for turn in range(rounds):
        for name, command in commands(film, folder / str(turn)).items():
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows[name]["seconds"].append(time.perf_counter() - started)
            if "--run-stage" in command:
                record = json.loads(done.stdout)
                rows[name]["stage"].append(record["seconds"])
                rows[name]["peak"] = record["peak_memory_mb"]
                rows[name]["pictures"] = record["num_items"]
        shutil.rmtree(folder / str(turn), ignore_errors=True)
    return rows


def commands(film: Path, folder: Path) -> dict[str, list]:
    """Command lines by row; those whose program is absent are left out."""
    ours = [sys.executable, str(HERE), "--film", str(film), "--run-stage"]
    decode = (
        "import av,sys\nwith av.open(sys.argv[1]) as c:\n s=c.streams.video[0]\n"
        " s.thread_type='AUTO'\n s.codec_context.thread_count=2\n for f in c.decode(s): pass"
    )
    scenedetect = shutil.which("scenedetect", path=Path(sys.executable).parent)
    found = {}
    if shutil.which("ffmpeg"):
        found["ffmpeg"] = [*FFMPEG, "-i", film, *NULL]
        found["ffmpeg nokey"] = [*FFMPEG, "-skip_frame", "nokey", "-i", film, *NULL]
    found["PyAV"] = [sys.executable, "-c", decode, film]
    for method in ("shot", "interval", "keyframe"):
        found[f"extract {method}"] = [*ours, method, folder / method]
    if scenedetect:
        out = ["-o", str(folder / "peer")]
        found["scenedetect"] = [
            scenedetect,
            "-q",
            "-i",
            film,
            *out,
            "detect-adaptive",
            "save-images",
        ]
    return {name: [str(part) for part in command] for name, command in found.items()}


def print_table(rows: dict[str, dict]) -> None:
    """One line a row: median seconds, spread, ratio to its peer."""
    print(f"{'row':20}{'stage s':>9}{'command s':>11}{'spread':>8}{'ratio':>8}  notes")
    for name, row in rows.items():
        whole = statistics.median(row["seconds"])
        own = statistics.median(row["stage"]) if row["stage"] else whole
        peer = rows.get("ffmpeg nokey" if name == "extract keyframe" else "ffmpeg")
        ratio = own / statistics.median(peer["seconds"]) if peer else float("nan")
        spread = max(row["seconds"]) - min(row["seconds"])
        notes = f"{row['pictures']} pictures, {row['peak']:.0f} MiB" if row["stage"] else ""
        print(f"{name:20}{own:9.2f}{whole:11.2f}{spread:8.2f}{ratio:8.2f}  {notes}")


if __name__ == "__main__":
    main()
