"""The whole way on a few seconds of the sample film, by the command line as a user would."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import polars as pl
import pytest

from bunny import sample

STAGES = [
    *("extract", "filter", "detect", "cluster", "review", "caption"),
    *("dataset", "finetune", "evaluate", "generate"),
]
SMALL = [
    "models.characters=[bunny]",
    "models.training_steps=6",
    "models.batch_size=2",
    "models.checkpoint_every=3",
    "evaluation.num_steps=1",
    "evaluation.seeds=[1]",
    'evaluation.choose_prompts=["{trigger}"]',
    'evaluation.report_prompts=["{trigger} on a beach"]',
    "evaluation.max_checkpoints=1",
    "generation.num_steps=2",
    "generation.seeds=[1]",
    "extraction.frames_per_dynamic_shot=4",
]


def _make_film(path: Path) -> Path:
    """Three shots of the sample (two with the bunny), half size, about 7 seconds."""
    shots = sample.truth("shot").filter(pl.col("shot_index").is_in([2, 3, 4]))
    first, end = shots["first_frame_index"].min(), shots["end_frame_index"].max()
    with av.open(str(sample.film_path())) as source, av.open(str(path), "w") as film:
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


def _bunny(*arguments, check: bool = True) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bunny", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=900)


def _run(film: Path, folder: Path, *arguments) -> dict:
    settings = [part for value in SMALL for part in ("--set", value)]
    common = ["run", film, "--references", sample.reference_dir(), "--data-dir", folder]
    done = _bunny(*common, *settings, "--json", *arguments)
    return json.loads(done.stdout.splitlines()[-1])


def _tables(workspace: str) -> dict[str, pl.DataFrame]:
    paths = sorted(Path(workspace, "table").glob("*.parquet"))
    return {path.stem: pl.read_parquet(path) for path in paths}


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return _make_film(tmp_path_factory.mktemp("film") / "three shots.mp4")


@pytest.fixture(scope="module")
def done(film, tmp_path_factory) -> dict:
    """One complete run, shared by the tests that only look."""
    return _run(film, tmp_path_factory.mktemp("whole"))


@pytest.mark.train
def test_every_stage_ran_and_the_workspace_has_what_it_says(done):
    assert list(done["stages"]) == STAGES
    assert {s["status"] for s in done["stages"].values()} == {"done"}
    assert {s["failed"] for s in done["stages"].values()} == {0}
    workspace = Path(done["workspace"])
    assert workspace.is_absolute() and workspace.name == done["film_id"]
    assert done["film_id"].startswith("three-shots-")
    tables = _tables(done["workspace"])
    assert done["stages"]["extract"]["rows"] == tables["frame"].height
    assert all((workspace / f).is_file() for f in tables["frame"]["file"])
    assert all((workspace / f).is_file() for f in tables["picture"]["file"])
    html = (workspace / "report.html").read_text(encoding="utf-8")
    assert "<img" in html and "http://" not in html.replace("http://www.w3.org", "")


@pytest.mark.train
def test_the_shots_and_the_bunny_are_right(done):
    tables = _tables(done["workspace"])
    assert tables["shot"]["first_frame_index"].to_list() == [0, 54, 126]
    who = tables["label"].filter(pl.col("character").is_not_null())
    by_shot = {s: set(g["character"]) for (s,), g in who.group_by("shot_index")}
    assert "bunny" in by_shot[0] | by_shot[1]
    assert "bunny" not in by_shot.get(2, set())
    assert set(tables["dataset"]["character"]) == {"bunny"}


@pytest.mark.train
def test_a_second_run_does_nothing(done, film):
    folder = Path(done["workspace"]).parents[1]
    started = time.monotonic()
    again = _run(film, folder)
    assert {s["status"] for s in again["stages"].values()} == {"skipped"}
    assert again["seconds"] < (time.monotonic() - started)


@pytest.mark.train
def test_status_says_done_then_stale_and_why(done):
    folder = Path(done["workspace"]).parents[1]
    settings = [part for value in SMALL for part in ("--set", value)]
    lines = _bunny("status", "--data-dir", folder, *settings).stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == STAGES
    assert all(line.split()[1] == "done" for line in lines)
    changed = ["--set", "filtering.blur_threshold=0.99"]
    lines = _bunny("status", "--data-dir", folder, *settings, *changed).stdout.splitlines()[1:]
    states = {line.split()[0]: line for line in lines}
    assert "filtering.blur_threshold 0.2 -> 0.99" in states["filter"]
    assert states["extract"].split()[1] == states["detect"].split()[1] == "done"
    assert "filter will run again" in states["caption"]


@pytest.mark.train
def test_export_json_has_the_promised_shape(done, tmp_path):
    folder = Path(done["workspace"]).parents[1]
    path = tmp_path / "out.json"
    _bunny("export", "json", done["film_id"], "--data-dir", folder, "--output", path)
    frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
    assert frames
    assert frames[0].keys() >= {
        "id",
        "source_path",
        "timestamp",
        "blur_score",
        "characters",
        "caption",
    }
    named = [c for f in frames for c in f["characters"]]
    assert named and all(c.keys() == {"name", "confidence"} for c in named)


@pytest.mark.train
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_run_again_gives_the_same_tables(done, film, tmp_path):
    settings = [part for value in SMALL for part in ("--set", value)]
    command = [sys.executable, "-m", "bunny", "run", str(film), "--data-dir", str(tmp_path)]
    command += ["--references", str(sample.reference_dir()), "--until", "caption", *settings]
    for seconds in (4.0, 7.0):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    again = _run(film, tmp_path, "--until", "caption")
    whole = _tables(done["workspace"])
    for name, table in _tables(again["workspace"]).items():
        assert table.equals(whole[name]), name


@pytest.mark.train
@pytest.mark.notebook
def test_notebooks_give_the_same_tables(done, film, tmp_path):
    by_notebook = _run(film, tmp_path, "--notebooks", "--until", "caption")
    whole = _tables(done["workspace"])
    for name, table in _tables(by_notebook["workspace"]).items():
        assert table.equals(whole[name]), name
    kept = list((tmp_path / "log" / "notebook" / by_notebook["film_id"]).glob("*.ipynb"))
    assert len(kept) >= 5
