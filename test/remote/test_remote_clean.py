"""`bunny clean` and `bunny forget` with `data_dir: s3://…`: what goes from the bucket, and when."""

import hashlib
import io
import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import boto3
import cv2
import numpy as np
import polars as pl
import pytest
from photo_film import astronaut_pictures, make_film
from small_project import command

from bunny.command import clean, remote_folder
from bunny.core import atomic, workspace
from bunny.core.error import BunnyError, UserError
from bunny.remote import film_index, manifest
from bunny.remote.film_sync import FilmSync, RemovedError
from bunny.remote.object_store import ObjectStore
from bunny.review import event_log
from bunny.table import store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
IDS = ("a-00000000", "b-00000000")
DAYS = 86_400.0


def bucket():
    """Objects below the data folder's address, with their contents."""
    client, found, more = boto3.client("s3"), {}, {}
    while True:
        page = client.list_objects_v2(Bucket="films", **more)
        for one in page.get("Contents", ()):
            body = client.get_object(Bucket="films", Key=one["Key"])["Body"].read()
            found[one["Key"].removeprefix("work/")] = body
        if not page["IsTruncated"]:
            return found
        more = {"ContinuationToken": page["NextContinuationToken"]}


def fill(home, film_id):
    """A film's folder with a file of each kind that clean looks at."""
    root, weights = home / "output" / film_id, home / "checkpoint" / film_id
    done = json.dumps({"status": "done", "tables": {}})
    for path, text in {
        root / "source.json": json.dumps({"film": f"{film_id}.mp4", "content_hash": film_id}),
        root / "report.html": f"page of {film_id}",
        root / "table" / "label.parquet": f"labels of {film_id}",
        root / "frame" / "1.jpg": f"picture of {film_id}",
        root / "stage" / "caption" / "answer" / "x" / "1.json": f"paid {film_id}",
        root / "stage" / "detect" / "shard" / "key" / "0.parquet": f"vectors {film_id}",
        root / "feedback.jsonl": f'{{"film": "{film_id}"}}\n',
        weights / "anna" / "run" / "adapter.safetensors": f"weights {film_id}",
        **{root / "stage" / name / "stage.json": done for name in ("extract", "detect", "cluster")},
    }.items():
        atomic.write_bytes(path, text.encode())
    return {"film": root, "checkpoint": weights}


@pytest.fixture
def sent(tmp_path, s3):
    """Two films on the server, sent by a machine that is no more."""
    syncs = {}
    for film_id in IDS:
        places = fill(tmp_path / "gone", film_id)
        syncs[film_id] = FilmSync(ObjectStore(s3), film_id, places)
        syncs[film_id].push()
    return syncs


@pytest.fixture
def machine(tmp_path, monkeypatch, s3):
    """Go to a machine by name, and work there."""

    def go(name):
        home = tmp_path / name
        (home / "config").mkdir(parents=True, exist_ok=True)
        (home / "config" / "main.yaml").write_text("", encoding="utf-8")
        monkeypatch.chdir(home)
        return home

    return go


def run(s3, film=None, **more):
    with remote_folder.use():
        return clean.run(film, data_dir=s3, **more)


def run_expired(s3, **more):
    with remote_folder.use():
        return clean.run_expired(None, data_dir=s3, **more)


def let_leases_run_out():
    """As a minute after a machine died."""
    for key, body in bucket().items():
        if key.endswith("/lock.json"):
            ended = json.dumps({**json.loads(body), "until": 0.0}).encode()
            boto3.client("s3").put_object(Bucket="films", Key=f"work/{key}", Body=ended)


def check_whole(s3, film_id):
    found, _ = manifest.read(ObjectStore(s3), film_id)
    there = bucket()
    assert found.files and found.keys() <= there.keys()
    return found


