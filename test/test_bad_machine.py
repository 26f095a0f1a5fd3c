"""A full or read-only disk, a film that changes meanwhile, a clock that went back, no home.

Every stage is tried on a disk of a few kilobytes. It says so in one sentence, keeps what it has,
and goes on to the same bytes once there is space.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import odd_film
import pytest
import soak_kill
import workspace_difference
from bunny_sentence import sentence
from small_project import command, run_arguments

from bunny import pipeline
from bunny.contract import fingerprint
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.review import event_log
from bunny.stage.extract import Extract

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk"),
]

FREE = 8192  # bytes left on the disk
DISK = "size=64m"
FUTURE = time.time() + 10 * 365 * 86400


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a disk, and not in every container")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def filled(place):
    """Fill the disk but for a few kilobytes."""
    ballast = place / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(place).free - FREE)))
    try:
        yield
    finally:
        ballast.unlink()


def space_of(project, data):
    return workspace.locate(project.folder, str(data), project.done["film_id"])


def copy_of(project, data):
    """The project's finished workspace in another data folder."""
    done, copied = space_of(project, project.folder / "data"), space_of(project, data)
    shutil.copytree(done.root, copied.root)
    shutil.copytree(done.checkpoint, copied.checkpoint)
    return copied


OFF = ("clip", "pair")  # of the small project; what they write then fits into what is left


def undo(space, done, stage):
    """Take away what a stage made."""
    shutil.rmtree(space.root / "stage" / stage)
    for name in done["stages"][stage]["tables"]:
        (space.root / "table" / f"{name}.parquet").unlink()


# TensorBoard writes its events in a thread of its own.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("stage", [name for name in pipeline.STAGE if name not in OFF])
def test_a_full_disk_stops_a_stage_in_a_sentence_and_costs_nothing(
    small_project, disk, bunny, monkeypatch, stage
):
    monkeypatch.chdir(small_project.folder)
    space = copy_of(small_project, disk)
    undo(space, small_project.done, stage)
    line = [*run_arguments(small_project.film, disk), "--only", stage]
    with filled(disk):
        code, _, error = bunny(*line)
        assert code == 2, error
        assert "disk is full" in sentence(error) or "No space left" in sentence(error)
    if stage in ("finetune", "evaluate"):  # threads of PyTorch as in the run before
        done = subprocess.run(command(*line), capture_output=True, text=True, check=False)
        code, said, error = done.returncode, done.stdout, done.stderr
    else:
        code, said, error = bunny(*line)
    assert code == 0, error
    assert json.loads(said.splitlines()[-1])["stages"][stage]["status"] == "done"
    whole = space_of(small_project, small_project.folder / "data")
    assert workspace_difference.find(whole, space) == []
    assert not [p for p in disk.rglob("*.tmp") if p.is_file()]


def test_a_read_only_disk_is_refused_for_runs_and_read_by_status(
    small_project, disk, bunny, monkeypatch
):
    monkeypatch.chdir(small_project.folder)
    space = copy_of(small_project, disk)
    undo(space, small_project.done, "filter")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, _, error = bunny(*run_arguments(small_project.film, disk), "--only", "filter")
    assert code == 2 and "read-only" in sentence(error)
    code, said, _ = bunny("status", space.film_id, "--data-dir", disk)
    assert code == 0 and "never run" in said
    code, _, error = bunny("run", small_project.film, "--data-dir", "/proc/nothing")
    assert code == 2 and "cannot create this folder" in sentence(error)


def test_of_several_films_a_full_disk_is_said_for_each(disk, bunny):
    film = odd_film.make("one keyframe.mp4", disk)
    other = odd_film.make("motion jpeg.avi", disk)
    with filled(disk):
        code, _, error = bunny("run", film, other, "--data-dir", disk / "data", "--only", "extract")
    assert code == 2 and "Traceback" not in error
    assert len([line for line in error.splitlines() if "bunny: " in line]) == 2


# -- films that change ---------------------------------------------------------------------------


