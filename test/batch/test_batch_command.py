"""`bunny batch` as a user runs it: a list, its table and report, and exit codes."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import psutil
import pytest
from prometheus_client import parser
from small_project import command

pytestmark = pytest.mark.slow


def test_a_list_of_films(bunny, tmp_path, film):
    film("a"), film("b")
    (tmp_path / "broken.mp4").write_bytes(b"no film at all")
    (tmp_path / "films.csv").write_text(
        "film,settings\na.mp4,extraction.quality=70\nb.mp4,\n", encoding="utf-8"
    )
    line = "batch broken.mp4 --list films.csv --until filter --workers 1 --part-minutes 0"
    code, out, err = bunny(line, "--set", "seed=5", "--data-dir", "data")
    assert code == 2
    assert "2 of 3 films done, 1 refused." in out
    assert "expected a film, found a text file" in err
    report = Path(out.split("report", 1)[1].strip())
    page = report.read_text(encoding="utf-8")
    assert "Films without a result" in page
    assert "broken.mp4" in page
    table = pl.read_parquet(report.with_name("batch_film.parquet")).sort("film")
    assert [Path(name).name for name in table["film"]] == ["a.mp4", "b.mp4", "broken.mp4"]
    assert table["status"].cast(pl.String).to_list() == ["done", "done", "refused"]
    assert table["duration_s"].to_list()[:2] == pytest.approx([1.0, 1.0])
    assert table["num_shots"].to_list() == [1, 1, 0]
    assert table["num_frames"].to_list()[2] == 0
    asked = {
        row["film_id"]: json.loads(
            (tmp_path / "data/output" / row["film_id"] / "stage/extract/stage.json").read_text(
                encoding="utf-8"
            )
        )["parts"]["settings"]["extraction.quality"]
        for row in table.filter(pl.col("status") == "done").to_dicts()
    }
    assert sorted(asked.values()) == [70, 95]
    assert _queue(tmp_path / "log/metrics.prom") == {
        "waiting": 0,
        "running": 0,
        "done": 2,
        "refused": 1,
        "put_aside": 0,
        "stopped": 0,
    }


def _queue(metrics):
    """Films by status, as Prometheus reads them."""
    text = metrics.read_text(encoding="utf-8")
    found = [f for f in parser.text_string_to_metric_families(text) if "batch_films" in f.name]
    return {sample.labels["status"]: sample.value for sample in found[0].samples}


def test_as_json_with_a_report_in_the_projects_name(bunny, film, monkeypatch):
    monkeypatch.setenv("BUNNY_PROJECT__NAME", "night shift")
    monkeypatch.setenv("BUNNY_PROJECT__VERSION", "7.8.9")
    film("a")
    code, out, _ = bunny("batch", "a.mp4", "--until", "extract", "--json", "--data-dir", "data")
    assert code == 0
    found = json.loads(out)
    [row] = found["films"]
    assert (row["status"], row["num_attempts"]) == ("done", 1)
    assert Path(found["folder"], "batch_film.parquet").is_file()
    assert "night shift 7.8.9" in Path(found["folder"], "report.html").read_text(encoding="utf-8")


def test_all_that_a_batch_writes_lies_in_the_data_folder_that_is_set(bunny, film, tmp_path):
    film("a")
    folder = tmp_path / "elsewhere"
    line = ("batch", "a.mp4", "--until", "extract", "--json", "--data-dir", folder.name)
    code, out, err = bunny(*line)
    assert code == 0, err
    found = json.loads(out)
    [row] = found["films"]
    assert Path(found["folder"]).parent == folder / "batch"
    assert row["num_shots"] == 1  # read where the film's process wrote it
    assert (folder / "output" / row["film_id"] / "table" / "shot.parquet").is_file()
    assert "bunny_batch_films" in (folder / "log/metrics.prom").read_text(encoding="utf-8")
    assert not (tmp_path / "log").exists() and not (tmp_path / "data").exists()


def test_no_metrics_are_written_where_none_are_wanted(bunny, tmp_path, monkeypatch):
    """Of a film that is refused; `bunny_batch_films` is written before the first one runs."""
    (tmp_path / "broken.mp4").write_bytes(b"no film at all")
    line = ("batch", "broken.mp4", "--until", "extract")
    for wanted in ("false", "true"):
        monkeypatch.setenv("BUNNY_PIPELINE__HAS_METRICS", wanted)
        assert bunny(*line)[0] == 2
        assert (tmp_path / "log/metrics.prom").exists() == (wanted == "true")


def test_references_for_a_list_without_any(bunny, film, tmp_path):
    film("a")
    (tmp_path / "films.csv").write_text("film\na.mp4\n", encoding="utf-8")
    code, _, err = bunny("batch --list films.csv --references cast --until extract --data-dir data")
    assert code == 2  # the folder is handed to the film, which finds none there
    assert "found no such folder" in err


@contextlib.contextmanager
def _stopped(pid):
    """Hold a process and its children for a while."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.skipif(sys.platform == "win32", reason="ends it by SIGINT")
