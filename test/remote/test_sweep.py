"""Objects that no manifest names: which go, which stay, and what a race or a fault costs nobody."""

import contextlib
import hashlib
import itertools
import json
import random
import threading
import time
from dataclasses import replace

import boto3
import pytest

from bunny.core import s3 as bunny_s3
from bunny.core.error import BunnyError
from bunny.remote import file_kind, film_index, manifest, sweep, upload
from bunny.remote.film_sync import FilmSync
from bunny.remote.object_store import Entry, ObjectStore
from bunny.remote.working_copy import Upload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FAULTS = ("500", "slowdown", "cut", "torn", "lost", None, None, None, None, None)


@pytest.fixture
def machine(tmp_path, s3):
    """Working copies of films on machines by name."""

    def make(name, film_id="a-00000000"):
        home = tmp_path / name / film_id
        places = {"film": home / "film", "checkpoint": home / "checkpoint"}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        return FilmSync(ObjectStore(s3), film_id, places), home / "film"

    return make


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def bucket(has_versions=False):
    """Keys of the bucket, or every version of each with its content."""
    client = boto3.client("s3")
    if not has_versions:
        found = client.list_objects_v2(Bucket="films", MaxKeys=1000).get("Contents", ())
        return {one["Key"].removeprefix("work/") for one in found}
    found = client.list_object_versions(Bucket="films").get("Versions", ())
    return [
        client.get_object(Bucket="films", Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        for one in found
    ]


def check_whole(s3, *film_ids):
    """Each object that the manifests name is there and has its hash; gives their keys."""
    store, keys = ObjectStore(s3), set()
    for film_id in film_ids or ("a-00000000",):
        found, _ = manifest.read(store, film_id)
        for name, sha256 in found.files.items():
            data = store.get(found.key(sha256))
            assert data is not None, name
            assert hashlib.sha256(data[0]).hexdigest() == sha256, name
        keys |= found.keys()
    return keys


def test_what_was_dropped_goes_at_once_and_all_else_stays(machine, s3):
    here, home = machine("one")
    write(home, table__a="first", table__b="b", named__anna__1="picture")
    here.push()
    write(home, table__a="second")
    (home / "named" / "anna" / "1").unlink()
    there = here.push()
    store = ObjectStore(s3)
    assert len(there.dropped) == 2
    [found] = sweep.find(store).unnamed
    assert {one.key for one in found.entries} == {*there.dropped} and not found.young
    assert len(bucket()) == 6  # a dry run
    assert sweep.purge(store, here.film_id) == []
    assert bucket() == {*check_whole(s3), "index.json", "film/a-00000000/manifest.json"}
    now, _ = manifest.read(store, here.film_id)
    assert (now.dropped, now.generation, now.files) == ((), 3, there.files)
    assert film_index.read(store)[0].films == {here.film_id: 3}
    other, copy = machine("two")
    other.pull()
    assert (copy / "table" / "a").read_text() == "second"
    assert here.push().generation == 3


def test_what_is_on_its_way_stays_until_it_is_old(machine, s3, monkeypatch):
    """A machine has sent objects and not yet written its manifest when another cleans."""
    here, home = machine("one")
    write(home, table__a="a")
    found = []
    store = ObjectStore(s3)

    def clean():
        found.append(sweep.find(store))
        sweep.delete(store, found[0])

    here.push(clean)  # between objects and manifest
    assert [len(one.young) for one in found[0].unnamed] == [1]
    check_whole(s3)
    write(home, table__a="of a machine that was killed")
    with pytest.raises(RuntimeError):
        here.push(raise_killed)
    assert len(bucket()) == 4
    assert "sent within the last day" in sweep.purge(store, here.film_id)[0]
    assert len(bucket()) == 4
    monkeypatch.setattr(sweep, "GRACE_S", -10.0)
    assert sweep.purge(store, here.film_id) == []
    assert bucket() == {*check_whole(s3), "index.json", "film/a-00000000/manifest.json"}
    assert upload.UPLOAD_S * 2 <= 24 * 3600


def raise_killed():
    raise RuntimeError("killed")


def test_what_was_sent_too_long_ago_is_sent_again(machine, s3, monkeypatch, proxy):
    """Its object may be gone already when the manifest would name it."""
    here, home = machine("one")
    write(home, table__a="a")
    with pytest.raises(RuntimeError):
        here.push(raise_killed)
    again, _ = machine("one")
    proxy.asked.clear()
    again.push()  # what is there is not sent a second time
    sent = [path for method, path in proxy.asked if method == "PUT" and "/object/" in path]
    assert not sent
    write(home, table__a="b")
    with pytest.raises(RuntimeError):
        again.push(raise_killed)
    monkeypatch.setattr(sweep, "GRACE_S", -10.0)
    proxy.allows_lists = True
    sweep.purge(ObjectStore(s3), again.film_id)
    [noted] = json.loads((home / file_kind.BASE).read_text())["uploads"].values()
    hours = itertools.count(time.time() + 13 * 3600)
    monkeypatch.setattr(upload.time, "time", lambda: next(hours))
    sent = machine("one")[0].push()
    check_whole(s3)
    assert noted["upload"] not in sent.uploads.values()


def test_which_uploads_may_still_be_named():
    now, sha256 = time.time(), "0" * 64
    own = Upload(upload="1" * 16, at=now - 60, generation=4)
    key = manifest.object_key("a-00000000", sha256, own.upload)

    def is_stale(own, generation=4, dropped=()):
        there = manifest.Manifest(film_id="a-00000000", generation=generation, dropped=dropped)
        return upload.is_stale(sha256, own, there)

    assert not is_stale(own)
    assert not is_stale(own, generation=5)  # another's manifest: ours was never written
    assert is_stale(own, generation=6)  # ours may have been between
    assert is_stale(own, generation=3)
    assert is_stale(own, dropped=(key,))
    assert not is_stale(replace(own, at=now - 11.9 * 3600))
    assert is_stale(replace(own, at=now - 12.1 * 3600))
    assert is_stale(replace(own, at=now + 60))  # the clock was set back


def test_content_that_comes_back_has_a_key_of_its_own(machine, s3, proxy):
    """The deletion of the earlier one arrives late, when the film has the content again."""
    here, home = machine("one")
    proxy.allows_lists, proxy.pause_s = True, 1.5
    write(home, table__a="first")
    here.push()
    write(home, table__a="second")
    here.push()
    proxy.plan = lambda number, method, path: "delayed" if "?delete" in path else None
    cleaning = threading.Thread(target=sweep.purge, args=(ObjectStore(s3), here.film_id))
    cleaning.start()
    while not proxy.struck:
        time.sleep(0.02)
    write(home, table__a="first")
    here.push()
    cleaning.join()
    assert "delayed" in proxy.done
    check_whole(s3)


@pytest.fixture
def impatient():
    bunny_s3.set_timeout(2.0)
    yield
    bunny_s3.set_timeout(bunny_s3.READ_S)


@pytest.mark.parametrize("has_faults", [False, True])
def test_cleaning_and_publishing_at_once_lose_nothing(machine, s3, proxy, has_faults, impatient):
    """Two machines write the same few contents over and over, a third deletes all the while."""
    proxy.allows_lists = True
    rng = random.Random(3)
    if has_faults:
        proxy.plan = lambda number, method, path: rng.choice(FAULTS)
    store, ended, errors = ObjectStore(s3), threading.Event(), []
    ids = ("a-00000000", "b-00000000")

    def publish(name, film_id):
        here, home = machine(name, film_id)
        own = random.Random(name)
        try:
            for _ in range(15):
                text = {f"table__{n}": str(own.randrange(3)) for n in range(4)}
                write(home, **text, feedback_dot_jsonl="x\n")
                with contextlib.suppress(BunnyError):  # too many faults one after the other
                    here.push()
        except BaseException as error:
            errors.append(error)
            raise

    def clean():
        while not ended.is_set():
            try:
                sweep.delete(store, sweep.find(store))
            except BunnyError:
                continue
            except BaseException as error:
                errors.append(error)
                raise

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    publishers = [threading.Thread(target=publish, args=(f"m{one}", one)) for one in ids]
    for one in publishers:
        one.start()
    for one in publishers:
        one.join()
    ended.set()
    cleaner.join()
    proxy.plan = lambda number, method, path: None
    assert not errors
    live = check_whole(s3, *ids)
    assert len(live) >= 4
    assert not has_faults or len(proxy.struck) > 20
    sweep.delete(store, sweep.find(store))
    dropped = {key for one in ids for key in manifest.read(store, one)[0].dropped}
    assert not dropped & bucket()


def test_who_reads_while_objects_go_reads_the_newer_film(machine, s3, proxy):
    here, home = machine("one")
    write(home, table__a="first", table__b="b")
    here.push()
    proxy.allows_lists = True
    store = ObjectStore(s3)

    def change(number, method, path):
        if method == "GET" and "/object/" in path and not proxy.struck:
            proxy.plan = lambda number, method, path: None
            write(home, table__a="second", table__b="bb")
            here.push()
            sweep.purge(store, here.film_id)

    proxy.plan = change
    other, copy = machine("two")
    assert other.pull()
    assert (copy / "table" / "a").read_text() == "second"
    assert (copy / "table" / "b").read_text() == "bb"


def test_objects_of_version_1_are_kept_while_any_film_names_them(machine, s3):
    """There two films that have the same file name one object."""
    store = ObjectStore(s3)
    sha = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("both", "one", "nobody")}
    for text, sha256 in sha.items():
        store.put(f"object/{sha256}", text.encode(), None)
    ids = ("a-00000000", "b-00000000")
    for film_id in ids:
        files = {"film/table/a": sha["both"], "film/table/b": sha["one"]}
        old = manifest.Manifest(film_id=film_id, generation=1, files=files)
        values = old.to_bytes().replace(b'"version": 2', b'"version": 1')
        for new in (b'"uploads": {}', b'"is_removed": false', b'"dropped": []'):
            values = values.replace(new + b",\n ", b"")
        assert b"dropped" not in values and b'"version": 1' in values
        store.put(manifest.manifest_key(film_id), values, None)
    here, home = machine("one")
    here.pull()
    write(home, table__a="another")
    (home / "table" / "b").unlink()
    here.push()
    sweep.purge(store, ids[0])
    check_whole(s3, *ids)
    assert {f"object/{one}" for one in sha.values()} <= bucket()
    there, other = machine("two", ids[1])
    there.pull()
    (other / "table" / "b").unlink()
    there.push()
    sweep.purge(store, ids[1])
    check_whole(s3, *ids)
    assert f"object/{sha['one']}" not in bucket()
    assert {f"object/{sha['both']}", f"object/{sha['nobody']}"} <= bucket()  # young, named by none


