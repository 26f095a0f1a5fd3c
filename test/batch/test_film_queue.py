"""Films added from a browser: what arrives, what is refused, and what a kill leaves."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bunny.batch.engine import Attempt, FilmOutcome
from bunny.batch.film_queue import ChecksumError, FilmQueue, OffsetError
from bunny.batch.queue_worker import QueueWorker, probe_apart
from bunny.core.error import UserError

GIB = 1 << 30


@pytest.fixture
def queue(tmp_path):
    return FilmQueue(tmp_path / "data", GIB)


def send(queue, path, *, name=None, user="anna", part=1000):
    """A film sent whole, in parts."""
    data = path.read_bytes()
    film = queue.add(name or path.name, len(data), user)
    for offset in range(0, len(data), part):
        queue.receive(film.entry, offset, data[offset : offset + part])
    return queue.find(film.entry)


def ready(queue, path, **options):
    return queue.check(send(queue, path, **options).entry, probe_apart)


def test_a_film_arrives_in_parts_and_is_put_in_its_place(queue, film):
    path = film("a")
    sent = send(queue, path)
    assert (sent.state, queue.received(sent)) == ("checking", path.stat().st_size)
    got = queue.check(sent.entry, probe_apart)
    assert (got.state, got.name, got.user, got.error) == ("ready", "a.mp4", "anna", "")
    assert Path(got.film) == queue.data / "film" / "a.mp4"
    assert Path(got.film).read_bytes() == path.read_bytes()
    assert got.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(p.name for p in (queue.folder / got.entry).iterdir()) == ["entry.json"]


def test_a_part_that_does_not_fit_is_refused_and_says_where_to_go_on(queue):
    film = queue.add("a.mp4", 10, "anna")
    assert queue.receive(film.entry, 0, b"0123") == 4
    with pytest.raises(OffsetError) as raised:
        queue.receive(film.entry, 0, b"0123")
    assert raised.value.offset == 4
    with pytest.raises(ChecksumError):
        queue.receive(film.entry, 4, b"45", hashlib.sha256(b"46").digest())
    with pytest.raises(UserError, match="expected 6 bytes more, got 7"):
        queue.receive(film.entry, 4, b"4567890")
    assert queue.received(film) == 4
    assert queue.receive(film.entry, 4, b"456789", hashlib.sha256(b"456789").digest()) == 10
    with pytest.raises(UserError, match="it is checking"):
        queue.receive(film.entry, 10, b"")


def test_a_film_that_was_cut_off_is_known_again_by_its_beginning(queue):
    head = "ab" * 32
    first = queue.add("a.mp4", 10, "anna", head)
    queue.receive(first.entry, 0, b"0123")
    assert queue.add("renamed.mp4", 10, "ben", head) == first
    assert queue.add("a.mp4", 11, "anna", head).entry != first.entry  # another film
    assert queue.add("a.mp4", 10, "anna", "cd" * 32).entry != first.entry
    assert queue.add("a.mp4", 10, "anna").entry != first.entry  # whose beginning nobody knows


def test_no_film_is_written_over_another(queue, film):
    one, other = film("a"), film("b", 2.0)
    assert one.read_bytes() != other.read_bytes()
    assert ready(queue, one, name="same.mp4").name == "same.mp4"
    second = ready(queue, other, name="same.mp4")
    assert second.name == "same-2.mp4"
    folder = queue.data / "film"
    assert (folder / "same.mp4").read_bytes() == one.read_bytes()
    assert (folder / "same-2.mp4").read_bytes() == other.read_bytes()


def test_the_same_film_is_not_added_twice(queue, film):
    ready(queue, film("a"))
    again = ready(queue, film("a"), name="copy.mp4")
    assert again.state == "refused"
    assert again.error == "copy.mp4: this film is already here as a.mp4; nothing was added"
    assert [p.name for p in (queue.data / "film").iterdir()] == ["a.mp4"]


def test_a_film_that_ran_from_elsewhere_is_known(queue, film, tmp_path, bunny):
    path = film("a")
    assert bunny("run", path, "--until", "extract", "--data-dir", tmp_path / "data")[0] == 0
    known = next((tmp_path / "data" / "output").glob("a-*")).name
    assert f"already here as {known}" in ready(queue, path).error


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/a.mp4", "a.mp4"),
        ("C:\\films\\a.MKV", "a.MKV"),
        ("a\0b\n.mp4", "ab.mp4"),
        ("con.mp4", "film-con.mp4"),
        ('a:"b?.mp4', "a--b-.mp4"),
        ("...mp4", "film.mp4"),
        ("..mp4", "film.mp4"),
        (".mp4", None),
        ("a.exe", None),
        ("a.mp4.html", None),
        ("", None),
        ("\u202egpj.mp4", "gpj.mp4"),
        ("x" * 300 + ".mp4", "x" * 120 + ".mp4"),
        ("映" * 90 + ".mp4", "映" * 40 + ".mp4"),
        ("Ein Film \U0001f430.mp4", "Ein Film \U0001f430.mp4"),
    ],
)
def test_names_lead_nowhere(queue, name, kept):
    if kept is None:
        with pytest.raises(UserError, match="expected a film"):
            queue.add(name, 10, "anna")
        return
    assert queue.add(name, 10, "anna").name == kept


def test_what_is_too_large_or_empty_is_refused_before_it_is_sent(queue, tmp_path):
    for size in (0, GIB + 1):
        with pytest.raises(UserError, match="1 byte to 1 GiB"):
            queue.add("a.mp4", size, "anna")
    huge = FilmQueue(tmp_path / "data", 1 << 60)
    with pytest.raises(UserError, match="of free disk, found"):
        huge.add("a.mp4", 1 << 59, "anna")
    assert queue.films() == []


@pytest.mark.parametrize(
    "content", [b"<html></html>", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(50)]
)
def test_what_is_no_film_is_refused_after_it_arrived(queue, tmp_path, content):
    path = tmp_path / "liar.mp4"
    path.write_bytes(content)
    film = ready(queue, path)
    assert film.state == "refused"
    assert film.error.startswith("liar.mp4: ")
    assert str(queue.folder) not in film.error
    assert not (queue.data / "film").exists()


def test_entries_of_the_address_lead_nowhere(queue):
    for entry in ("..", "../../x", "0" * 15, "0" * 16, "", "g" * 16, "\0"):
        with pytest.raises(UserError, match="is not in the list; reload"):
            queue.find(entry)


def test_states_that_people_may_ask_for(queue, film):
    uploading = queue.add("u.mp4", 10, "anna")
    with pytest.raises(UserError, match="cannot be started; it is uploading"):
        queue.start(uploading.entry)
    with pytest.raises(UserError, match="cancel it first; it is uploading"):
        queue.remove(uploading.entry)
    queue.receive(uploading.entry, 0, b"0123")
    assert queue.cancel(uploading.entry).state == "cancelled"
    assert queue.received(uploading) == 0
    with pytest.raises(UserError, match="cannot be started"):  # nothing is left of it
        queue.start(uploading.entry)
    queue.remove(uploading.entry)
    got = ready(queue, film("a"))
    assert queue.start(got.entry).state == "waiting"
    assert queue.cancel(got.entry).state == "ready"
    queue.start(got.entry)
    assert queue.take().entry == got.entry
    assert queue.take() is None
    assert queue.cancel(got.entry).is_unwanted
    stopped = FilmOutcome(
        task=queue.task(queue.find(got.entry), (), "dataset"),
        attempts=(Attempt(exit_code=130, seconds=1.0, error="stopped"),),
    )
    assert queue.end(got.entry, stopped).state == "cancelled"
    assert queue.start(got.entry).state == "waiting"  # tried again
    queue.take()
    assert queue.end(got.entry, stopped).state == "waiting"  # with its server, not by a person


def test_films_run_in_the_order_in_which_they_were_added(queue, film):
    one, other = ready(queue, film("a")), ready(queue, film("b", 2.0))
    queue.start(other.entry), queue.start(one.entry)
    assert [queue.take().entry, queue.take().entry] == [one.entry, other.entry]


def write(queue, film):
    """Put down what is known of a film, as a server that was killed left it."""
    place = queue.folder / film.entry / "entry.json"
    place.write_text(json.dumps(asdict(film)), encoding="utf-8")


def test_a_kill_between_any_two_steps_of_the_check_loses_nothing(queue, film, monkeypatch):
    path = film("a")
    sent = send(queue, path)
    known = replace(sent, film=str(queue.data / "film" / "a.mp4"), content_hash="0")
    (queue.data / "film").mkdir()
    Path(known.film).touch()  # the place is taken, the film not yet there
    write(queue, known)
    got = queue.check(sent.entry, probe_apart)
    assert (got.state, got.name) == ("ready", "a.mp4")
    assert Path(got.film).read_bytes() == path.read_bytes()
    write(queue, replace(got, state="checking"))  # it is there, and nobody said so
    assert queue.check(sent.entry, probe_apart) == got


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_a_receiver_killed_in_the_middle_keeps_what_it_acknowledged(queue, tmp_path):
    """Parts are sent to a process that is killed; another goes on where it stopped."""
    data = os.urandom(300_000)
    (tmp_path / "sent").write_bytes(data)
    film = queue.add("a.mp4", len(data), "anna")
    child = """if True:
        import sys
        from pathlib import Path
        from bunny.batch.film_queue import FilmQueue
        queue, data = FilmQueue(Path(sys.argv[1]), 1 << 30), Path(sys.argv[2]).read_bytes()
        at = queue.received(queue.find(sys.argv[3]))
        while at < len(data):
            at = queue.receive(sys.argv[3], at, data[at : at + 100])
            print(at, flush=True)
    """
    command = [sys.executable, "-c", child, str(queue.data), str(tmp_path / "sent"), film.entry]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            told = [int(process.stdout.readline()) for _ in range(20)][-1]
            process.send_signal(signal.SIGKILL)
            process.wait()
        have = queue.received(film)
        assert told <= have < len(data)
        part = queue.folder / film.entry / "part.mp4"
        assert part.read_bytes() == data[:have]


def test_pictures_of_characters_become_references_of_the_run(queue, film):
    got = ready(queue, film("a"))
    assert queue.task(got, (), "extract").references is None
    queue.add_reference(got.entry, "anna", "one.png", b"1")
    queue.add_reference(got.entry, "anna", "two.png", b"2")
    with pytest.raises(UserError, match="is hidden or empty"):
        queue.add_reference(got.entry, "../anna", "one.png", b"1")
    assert queue.references(got) == {"anna": 2}
    task = queue.task(got, ("seed=5",), "extract")
    assert task.to_arguments() == [
        "run",
        got.film,
        "--references",
        str(queue.folder / got.entry / "reference"),
        "--set",
        "seed=5",
        "--until",
        "extract",
    ]
    queue.start(got.entry)
    with pytest.raises(UserError, match="references cannot be added while it is waiting"):
        queue.add_reference(got.entry, "anna", "three.png", b"3")


def test_a_film_that_is_done_runs_again_and_one_of_the_workspace_joins_the_list(queue, film):
    path = film("a")
    got = ready(queue, path)
    queue.start(got.entry)
    queue.take()
    done = FilmOutcome(
        task=queue.task(got, (), "extract"),
        attempts=(Attempt(exit_code=0, seconds=1.0, report={"film_id": "a-00000000"}),),
    )
    assert queue.end(got.entry, done).state == "done"
    assert queue.start(got.entry).state == "waiting"
    assert queue.adopt(str(path), "a-00000000", "ben").entry == got.entry  # it is on it already
    other = queue.adopt(str(path), "b-11111111", "ben")
    assert (other.state, other.name, other.size) == ("ready", "a.mp4", path.stat().st_size)
    assert queue.start(other.entry).state == "waiting"
    assert queue.task(other, (), "dataset").to_arguments() == [
        "run",
        str(path),
        "--until",
        "dataset",
    ]


def test_a_worker_checks_and_runs_and_a_second_one_does_nothing(queue, film, tmp_path, wait_for):
    sent = send(queue, film("a"))
    workers = [
        QueueWorker(queue, tmp_path, str(queue.data), ("seed=5",), "extract") for _ in range(2)
    ]
    for worker in workers:
        worker.begin()
    try:
        wait_for(lambda: queue.find(sent.entry).state == "ready")
        queue.start(sent.entry)
        done = wait_for(lambda: (one := queue.find(sent.entry)).state == "done" and one)
    finally:
        for worker in workers:
            worker.end()
    assert len(list(queue.log_folder(sent.entry).iterdir())) == 1
    record = queue.data / "output" / done.film_id / "stage" / "extract" / "stage.json"
    assert json.loads(record.read_text())["status"] == "done"


def test_one_film_that_cannot_be_kept_stops_no_other(queue, film, tmp_path, wait_for):
    """A name that is too long in bytes, as older lists have them, and an entry that goes away."""
    long = send(queue, film("a"))
    queue._write(replace(queue.find(long.entry), name="映" * 90 + ".mp4"))
    gone = send(queue, film("b", 2))
    shutil.rmtree(queue.folder / gone.entry)
    sent = send(queue, film("c", 3))
    worker = QueueWorker(queue, tmp_path, str(queue.data), (), "extract")
    worker.begin()
    try:
        wait_for(lambda: queue.find(sent.entry).state == "ready")
        refused = wait_for(lambda: (one := queue.find(long.entry)).state == "refused" and one)
        assert "it could not be kept" in refused.error
        queue.remove(long.entry)
        shutil.rmtree(queue.folder)
        later = send(queue, film("d", 4))
        wait_for(lambda: queue.find(later.entry).state == "ready")
    finally:
        worker.end()


def test_a_folder_that_cannot_be_written_to_is_said_once_and_tried_again(
    tmp_path, film, wait_for, monkeypatch, caplog
):
    monkeypatch.setattr("bunny.batch.queue_worker.TICK_S", 0.01)
    data = tmp_path / "data"
    data.write_text("")
    queue = FilmQueue(data, GIB)
    worker = QueueWorker(queue, tmp_path, str(data), (), "extract")
    worker.begin()
    try:
        wait_for(lambda: "the queue of films: " in caplog.text)
        data.unlink()
        sent = send(queue, film("a"))
        wait_for(lambda: queue.find(sent.entry).state == "ready")
    finally:
        worker.end()
    assert caplog.text.count("the queue of films: ") == 1 and "Traceback" not in caplog.text


def test_a_film_that_is_checked_can_be_cancelled(queue, film):
    sent = send(queue, film("a"))

    def cancel(part):
        queue.cancel(sent.entry)

    assert queue.check(sent.entry, cancel).state == "cancelled"
    assert list((queue.data / "film").glob("*")) == []
    queue.remove(sent.entry)


def test_a_film_that_was_running_when_its_server_was_killed_waits_again(queue, film):
    got = ready(queue, film("a"))
    queue.start(got.entry), queue.take()
    queue.go_on()
    assert queue.find(got.entry).state == "waiting"
    queue.take(), queue.cancel(got.entry)
    queue.go_on()
    assert queue.find(got.entry).state == "cancelled"
