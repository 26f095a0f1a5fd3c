"""Settings that a command reads beside the stage."""

import contextlib
import threading
from types import SimpleNamespace

import bare_film
import cv2
import plain_row
import pytest

from bunny import demo, pipeline
from bunny.command import check_workspace, clean, film_workspace, forget, learn, pack
from bunny.command.option.workspace import ForgetOptions
from bunny.core import atomic, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.library.search import query
from bunny.table import store


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("yunet", "no faces found in the films"), ("hog", "expected a face, found none")],
)
def test_a_face_is_searched_by_the_detector_of_the_films(tmp_path, model, sentence):
    """A face 30 pixels high is too small for HOG; in the films there are no faces."""
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    height = round(60 * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (60, height), interpolation=cv2.INTER_AREA)
    path = tmp_path / "small.png"
    cv2.imwrite(str(path), cv2.copyMakeBorder(small, *[60] * 4, cv2.BORDER_REPLICATE))
    config = Config(detection={"face_detection_model": model})
    library = SimpleNamespace(detection_config=config.detection, face={})
    with pytest.raises(UserError, match=sentence):
        query.by_face(library, path, None, 3, [])


def test_the_seed_of_what_is_learned_is_the_one_that_is_set():
    assert learn._settings(Config(seed=5))["seed"] == 5


@pytest.mark.parametrize("least", [2, 3])
def test_as_many_corrections_are_asked_for_as_are_set(tmp_path, monkeypatch, least):
    """Nobody has corrected anything."""
    monkeypatch.chdir(tmp_path)
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    atomic.write_bytes(space.root / "source.json", b"{}")
    film = plain_row.film(25, (64, 36), per_s=25, film_id=space.film_id)
    for name, rows in {"cluster": [], "frame": [], "shot": [], "film": [film]}.items():
        store.write(space.table, name, store.from_rows(name, rows))
    with pytest.raises(UserError, match=rf"expected {least} corrections .* got 0"):
        learn.learn(None, None, (f"review.min_learn_events={least}",))


def _run_a_stage(space):
    pipeline.run_stage("cluster", space, film_workspace.load_settings(None, (), space)[1])


def _forget(space):
    try:
        forget.run(ForgetOptions(person="anna", film=space.film_id, is_removed=True))
    except UserError as error:
        if "found nobody" not in str(error):
            raise


@contextlib.contextmanager
def _another_writer(space):
    """A thread that holds the film's workspace until the event is set that is given."""
    is_held, let_go = threading.Event(), threading.Event()

    def hold():
        with workspace.lock(space):
            is_held.set()
            let_go.wait()

    other = threading.Thread(target=hold)
    other.start()
    is_held.wait()
    try:
        yield let_go
    finally:
        let_go.set()
        other.join()


WRITING = {
    "check workspace": lambda space: check_workspace.run(space.film_id, repair=True),
    "clean": lambda space: clean.run(None, clean.DEFAULT, is_removed=True),
    "clean expired": lambda space: clean.run_expired(None, is_removed=True),
    "forget": _forget,
    "pack": lambda space: pack.pack(space.film_id),
    "a stage": _run_a_stage,
}


@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING)
def test_a_command_waits_for_another_writer_as_long_as_is_set(tmp_path, monkeypatch, command):
    """The film has no frames; it is held until the command was refused, and a moment longer."""
    monkeypatch.chdir(tmp_path)
    space = bare_film.make(tmp_path)
    with _another_writer(space) as let_go:
        with pytest.raises(UserError, match="is writing to this film's workspace"):
            command(space)
        threading.Timer(0.2, let_go.set).start()
        monkeypatch.setenv("BUNNY_PIPELINE__LOCK_WAIT_SECONDS", "30")
        command(space)
        assert let_go.is_set()
