"""What a batch's monitor says of films that run, worked out by hand."""

from dataclasses import replace

import pytest

from bunny.batch import batch_status, film_record
from bunny.batch.engine import Attempt, FilmOutcome
from bunny.batch.film_list import FINETUNE, PREPARE, FilmTask
from bunny.batch.film_record import RunningFilm
from bunny.command import batch, batch_monitor
from bunny.command.batch_monitor import BatchMonitor
from bunny.core import workspace
from bunny.core.config import Config

REPORT = {"film_id": "c-00", "stages": {"extract": {"status": "done"}}}


@pytest.fixture
def monitor(tmp_path):
    """Of films a, b and c of 100 s each, one at a time on cores and one fine-tune on a GPU."""
    waiting = batch.EMPTY | {"status": "waiting", "duration_s": 100.0}
    rows = {name: waiting | {"film": name} for name in "abc"}
    space = workspace.locate(tmp_path, "data", "batch")
    made = BatchMonitor(rows, tmp_path / "batch", space, Config())
    made.note_slots(1, 1)
    return made


def left(monitor):
    """Seconds left after a look at what runs."""
    monitor.refresh()
    return batch_status.read(monitor.record_dir.parent).seconds_left


def test_a_film_that_waits_for_its_fine_tune_alone_is_not_counted_whole(monitor, monkeypatch):
    monkeypatch.setattr(batch_monitor, "REFRESH_S", 3600.0)
    ended = tuple(
        Attempt(exit_code=0, seconds=seconds, report=REPORT, phase=phase)
        for phase, seconds in ((PREPARE, 80.0), (FINETUNE, 20.0))
    )
    with monitor:
        monitor.note(FilmOutcome(task=FilmTask(film="c"), attempts=ended), {"status": "done"})
        assert left(monitor) == 200.0  # a and b at 1 s a second, one after the other
        now = film_record.now()
        one = RunningFilm(
            film="a",
            node="n",
            attempt=1,
            phase=PREPARE,
            started_at=now,
            seen_at=now,
            seconds_left=30.0,
        )
        place = film_record.path_of(monitor.record_dir, "a")
        film_record.write(place, one)
        assert left(monitor) == 150.0  # 30 and its fine-tune of 20, then b
        film_record.remove(place)
        assert left(monitor) == 100.0  # b; the GPU has time for both fine-tunes meanwhile
        film_record.write(place, replace(one, phase=FINETUNE, seconds_left=15.0))
        assert left(monitor) == 115.0