def test_clean_says_what_no_film_names_and_frees_it(sent, machine, s3, tmp_path):
    report = tmp_path / "gone" / "output" / IDS[0] / "report.html"
    report.write_text("another page, which is longer")
    sent[IDS[0]].push()
    there = ObjectStore(s3)
    there.put(manifest.object_key(IDS[1], "0" * 64, "1" * 16), b"young", None)
    machine("one")
    before = bucket()
    said = run(s3, kinds=["object"])
    assert {(one.film_id, one.kind, one.num_files, one.num_bytes) for one in said.entries} == {
        (IDS[0], "object", 1, len(f"page of {IDS[0]}")),
        (IDS[1], "object", 1, 5),
    }
    assert f"{IDS[1]}: 1 object (5 B): kept until they are a day old" in said.to_text()
    assert said.to_text().endswith("would free 18 B; add --yes to delete them")
    assert bucket() == before
    assert run(s3, IDS[1], kinds=["object"]).entries[0].note
    done = run(s3, kinds=["object"], is_removed=True)
    assert done.to_text().endswith("freed 18 B")
    left = bucket()
    [gone] = before.keys() - left.keys()
    assert before[gone] == f"page of {IDS[0]}".encode()
    assert all(check_whole(s3, film_id) for film_id in IDS)
    assert not any(one.note == "" for one in run(s3, kinds=["object"]).entries)
    # by default with what films can make again, of which nothing stays there either
    run(s3, is_removed=True)
    assert not any(b"page" in body for body in bucket().values())
    machine("two")
    with remote_folder.use():
        for space in workspace.find(Path.cwd(), s3):
            workspace.fetch(space)
            assert (space.root / "frame" / "1.jpg").read_text() == f"picture of {space.film_id}"


def test_a_clean_that_was_killed_is_made_good_by_the_next(sent, machine, s3, proxy, tmp_path):
    """The machine dies before each of its requests in turn."""
    proxy.allows_lists = True
    report = tmp_path / "gone" / "output" / IDS[0] / "report.html"
    machine("one")
    for last in range(3, 200, 9):
        report.write_text(f"page {last}")
        sent[IDS[0]].pull(())
        sent[IDS[0]].push()
        proxy.count = 0
        proxy.plan = lambda number, method, path, last=last: "403" if number > last else None
        is_done = False
        with suppress(BunnyError):
            run(s3, kinds=["object"], is_removed=True)
            is_done = True
        proxy.plan = lambda number, method, path: None
        let_leases_run_out()
        for film_id in IDS:
            check_whole(s3, film_id)
        run(s3, kinds=["object"], is_removed=True)
        objects = {key for key in bucket() if "/object/" in key}
        named = [check_whole(s3, film_id) for film_id in IDS]
        assert objects == named[0].keys() | named[1].keys()
        assert named[0].dropped == ()
        if is_done:
            break
    assert last > 8


@pytest.fixture
def later(monkeypatch):
    """Let it be so many days later for what expires."""

    def wait(days):
        now = time.time() + days * DAYS
        monkeypatch.setattr(clean, "time", SimpleNamespace(time=lambda: now))

    return wait


@pytest.mark.parametrize(("kind", "text"), [("answer", b"paid"), ("measure", b"vectors")])
def test_expired_parts_go_from_the_server(sent, machine, s3, monkeypatch, later, kind, text):
    """Told by the time at which they were made, on a machine that has just fetched them."""
    machine("one")
    monkeypatch.setenv(f"BUNNY_RETENTION__{kind.upper()}_DAYS", "40")
    later(39)
    before = bucket()
    assert not run_expired(s3, is_removed=True).entries
    later(41)
    assert len(run_expired(s3).entries) == 2
    assert objects(before) == objects(bucket())
    run_expired(s3, is_removed=True)
    assert sum(text in body for body in before.values()) == 2
    assert not any(text in body for body in bucket().values())
    assert len(objects(bucket())) == len(objects(before)) - 2
    for film_id in IDS:
        check_whole(s3, film_id)


def objects(found):
    return {key: body for key, body in found.items() if "object/" in key}


def is_named(found, film_id):
    """Whether a film's id, or a content of it, is anywhere in the bucket."""
    return any(film_id in key or film_id.encode() in body for key, body in found.items())


