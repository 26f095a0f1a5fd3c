"""How fast stage extract is, beside ffmpeg and PySceneDetect in the same run.

    python test/bench/bench_extract.py [--film FILM | --material FOLDER] [--rounds 3]

Every row is a command of its own on the same two cores; rows take turns, and the median counts.
Ratios are to `ffmpeg -threads 2 … -f null -`, for method keyframe to the same with
`-skip_frame nokey`. Stage rows are the stage's own seconds as in stage.json; the command's start
(imports, hashing the film) stands beside them. ffmpeg and scenedetect are peers here only.
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
    args = parser.parse_args()
    if args.run_stage:
        run_stage(args.film, *args.run_stage)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        name = "material" if args.material else "sample"
        cache = Path(tempfile.gettempdir()) / f"bench_{name}_1080p.mp4"
        print_table(
            measure(args.film or films.make(cache, args.material), Path(folder), args.rounds)
        )


def run_stage(film: Path, method: str, folder: str) -> None:
    """Run stage extract alone and print its record as JSON."""
    from bunny.core import workspace
    from bunny.core.config import Config
    from bunny.stage.extract import Extract

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
            scenedetect, "-q", "-i", film, *out, "detect-adaptive", "save-images",
        ]  # fmt: skip
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
