"""A film's folder and its manifest on a real S3 server: fetched, sent, joined, broken, evicted."""

import hashlib
import json
import os
import random
import time

import boto3
import pytest

from bunny.core import s3 as bunny_s3
from bunny.core.error import BunnyError, UserError
from bunny.remote import file_kind, film_index, lease, manifest
from bunny.remote.film_sync import FilmSync
from bunny.remote.object_store import ChangedError, ObjectStore

FILM = "film-00000000"
# Connections of boto3 are closed when it is collected; pytest would call that a fault.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def write(folder, **files):
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != file_kind.BASE
    }


@pytest.fixture
def machine(tmp_path, s3):
    """Working copies of one film on machines by name."""

    def make(name):
        home = tmp_path / name
        places = {"film": home / "film", "checkpoint": home / "checkpoint"}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        return FilmSync(ObjectStore(s3), FILM, places), home

    return make


def check_whole(s3):
    """Every object that the manifest names is there and has its hash."""
    store = ObjectStore(s3)
    found, _ = manifest.read(store, FILM)
    for name, sha256 in found.files.items():
        data, _ = store.get(found.key(sha256))
        assert hashlib.sha256(data).hexdigest() == sha256, name
    return found


def test_what_one_machine_sent_another_has(machine, s3):
    here, home = machine("one")
    write(
        home / "film", table__shot_dot_parquet=b"shots", frame__1_dot_jpg=b"picture", _dot_lock=""
    )
    write(home / "checkpoint", a__weights="w" * 1000)
    here.push()
    there, other = machine("two")
    assert there.pull(())
    assert contents(other) == {"film/table/shot.parquet": b"shots"}
    assert there.pull()
    assert contents(other) == {k: v for k, v in contents(home).items() if k != "film/.lock"}
    assert not there.pull()
    assert film_index.read(ObjectStore(s3))[0].films == {FILM: 1}
    (home / "film" / "frame" / "1.jpg").unlink()
    write(home / "film", table__shot_dot_parquet=b"more shots")
    assert here.push().generation == 2
    there.pull()
    assert contents(other / "film") == {"table/shot.parquet": b"more shots"}
    assert here.push().generation == 2  # nothing changed


def test_what_is_fetched_is_as_old_as_what_was_sent(machine, s3):
    """So that retention is the same on every machine; two versions have two times all the same."""
    here, home = machine("one")
    write(home / "film", table__a=b"one", table__b=b"two")
    here.push()
    sent_s = time.time()
    time.sleep(2.1)
    there, other = machine("two")
    there.pull()
    times = [(other / "film" / "table" / name).stat().st_mtime_ns for name in "ab"]
    assert all(abs(one / 1e9 - sent_s) < 2 for one in times)
    assert times[0] != times[1]
    assert not there.has_new_words() and there.push().generation == 1


def test_a_light_copy_that_sends_something_takes_nothing_away(machine, s3):
    here, home = machine("one")
    write(home / "film", frame__1_dot_jpg=b"picture", table__a=b"a")
    here.push()
    there, other = machine("two")
    there.pull(())
    write(other / "film", feedback_dot_jsonl='{"a": 1}\n')
    there.push()
    assert set(check_whole(s3).files) == {"film/frame/1.jpg", "film/table/a", "film/feedback.jsonl"}