def test_an_expired_film_goes_whole(sent, machine, s3, monkeypatch, later, tmp_path):
    """From the bucket with its manifest, from the index, and from other machines."""
    machine("two")
    with remote_folder.use():
        assert len(workspace.find(Path.cwd(), s3)) == 2
    machine("one")
    monkeypatch.setenv("BUNNY_RETENTION__FILM_DAYS", "40")
    later(39)
    assert not run_expired(s3, is_removed=True).entries
    with remote_folder.use():  # somebody speaks in one film, which stays
        space = workspace.find(Path.cwd(), s3, IDS[1])[0]
        atomic.write_bytes(space.root / "feedback.jsonl", b'{"new": 1}\n')
        os.utime(space.root / "feedback.jsonl", (time.time() + 30 * DAYS,) * 2)
        later(41)
        before = bucket()
        [one] = clean.run_expired(None, data_dir=s3).entries
        assert (one.film_id, one.kind, bucket()) == (IDS[0], "film", before)
        clean.run_expired(None, is_removed=True, data_dir=s3)
    left = bucket()
    assert not is_named(left, IDS[0])
    assert film_index.read(ObjectStore(s3))[0].films.keys() == {IDS[1]}
    check_whole(s3, IDS[1])
    assert not list(Path.cwd().rglob(f"output/{IDS[0]}"))

    home = machine("two")
    [word] = home.rglob(f"output/{IDS[0]}/feedback.jsonl")
    word.write_text("never sent\n")
    with remote_folder.use():
        assert [space.film_id for space in workspace.find(home, s3)] == [IDS[1]]
    files = [p for p in home.rglob(f"output/{IDS[0]}/**/*") if p.is_file()]
    assert {path.name for path in files} == {"feedback.jsonl", ".remote.json", ".lock"}
    assert word.read_text() == "never sent\n"
    assert not is_named(bucket(), IDS[0])
    # who had it open says something, and does not bring it back
    atomic.write_bytes(tmp_path / "gone" / "output" / IDS[0] / "feedback.jsonl", b"a word\n")
    with pytest.raises(RemovedError, match="was deleted from"):
        sent[IDS[0]].push(has_removals=False)
    assert not sent[IDS[0]].send_words()
    assert not is_named(bucket(), IDS[0])
    # it may begin anew
    again = fill(tmp_path / "again", IDS[0])
    assert FilmSync(ObjectStore(s3), IDS[0], again).push().generation > 1
    check_whole(s3, IDS[0])
    with remote_folder.use():
        assert len(workspace.find(home, s3)) == 2
    assert word.read_text() == f'{{"film": "{IDS[0]}"}}\nnever sent\n'


def test_a_removal_that_was_killed_is_made_good_by_the_next(
    sent, machine, s3, proxy, monkeypatch, later, tmp_path
):
    """The machine dies before each of its requests in turn; at each point no film is torn."""
    proxy.allows_lists = True
    home = machine("one")
    later(41)
    for last in range(3, 200, 9):
        for film_id in IDS:
            places = fill(tmp_path / f"new{last}", film_id)
            FilmSync(ObjectStore(s3), film_id, places).push()
        monkeypatch.setenv("BUNNY_RETENTION__FILM_DAYS", "0")
        run_expired(s3)  # the machine knows both films
        monkeypatch.setenv("BUNNY_RETENTION__FILM_DAYS", "40")
        proxy.count = 0
        proxy.plan = lambda number, method, path, last=last: "403" if number > last else None
        is_done = False
        with suppress(BunnyError):
            run_expired(s3, is_removed=True)
            is_done = True
        proxy.plan = lambda number, method, path: None
        let_leases_run_out()
        try:
            run_expired(s3, is_removed=True)
        except UserError as error:
            assert "found none" in str(error), error
        left = bucket()
        assert not any(is_named(left, film_id) for film_id in IDS), sorted(left)
        assert not list(home.rglob("output/*-00000000"))
        if is_done:
            break
    assert last > 20


NAME = "Eileen"