def long_film(path):
    """Of 40 seconds, which takes a second to read."""
    frames = [
        odd_film.draw_number(odd_film.texture(i // 60), i % odd_film.NUM_NUMBERS)
        for i in range(960)
    ]
    return odd_film.write(path, frames, options={"preset": "ultrafast"})


def test_a_film_that_is_replaced_while_it_is_read_is_refused(tmp_path):
    film = long_film(tmp_path / "film.mp4")
    other = odd_film.make("one keyframe.mp4", tmp_path)
    space = workspace.create(tmp_path, "data", film, None)
    stage = Extract(Config(), space.root, space.root)

    def replace_soon():
        while not (space.root / "stage" / "extract" / "stage.json").exists():
            time.sleep(0.001)
        other.replace(film)

    thread = threading.Thread(target=replace_soon)
    thread.start()
    with pytest.raises(UserError, match="the file changed while it was being read") as caught:
        stage.execute()
    thread.join()
    assert str(caught.value).startswith(f"{film}: ")
    assert stage.record()["status"] == "failed"
    assert not (space.table / "frame.parquet").exists()


def test_a_film_that_is_gone_is_not_needed_for_what_was_read(tmp_path, bunny):
    film = odd_film.make("one keyframe.mp4", tmp_path)
    run = ["--data-dir", "data", "--only"]
    assert bunny("run", film, *run, "extract")[0] == 0
    [film_id] = [p.name for p in (tmp_path / "data" / "output").iterdir() if p.is_dir()]
    film.rename(tmp_path / "elsewhere.mp4")
    code, _, error = bunny("run", film_id, *run, "extract")
    assert code == 2 and "found no such file" in sentence(error)
    code, said, _ = bunny("status", film_id, "--data-dir", "data")
    assert code == 0 and said.splitlines()[1].split()[:2] == ["extract", "done"]
    (tmp_path / "elsewhere.mp4").rename(film)
    code, said, _ = bunny("run", film, *run, "extract", "--json")
    assert json.loads(said.splitlines()[-1])["stages"]["extract"]["status"] == "skipped"


# -- clocks --------------------------------------------------------------------------------------


def test_files_of_the_future_are_up_to_date_and_a_change_is_still_seen(
    small_project, tmp_path, bunny, monkeypatch
):
    """As after the clock was set back ten years: what is written now is older than the rest."""
    monkeypatch.chdir(small_project.folder)
    space = copy_of(small_project, tmp_path)
    for path in tmp_path.rglob("*"):
        os.utime(path, (FUTURE, FUTURE))
    line = [*run_arguments(small_project.film, tmp_path), "--until", "filter"]

    def statuses(*more):
        code, said, error = bunny(*line, *more)
        assert code == 0, error
        return [s["status"] for s in json.loads(said.splitlines()[-1])["stages"].values()]

    assert statuses() == ["skipped", "skipped"]
    changed = ["--set", "filtering.blur_threshold=0.9"]
    assert statuses(*changed) == ["skipped", "done"]
    assert statuses(*changed) == ["skipped", "skipped"]
    assert statuses() == ["skipped", "done"]
    whole = space_of(small_project, small_project.folder / "data")
    table = "table/quality.parquet"
    assert (space.root / table).read_bytes() == (whole.root / table).read_bytes()


def test_a_clock_set_back_while_a_stage_runs_changes_nothing(small_project, tmp_path):
    """Ten years, by a library that answers for the system: `uv run --with libfaketime pytest`."""
    package = importlib.util.find_spec("libfaketime")
    if package is None or package.origin is None:
        pytest.skip("needs the package libfaketime, which is built with a C compiler")
    space = copy_of(small_project, tmp_path)
    for stage in ("detect", "cluster"):
        undo(space, small_project.done, stage)
    [library] = Path(package.origin).parent.rglob("libfaketime.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    process = subprocess.Popen(
        command(*run_arguments(small_project.film, tmp_path), "--until", "cluster"),
        cwd=small_project.folder,
        env=os.environ
        | {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock)}
        | {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
    )
    while fingerprint.read_record(space.root, "detect").get("status") != "running":
        assert process.poll() is None
        time.sleep(0.01)
    clock.write_text("-10y")
    assert process.wait() == 0
    years = [
        int(fingerprint.read_record(space.root, name)["started_at"][:4])
        for name in ("detect", "cluster")
    ]
    assert years[0] - years[1] in (10, 11)
    whole = space_of(small_project, small_project.folder / "data")
    for name in ("face", "track", "figure", "label", "cluster"):
        table = f"table/{name}.parquet"
        assert (space.root / table).read_bytes() == (whole.root / table).read_bytes()


# -- several at once -----------------------------------------------------------------------------


def test_two_runs_and_somebody_who_corrects_at_once(small_project, tmp_path):
    """The second run waits as asked, one that does not wait is told who runs; no word is lost."""
    space = copy_of(small_project, tmp_path)
    undo(space, small_project.done, "detect")
    events = soak_kill.make_comments(small_project)
    line = command(*run_arguments(small_project.film, tmp_path), "--only", "detect,review")

    def start(*more):
        return subprocess.Popen(
            [*line, *more],
            cwd=small_project.folder,
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    first = start()
    while workspace.read_holder(space) is None and first.poll() is None:
        time.sleep(0.01)
    waiting = start("--set", "pipeline.lock_wait_seconds=120")
    leaving = start()
    for event in events:
        event_log.append(space.root, [event])
        time.sleep(0.05)
    error = leaving.communicate()[1]
    assert leaving.returncode == 2 and f"process {first.pid} on" in sentence(error)
    for run in (first, waiting):
        assert run.communicate()[1] is not None and run.returncode == 0
    assert soak_kill.count_lost(space.root, [event.event_id for event in events]) == 0
    whole = space_of(small_project, small_project.folder / "data")
    for name in ("label", "face", "track", "figure", "label_corrected", "cluster_corrected"):
        table = f"table/{name}.parquet"
        assert (space.root / table).read_bytes() == (whole.root / table).read_bytes(), name


# -- machines without ----------------------------------------------------------------------------


@pytest.mark.parametrize("home", [None, "/proc/nothing"], ids=["no HOME", "HOME not writable"])
def test_without_screen_home_locale_and_fonts_a_run_and_its_report_are_whole(tmp_path, home):
    """Names with other letters too; the report's fonts come with Matplotlib."""
    film = tmp_path / "Müllers Häschen 🐰.mp4"
    shutil.copy(odd_film.make("one keyframe.mp4", tmp_path), film)
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PYTHON", "VIRTUAL", "OMP"))}
    bare = {**kept, "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    bare |= {"FONTCONFIG_FILE": "/dev/null"}
    bare |= {} if home is None else {"HOME": home}
    line = command("run", film, "--data-dir", tmp_path / "space", "--until", "cluster")
    done = subprocess.run(line, cwd=tmp_path, env=bare, capture_output=True)
    errors = done.stderr.decode("ascii", "replace")
    assert done.returncode == 0, errors
    assert "Traceback" not in errors and "Warning" not in errors
    [report] = (tmp_path / "space" / "output").glob("*/report.html")
    assert "<img" in Path(report).read_text(encoding="utf-8")
    assert {p.name for p in tmp_path.iterdir()} == {film.name, "space", "one keyframe.mp4"}