def test_parts_that_are_asked_for_come_and_no_others(machine, s3, proxy):
    """Nothing is removed there because it is not here; what is out of date is no more used here."""
    here, home = machine("one")
    files = {
        "table__a": "a",
        "frame__1_dot_jpg": "one",
        "frame__2_dot_jpg": "two",
        "dataset__x__1_dot_png": "set",
        "stage__detect__shard__k__0_dot_parquet": "shard",
        "stage__detect__stage_dot_json": "{}",
        "report_dot_html": "page",
    }
    write(home / "film", **files)
    write(home / "checkpoint", x__adapter_dot_safetensors="w", x__state_dot_pt="state")
    write(home / "checkpoint", review__current_dot_json="{}")
    here.push()
    there, other = machine("two")
    assert there.pull(())
    light = {"film/table/a", "film/stage/detect/stage.json", "checkpoint/review/current.json"}
    assert set(contents(other)) == light
    assert not there.pull(())
    proxy.asked.clear()
    assert there.pull(["frame/2.jpg", "checkpoint/*.safetensors"])
    some = {"film/frame/2.jpg", "checkpoint/x/adapter.safetensors"}
    assert set(contents(other)) == light | some
    assert len(proxy.asked) == 3  # the manifest, and what was asked for
    assert there.bring(["stage/detect/*"])
    assert len(there.away()) == 4
    write(home / "film", frame__2_dot_jpg=b"two, but another", frame__1_dot_jpg=b"one, too")
    here.push()
    there.pull(())
    assert set(contents(other)) == {
        *light,
        "checkpoint/x/adapter.safetensors",
        "film/stage/detect/shard/k/0.parquet",
    }
    write(other / "film", table__b=b"b")
    there.push()
    found = check_whole(s3).files
    assert found["film/frame/2.jpg"] == hashlib.sha256(b"two, but another").hexdigest()
    assert len(found) == 11
    there.pull()
    here.pull()
    assert contents(other) == contents(home)


