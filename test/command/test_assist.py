"""Several processes at one film end with the tables and pictures of one."""

import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
import pytest

from bunny.command import assist
from bunny.core.error import UserError

pytestmark = pytest.mark.slow

SIZE = (480, 320)  # pixels
SHOTS = (80, 50, 110, 40, 90, 60, 100, 50)  # frames; in every second one a face
SETTINGS = (
    "extraction.output_format=png",
    "filtering.preset=generous",
    "pipeline.shard_size=4",
    "detection.effort=thorough",
    "pipeline.num_parts=4",
    "pipeline.has_report=false",
)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Some 600 frames: a face that drifts, noise, and so on; gives the folder."""
    from skimage import data

    folder = tmp_path_factory.mktemp("film")
    face = np.ascontiguousarray(data.astronaut()[:330])
    (folder / "reference").mkdir()
    cv2.imwrite(str(folder / "reference" / "eileen.png"), face[:280, 90:370, ::-1])
    chance = np.random.default_rng(0)
    with av.open(str(folder / "film.mkv"), "w") as out:
        options = {"g": "24", "preset": "ultrafast"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        index = 0
        for number, length in enumerate(SHOTS):
            noise = chance.integers(0, 255, (9, 20, 3), np.uint8)
            noise = cv2.resize(noise, (512, 330), interpolation=cv2.INTER_CUBIC)
            wide = noise if number % 2 else face[:, :: 1 if number % 4 else -1]
            for step in range(length):
                left = step * 32 // length
                picture = np.ascontiguousarray(wide[: SIZE[1], left : left + SIZE[0]])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(frame))
                index += 1
        out.mux(stream.encode(None))
    return folder


def _start(film: Path, data: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "bunny", "run", str(film / "film.mkv"), "--json"]
    command += ["--references", str(film / "reference"), "--data-dir", str(data)]
    command += [part for one in SETTINGS for part in ("--set", one)]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=film
    )


def _end(process: subprocess.Popen) -> dict:
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(said.splitlines()[-1])


def _files(data: Path) -> dict[str, bytes]:
    """Pictures and tables of the film."""
    [root] = [path.parent for path in data.glob("output/*/source.json")]
    paths = [*(root / "table").glob("*.parquet"), *(root / "frame").iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def _wait_for(condition, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(film, tmp_path_factory):
    """What one process makes in one pass."""
    data = tmp_path_factory.mktemp("alone")
    _end(_start(film, data, "--until", "detect", "--set", "pipeline.num_parts=1"))
    found = _files(data)
    labels = pl.read_parquet(next(data.glob("output/*/table/label.parquet")))
    assert labels["character"].drop_nulls().unique().to_list() == ["eileen"]
    assert pl.read_parquet(next(data.glob("output/*/table/extra_frame.parquet"))).height > 20
    assert len([name for name in found if name.endswith(".png")]) >= len(SHOTS)
    return found


def test_a_helper_changes_nothing_but_the_time(film, tmp_path, alone):
    helper = _start(film, tmp_path, "--assist")
    run = _end(_start(film, tmp_path, "--until", "detect"))
    helped = _end(helper)
    assert helped["film_id"] == run["film_id"]
    assert sum(helped["assisted"].values()) > 0
    assert _files(tmp_path) == alone


def test_a_helper_killed_at_work_costs_nothing(film, tmp_path, alone):
    helper = _start(film, tmp_path, "--assist")
    run = _start(film, tmp_path, "--until", "detect")
    _wait_for(lambda: list(tmp_path.glob("output/*/stage/extract/shard/range/*/0*")))
    helper.kill()
    helper.communicate()
    _end(run)
    assert _files(tmp_path) == alone


def test_a_helper_ends_with_the_run_and_the_next_run_goes_on(film, tmp_path, alone):
    helper = _start(film, tmp_path, "--assist", "--set", "pipeline.lock_wait_seconds=0")
    run = _start(film, tmp_path, "--until", "detect")
    _wait_for(lambda: list(tmp_path.glob("output/*/stage/detect/shard/face/*/0*")))
    run.kill()
    run.communicate()
    began = time.monotonic()
    _end(helper)
    assert time.monotonic() - began < assist.PATIENCE_S / 2
    _end(_start(film, tmp_path, "--until", "detect"))
    assert _files(tmp_path) == alone


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"overrides": []}, "expected pipeline.num_parts of 2 or more"),
        (
            {"overrides": ["pipeline.num_parts=2", "pipeline.force_rerun=true"]},
            "no --force, as in the run to help, got 2 with --force",
        ),
        ({"data_dir": "s3://bucket/films"}, "expected a data folder that both processes see"),
    ],
)
def test_what_cannot_be_shared(film, tmp_path, given, says):
    options = {"data_dir": str(tmp_path), **given}
    with pytest.raises(UserError, match=says):
        assist.assist_films([film / "film.mkv"], [], **options)


def test_one_film_at_a_time(film):
    with pytest.raises(UserError, match="--assist: expected one film, got 2"):
        assist.assist_films([film / "film.mkv"] * 2, [])
