"""`data_dir: s3://…` through the command line, on machines that share nothing but the bucket."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import boto3
import polars as pl
import pytest
from noise_film import encode
from small_project import QUICK, command

from bunny.command import remote_folder
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.remote import film_index, manifest
from bunny.remote.object_store import ObjectStore
from bunny.review import event_log

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def make_machine(folder):
    """A project of its own, with a copy of the film."""
    (folder / "config").mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "config" / "main.yaml", folder / "config")
    (folder / "config" / "local_quick.yaml").write_text(QUICK, encoding="utf-8")
    encode(folder / "a.mp4", 2)
    return folder


@pytest.fixture
def machine(tmp_path):
    return lambda name: make_machine(tmp_path / name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Tables of the same film, run on one machine with a local data folder."""
    home = make_machine(tmp_path_factory.mktemp("alone") / "home")
    assert bunny(home, "run", "a.mp4", "--until", "detect").returncode == 0
    return tables(home)


def bunny(home, *words, **more):
    return subprocess.run(
        command(*words), cwd=home, capture_output=True, text=True, timeout=300, **more
    )


def status(done):
    """What became of each stage, by `bunny run --json`."""
    report = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return {name: one["status"] for name, one in json.loads(report)["stages"].items()}


def tables(folder):
    """By name; table film without the path, which is a machine's own."""
    found = {p.stem: pl.read_parquet(p) for p in sorted(folder.rglob("table/*.parquet"))}
    return {name: table.drop("path", strict=False) for name, table in found.items()}


def test_a_run_there_equals_a_run_here_and_another_machine_goes_on(s3, proxy, machine, alone):
    one, two = machine("one"), machine("two")
    there = ("--data-dir", s3)
    done = bunny(one, "run", "a.mp4", "--until", "filter", *there)
    assert done.returncode == 0, done.stderr
    done = bunny(two, "status", *there)
    assert done.returncode == 0, done.stderr
    assert "filter" in done.stdout
    assert not list(two.rglob("frame/*.jpg"))  # pictures come when somebody needs them
    done = bunny(two, "run", "a.mp4", "--until", "detect", *there, "--json")
    assert done.returncode == 0, done.stderr
    assert status(done)["extract"] == "skipped"
    assert list(two.rglob("frame/*.jpg"))
    ours = tables(two)
    assert ours.keys() == alone.keys() and len(ours) > 8
    assert all(ours[name].equals(alone[name]) for name in ours)
    text = b"".join(p.read_bytes() for home in (one, two) for p in home.rglob("*") if p.is_file())
    assert b"planted-secret-key" not in text
    assert proxy.num_lists == 0  # who lists a bucket is refused


@pytest.mark.parametrize(
    ("ignored", "named"),
    [
        (("if-match", "if-none-match"), "If-None-Match and If-Match"),
        (("if-match",), "If-Match"),
        (("if-none-match",), "If-None-Match"),
    ],
)
def test_a_server_that_ignores_conditions_is_refused(s3, proxy, tmp_path, ignored, named):
    proxy.ignored = ignored
    with remote_folder.use(), pytest.raises(UserError, match=f"ignores {named}, so"):
        workspace.find(tmp_path, s3)
    assert not objects(proxy)


def test_conditions_are_tried_once_and_nothing_of_it_stays(s3, proxy, tmp_path):
    for _ in range(2):
        with remote_folder.use():
            workspace.find(tmp_path, s3)
    writes = [path for method, path in proxy.asked if method == "PUT"]
    assert len(writes) == 3 and len(set(writes)) == 1
    assert not objects(proxy)


def test_who_may_only_read_is_not_refused(s3, proxy, machine):
    proxy.ignored = ("if-match", "if-none-match")  # nobody here can overwrite anything
    proxy.plan = lambda number, method, path: None if method == "GET" else "403"
    done = bunny(machine("one"), "status", "--data-dir", s3)
    assert done.returncode == 0, done.stderr
    proxy.plan = lambda number, method, path: None
    done = bunny(machine("two"), "status", "--data-dir", s3)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr


def objects(proxy):
    """Keys of the bucket."""
    proxy.allows_lists = True
    found = boto3.client("s3").list_objects_v2(Bucket="films").get("Contents", ())
    return [one["Key"] for one in found]


def test_a_server_that_hangs_is_asked_again(s3, proxy, machine, alone, monkeypatch):
    """Every fifth answer stops in the middle, for longer than somebody waits."""
    monkeypatch.setenv("BUNNY_PROJECT__TIMEOUT_SECONDS", "0.5")
    proxy.pause_s = 300.0
    proxy.plan = lambda number, method, path: "hang" if number % 5 == 0 else None
    home, started = machine("one"), time.monotonic()
    done = bunny(home, "run", "a.mp4", "--until", "extract", "--data-dir", s3)
    assert done.returncode == 0, done.stderr
    assert len(proxy.struck) >= 2
    assert time.monotonic() - started < proxy.pause_s
    proxy.plan = lambda number, method, path: None
    store = ObjectStore(s3)
    [film_id] = film_index.read(store)[0].films
    found, _ = manifest.read(store, film_id)
    for sha256 in found.files.values():
        store.download(found.key(sha256), home / "check", sha256)
    ours = tables(home)
    assert len(ours) >= 4 and all(ours[name].equals(alone[name]) for name in ours)