def test_what_is_gone_here_is_removed_there_only_by_who_holds_the_lease(machine, s3):
    here, home = machine("one")
    write(
        home / "film", frame__1_dot_jpg="1", frame__2_dot_jpg="2", feedback_dot_jsonl='{"n": 1}\n'
    )
    here.push()
    there, other = machine("two")
    there.pull()
    (other / "film" / "frame" / "1.jpg").unlink()
    there.push(has_removals=False)
    assert "film/frame/1.jpg" in check_whole(s3).files
    write(home / "film", feedback_dot_jsonl='{"n": 1}\n{"n": 2}\n')
    assert here.send_words()
    there.pull(["frame/*"])  # as who takes the lease
    (other / "film" / "frame" / "2.jpg").unlink()
    write(home / "film", feedback_dot_jsonl='{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    assert here.send_words()  # what was removed does not come back because somebody speaks
    there.push()
    assert set(check_whole(s3).files) == {"film/frame/1.jpg", "film/feedback.jsonl"}
    assert set(contents(other)) == {"film/frame/1.jpg", "film/feedback.jsonl"}


def test_files_that_a_kill_left_on_the_way_are_nobodys_change(machine, s3):
    """Fetched and not noted: another machine's newer version still takes their place."""
    here, home = machine("one")
    write(home / "film", frame__1_dot_jpg=b"old", frame__2_dot_jpg=b"old too", table__a=b"a")
    here.push()
    there, other = machine("two")
    there.pull(())
    noted = other / "film" / file_kind.BASE
    there.bring()
    values = json.loads(noted.read_text())
    values["moving"] = {
        n: values["known"].pop(n).get("sha256") for n in ("film/frame/1.jpg", "film/frame/2.jpg")
    }
    noted.write_text(json.dumps(values))  # as it stands while they are fetched
    (other / "film" / "frame" / "2.jpg").unlink()
    write(home / "film", frame__1_dot_jpg=b"new", frame__2_dot_jpg=b"new too")
    here.push()
    again, _ = machine("two")
    again.pull()
    assert contents(other)["film/frame/1.jpg"] == b"new"
    again.push()
    assert check_whole(s3).generation == 2


def test_a_record_that_grows_while_it_is_sent_is_sent_whole(machine, s3, monkeypatch):
    """Somebody speaks between the hash of the record and its sending."""
    here, home = machine("one")
    record, send = home / "film" / "feedback.jsonl", ObjectStore.upload
    write(home / "film", feedback_dot_jsonl='{"n": 1}\n')

    def speak_first(store, key, path, sha256, *, is_new):
        if record.read_text() == '{"n": 1}\n':
            with record.open("a") as file:
                file.write('{"n": 2}\n')
        return send(store, key, path, sha256, is_new=is_new)

    monkeypatch.setattr(ObjectStore, "upload", speak_first)
    here.push()
    found = check_whole(s3)
    assert found.files["film/feedback.jsonl"] == hashlib.sha256(record.read_bytes()).hexdigest()
    assert '{"n": 2}' in record.read_text()


def test_what_two_people_said_is_all_kept(machine, s3):
    here, home = machine("one")
    write(home / "film", feedback_dot_jsonl='{"n": 1}\n', table__a=b"a")
    here.push()
    there, other = machine("two")
    there.pull()
    for folder, line in ((home, '{"n": 2}\n'), (other, '{"n": 3}\n')):
        with (folder / "film" / "feedback.jsonl").open("a") as record:
            record.write(line)
    assert here.has_new_words() and there.has_new_words()
    here.push()
    there.push()
    here.pull()
    lines = ['{"n": 1}', '{"n": 2}', '{"n": 3}']
    for folder in (home, other):
        assert (folder / "film" / "feedback.jsonl").read_text().splitlines() == lines
    assert not here.has_new_words() and not there.has_new_words()


def test_words_are_sent_from_a_film_that_stays_open(machine, s3):
    """Another machine runs the film meanwhile: its tables are not fetched, its lines are joined."""
    here, home = machine("one")
    write(home / "film", feedback_dot_jsonl='{"n": 1}\n', table__a=b"a")
    assert not here.send_words()  # nobody has the film there: all of it goes first
    here.push()
    assert not here.send_words()  # nothing new
    there, other = machine("two")
    there.pull()
    for folder, line in ((other, '{"n": 2}\n'), (home, '{"n": 3}\n')):
        with (folder / "film" / "feedback.jsonl").open("a") as record:
            record.write(line)
    write(other / "film", table__a=b"new")
    there.push()
    write(home / "film", table__b=b"half a run")
    assert here.send_words() and not here.has_new_words()
    assert (home / "film" / "table" / "a").read_bytes() == b"a"
    assert "film/table/b" not in check_whole(s3).files
    there.pull()
    lines = ['{"n": 1}', '{"n": 2}', '{"n": 3}']
    for folder in (home, other):
        assert (folder / "film" / "feedback.jsonl").read_text().splitlines() == lines
    here.push()
    assert (home / "film" / "table" / "a").read_bytes() == b"new"
    assert "film/table/b" in check_whole(s3).files


def test_files_that_are_safely_there_can_be_evicted_and_come_back(machine, s3):
    here, home = machine("one")
    write(home / "film", frame__1_dot_jpg=b"x" * 500, frame__2_dot_jpg=b"y" * 300, table__a=b"a")
    here.push()
    write(home / "film", frame__2_dot_jpg=b"changed and not sent")
    assert here.heavy_bytes() == 800
    assert here.evict() == 500
    assert set(contents(home / "film")) == {"frame/2.jpg", "table/a"}
    here.push()
    assert set(check_whole(s3).files) == {"film/frame/1.jpg", "film/frame/2.jpg", "film/table/a"}
    again, _ = machine("one")
    assert again.pull()
    assert contents(home / "film")["frame/1.jpg"] == b"x" * 500


@pytest.fixture
def impatient():
    """Half a second without a byte is too long, as by `project.timeout_seconds`."""
    bunny_s3.set_timeout(0.5)
    yield
    bunny_s3.set_timeout(bunny_s3.READ_S)


FAULTS = ("500", "slowdown", "cut", "torn", "lost", "late", "delayed", "hang", "trickle")


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_on_the_way_lose_and_tear_nothing(machine, s3, proxy, fault, impatient):
    """Every fifth request breaks; what arrives is whole, and the manifest names only what is."""
    proxy.pause_s = 0.8  # longer than the client waits
    proxy.plan = lambda number, method, path: fault if number % 5 == 0 else None
    here, home = machine("one")
    rng = random.Random(1)
    files = {f"table__{n}": rng.randbytes(rng.randrange(1, 20_000)) for n in range(6)}
    write(home / "film", **files)
    here.push()
    check_whole(s3)
    write(home / "film", table__3=b"another", frame__7=b"seven")
    (home / "film" / "table" / "5").unlink()
    here.push()
    check_whole(s3)
    there, other = machine("two")
    there.pull()
    assert contents(other) == contents(home)
    assert len(proxy.struck) > 3
    assert proxy.num_lists == 0


def test_a_write_that_arrives_after_it_was_given_up_changes_nothing(machine, s3, proxy, impatient):
    """The manifest's first writing comes through once two others were made."""
    here, home = machine("one")
    write(home / "film", table__a=b"a")
    here.push()
    proxy.pause_s = 3.0
    manifests = [0]

    def plan(number, method, path):
        if method == "PUT" and path.endswith("manifest.json"):
            manifests[0] += 1
            return "delayed" if manifests[0] == 1 else None
        return None

    proxy.plan = plan
    write(home / "film", table__a=b"second")
    assert here.push().generation == 2
    write(home / "film", table__a=b"third")
    assert here.push().generation == 3
    last = check_whole(s3)
    until = time.monotonic() + 10
    while len([1 for struck in proxy.done if struck == "delayed"]) < 1:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert check_whole(s3) == last


def test_what_the_hash_denies_never_takes_a_place(machine, s3):
    here, home = machine("one")
    write(home / "film", table__a=b"right", table__b=b"b")
    found = here.push()
    client = boto3.client("s3")
    key = f"work/{found.key(found.files['film/table/a'])}"
    client.put_object(Bucket="films", Key=key, Body=b"wrong")
    there, other = machine("two")
    with pytest.raises(
        BunnyError, match="expected an object that matches the hash in its name, got another"
    ):
        there.pull()
    assert "table/a" not in contents(other / "film")


def test_a_manifest_is_written_by_one_of_two_at_a_time(machine, s3):
    here, home = machine("one")
    there, other = machine("two")
    write(home / "film", table__a=b"a")
    write(other / "film", table__b=b"b")
    here.push()
    there.push()  # it has seen no manifest: it takes over what is there
    assert set(check_whole(s3).files) == {"film/table/a", "film/table/b"}
    store = ObjectStore(s3)
    with pytest.raises(ChangedError):
        store.put(manifest.manifest_key(FILM), b"{}", None)
    with pytest.raises(ChangedError):
        store.put(manifest.manifest_key(FILM), b"{}", '"0"')


def test_a_lease_is_held_by_one_and_taken_over_when_it_runs_out(s3):
    store = ObjectStore(s3)
    says = rf"process {os.getpid()} on .* is writing to this"
    held = lease.hold(store, FILM, 0.0, lease_s=5.0)
    with held, pytest.raises(UserError, match=says), lease.hold(store, FILM, 0.0):
        pass
    with lease.hold(store, FILM, 0.0, lease_s=0.3) as dead:
        dead.stop_renewing()  # as of a process that was killed
        with lease.hold(store, FILM, 5.0) as own:
            own.check()
            assert store.get(f"film/{FILM}/lock.json") is not None
            with pytest.raises(BunnyError, match="another machine took over this film"):
                dead.check()


def test_who_lost_the_lease_says_nothing(machine, s3):
    here, home = machine("one")
    write(home / "film", table__a=b"a")
    here.push()
    write(home / "film", table__a=b"of one that is late")

    def refuse():
        raise BunnyError("taken over")

    with pytest.raises(BunnyError, match="taken over"):
        here.push(refuse)
    assert check_whole(s3).generation == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "there is no such bucket"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "expected credentials"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(s3, monkeypatch, change, says, tmp_path):
    for name in change:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError, match=says) as error:
        ObjectStore("s3://no-such-bucket/x").get("index.json")
    assert "planted-secret-key" not in str(error.value)


def test_addresses_that_are_none(s3):
    for address in ("s3://", "s3:///x"):
        with pytest.raises(UserError, match="expected s3://bucket"):
            ObjectStore(address)


def test_names_that_lead_out_are_refused(machine, s3, tmp_path):
    store = ObjectStore(s3)
    sha = hashlib.sha256(b"x").hexdigest()
    store.put(manifest.object_key(FILM, sha, ""), b"x", None)
    bad = manifest.Manifest(film_id=FILM, generation=1, files={"film/../../../out": sha})
    store.put(manifest.manifest_key(FILM), bad.to_bytes(), None)
    there, _ = machine("two")
    with pytest.raises(BunnyError, match="points outside the film's folder"):
        there.pull()
    assert not list(tmp_path.rglob("out"))
