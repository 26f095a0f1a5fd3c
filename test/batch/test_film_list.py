"""Lists of films as CSV and parquet, and what is refused in them."""

from pathlib import Path

import polars as pl
import pytest

from bunny import pipeline
from bunny.batch import film_list
from bunny.batch.film_list import FilmTask
from bunny.core.error import UserError


def test_a_csv_names_films_beside_it(tmp_path):
    path = tmp_path / "films.csv"
    path.write_text(
        "film,references,settings,until\n"
        "a.mp4,cast,extraction.quality=80; seed=3,detect\n"
        "/films/b.mp4,,,\n",
        encoding="utf-8",
    )
    first, second = film_list.read_list(path)
    assert first == FilmTask(
        film=str(tmp_path / "a.mp4"),
        references=str(tmp_path / "cast"),
        settings=("extraction.quality=80", "seed=3"),
        until="detect",
    )
    assert second == FilmTask(film="/films/b.mp4")


def test_parquet_may_hold_lists_of_settings(tmp_path):
    path = tmp_path / "films.parquet"
    pl.DataFrame({"film": ["a.mp4"], "settings": [["seed=3", "seed=4"]]}).write_parquet(path)
    [task] = film_list.read_list(path)
    assert task.settings == ("seed=3", "seed=4")


def test_arguments_of_a_task():
    task = FilmTask(film="a.mp4", references="cast", settings=("seed=3",), until="filter")
    wanted = "run a.mp4 --references cast --set seed=3 --until filter"
    assert task.to_arguments() == wanted.split()


def test_settings_of_the_batch_come_before_those_of_a_film():
    tasks = [FilmTask(film="a", settings=("seed=3",), until="detect"), FilmTask(film="b")]
    first, second = film_list.with_common(tasks, ["seed=1"], "filter")
    assert (first.settings, first.until) == (("seed=1", "seed=3"), "detect")
    assert (second.settings, second.until) == (("seed=1",), "filter")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("films.txt", b"film\na.mp4\n", r"expected a list of films as \.csv or \.parquet"),
        ("films.csv", b"name\na.mp4\n", "expected a column film.* got name"),
        ("films.csv", b"film,rank\na.mp4,1\n", "expected a column film.* got film, rank"),
        ("films.csv", b"film\n", "expected at least one film, got none"),
        ("films.csv", b"film,until\n,detect\n", "expected a film in row 1, got none"),
        ("films.csv", b"", "could not read this list of films"),
        ("films.parquet", b"PAR1 and no more", "could not read this list of films"),
    ],
)
def test_bad_lists_get_one_sentence(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        film_list.read_list(path)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_missing(tmp_path):
    with pytest.raises(UserError, match="found no such file"):
        film_list.read_list(tmp_path / "films.csv")


def test_a_film_stands_once(tmp_path):
    one = FilmTask(film=str(tmp_path / "a.mp4"))
    same = FilmTask(film=str(tmp_path / "x" / ".." / "a.mp4"), until="detect")
    with pytest.raises(UserError, match="each film once"):
        film_list.check_tasks([one, same])
    film_list.check_tasks([one, FilmTask(film=str(Path(one.film).with_name("b.mp4")))])
    with pytest.raises(UserError, match="got neither"):
        film_list.check_tasks([])


def test_long_films_are_parted_for_those_who_have_nothing_to_do():
    tasks = [FilmTask(film=name, settings=("seed=1",), until="detect") for name in "abc"]
    lengths = {"a": 59.0, "b": 60.0, "c": 135.0}  # seconds
    films, helpers = film_list.part_tasks(tasks, lengths, 30.0, most=3)
    assert films[0] == tasks[0]
    assert [task.settings[1:] for task in films] == [
        (),
        ("pipeline.num_parts=2",),
        ("pipeline.num_parts=3",),  # as many as there are workers, not four
    ]
    assert [task.film for task in helpers] == ["b", "c", "c"]
    assert helpers[0].to_arguments() == (
        ["run", "b", "--assist", "--set", "seed=1", "--set", "pipeline.num_parts=2"]
    )
    for none in ((lengths, 0.0, 3), (lengths, 30.0, 1), ({"a": None}, 30.0, 3)):
        assert film_list.part_tasks(tasks, *none) == (tasks, [])


def test_a_film_is_divided_before_its_fine_tune():
    task = FilmTask(film="a", settings=("seed=1",), until="evaluate")
    stages = ("extract", "dataset", "finetune", "evaluate")
    first, second = film_list.to_phases(task, stages)
    assert (first.phase, first.until, second.phase, second.until) == (
        "prepare",
        "pair",
        "finetune",
        "evaluate",
    )
    assert second.to_arguments() == task.to_arguments()
    assert first.settings == task.settings
    order = list(pipeline.STAGE)
    assert order[order.index("pair") + 1] == film_list.FINETUNE_STAGES[0] == "finetune"
    for stages, is_forced, phase in (
        (("extract", "dataset"), False, "prepare"),  # ends before it
        (("finetune", "generate"), False, "finetune"),
        (("extract", "finetune"), True, "finetune"),  # a second run would do all again
    ):
        [whole] = film_list.to_phases(task, stages, is_forced=is_forced)
        assert (whole.phase, whole.until) == (phase, "evaluate")
