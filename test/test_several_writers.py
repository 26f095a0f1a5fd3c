"""A board, notebooks and runs at one film at once: nobody loses or damages what another made."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import board_client
import pytest
import soak_kill
import workspace_difference
from small_project import ROOT, command, run_arguments

from bunny.core import workspace
from bunny.review import event_log
from bunny.table import store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="stops a process for a while"),
]

LONG_S = 600  # on a busy machine
WAITS = ("--set", f"pipeline.lock_wait_seconds={LONG_S}")


@contextlib.contextmanager
def open_board(project, space, data):
    """The board that `bunny review` serves, as the page of one person."""
    line = command("review", space.film_id, "--port", 0, "--no-browser", "--data-dir", data)
    with (data / "board.txt").open("w") as errors:
        server = subprocess.Popen(
            line, cwd=project.folder, text=True, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        found = re.search(r"127\.0\.0\.1:(\d+)/\?token=(\S+)", server.stdout.readline())
        assert found, (data / "board.txt").read_text()
        board = board_client.BoardClient(int(found[1]), found[2])
        yield board
        board.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=LONG_S)


def start(project, *line):
    return subprocess.Popen(
        line,
        cwd=project.folder,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def notebook(project, space, stage, *more):
    """A stage's notebook, executed by papermill in a kernel of its own."""
    line = [sys.executable, ROOT / "python_script" / "run_notebook.py", space.film_id, stage]
    return start(project, *map(str, line), "--data-dir", str(space.root.parents[1]), *more)


def wait_until(condition):
    until = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def say_four_things(board, asset):
    """A comment, an approval, a caption, and that a figure is somebody else's."""
    rows = {level: asset["level"].to_list().index(level) for level in ("scene", "character")}
    named = asset["cluster_id"].to_list().index("bunny")
    for row, action, text in (
        (rows["scene"], "comment", "said while a run went on"),
        (rows["scene"], "approve", ""),
        (rows["scene"], "caption", "bunny hops over the grass"),
        (named, "reject", ""),
    ):
        answer = board.act(row, action, text=text)
        assert "error" not in answer, answer


def test_a_board_notebooks_and_runs_at_once_end_as_one_alone(small_project, tmp_path):
    """While a run holds the film, one notebook is told so and leaves, another one waits.

    The run is stopped (SIGSTOP) in the middle of a stage until all others have come.
    """
    film_id = small_project.done["film_id"]
    done = workspace.locate(small_project.folder, str(small_project.folder / "data"), film_id)
    space = workspace.locate(small_project.folder, str(tmp_path), film_id)
    shutil.copytree(done.root, space.root)
    shutil.copytree(done.checkpoint, space.checkpoint)
    asset = store.read(space.table, "asset")
    for stage in ("filter", "detect"):  # to be done again
        shutil.rmtree(space.root / "stage" / stage)
    line = run_arguments(small_project.film, tmp_path)
    with open_board(small_project, space, tmp_path) as board:
        first = start(small_project, *command(*line, "--only", "filter,detect"))
        record = space.root / "stage" / "detect" / "stage.json"
        wait_until(lambda: record.exists() or first.poll() is not None)
        os.kill(first.pid, signal.SIGSTOP)
        try:
            holder = workspace.read_holder(space)
            leaving = notebook(small_project, space, "cluster")
            waiting = notebook(small_project, space, "cluster", *WAITS)
            say_four_things(board, asset)
            error = leaving.communicate(timeout=LONG_S)[1]
        finally:
            os.kill(first.pid, signal.SIGCONT)
        assert leaving.returncode == 2
        assert "Traceback" not in error and "is writing to this film's workspace" in error
        assert f"process {first.pid} on {holder['machine']}" in error
        assert f"since {holder['since'][:10]}" in error
        for process in (first, waiting):
            errors = process.communicate(timeout=LONG_S)[1]
            assert process.returncode == 0, errors
        answer = board.act(0, "comment", text="said after it")
        assert "error" not in answer, answer
    last = start(small_project, *command(*line, "--until", "dataset", *WAITS))
    errors = last.communicate(timeout=LONG_S)[1]
    assert last.returncode == 0, errors

    events = event_log.read(space.root)
    assert [event.kind for event in events] == [
        "comment",
        "approve",
        "caption_edit",
        "reject",
        "comment",
    ]
    assert store.read(space.table, "feedback")["event_id"].sort().to_list() == sorted(
        event.event_id for event in events
    )
    whole = workspace.locate(small_project.folder, str(tmp_path / "alone"), film_id)
    shutil.copytree(done.root, whole.root)
    shutil.copytree(done.checkpoint, whole.checkpoint)
    event_log.append(whole.root, events)
    small_project.run(tmp_path / "alone", "--until", "dataset")
    assert soak_kill.count_lost(space.root, [event.event_id for event in events]) == 0
    (space.root / "thumbnail.parquet").unlink()  # the board's cache
    assert workspace_difference.find(whole, space) == []
    assert json.loads(record.read_text(encoding="utf-8"))["status"] == "done"
