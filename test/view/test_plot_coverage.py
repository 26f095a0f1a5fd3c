import numpy as np
import polars as pl
import pytest
import table_row

from bunny.dataset import coverage
from bunny.table import store
from bunny.view import style
from bunny.view.plot import dataset_coverage as plot_coverage

WIDTH_PX = {round(inches * 96) for inches in (8.0, 6.5)}
POSES = ("left-profile", "left", "frontal", "right", "right-profile", "unknown")


def make_dataset(number: int, places: int, poses=POSES) -> pl.DataFrame:
    """Pictures that go round poses, sizes, light and places; every seventh is in no place."""
    rows = [
        {"image_id": f"i{n:04d}", "character": "anna", "frame_id": f"f{n}", "role": "subject"}
        | {"subject_id": f"f{n}-f0", "shot_index": n // 3, "pose": poses[n % len(poses)]}
        | {"shot_size": ("close-up", "medium", "wide")[n // 5 % 3]}
        | {"place": None if n % 7 == 6 else f"scene-{n % places:03d}"}
        | {"light": ("dark", "medium", None)[n // 2 % 3]}
        for n in range(number)
    ]
    return table_row.table("dataset", rows)


def make_near(number: int) -> pl.DataFrame:
    dataset = make_dataset(number, 2)
    return coverage.nearest(dataset, np.random.default_rng(0).normal(size=(number, 6)))


@pytest.mark.parametrize(
    ("number", "places", "poses"),
    [(1, 1, POSES), (5, 4, POSES), (500, 40, POSES), (60, 1, POSES), (71, 30, ("unknown",))],
)
@pytest.mark.parametrize("name", ["plot_cells", "plot_balance", "plot_places"])
def test_plots_of_small_and_large_sets(name, number, places, poses, look):
    """Drawn without a warning (they are errors) at a width of the theme, and not too high."""
    figure = getattr(plot_coverage, name)(make_dataset(number, places, poses))
    png = style.to_png(figure)
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert width in WIDTH_PX and height < 800
    if number == 500:
        look(name.replace("_", "-"), png)


@pytest.mark.parametrize("number", [2, 5, 300])
def test_neighbours_of_small_and_large_sets(number, look):
    png = style.to_png(plot_coverage.plot_neighbours(make_near(number)))
    assert png.startswith(b"\x89PNG")
    if number == 300:
        look("plot-neighbours", png)


def test_neighbours_that_are_all_the_same():
    near = make_near(4).with_columns(distance=pl.lit(0.0))
    figure = plot_coverage.plot_neighbours(near)
    assert "4 of 4 resemble another picture" in figure.labels.subtitle
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_plots_of_a_film(table, look):
    look("plot-cells-of-a-film", style.to_png(plot_coverage.plot_cells(table("dataset"))))
    look("plot-choice-reasons", style.to_png(plot_coverage.plot_reasons(table("candidate"))))


@pytest.mark.parametrize(
    "figure",
    [
        plot_coverage.plot_cells(store.from_rows("dataset", [])),
        plot_coverage.plot_balance(store.from_rows("dataset", [])),
        plot_coverage.plot_places(store.from_rows("dataset", [])),
        plot_coverage.plot_neighbours(make_near(1)),
        plot_coverage.plot_reasons(store.from_rows("candidate", [])),
    ],
)
def test_plots_of_nothing_say_so(figure):
    assert type(figure.layers[0].geom).__name__ == "geom_text"
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_cells_count_gaps_of_known_poses_only():
    figure = plot_coverage.plot_cells(make_dataset(6, 1))
    assert figure.labels.subtitle.startswith("10 of 15 pose-size cells empty")
    assert figure.data["is_gap"].sum() == 10


def test_empty_cells_without_poses_are_those_of_sizes():
    """Five pictures of two places, all close-up: two of three sizes are empty, in each place."""
    figure = plot_coverage.plot_cells(make_dataset(5, 2, ("unknown",)))
    assert figure.labels.subtitle.startswith("2 of 3 sizes empty (poses are unknown)")
    gaps = figure.data.filter("is_gap")
    assert set(gaps["shot_size"]) == {"medium", "wide"} and gaps.height == 4


def test_each_of_several_characters_has_its_own_cells():
    two = pl.concat([make_dataset(6, 1), make_dataset(1, 1).with_columns(character=pl.lit("ben"))])
    figure = plot_coverage.plot_cells(two)
    assert figure.labels.subtitle.splitlines()[:2] == [
        "anna: 10 of 15 pose-size cells empty",
        "ben: 14 of 15 pose-size cells empty",
    ]
    assert figure.data.filter("is_gap").group_by("panel").len().sort("panel")["len"].to_list() == [
        10,
        14,
    ]


def test_places_past_the_limit_are_counted_together():
    top = plot_coverage.plot_places(make_dataset(700, 40)).data
    assert top["place"].to_list()[-2:] == ["other places", "no place"]
    assert top["pictures"].sum() == 700
    assert top.filter(pl.col("place") == "no place")["pictures"].item() == 100


def test_reasons_name_the_filters_own(table):
    candidate = table("candidate").with_columns(
        reason=pl.when(pl.col("shot_index") == 0).then(pl.lit("soft")).otherwise("reason")
    )
    counts = plot_coverage.count_reasons(candidate)
    assert counts.rows() == [
        ("chosen", 11, True),
        ("filtered: blurred", 10, False),
        ("soft", 3, False),
    ]
