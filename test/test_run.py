"""The whole way on a few seconds of the sample film, by the command line as a user would."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import notebook_output
import polars as pl
import pytest
from prometheus_client import parser
from small_project import command, run_arguments

from bunny import notebook

STAGES = [
    "extract",
    "filter",
    "detect",
    "cluster",
    "review",
    "caption",
    "dataset",
    "clip",
    "pair",
    "finetune",
    "evaluate",
    "generate",
]

pytestmark = pytest.mark.slow


def _tables(workspace: str) -> dict[str, pl.DataFrame]:
    """All that is no measured time."""
    paths = sorted(Path(workspace, "table").glob("*.parquet"))
    return {path.stem: pl.read_parquet(path).drop("seconds", strict=False) for path in paths}


@pytest.fixture(scope="module")
def done(small_project) -> dict:
    """What the complete run said."""
    return small_project.done


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


def test_the_log_says_film_and_stage_on_each_line_from_inside_a_stage(done):
    home = Path(done["workspace"]).parents[1]
    logs = [*home.rglob("log"), *home.parent.glob("log")]
    files = [path for folder in logs for path in (folder / done["film_id"]).glob("*.jsonl")]
    lines = [json.loads(text) for path in files for text in path.read_text("utf-8").splitlines()]
    inside = [line for line in lines if line["name"].startswith(("bunny.stage", "bunny.contract"))]
    inside += [line for line in lines if line["name"].startswith("bunny.training")]
    assert {line["film"] for line in inside} == {done["film_id"]}
    assert {line["stage"] for line in inside} >= set(STAGES)
    ends = [line["stage"] for line in lines if line["message"].startswith("stage ")]
    assert sorted(set(ends)) == sorted(STAGES)


def test_metrics_say_of_each_stage_what_the_run_said(done):
    home = Path(done["workspace"]).parents[2]
    [path] = home.rglob("metrics.prom")
    families = parser.text_string_to_metric_families(path.read_text(encoding="utf-8"))
    found = {(s.name, s.labels.get("stage")): s.value for f in families for s in f.samples}
    for name, stage in done["stages"].items():
        assert found["bunny_stage_done", name] == 1
        assert found["bunny_stage_failed_items", name] == stage["failed"]
        assert found["bunny_stage_seconds", name] <= stage["seconds"] + 0.1
    film = _tables(done["workspace"])["film"]
    speed = film["num_frames"].sum() / found["bunny_stage_seconds", "extract"]
    assert found["bunny_stage_frames_per_second", "extract"] == pytest.approx(speed)


def test_the_shots_and_the_bunny_are_right(done):
    tables = _tables(done["workspace"])
    assert tables["shot"]["first_frame_index"].to_list() == [0, 54, 126]
    who = tables["label"].filter(pl.col("character").is_not_null())
    by_shot = {s: set(g["character"]) for (s,), g in who.group_by("shot_index")}
    assert "bunny" in by_shot[0] | by_shot[1]
    assert "bunny" not in by_shot.get(2, set())
    assert set(tables["dataset"]["character"]) == {"bunny"}


def test_a_second_run_does_nothing(done, small_project):
    """No table, picture or record is written again; what is kept of files may be found anew."""
    folder = Path(done["workspace"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = small_project.run(small_project.folder / "data")
    assert {s["status"] for s in again["stages"].values()} == {"skipped"}
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    changed = {path.name for path in before.keys() | after if before.get(path) != after.get(path)}
    assert len(before) > 30 and changed <= {".lock", ".lock.json", "hash.json", "state.json"}


def test_status_says_done_then_stale_and_why(small_project):
    lines = small_project.bunny("status").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == STAGES
    assert all(line.split()[1] == "done" for line in lines)
    changed = ["--set", "filtering.blur_threshold=0.99"]
    lines = small_project.bunny("status", *changed).stdout.splitlines()[1:]
    states = {line.split()[0]: line for line in lines}
    assert "filtering.blur_threshold 0.17 -> 0.99" in states["filter"]
    assert states["extract"].split()[1] == states["detect"].split()[1] == "done"
    assert "filter will run again" in states["caption"]


def test_export_json_has_the_promised_shape(done, small_project, tmp_path):
    path = tmp_path / "out.json"
    small_project.bunny("export", "json", done["film_id"], "--output", path)
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


@pytest.fixture
def undone(done, tmp_path):
    """Gives the film's folder in a data folder of its own, where a stage has never run."""

    def make(stage):
        root = tmp_path / "output" / done["film_id"]
        shutil.copytree(done["workspace"], root)
        shutil.rmtree(root / "stage" / stage)
        for name in done["stages"][stage]["tables"]:
            (root / "table" / f"{name}.parquet").unlink()
        return root

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_stopped_twice_it_ends_with_130_and_what_is_on_disk_is_whole(done, small_project, undone):
    root = undone("detect")
    process = _start_until("detect", small_project, root)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)  # while it cleans up
    process.wait()
    said = (root / "said").read_text(encoding="utf-8")
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "bunny: stopped; run the same command again to resume"
    record = json.loads((root / "stage/detect/stage.json").read_text(encoding="utf-8"))
    # the second comes before or after the first is noted
    assert (record["status"], record.get("error")) in {("running", None), ("failed", "interrupted")}
    whole, found = _tables(done["workspace"]), _tables(root)
    assert whole.keys() - found.keys() == set(done["stages"]["detect"]["tables"])
    assert all(table.equals(whole[name]) for name, table in found.items())


