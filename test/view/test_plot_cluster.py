"""The figure of stability and the words that go with it."""

import polars as pl
import pytest

from bunny.table import store
from bunny.view import style
from bunny.view.plot import cluster


def _table(**index):
    rows = [
        {
            "level": "scene",
            "method": method,
            "compared_with": against,
            "rand_index": value,
            "lowest": value - 0.1,
            "num_runs": 8,
            "num_clusters": 5,
        }
        for (method, against), value in index.pop("rows", {}).items()
    ]
    return store.from_rows("stability", rows)


FULL = {
    ("incremental", "order"): 0.95,
    ("agglomerative", "sample"): 0.97,
    ("incremental", "agglomerative"): 0.7,
}


def test_each_comparison_is_a_lane_with_its_worst_try(look):
    figure = cluster.plot_stability(_table(rows=FULL))
    look("plot-stability", style.to_png(figure))
    assert figure.data["lane"].to_list() == [
        "incremental, agglomerative",
        "incremental, other orders of the shots",
        "agglomerative, nine tenths of the shots",
    ]
    assert figure.data["verdict"].to_list() == ["mostly", "steady", "steady"]
    assert figure.data["lowest"].to_list() == pytest.approx([0.6, 0.85, 0.87])


def _with_people(value, num_clusters=3):
    people = {
        "level": "unknown",
        "method": "hdbscan",
        "compared_with": "sample",
        "num_runs": 8,
        "rand_index": value,
        "lowest": value,
        "num_clusters": num_clusters,
    }
    return pl.concat([_table(rows=FULL), store.from_rows("stability", [people])])


def test_unknown_people_have_lanes_and_words_of_their_own():
    figure = cluster.plot_stability(_with_people(0.5))
    assert figure.data["lane"][0] == "people: hdbscan, nine tenths of the shots"
    assert "single shots (0.50 with a tenth" in cluster.advise(_with_people(0.5))
    assert cluster.advise(_with_people(0.91)) == cluster.advise(_table(rows=FULL))
    nobody = _with_people(0.5, num_clusters=0)  # strangers seen once each: nothing to be sure of
    assert cluster.plot_stability(nobody).data.height == len(FULL)
    assert cluster.advise(nobody) == cluster.advise(_table(rows=FULL))


def test_steady_scenes_need_nothing():
    assert cluster.advise(_table(rows=FULL)) == (
        "Scenes hardly depend on the order of the shots (0.95): nothing to do."
    )


@pytest.mark.parametrize(
    ("value", "much"), [(0.899, "somewhat"), (0.66, "somewhat"), (0.6, "much")]
)
def test_scenes_that_depend_on_the_order_name_the_setting(value, much):
    said = cluster.advise(_table(rows=FULL | {("incremental", "order"): value}))
    assert f"depend {much} on the order" in said and "clustering.scene_method" in said


def test_methods_that_disagree_and_shots_that_hold_all_together():
    low = {("incremental", "hdbscan"): 0.4, ("hdbscan", "sample"): 0.8}
    said = cluster.advise(_table(rows=FULL | low), "hdbscan")
    assert said.startswith("Scenes do not depend on the order of the shots.")
    assert "methods disagree (0.40)" in said and "0.80 with a tenth of the shots left out" in said


def test_nothing_measured_says_so():
    assert "was not measured" in cluster.advise(_table())
    figure = cluster.plot_stability(_table())
    assert type(figure.layers[0].geom).__name__ == "geom_text"
