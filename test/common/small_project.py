"""A project with one small film on which every stage has run, made once for all tests that look."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import polars as pl
import pytest
import windows_rule
import yaml

from bunny import demo

ROOT = Path(__file__).resolve().parents[2]
QUICK = "pipeline: {has_report: false}\n"  # settings of tests that look at no report
SHOTS = (2, 3, 4)  # of the sample film, two with the bunny; about 7 seconds
FILM, DONE = "three shots.mp4", "done.json"  # in the project's folder
SMALL = {
    "models": {
        "characters": ["bunny"],
        "training_steps": 4,
        "batch_size": 1,
        "checkpoint_every": 2,
    },
    "evaluation": {
        "num_steps": 1,
        "seeds": [1],
        "choose_prompts": ["{trigger}"],
        "report_prompts": ["{trigger} on a beach"],
        "max_checkpoints": 1,
    },
    "generation": {"num_steps": 1, "seeds": [1], "prompts": ["{trigger}"]},
    "extraction": {"frames_per_dynamic_shot": 4},
}


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project's folder, its film, and what `bunny run --json` said of the whole run."""

    folder: Path
    film: Path
    done: dict[str, Any]

    def bunny(self, *arguments: Any) -> subprocess.CompletedProcess:
        """Run a command line in the project's folder, with its settings, as on Windows."""
        done = subprocess.run(
            windows_rule.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=900,
        )
        if done.returncode:
            pytest.fail(f"bunny {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    def run(self, data_dir: Path, *arguments: Any, has_report: bool = False) -> dict[str, Any]:
        """Run stages on the film once more; what `--json` says."""
        line = run_arguments(self.film, data_dir, has_report=has_report)
        done = self.bunny(*line, *arguments)
        return json.loads(done.stdout.splitlines()[-1])


def make(folder: Path) -> Project:
    """Copy settings and notebooks, and run every stage on a few seconds of the sample film.

    The base is an untrained one of 32 x 32 pixels: nothing here looks at what is drawn.
    """
    from toy import model

    for name in ("config", "notebook"):
        ours = shutil.ignore_patterns(".ipynb_checkpoints", "local_*.yaml")
        shutil.copytree(ROOT / name, folder / name, ignore=ours)
    model.save_tiny(folder / "base", seed=7)
    small = {**SMALL, "models": {**SMALL["models"], "base_model": str(folder / "base")}}
    (folder / "config" / "local_small.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    film = cut_film(folder / FILM)
    project = Project(folder=folder, film=film, done={})
    said = project.run(folder / "data", has_report=True)
    (folder / DONE).write_text(json.dumps(said), encoding="utf-8")
    return read(folder)


def read(folder: Path) -> Project:
    """The project that `make` made in this folder."""
    said = json.loads((folder / DONE).read_text(encoding="utf-8"))
    return Project(folder=folder, film=folder / FILM, done=said)


def command(*arguments: Any) -> list[str]:
    """The command line of `bunny` with these arguments."""
    return [sys.executable, "-m", "bunny", *map(str, arguments)]


def run_arguments(film: Path | str, data_dir: Path, *, has_report: bool = False) -> list[Any]:
    """Arguments of `bunny run` for the film, with the sample's references.

    A report takes longer than most stages; those who look at it ask for it.
    """
    where = ["--references", demo.reference_dir(), "--data-dir", data_dir]
    quick = [] if has_report else ["--set", "pipeline.has_report=false"]
    return ["run", film, *where, *quick, "--json"]


def cut_film(path: Path) -> Path:
    """`SHOTS` of the sample film at half its size."""
    shots = demo.truth("shot").filter(pl.col("shot_index").is_in(SHOTS))
    first, end = shots["first_frame_index"].min(), shots["end_frame_index"].max()
    with av.open(str(demo.film_path())) as source, av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=24, options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if first <= index < end:
                picture = frame.reformat(640, 360, "yuv420p").to_ndarray()
                film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
            elif index >= end:
                break
        film.mux(stream.encode())
    return path
