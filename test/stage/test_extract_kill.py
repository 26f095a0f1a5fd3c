"""Stage extract killed at random moments goes on, and leaves what an uninterrupted run leaves."""

import json
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.core import workspace
from bunny.core.config import Config
from bunny.stage.extract import Extract

pytestmark = pytest.mark.slow

NUM_KILLS = 20
NUM_SHOTS = 24
SIZE = (160, 90)  # pixels
TABLES = ("film", "shot", "frame", "measure")
SECTIONS = {
    "pipeline": {"shard_size": 6},
    "extraction": {"extra_interval_seconds": 0.5, "shot_detector": "fast"},
}
# Imports once, then forks a run for each line, which says after how many seconds to kill it; tells
# how it ended.
RUNS = """
import json, os, signal, sys, time
from pathlib import Path
from bunny.core.config import Config
from bunny.stage.extract import Extract
folder, sections = Path(sys.argv[1]), json.loads(sys.argv[2])
stage = Extract(Config.model_validate(sections), folder, folder)
for seconds in sys.stdin:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            stage.execute()
            code = 0
        finally:
            os._exit(code)
    time.sleep(float(seconds))
    os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Shots of 20 to 45 frames, each a drift over a picture of its own; keyframes each second."""
    path = tmp_path_factory.mktemp("film") / "many shots.mp4"
    chance = np.random.default_rng(3)
    with av.open(str(path), "w") as out:
        options = {"g": "24", "bf": "2", "preset": "ultrafast"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        index = 0
        for _ in range(NUM_SHOTS):
            coarse = chance.integers(0, 255, (9, 24, 3), np.uint8)
            wide = cv2.resize(coarse, (SIZE[0] + 160, SIZE[1]), interpolation=cv2.INTER_CUBIC)
            speed = int(chance.integers(0, 3))
            for step in range(int(chance.integers(20, 46))):
                picture = np.ascontiguousarray(wide[:, step * speed : step * speed + SIZE[0]])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(frame))
                index += 1
        out.mux(stream.encode(None))
    return path


def _files(folder):
    """Bytes of all that the stage left for others."""
    paths = [p for p in (folder / "frame").iterdir() if p.is_file()]
    paths += [folder / "table" / f"{name}.parquet" for name in TABLES]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


@contextmanager
def _killer(folder):
    """A function that runs the stage, kills it after so many seconds, and gives the exit code."""
    command = [sys.executable, "-c", RUNS, str(folder), json.dumps(SECTIONS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as runs:

        def kill_after(seconds):
            runs.stdin.write(f"{seconds}\n")
            return int(runs.stdout.readline())

        yield kill_after
        runs.stdin.close()


def _states(folder):
    paths = sorted((folder / "stage/extract/shard/shot").glob("*/[0-9]*/state.json"))
    return [json.loads(p.read_text())["restart"] for p in paths]


def test_killed_at_twenty_random_moments_equals_uninterrupted(tmp_path, film):
    whole = workspace.create(tmp_path / "whole", "data", film, None).root
    seconds = Extract(Config.model_validate(SECTIONS), whole, whole).execute().seconds
    wanted = _files(whole)
    broken = workspace.create(tmp_path / "broken", "data", film, None).root
    chance, num_inside, can_seek = random.Random(0), 0, False
    with _killer(broken) as kill_after:
        for _ in range(NUM_KILLS):
            code = kill_after(chance.uniform(0.01, 0.3 * seconds))
            num_inside += code == -signal.SIGKILL
            can_seek = can_seek or any(_states(broken))
            if code == 0:  # it got to its end: begin anew
                assert _files(broken) == wanted
                (broken / "table" / "shot.parquet").unlink()
                for path in sorted((broken / "stage").rglob("*"), reverse=True):
                    path.unlink() if path.is_file() else path.rmdir()
    assert num_inside >= NUM_KILLS // 2
    stage = Extract(Config.model_validate(SECTIONS), broken, broken)
    stage.execute()
    assert _files(broken) == wanted
    assert can_seek, "no shard can be gone on from by seeking"
