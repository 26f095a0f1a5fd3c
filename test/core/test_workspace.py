"""Where things lie, and what is refused before anything is made."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bunny.core import workspace
from bunny.core.error import UserError


def _film(folder: Path, name: str = "My Film.mp4", data: bytes = b"film") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Mein Café 2.mp4", "mein-cafe-2"),
        ("Größe.mp4", "grosse"),
        ("日本.avi", "film"),
        ("...", "film"),
        ("a b (1) [x].mkv", "a-b-1-x"),
        ("x" * 300 + ".mp4", "x" * 48),
    ],
)
def test_film_id_is_slug_and_hash(name, slug):
    assert workspace.make_film_id(Path(name), "0123456789abcdef") == f"{slug}-01234567"


def test_film_id_follows_content_not_place(tmp_path):
    (tmp_path / "other").mkdir()
    one = workspace.create(tmp_path, "data", _film(tmp_path), None)
    two = workspace.create(tmp_path, "data", _film(tmp_path / "other"), None)
    assert one.film_id == two.film_id
    assert one.film_id.endswith(hashlib.sha256(b"film").hexdigest()[:8])
    changed = workspace.create(tmp_path, "data", _film(tmp_path, data=b"other"), None)
    assert changed.film_id != one.film_id


def test_the_default_data_dir_uses_the_projects_folders_another_one_is_whole(tmp_path):
    inside = workspace.locate(tmp_path, "data", "f-00000000")
    assert inside.root == tmp_path / "data" / "output" / "f-00000000"
    assert inside.checkpoint == tmp_path / "checkpoint" / "f-00000000"
    outside = workspace.locate(tmp_path, str(tmp_path / "else"), "f-00000000")
    assert outside.checkpoint == tmp_path / "else" / "checkpoint" / "f-00000000"
    assert outside.log == tmp_path / "else" / "log"


def test_references_are_remembered_and_their_change_is_seen(tmp_path):
    references = tmp_path / "ref"
    references.mkdir()
    (references / "anna.jpg").write_bytes(b"1")
    film = _film(tmp_path)
    first = workspace.create(tmp_path, "data", film, references).source()
    assert workspace.create(tmp_path, "data", film, None).source() == first
    (references / "anna.jpg").write_bytes(b"2")
    assert workspace.create(tmp_path, "data", film, None).source() != first


def test_a_film_replaced_by_one_of_the_same_size_is_another_film(tmp_path):
    film = _film(tmp_path, data=b"one film")
    one = workspace.create(tmp_path, "data", film, None)
    time = film.stat().st_mtime_ns
    film.write_bytes(b"two film")
    os.utime(film, ns=(time + 1, time + 1))  # the least that a clock tells
    two = workspace.create(tmp_path, "data", film, None)
    assert two.film_id != one.film_id
    assert two.film_id.endswith(hashlib.sha256(b"two film").hexdigest()[:8])
    film.write_bytes(b"one film")
    os.utime(film, ns=(time, time))
    assert workspace.create(tmp_path, "data", film, None) == one


def test_pictures_of_a_folder_count_by_name_and_by_content(tmp_path):
    """All of one size and one time: only what is in them, and what they are called, differs."""
    film = tmp_path / "pictures"
    film.mkdir()

    def film_id(**pictures):
        for path in film.iterdir():
            path.unlink()
        for name, data in pictures.items():
            (film / f"{name}.png").write_bytes(data)
            os.utime(film / f"{name}.png", (1, 1))
        return workspace.create(tmp_path, "data", film, None).film_id

    first = film_id(a1=b"red", a2=b"sky")
    others = [
        film_id(a1=b"red", a2=b"sea"),
        film_id(a1=b"sky", a2=b"red"),
        film_id(a1=b"red", a3=b"sky"),
        film_id(a1=b"reds", a2=b"ky"),
        film_id(a1=b"red"),
    ]
    assert len({first, *others}) == 6
    assert film_id(a2=b"sky", a1=b"red") == first


def test_a_reference_of_another_name_or_content_is_seen_whatever_its_size_and_time(tmp_path):
    film, references = _film(tmp_path), tmp_path / "ref"

    def known(**pictures):
        for path in references.iterdir() if references.exists() else ():
            path.unlink()
        references.mkdir(exist_ok=True)
        for name, data in pictures.items():
            (references / f"{name}.jpg").write_bytes(data)
            os.utime(references / f"{name}.jpg", (1, 1))
        return workspace.create(tmp_path, "data", film, references).source()["reference_hash"]

    first = known(anna=b"1", ben=b"2")
    others = [known(anna=b"2", ben=b"1"), known(bella=b"1", ben=b"2"), known(anna=b"1", ben=b"3")]
    assert len({first, *others}) == 4
    assert known(ben=b"2", anna=b"1") == first


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_what_is_no_film_is_refused_in_one_sentence(tmp_path, kind):
    path = tmp_path / "x.mp4"
    if kind == "empty":
        path.touch()
    if kind == "folder":
        path.mkdir()
    with pytest.raises(UserError, match="expected a film") as caught:
        workspace.create(tmp_path, "data", path, None)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_what_is_no_reference_folder_is_refused(tmp_path, kind):
    path = tmp_path / "ref"
    if kind == "file":
        path.write_bytes(b"")
    if kind == "empty":
        path.mkdir()
    with pytest.raises(UserError, match="expected"):
        workspace.create(tmp_path, "data", _film(tmp_path), path)


def test_object_storage_as_data_dir_is_refused_plainly(tmp_path):
    with pytest.raises(UserError, match="s3://bucket"):
        workspace.locate(tmp_path, "s3://bucket", "f")


def test_two_writers_at_once_are_told(tmp_path):
    space = workspace.create(tmp_path, "data", _film(tmp_path), None)
    code = (
        "import sys, pathlib; from bunny.core import workspace;"
        "s = workspace.locate(pathlib.Path(sys.argv[1]), 'data', sys.argv[2]);"
        "c = workspace.lock(s); c.__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path), space.film_id]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        who = rf"process {other.pid} on \S+ \(since 20\d\d-\d\d-\d\d [\d:]{{8}} UTC\) is writing"
        with pytest.raises(UserError, match=who), workspace.lock(space):
            pass
        (space.root / ".lock.json").write_text("{", encoding="utf-8")  # cut off: nobody is named
        with pytest.raises(UserError, match="another command is writing"), workspace.lock(space):
            pass
        stop = threading.Timer(1.0, other.kill)
        stop.start()
        with workspace.lock(space, wait_s=30):  # once the other one is gone
            assert other.wait(5) != 0
    with workspace.lock(space):
        pass  # the lock fell with its process


def test_find_by_beginning_and_newest_last(tmp_path):
    one = workspace.create(tmp_path, "data", _film(tmp_path, "one.mp4", b"1"), None)
    two = workspace.create(tmp_path, "data", _film(tmp_path, "two.mp4", b"2"), None)
    os.utime(one.root / "source.json", (2e9, 2e9))
    assert [s.film_id for s in workspace.find(tmp_path, "data")] == [two.film_id, one.film_id]
    assert workspace.find(tmp_path, "data", "tw") == [two]
    assert workspace.find(tmp_path, "data", "three") == []
