"""A run killed in every stage and resumed ends with an uninterrupted run's bytes.

`python_script/soak_kill.py` does the same at random moments as often as one likes.
"""

import shutil
import signal
import sys

import pytest
import soak_kill
import workspace_difference

from bunny import pipeline
from bunny.core import workspace
from bunny.review import event_log

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and process groups"),
]

NUM_KILLS = 13


@pytest.fixture(scope="module")
def killed(small_project, tmp_path_factory):
    """A run killed in all stages while somebody comments, and what was acknowledged by then."""
    folder = tmp_path_factory.mktemp("kill")
    events = soak_kill.make_comments(small_project)
    on = soak_kill.CLIPS_AND_PAIRS
    killer = soak_kill.Killer(small_project, folder / "data", events, seed=3, settings=on)
    attempts = [killer.run_until(seconds=1.0)]  # somewhere in its beginning
    for stage in pipeline.STAGE:
        attempts.append(killer.run_until(stage, seconds=0.02))
    last = [killer.run_until(), killer.run_until()]
    return killer, attempts, [one for done in attempts + last for one in done.acknowledged]


def test_kills_fall_into_most_stages(killed):
    _, attempts, _ = killed
    assert [one.code for one in attempts].count(-signal.SIGKILL) >= NUM_KILLS - 2
    assert len({one.place for one in attempts} - {""}) >= 10


def test_tables_pictures_and_adapter_equal_an_uninterrupted_run(killed, small_project, tmp_path):
    """The finished project is given the comments; stages review, clip and pair run on it."""
    killer, _, _ = killed
    film_id = killer.space.film_id
    done = workspace.locate(small_project.folder, str(small_project.folder / "data"), film_id)
    whole = workspace.locate(small_project.folder, str(tmp_path), film_id)
    shutil.copytree(done.root, whole.root)
    shutil.copytree(done.checkpoint, whole.checkpoint)
    event_log.append(whole.root, killer.events)
    small_project.run(tmp_path, *(p for one in soak_kill.CLIPS_AND_PAIRS for p in ("--set", one)))
    assert any((killer.root / "clip").rglob("*.mp4"))
    assert workspace_difference.find(whole, killer.space) == []


def test_what_was_acknowledged_is_in_the_record_once(killed):
    killer, _, acknowledged = killed
    assert len(acknowledged) == soak_kill.NUM_COMMENTS
    assert soak_kill.count_lost(killer.root, acknowledged) == 0
    assert [event.text for event in event_log.read(killer.root)] == [
        f"note {i}" for i in range(soak_kill.NUM_COMMENTS)
    ]