def _start_until(stage, project, root):
    """Run one stage until it has begun; gives the process, which writes errors to `root / said`."""
    line = [*run_arguments(project.film, root.parents[1]), "--only", stage]
    with (root / "said").open("w") as said:
        process = subprocess.Popen(
            command(*line),
            cwd=project.folder,
            stdout=subprocess.DEVNULL,
            stderr=said,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    record = root / "stage" / stage / "stage.json"
    while process.poll() is None:
        if record.exists() and '"running"' in record.read_text(encoding="utf-8"):
            return process
        time.sleep(0.005)
    pytest.fail(f"ended before {stage} began: {(root / 'said').read_text(encoding='utf-8')}")


def test_notebooks_give_the_same_tables_and_resume(done, small_project, tmp_path):
    ran = small_project.run(tmp_path, "--notebooks")
    assert list(ran["stages"]) == STAGES
    done_here = {name for name, stage in ran["stages"].items() if stage["status"] == "done"}
    assert done_here == set(STAGES)
    whole, found = _tables(done["workspace"]), _tables(ran["workspace"])
    audit = {f"caption_audit{part}" for part in ("", "_word", "_provider", "_pair")}
    assert found.keys() == whole.keys() | audit  # of which notebook 05 is the report
    for name, table in whole.items():
        assert table.equals(found[name]), name

    folder = tmp_path / "log" / "notebook" / ran["film_id"]
    copies = sorted(folder.iterdir())
    assert {c.name.partition("-")[0] for c in copies} == set(notebook.NOTEBOOK)
    kinds = {copy.name: notebook_output.read_kinds(copy) for copy in copies}
    assert all(kinds.values())
    assert set().union(*kinds.values()) <= notebook_output.MIME
    again = small_project.run(tmp_path, "--notebooks")
    assert {stage["status"] for stage in again["stages"].values()} == {"skipped"}
    assert sorted(folder.iterdir()) == copies


def test_the_first_notebook_says_that_everything_is_done(
    done, small_project, tmp_path, monkeypatch
):
    monkeypatch.chdir(small_project.folder)
    values = {"film_id": done["film_id"], "is_interactive": False}
    copy = tmp_path / "start.ipynb"
    notebook.execute(small_project.folder / "notebook" / "00_start.ipynb", copy, values)
    assert "All stages are done" in copy.read_text(encoding="utf-8")