def test_a_batch_is_watched_from_another_terminal(bunny, film, tmp_path, wait_for):
    """One long film runs and one waits; then it is interrupted."""
    line = ("long.mp4", "wait.mp4", "--until", "filter", "--data-dir", "data")
    metrics = tmp_path / "log/metrics.prom"
    film("long", seconds=400), film("wait")

    def look(*words):
        code, out, _ = bunny("batch", "--status", *words, "--data-dir", "data")
        return out if code == 0 else ""

    assert look() == ""  # no batch yet
    words = command("batch", *line, "--workers", 1, "--part-minutes", 0)
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as batch:

        def find_running():
            found = json.loads(look("--json") or '{"running": []}')
            is_counted = metrics.exists() and _queue(metrics)["running"] == 1
            return is_counted and any(one["stage"] for one in found["running"])

        wait_for(find_running, seconds=120)
        with _stopped(batch.pid):  # however long the looks take, the film is where it was
            found = json.loads(look("--json"))
            [one] = found["running"]
            assert Path(one["film"]).name == "long.mp4"
            assert (one["attempt"], one["node"]) == (1, socket.gethostname())
            assert one["stage"] in ("extract", "filter")
            assert (found["counts"]["running"], found["counts"]["waiting"]) == (1, 1)
            assert found["num_workers"] == 1 and found["seconds_left"] > one["seconds_left"] > 0
            said = look(*line[:4])  # this very batch
            assert "0 of 2 films done, 1 running, 1 waiting; about" in said
            assert bunny("batch", "--status", "wait.mp4", "--data-dir", "data")[0] == 2  # another
            [folder] = (tmp_path / "data" / "batch").iterdir()
            table = pl.read_parquet(folder / "batch_film.parquet").sort("film")
            assert table["status"].to_list() == ["running", "waiting"]
            assert table["node"].to_list() == [socket.gethostname(), None]
            assert f'node="{socket.gethostname()}",running_film="{tmp_path / "long.mp4"}"' in (
                metrics.read_text(encoding="utf-8")
            )
        batch.send_signal(signal.SIGINT)
        _, err = batch.communicate(timeout=120)
    assert batch.returncode == 130, err
    assert (_queue(metrics)["running"], _queue(metrics)["stopped"]) == (0, 1)
    said = look()
    assert "0 of 2 films done, 1 stopped, 1 waiting\n  ended" in said
    assert f"report {folder / 'report.html'}" in said and (folder / "report.html").exists()
    assert sorted(p.name for p in folder.iterdir()) == [
        "batch_film.parquet",
        "log",
        "report.html",
        "status.json",
    ]


def test_ray_is_asked_for_cores_and_memory(film, tmp_path, monkeypatch, quick_ray):
    """One film on a cluster of this machine; the next asks for more than there is."""
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", quick_ray)
    film("a")
    ray = ("--engine", "ray", "--until", "extract", "--data-dir", "elsewhere")
    done = start_ray(tmp_path, *ray, "--cpus", 0.5, "--memory", 0.25, "--debug")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 film done." in done.stdout
    assert len(list(tmp_path.glob("elsewhere/output/a-*/table/shot.parquet"))) == 1
    done = start_ray(tmp_path, *ray, "--cpus", 9999, "--gpus", 0)
    assert done.returncode == 2
    assert "--cpus: expected at most" in done.stderr


def start_ray(folder, *options):
    """Run a batch in a process of its own, twice if Ray does not start in its time."""
    words = command("batch", "a.mp4", *options)
    for _ in range(2):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600)
        if "Ray did not start on this machine in time" not in done.stderr:
            return done
    pytest.skip("Ray gives its agents 15 s to start (its issue 65983), too few on this machine")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["batch"], "expected films, or a list of them with --list, got neither"),
        (["batch", "a.mp4", "a.mp4"], "expected each film once, got it twice"),
        (["batch", "a.mp4", "--engine", "spark"], "expected local or ray, got spark"),
        (
            ["batch", "a.mp4", "--address", "auto"],
            "--address needs --engine ray, got --engine local",
        ),
        (["batch", "a.mp4", "--gpus", "1"], "--gpus needs --engine ray, got --engine local"),
        (["batch", "a.mp4", "--until", "dance"], "stage dance: expected one of"),
        (["batch", "a.mp4", "--set", "seed=x"], "seed"),
        (["batch", "--list", "films.csv"], "found no such file"),
        (["batch", "a.mp4", "--references", "b", "--references", "c"], "expected one folder"),
    ],
)
def test_what_is_wrong_for_all_ends_before_the_first_film(bunny, tmp_path, arguments, says):
    code, _, err = bunny(*arguments)
    assert code == 2
    assert says in err
    assert not (tmp_path / "data").exists()
