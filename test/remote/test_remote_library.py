"""`bunny library` with `data_dir: s3://…`: one library for all machines."""

import hashlib
import json
import subprocess

import pytest
from photo_film import astronaut_pictures, make_film
from small_project import command

from bunny.remote import film_index, manifest
from bunny.remote.film_sync import FilmSync
from bunny.remote.object_store import ObjectStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two films of the astronaut, run as far as their clusters."""
    folder = tmp_path_factory.mktemp("ran")
    return [
        make_film(folder, name, pictures)
        for name, pictures in zip(("one", "two"), astronaut_pictures(), strict=True)
    ]


@pytest.fixture
def films(ran, s3):
    """Their ids, with both on the server."""
    for space in ran:
        (space.root / ".remote.json").unlink(missing_ok=True)
        places = {"film": space.root, "checkpoint": space.checkpoint}
        FilmSync(ObjectStore(s3), space.film_id, places).push()
    return [space.film_id for space in ran]


@pytest.fixture
def machine(tmp_path):
    def make(name):
        home = tmp_path / name
        (home / "config").mkdir(parents=True)
        (home / "config" / "main.yaml").write_text("", encoding="utf-8")
        return home

    return make


def start(home, s3, *words):
    line = command("library", *words, "--data-dir", s3, "--json")
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=home, stdout=pipe, stderr=pipe, text=True)


def end(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def read_library(s3):
    """The library's manifest; each object that it names is there and has its hash."""
    store = ObjectStore(s3)
    found, _ = manifest.read(store, manifest.LIBRARY)
    for name, sha256 in found.files.items():
        data, _ = store.get(found.key(sha256))
        assert hashlib.sha256(data).hexdigest() == sha256, name
    return found


def read_names(s3, film_id):
    """Reference pictures that a film was given."""
    found, _ = manifest.read(ObjectStore(s3), film_id)
    return [name for name in found.files if name.startswith("film/named/")]


def test_machines_that_write_at_once_lose_nothing(s3, films, machine, proxy):
    """Each adds a film at the same moment, with one answer of nine lost; a third names somebody."""
    proxy.plan = lambda number, method, path: "lost" if number % 9 == 0 else None
    homes = [machine("one"), machine("two")]
    for process in [start(home, s3, "add", film) for home, film in zip(homes, films, strict=True)]:
        end(process)
    proxy.plan = lambda number, method, path: None
    other = machine("three")
    seen = end(start(other, s3, "show"))
    assert sorted(film["film_id"] for film in seen["films"]) == sorted(films)
    (same,) = seen["identities"]
    assert sorted(same["members"]) == sorted(f"{film}/person-01" for film in films)
    assert set(film_index.read(ObjectStore(s3))[0].films) == set(films)  # it is no film
    said = end(start(homes[0], s3, "add"))
    assert said["done"] == ["nothing new: all films that ran are in the library"]

    named = end(start(other, s3, "name", f"{films[0]}:person-01=Eileen"))
    assert set(named["given"]) == set(films)
    assert all("Eileen" in name for film in films for name in read_names(s3, film))
    assert any(name.startswith("film/reference/Eileen/") for name in read_library(s3).files)
    (same,) = end(start(homes[1], s3, "show"))["identities"]
    assert same["name"] == "Eileen"

    end(start(homes[1], s3, "remove", films[0]))
    left = end(start(homes[0], s3, "show"))
    assert [film["film_id"] for film in left["films"]] == [films[1]]
    assert read_names(s3, films[0]) == read_names(s3, films[1]) == []
    assert not any("Eileen/" in name for name in read_library(s3).files)
    assert proxy.num_lists == 0


def test_what_fails_on_the_way_changes_nothing(s3, films, machine, proxy):
    """The manifest cannot be written: what was half done here is done again, not sent."""
    home, other = machine("one"), machine("two")
    end(start(home, s3, "add", films[0]))
    before = read_library(s3)

    def refuse(number, method, path):
        return "403" if (method, "library/manifest.json" in path) == ("PUT", True) else None

    proxy.plan = refuse
    process = start(home, s3, "add", films[1])
    assert "access was denied" in process.communicate(timeout=300)[1]
    assert process.returncode == 2
    proxy.plan = lambda number, method, path: None
    assert read_library(s3) == before
    assert len(end(start(home, s3, "show"))["films"]) == 1  # what is there, not what was begun
    end(start(other, s3, "add", films[1]))
    assert len(end(start(home, s3, "show"))["films"]) == 2
    assert read_library(s3).generation == before.generation + 1