def test_earlier_versions_go_too_where_the_bucket_keeps_them(machine, s3):
    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    here, home = machine("one")
    write(home, named__anna__1="picture", table__a="who is anna")
    here.push()
    (home / "named" / "anna" / "1").unlink()
    write(home, table__a="nobody")
    here.push()
    assert any(b"anna" in data for data in bucket(has_versions=True))
    assert sweep.purge(ObjectStore(s3), here.film_id) == []
    assert not any(b"anna" in data or b"picture" in data for data in bucket(has_versions=True))
    check_whole(s3)


def test_versions_that_may_not_be_deleted_are_said(machine, s3, monkeypatch):
    """The objects are hidden then, and a sentence says what stays."""
    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    here, home = machine("one")
    write(home, table__a="first")
    here.push()
    write(home, table__a="second")
    there = here.push()
    store, delete = ObjectStore(s3), ObjectStore._delete_batch

    def refuse(self, entries):
        versions = [one for one in entries if one.version_id]
        return versions + delete(self, [one for one in entries if not one.version_id])

    monkeypatch.setattr(ObjectStore, "_delete_batch", refuse)
    says = sweep.purge(store, here.film_id)
    assert any("1 earlier versions stay in the bucket" in one for one in says)
    assert not {*there.dropped} & bucket()
    with pytest.raises(BunnyError, match="access was denied"):
        monkeypatch.setattr(ObjectStore, "_delete_batch", lambda self, entries: list(entries))
        store.delete([Entry(key="object/x", size=1, modified=0.0)])


