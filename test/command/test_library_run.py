"""`bunny library … --run` on real films: one command ends with the name in all of them."""

import json
import signal
import socket
import subprocess
import sys
import time

import polars as pl
import pytest
from filelock import FileLock
from photo_film import astronaut_pictures, encode, make_film
from small_project import command

from bunny.command import library_run
from bunny.core import atomic, workspace
from bunny.review.learn import linear_map, method, threshold_rule, version
from bunny.table import store

pytestmark = pytest.mark.slow


@pytest.fixture
def films(tmp_path, monkeypatch):
    """Two real films of the astronaut, run as far as stage cluster."""
    monkeypatch.setenv("BUNNY_PIPELINE__HAS_REPORT", "false")
    found = []
    for name, pictures in zip(("one", "two"), astronaut_pictures(), strict=True):
        encode(tmp_path, name, pictures[::2])
        found.append(make_film(tmp_path, name, pictures))
    return found


def names(space):
    return set(store.read(space.table, "label")["character"])


def _hear_ctrl_c():
    """Not to ignore SIGINT as what a shell runs in the background does, and what that starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by SIGINT")
def test_a_name_is_in_all_films_after_one_command_that_may_be_stopped(films, bunny, tmp_path):
    """Stopped by Ctrl-C while the first film runs, and given again."""
    one, two = films
    assert bunny("library", "add")[0] == 0
    line = ("library", "name", "identity-0001=Eileen", "--run")
    running = subprocess.Popen(
        command(*line),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,
    )
    until = time.monotonic() + 120
    while not list(tmp_path.glob("data/batch/*/log/one-0.log")):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.05)
    with FileLock(tmp_path / "data/library/.lock", timeout=0):  # nobody holds it
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 130 and "run the same command again to resume" in said
    assert {path.name for space in films for path in (space.root / "named").iterdir()} == {"Eileen"}
    assert names(one) == names(two) == {None}  # the film was stopped with it

    code, out, err = bunny(*line, "--json")
    assert code == 0, err
    report = json.loads(out)
    ran = {row["film_id"]: (row["status"], row["until"]) for row in report["ran"]}
    assert ran == {space.film_id: ("done", "cluster") for space in films}
    assert names(one) == names(two) == {"Eileen"}
    (known,) = report["identities"]
    assert known["members"] == [f"{space.film_id}/Eileen" for space in films]
    assert report["commands"] == []
    code, out, _ = bunny("library", "add", "--run")
    assert (code, out) == (0, "nothing new: all films that ran are in the library\n")


def test_films_that_get_what_was_learned_are_run_until_it_is_applied(bunny, tmp_path):
    """Here the film is none, which its process says."""
    paths = [tmp_path / f"{name}.mp4" for name in ("one", "two")]
    for path in paths:
        path.write_bytes(path.stem.encode())
    one, two = (workspace.create(tmp_path, "data", path, None) for path in paths)
    own = method.FittedMethod(
        method="threshold",
        space=linear_map.identity(3),
        rule=threshold_rule.ThresholdRule(join=0.5, move=0.1),
    )
    version.save(one.checkpoint, {("character", "sface"): own}, {"corrections": 12})
    version.use(one.checkpoint, 1)
    code, out, err = bunny("library", "share-learned", "one", "two", "--run", "--json")
    assert code == 2 and "expected a film" in err
    (row,) = json.loads(out)["ran"]
    assert (row["film_id"], row["status"], row["until"]) == (two.film_id, "refused", "review")


@pytest.fixture
def interrupted(tmp_path):
    """A library of one film whose run was cut off; its file is no film, so each run ends soon."""
    (tmp_path / "one.mp4").write_bytes(b"one")
    space = workspace.create(tmp_path, "data", tmp_path / "one.mp4", None)
    film = {
        "film_id": space.film_id,
        "film": "one.mp4",
        "content_hash": "0",
        "state": "s",
        "time": "2026-01-01",
        "num_members": 0,
        "adapter_version": 0,
    }
    folder = tmp_path / "data/library"
    store.write(folder, "library_film", store.from_rows("library_film", [film]))
    atomic.write_bytes(space.stage("detect") / "stage.json", b'{"status": "running"}')
    return space


def test_films_run_by_the_engine_of_a_batch(bunny, tmp_path, interrupted):
    """A node of Ray has an id beside the machine's name."""
    pytest.importorskip("ray", exc_type=ImportError)
    nodes = []
    for engine in ("local", "ray"):
        line = ("library", "add", "--run", "--data-dir", "data", "--engine", engine)
        _, out, err = bunny(*line)
        assert f"{interrupted.film_id}: refused" in out, err
        [table] = (tmp_path / "data/batch").glob("*/batch_film.parquet")
        nodes.append(pl.read_parquet(table, memory_map=False)["node"].item())
    assert [node.split()[0] for node in nodes] == [socket.gethostname()] * 2
    assert [len(node.split()) for node in nodes] == [1, 2]


def test_wrong_options_of_an_engine_are_refused_before_anything_is_done(
    bunny, tmp_path, interrupted
):
    for words, sentence in (
        (("--run", "--engine", "spark"), "--engine: expected local or ray, got spark"),
        (("--run", "--address", "auto"), "--address needs --engine ray"),
        (("--workers", 2), "--engine, --address and --workers need --run; add it"),
    ):
        for command_line in (("add",), ("name", "identity-0001=a"), ("share-learned", "a", "b")):
            code, _, err = bunny("library", *command_line, *words)
            assert code == 2 and sentence in err and len(err.splitlines()) == 1
    assert not (tmp_path / "data/batch").exists()


@pytest.mark.parametrize(
    ("ran", "until", "left"),
    [
        ((), "cluster", []),
        (("extract", "filter"), "cluster", []),
        (("extract", "cluster", "review", "caption"), "caption", []),
        (("extract", "dataset", "finetune", "evaluate"), "pair", ["finetune", "evaluate"]),
    ],
)
def test_a_film_runs_as_far_as_it_was_run_but_is_not_trained(tmp_path, ran, until, left):
    (tmp_path / "one.mp4").write_bytes(b"one")
    space = workspace.create(tmp_path, "data", tmp_path / "one.mp4", None)
    for name in ran:
        atomic.write_bytes(space.stage(name) / "stage.json", b'{"status": "done"}')
    assert library_run.last_stage(space, "cluster") == until
    assert library_run.untrained(space) == left