def bunny(home, s3, *words):
    line = command(*words, "--data-dir", s3)
    done = subprocess.run(line, cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    """A film of one person, who is known by a reference picture; all tables have the name."""
    folder = tmp_path_factory.mktemp("portrait")
    pictures, _ = astronaut_pictures()
    reference = folder / "people" / NAME / "1.png"
    atomic.write_bytes(reference, cv2.imencode(".png", pictures[0])[1].tobytes())
    return make_film(folder, "portrait", pictures, folder / "people")


def embeddings(body):
    """Vectors of faces and figures in a table's file, as bytes."""
    frame = pl.read_parquet(io.BytesIO(body))
    kinds = {name: kind for name, kind in frame.schema.items() if kind.is_nested()}
    return {
        np.asarray(one, np.float32).tobytes()
        for name, kind in kinds.items()
        if getattr(kind, "inner", None) == pl.Float32
        for one in frame[name].drop_nulls()
        if any(one)
    }


def shows(body, vectors, pictures):
    """Whether an object has the person's name, a vector of a face or a reference picture."""
    if NAME.encode() in body or hashlib.sha256(body).hexdigest() in pictures:
        return True
    if body[:4] != b"PAR1":
        return any(one in body for one in vectors)
    text = str(pl.read_parquet(io.BytesIO(body)).to_dicts())
    return NAME in text or bool(embeddings(body) & vectors)


def test_nothing_of_a_forgotten_person_is_left_in_the_bucket(portrait, machine, s3, tmp_path):
    """Nor in objects that earlier manifests named; by a machine that has nothing of the film."""
    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    places = {"film": portrait.root, "checkpoint": portrait.checkpoint}
    (portrait.root / ".remote.json").unlink(missing_ok=True)
    sync = FilmSync(ObjectStore(s3), portrait.film_id, places)
    sync.push()
    for text in (f"{NAME} laughs", f"{NAME} again"):
        said = event_log.Event(user="ana", kind="comment", level="scene", text=text)
        event_log.append(portrait.root, [said])
        sync.push()
    home = machine("one")
    bunny(home, s3, "library", "add", portrait.film_id)
    before = bucket()
    label = store.read(portrait.table, "label")
    assert NAME in label["character"].to_list()
    faces = store.read(portrait.table, "face")
    own = label.filter(pl.col("character") == NAME)["subject_id"].to_list()
    vectors = {
        np.asarray(one, np.float32).tobytes()
        for one in faces.filter(pl.col("face_id").is_in(own))["embedding"].drop_nulls()
    }
    pictures = {hashlib.sha256(p.read_bytes()).hexdigest() for p in portrait.root.rglob("named/*")}
    assert vectors
    assert sum(shows(body, vectors, pictures) for body in before.values()) > 5
    assert len(every_version()) > len(before)
    said = bunny(machine("two"), s3, "forget", NAME, "--yes")
    assert "the library of all films" in said
    left = {key: body for key, body in every_version() if shows(body, vectors, pictures)}
    assert not left, sorted(left)
    found = check_whole(s3, portrait.film_id)
    assert objects(bucket()).keys() == found.keys() | check_whole(s3, manifest.LIBRARY).keys()
    again = bunny(machine("one"), s3, "status")  # the machine that had it
    assert portrait.film_id in again


def every_version():
    """Keys and contents of all versions of all objects."""
    client = boto3.client("s3")
    found = client.list_object_versions(Bucket="films", MaxKeys=1000)
    assert not found["IsTruncated"]
    return [
        (
            one["Key"],
            client.get_object(Bucket="films", Key=one["Key"], VersionId=one["VersionId"])[
                "Body"
            ].read(),
        )
        for one in found["Versions"]
    ]


def test_films_of_a_data_folder_come_side_by_side(machine, s3, proxy):
    """Films side by side: eight requests at a time over all of them, also where some fail."""
    for number in range(20):
        places = fill(machine("gone") / f"{number}", f"f-{number:08d}")
        FilmSync(ObjectStore(s3), f"f-{number:08d}", places).push()
    proxy.delay_s, proxy.most, proxy.count = 0.03, 0, 0
    proxy.plan = lambda number, method, path: "500" if number % 7 == 0 else None
    home = machine("new")
    with remote_folder.use():
        spaces = workspace.find(home, s3)
        assert len(spaces) == 20
        assert proxy.most in (7, 8)
        for space in spaces:
            assert (space.root / "table" / "label.parquet").read_text().endswith(space.film_id)
            assert not (space.root / "frame" / "1.jpg").exists()
    assert proxy.num_lists == 0
