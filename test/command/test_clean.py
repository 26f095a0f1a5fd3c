"""`bunny clean`: what it would free, what it frees, and that nothing else is touched."""

import json
import os
import time

import full_disk
import pytest

from bunny.command import clean
from bunny.core import atomic, file_hash, workspace


@pytest.fixture
def space(tmp_path):
    """A film with a file of each kind that may go, and of each that may not."""
    space = workspace.locate(tmp_path, str(tmp_path / "store"), "film-00000000")
    stage = {"status": "done", "tables": {}}
    for path, size in {
        space.root / "source.json": 2,
        space.root / "thumbnail.parquet": 10,
        space.root / "report.html": 20,
        space.root / "character" / "anna.jpg": 5,
        space.root / "stage" / "detect" / "shard" / "face" / "key" / "0" / "face.parquet": 40,
        space.root / "stage" / "caption" / "answer" / "paid.json": 7,
        space.root / "table" / ".label.parquet.x.tmp": 3,
        space.root / "table" / "label.parquet": 50,
        space.root / "feedback.jsonl": 9,
        space.root / "named" / "anna" / "1.png": 9,
        space.root / "picture" / "own" / "1.png": 9,
        space.root / "dataset" / "anna" / "1.png": 9,
        space.checkpoint / "anna" / "run" / "checkpoint-000004" / "state.pt": 100,
        space.checkpoint / "anna" / "run" / "checkpoint-000004" / "adapter.safetensors": 60,
        space.checkpoint / "anna" / "run" / "cache" / "latent.safetensors": 200,
        space.log / space.film_id / "1.jsonl": 1,
        space.log / "other-film" / "1.jsonl": 1,
    }.items():
        atomic.write_bytes(path, b"x" * size)
    for name in ("extract", "detect", "cluster", "finetune"):
        record = space.stage(name) / "stage.json"
        atomic.write_bytes(record, json.dumps(stage).encode())
    return space


def contents(space):
    root = space.log.parent
    return {
        path.relative_to(root).as_posix(): file_hash.hash_file(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith(".lock")
    }


def run(space, kinds=clean.DEFAULT, **more):
    return clean.run(None, kinds, data_dir=str(space.root.parents[1]), **more)


def test_sizes_are_said_and_nothing_is_removed(space):
    before = contents(space)
    report = run(space)
    sizes = {one.kind: (one.num_files, one.num_bytes) for one in report.entries}
    assert sizes == {
        "leftover": (1, 3),
        "view": (1, 10),
        "report": (2, 25),
        "log": (1, 1),
        "training": (2, 300),
    }
    assert contents(space) == before
    assert report.to_text().endswith("would free 339 B; add --yes to delete them")


def test_what_can_be_made_again_goes_and_all_else_stays(space):
    before = contents(space)
    assert run(space, is_removed=True).to_text().endswith("freed 339 B")
    after = contents(space)
    gone = {path.rpartition("/")[2] for path in before.keys() - after.keys()}
    assert gone == {
        "thumbnail.parquet",
        "report.html",
        "anna.jpg",
        ".label.parquet.x.tmp",
        "state.pt",
        "latent.safetensors",
        "1.jsonl",
    }
    assert all(before[path] == value for path, value in after.items())
    assert any(path.endswith("other-film/1.jsonl") for path in after)
    assert run(space).entries == ()


def test_shards_go_only_where_they_are_asked_for_and_their_stages_are_done(space):
    record = space.stage("detect") / "stage.json"
    whole = record.read_bytes()
    record.write_text('{"status": "failed"}')
    [one] = run(space, ["shard"], is_removed=True).entries
    assert one.note == "kept, because stage detect is not finished"
    assert (space.stage("detect") / "shard").is_dir()
    record.write_bytes(whole)
    assert run(space, ["shard"], is_removed=True).entries[0].num_bytes == 40
    assert not (space.stage("detect") / "shard").exists()
    assert (space.stage("caption") / "answer" / "paid.json").exists()


def test_on_the_command_line(space, bunny):
    data = str(space.root.parents[1])
    code, out, _ = bunny("clean", "film", "--only", "view, log", "--json", "--data-dir", data)
    assert code == 0
    assert [one["kind"] for one in json.loads(out)["entries"]] == ["view", "log"]
    code, _, err = bunny("clean", "--only", "films", "--data-dir", data)
    assert code == 2 and "--only: expected one of leftover, view, report" in err
    with workspace.lock(space):
        code, _, err = bunny("clean", "--yes", "--data-dir", data)
    assert code == 2 and "is writing to this film's workspace" in err
    code, out, _ = bunny("clean", "--yes", "--data-dir", data)
    assert code == 0 and "freed 339 B" in out


OLD_S = 40 * 86_400


def age(space, pattern, seconds=OLD_S):
    """Let files have been written some time ago."""
    then = time.time() - seconds
    for path in space.root.parents[2].rglob(pattern):
        os.utime(path, (then, then))


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("log", {"log/film-00000000/1.jsonl"}),
        ("answer", {"output/film-00000000/stage/caption/answer/v2/paid.json"}),
        ("measure", {"output/film-00000000/stage/detect/shard/face/key/0/face.parquet"}),
    ],
)
def test_what_is_older_than_the_settings_allow_goes(space, bunny, kind, gone, monkeypatch):
    answers = space.stage("caption") / "answer"
    atomic.write_bytes(answers / "v2" / "paid.json", b"x")
    age(space, "*")
    before = contents(space)
    monkeypatch.setenv(f"BUNNY_RETENTION__{kind.upper()}_DAYS", "41")
    data = ("--expired", "--yes", "--data-dir", space.root.parents[1])
    code, out, err = bunny("clean", *data)
    assert code == 0, err
    assert "freed 0 B" in out and contents(space) == before
    monkeypatch.setenv(f"BUNNY_RETENTION__{kind.upper()}_DAYS", "39")
    assert bunny("clean", *data[:1], *data[2:])[0] == 0
    assert contents(space) == before
    assert bunny("clean", *data)[0] == 0
    assert before.keys() - contents(space).keys() == gone


def test_a_film_that_nobody_touched_for_so_long_goes_whole(space, bunny, monkeypatch):
    age(space, "*")
    monkeypatch.setenv("BUNNY_RETENTION__FILM_DAYS", "39")
    data = ("--expired", "--yes", "--data-dir", space.root.parents[1])
    age(space, "feedback.jsonl", 60)  # a person said something a minute ago
    assert "freed 0 B" in bunny("clean", *data)[1]
    age(space, "feedback.jsonl")
    before = contents(space)
    assert "would free" in bunny("clean", *data[:1], *data[2:])[1]
    assert contents(space) == before
    assert "whole workspaces of films" in bunny("clean", *data)[1]
    assert not space.root.exists() and not space.checkpoint.exists()
    assert {*contents(space)} == {"log/other-film/1.jsonl"}
    code, _, err = bunny("clean", "--expired", "--only", "log")
    assert (code, "--only: expected without --expired" in err) == (2, True)


@pytest.mark.attack
def test_a_full_disk_is_freed(space, bunny):
    with full_disk.full_after(0):
        report = run(space, is_removed=True)
    assert report.to_text().endswith("freed 339 B")
    assert not (space.root / "report.html").exists()
    code, out, _ = bunny("clean", "--yes", "--data-dir", space.root.parents[1])
    assert code == 0 and "freed 0 B" in out
