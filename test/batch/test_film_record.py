"""Records of running films: written by their process, read by anybody, old when it is lost."""

import threading
from dataclasses import replace

from bunny.batch import engine, film_list, film_record
from bunny.batch.engine import FilmRunner
from bunny.batch.film_list import FilmTask
from bunny.batch.film_record import RunningFilm

ONE = RunningFilm(
    film="/films/a.mp4",
    node="n",
    attempt=1,
    phase="",
    started_at="2026-01-01T00:00:00.000+00:00",
    seen_at="2026-01-01T00:01:00.000+00:00",
)


def test_a_record_is_old_after_half_a_minute(tmp_path):
    path = film_record.path_of(tmp_path, ONE.film)
    film_record.write(path, ONE)
    assert film_record.read(path) == ONE and ONE.elapsed_s == 60
    assert list(film_record.read_all(tmp_path, "2026-01-01T00:01:29.900+00:00")) == [ONE]
    assert list(film_record.read_all(tmp_path, "2026-01-01T00:01:30.000+00:00")) == []
    film_record.remove(path)
    film_record.remove(path)
    assert film_record.read(path) is None
    path.write_text('{"film": "a"}', encoding="utf-8")
    assert list(film_record.read_all(tmp_path)) == []


def test_records_come_in_the_order_in_which_films_began(tmp_path):
    later = replace(ONE, film="b", started_at="2026-01-01T00:00:30.000+00:00")
    for one in (later, ONE):
        film_record.write(film_record.path_of(tmp_path, one.film), one)
    assert list(film_record.read_all(tmp_path, ONE.seen_at)) == [ONE, later]


def test_a_film_says_how_far_it_is_and_an_attempt_that_was_lost_is_counted(
    tmp_path, film, wait_for
):
    """The second attempt of a film whose first worker left a record."""
    path = film("long", seconds=40)
    task = FilmTask(film=str(path), until="filter")
    place = film_record.path_of(tmp_path / "running", task.film)
    film_record.write(place, replace(ONE, film=task.film, node="lost one"))
    runner = FilmRunner(tmp_path, "data", tmp_path / "log", 1, place.parent, node="this one")
    found = []
    thread = threading.Thread(target=lambda: found.append(runner.run(task)))
    thread.start()
    told = wait_for(lambda: (one := film_record.read(place)) and one.node == "this one" and one)
    assert (told.film, told.attempt) == (task.film, 2)
    if told.stage:  # a quick machine has done it before the record is renewed
        assert told.stage in ("extract", "filter") and told.num_stages == 2
        assert 0 <= told.share <= 1 and told.process
    thread.join()
    [outcome] = found
    assert [(one.node, one.error, one.seconds) for one in outcome.attempts[:-1]] == [
        ("lost one", "lost its worker", 60.0)
    ]
    assert (outcome.status, outcome.num_failed, len(outcome.attempts)) == ("done", 1, 2)
    assert not place.exists()
    assert (tmp_path / "log" / "long-1.log").exists()


def test_a_film_that_prepares_sees_no_gpu_and_others_those_that_are_given(tmp_path, monkeypatch):
    """What its process is started with, whatever Ray gave this one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    task = FilmTask(film="a.mp4")
    seen = {
        phase: engine._environment(replace(task, phase=phase), 1, None)["CUDA_VISIBLE_DEVICES"]
        for phase in ("", film_list.PREPARE, film_list.FINETUNE)
    }
    assert seen == {"": "3", "prepare": "", "finetune": "3"}
