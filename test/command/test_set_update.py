"""Sets that are out of date: what is counted, what is refused, and the run that follows."""

import shutil
import time

import pytest

from bunny import pipeline
from bunny.batch import film_record
from bunny.command import film_workspace, set_update
from bunny.command.set_update import SetChange
from bunny.core.error import UserError
from bunny.review import create_event, event_log
from bunny.review.state import ReviewState
from bunny.table import store

SETTING = "models.max_images=3"


@pytest.fixture
def space(small_project, tmp_path, monkeypatch):
    """A finished film of its own, with the project's settings."""
    folder = shutil.copytree(
        small_project.folder,
        tmp_path / "project",
        ignore=shutil.ignore_patterns(".*.tmp", "state.json"),  # tests beside this one use it
    )
    monkeypatch.chdir(folder)
    return film_workspace.open_film(None)[0]


def load(space, *settings):
    return film_workspace.load_settings(None, settings, space)[1]


def find(space, *settings):
    return set_update.find_change(space, load(space, *settings))


class Mia:
    """Somebody who corrects a film."""

    def __init__(self, space):
        self.root, self.context = space.root, create_event.EventContext(user="mia")
        self.state = ReviewState.of(store.read(space.table, "asset"), None)
        self.character = self.state.frame().filter(level="character")

    def say(self, make, *arguments, **options):
        event = make(self.state, self.context, *arguments, **options)
        event_log.append(self.root, [event])
        self.state.apply(event)
        return event

    def rename(self, name):
        cluster = self.character["cluster_id"].drop_nulls()[0]
        return self.say(create_event.rename, cluster, name, level="character")

    def undo(self, event):
        return self.say(create_event.undo, event.event_id)


def test_a_finished_film_lacks_nothing(space):
    assert find(space) == SetChange()
    assert not find(space)


def test_what_holds_and_is_not_in_the_set_is_counted(space):
    mia = Mia(space)
    renamed = mia.rename("hare")
    assert find(space) == SetChange(num_corrections=1)
    mia.say(create_event.comment, [mia.character["asset_id"][0]], "look")  # changes no set
    assert find(space).describe() == "1 correction not yet in the set"
    undone = mia.undo(renamed)
    assert find(space) == SetChange()  # nothing since the set was made
    redone = mia.undo(undone)
    assert find(space).num_corrections == 1
    config = load(space)
    pipeline.run_stage("review", space, config)  # the set is not made from that yet
    assert find(space) == SetChange(num_corrections=1)
    pipeline.run(space, config, ["caption", "dataset"])
    assert find(space) == SetChange()
    mia.undo(redone)  # what is in the set holds no longer
    assert find(space) == SetChange(num_corrections=1)


def test_changed_settings_are_named(space):
    before = load(space).models.max_images
    assert find(space, SETTING) == SetChange(others=(f"models.max_images {before} -> 3",))
    Mia(space).rename("hare")
    told = find(space, SETTING).describe()
    assert told.startswith("1 correction not yet in the set; changed since the set was made: mod")


def test_a_set_that_is_out_of_date_is_not_approved(bunny, space):
    Mia(space).rename("hare")
    code, _, error = bunny("approve", space.film_id, "--by", "Mia")
    assert code == 2
    assert "expected a training set that is up to date, found 1 correction not yet in" in error
    assert f"press Apply on the board or run `bunny run {space.film_id} --until dataset`" in error
    assert not (space.root / "approval.jsonl").exists()
    with pytest.raises(UserError, match="press Apply"):
        set_update.SetUpdate(space, lambda: load(space)).check()
    assert bunny("approve", space.film_id, "--show")[0] == 0
    error = bunny("approve", space.film_id, "--set", SETTING)[2]
    assert "changed since the set was made: models.max_images" in error


@pytest.mark.slow
def test_the_run_is_one_of_its_own_and_its_failure_a_sentence(space):
    update = set_update.SetUpdate(space, lambda: load(space))
    assert update.describe() == {
        "text": "",
        "is_running": False,
        "share": 0.0,
        "progress": "",
        "error": "",
    }
    Mia(space).rename("hare")
    update.start()
    told = wait(update)
    assert (told["text"], told["error"]) == ("", "")
    assert "hare" in store.read(space.table, "label_corrected")["character"].to_list()
    source = space.source()
    (space.root / "source.json").write_text(
        (space.root / "source.json").read_text().replace(source["film"], "/gone.mp4")
    )
    update.start()
    assert "gone.mp4" in wait(update)["error"]


def wait(update):
    """The answer once no run goes on, after one that said that one does."""
    told = update.describe()
    assert told["is_running"] and told["progress"]
    ends = time.monotonic() + 120
    while (told := update.describe())["is_running"] and time.monotonic() < ends:
        time.sleep(0.1)
    assert not list(film_record.read_all(update._folder))
    return told