def test_a_manifest_that_cannot_be_read_ends_it(machine, s3):
    here, home = machine("one")
    write(home, table__a="a")
    here.push()
    write(home, table__a="b")
    here.push()
    before = bucket()
    boto3.client("s3").put_object(
        Bucket="films", Key="work/film/b-00000000/manifest.json", Body=b"{"
    )
    with pytest.raises(BunnyError, match="could not read this manifest of a film"):
        sweep.find(ObjectStore(s3))
    assert before < bucket()


def test_a_film_that_is_in_no_index_loses_nothing(machine, s3, monkeypatch):
    """Its first writer was killed between the manifest and the index."""
    here, home = machine("one")
    write(home, table__a="a")
    here.push()
    boto3.client("s3").delete_object(Bucket="films", Key="work/index.json")
    monkeypatch.setattr(sweep, "GRACE_S", -10.0)
    sweep.delete(ObjectStore(s3), sweep.find(ObjectStore(s3)))
    check_whole(s3)


def test_parts_of_a_large_upload_that_was_killed_go(s3):
    client = boto3.client("s3")
    key = f"work/film/a-00000000/object/{'0' * 64}-{'0' * 16}"
    client.create_multipart_upload(Bucket="films", Key=key)
    ObjectStore(s3).abort_uploads("film/", before=0.0)
    assert len(client.list_multipart_uploads(Bucket="films")["Uploads"]) == 1
    sweep.delete(ObjectStore(s3), sweep.find(ObjectStore(s3)))  # moto's all begin in 2010
    assert not client.list_multipart_uploads(Bucket="films").get("Uploads")
