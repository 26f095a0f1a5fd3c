"""Time left of a batch, by hand."""

import pytest

from bunny.batch import time_left
from bunny.batch.film_record import RunningFilm
from bunny.batch.time_left import FilmPace

MOMENT = "2026-01-01T00:00:{:02d}.000+00:00"


def running(elapsed_s=0, left=None, phase=""):
    return RunningFilm(
        film="a",
        node="n",
        attempt=1,
        phase=phase,
        started_at=MOMENT.format(0),
        seen_at=MOMENT.format(elapsed_s),
        seconds_left=left,
    )


def pace(*films):
    found = FilmPace()
    for film in films:
        found.note(*film)
    return found


def test_the_rate_is_that_of_all_ended_films_together():
    assert pace((30.0, 60.0), (90.0, 120.0)).rate() == (30 + 90) / (60 + 120)
    assert pace().rate() is None


def test_before_a_film_ended_those_that_run_are_believed():
    told = [(running(10, left=20.0), 60.0), (running(5), 600.0), (running(20, left=40.0), 30.0)]
    assert pace().rate(told) == (10 + 20 + 20 + 40) / (60 + 30)
    assert pace((30.0, 60.0)).rate(told) == 0.5


def test_waiting_films_begin_where_a_worker_is_free_first():
    """Rate 0.5: 60 s of film take 30 s. Workers are free at 10 and 40 s, then at 40 and 70."""
    now = [(running(left=10.0), 60.0), (running(left=40.0), 60.0)]
    known = pace((30.0, 60.0))
    assert time_left.estimate(known, now, [60.0, 60.0], 2) == 70
    assert time_left.estimate(known, now, [60.0, 60.0], 3) == 40  # 0 to 30 s, and 10 to 40 s
    assert time_left.estimate(known, now, [], 2) == 40
    assert time_left.estimate(known, [], [60.0] * 4 + [600.0], 2) == 30 + 30 + 300
    assert time_left.estimate(known, [], [], 2) == 0


def test_nothing_is_said_where_nothing_is_known():
    assert time_left.estimate(pace(), [(running(5), 60.0)], [60.0], 2) is None
    assert time_left.estimate(pace(), [], [], 2) == 0


@pytest.mark.parametrize(
    ("film", "seconds"),
    [
        (running(10), 0.5 * 60 - 10),  # it has not said yet how long
        (running(40), 0),
        (running(10, left=25.0), 25),
        (running(10, left=25.0, phase="prepare"), 25 + 100),
        (running(10, phase="finetune"), 100 - 10),
        (running(10, left=70.0, phase="finetune"), 70),
    ],
)
def test_what_is_left_of_a_running_film(film, seconds):
    assert time_left.film_seconds_left(film, 60.0, 0.5, 100.0) == seconds


def test_fine_tunes_wait_for_gpus():
    """Four at 100 s, of which one has 40 s left, on one GPU: 340 s, though all else takes 70."""
    known = pace((120.0, 60.0, 100.0))  # 20 s, then 100 s on the GPU
    assert (known.rate(), known.mean_finetune_s()) == (2.0, 100.0)
    now = [(running(left=5.0, phase="prepare"), 10.0), (running(left=40.0, phase="finetune"), 10.0)]
    assert time_left.estimate(known, now, [10.0, 10.0], 8) == 5 + 100
    assert time_left.estimate(known, now, [10.0, 10.0], 8, 1) == 3 * 100 + 40
    assert time_left.estimate(known, now, [10.0, 10.0], 8, 4) == 105
    assert pace((1.0, 1.0)).mean_finetune_s() == 180 + 90 + 30  # of `progress.COSTS`