def test_notebooks_open_an_address_and_send_what_they_made(s3, machine, alone):
    one, two = machine("one"), machine("two")
    shutil.copytree(Path(__file__).parents[2] / "notebook", one / "notebook")
    address = f"project: {{data_dir: '{s3}'}}\n"  # as configured, not by an option
    (one / "config" / "local_address.yaml").write_text(address, encoding="utf-8")
    done = bunny(one, "run", "a.mp4", "--until", "extract", "--notebooks")
    assert done.returncode == 0, done.stderr
    done = bunny(two, "run", "a.mp4", "--until", "extract", "--data-dir", s3, "--json")
    assert status(done) == {"extract": "skipped"}
    ours = tables(two)
    assert len(ours) >= 4 and all(ours[name].equals(alone[name]) for name in ours)


def test_the_working_copy_stays_within_its_bound(s3, machine, alone, monkeypatch):
    """Room for nothing: pictures go once they are safely there, and come back for a stage."""
    home = machine("one")
    encode(home / "b.mp4", 1, seed=5)
    monkeypatch.setenv("BUNNY_PROJECT__CACHE_GIB", "1e-9")
    assert bunny(home, "run", "a.mp4", "--until", "extract", "--data-dir", s3).returncode == 0
    assert not list(home.rglob("frame/*.jpg")) and not list(home.rglob("shard/**/*.parquet"))
    monkeypatch.setenv("BUNNY_PROJECT__CACHE_GIB", "1")
    assert bunny(home, "run", "b.mp4", "--until", "extract", "--data-dir", s3).returncode == 0
    others = [path.stat().st_size for path in home.rglob("output/b-*/frame/*.jpg")]
    assert others
    monkeypatch.setenv("BUNNY_PROJECT__CACHE_GIB", str(sum(others) / 2**30))
    done = bunny(home, "run", "a.mp4", "--until", "detect", "--data-dir", s3, "--json")
    assert status(done) == {"extract": "skipped", "filter": "done", "detect": "done"}
    assert not list(home.rglob("output/b-*/frame/*.jpg"))  # other films' go first
    ours = tables(next(home.rglob("output/a-*")))
    assert all(ours[name].equals(alone[name]) for name in alone)


def test_two_machines_that_speak_at_once_are_both_heard(s3, machine):
    one, two = machine("one"), machine("two")
    there = ("--data-dir", s3)
    assert bunny(one, "run", "a.mp4", "--until", "review", *there).returncode == 0
    assert bunny(two, "status", *there).returncode == 0
    for home, text in ((one, "from one"), (two, "from two")):
        done = bunny(home, "correct", "comment", "a", "s00000", "--text", text, *there)
        assert done.returncode == 0, done.stderr
    done = bunny(one, "export", "feedback", "--events", "--out", "said.jsonl", *there)
    assert done.returncode == 0, done.stderr
    said = (one / "said.jsonl").read_text()
    assert "from one" in said and "from two" in said


def test_what_is_said_in_an_open_film_is_sent_before_it_is_closed(s3, machine, monkeypatch):
    home = machine("one")
    assert bunny(home, "run", "a.mp4", "--until", "extract", "--data-dir", s3).returncode == 0
    monkeypatch.setattr(remote_folder, "SEND_S", 0.05)
    with remote_folder.use():
        [space] = workspace.find(home, s3)
        workspace.fetch(space)
        comment = event_log.Event(user="ana", kind="comment", level="scene", text="a word")
        event_log.append(space.root, [comment])
        store, until = ObjectStore(s3), time.monotonic() + 30
        while b"a word" not in said_there(store, space.film_id):
            assert time.monotonic() < until, "it was never sent"
            time.sleep(0.05)


def said_there(store, film_id):
    """The record of corrections that the manifest names; nothing where it names none."""
    found, _ = manifest.read(store, film_id)
    sha256 = found.files.get("film/feedback.jsonl")
    return store.get(found.key(sha256))[0] if sha256 else b""


def test_a_killed_run_goes_on_elsewhere(s3, machine, alone, monkeypatch):
    monkeypatch.setenv("BUNNY_PROJECT__LEASE_SECONDS", "20")  # a second start takes 10 under load
    one, two = machine("one"), machine("two")
    line = command("run", "a.mp4", "--until", "detect", "--data-dir", s3)
    process = subprocess.Popen(line, cwd=one, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list(one.rglob("stage/detect/stage.json")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = bunny(two, "run", "a.mp4", "--until", "detect", "--data-dir", s3)
    assert done.returncode == 2
    assert f"process {process.pid} on" in done.stderr  # its lease has not run out
    wait = ("--set", "pipeline.lock_wait_seconds=30")  # half of the lease's default
    done = bunny(two, "run", "a.mp4", "--until", "detect", "--data-dir", s3, "--json", *wait)
    assert done.returncode == 0, done.stderr
    assert status(done)["extract"] == "skipped"
    ours = tables(two)
    assert all(ours[name].equals(alone[name]) for name in alone)
