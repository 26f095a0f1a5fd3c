"""The simulated person: what a click costs and what it can bring."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import simulated_reviewer
from simulated_reviewer import SimulatedLibrary

sys.path.pop(0)


@pytest.fixture
def fragments():
    """Twenty of anna in two clusters of 12 and 8, twenty of bob; two of bob's lie with anna."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 20)
    vector = np.eye(2)[truth] + 0.05 * rng.normal(size=(40, 2))
    start = np.where(truth == 1, 2, np.where(np.arange(40) < 12, 0, 1))
    start[-2:] = 0
    return SimulatedLibrary(vector=vector, start=start, truth=truth)


def curve(library, order, way="none", shares=(0.0, 0.025, 0.05)):
    return simulated_reviewer.curve(library, order, way, shares=shares, held_out_share=0.25, seed=1)


def test_a_fragment_is_right_for_nobody_until_it_is_named(fragments):
    found = curve(fragments, "cluster")
    # before: 12 of anna and 18 of bob; one click (1/40) joins the eight
    assert found["library"].to_list()[:2] == pytest.approx([30 / 40, 38 / 40])
    assert found["clicks"].to_list() == [0, 1, 2]


def test_without_learning_a_click_mends_one_item(fragments):
    found = curve(fragments, "random", shares=(0.0, 0.25, 0.5))
    assert (np.diff(found["library"]) * 40 <= 10).all()
    assert found["accuracy"].n_unique() == 1  # nobody clicks on held-out items


def test_held_out_items_are_never_clicked(fragments):
    found = curve(fragments, "doubt", shares=(0.0, 1.0))
    assert found["clicks"].to_list() == [0, 30]


def test_everything_named_and_clicked_is_right(fragments):
    found = simulated_reviewer.curve(
        fragments, "cluster", "none", shares=(1.0,), held_out_share=0.0
    )
    assert found["library"].to_list() == [1.0]


def test_learning_spreads_a_click(fragments):
    start = np.where(np.arange(40) % 2, fragments.truth, -1)  # half of all lie in the noise bucket
    half = SimulatedLibrary(vector=fragments.vector, start=start, truth=fragments.truth)
    found = curve(half, "random", "threshold", shares=(0.0, 0.3))
    assert found["accuracy"][0] < 0.8
    assert found["accuracy"][1] == 1


def test_the_same_person_clicks_the_same(fragments):
    one, again = (curve(fragments, "random") for _ in range(2))
    assert one.equals(again)


def test_questions_by_worth_put_right_many_by_a_click(fragments):
    shares = (0.0, 0.025, 0.05)
    found = simulated_reviewer.curve(fragments, "gain", "none", shares=shares, held_out_share=0.0)
    # first the eight of anna, then bob's two that lie with anna
    assert found["library"].to_list() == pytest.approx([30 / 40, 38 / 40, 1])
    assert found["clicks"].to_list() == [0, 1, 2]


def test_held_out_items_go_with_the_run_they_lie_in(fragments):
    found = curve(fragments, "gain", shares=(0.0, 0.1))
    assert found["accuracy"][0] < 1
    assert found["accuracy"][1] == 1  # though nobody clicked on them


@pytest.fixture
def row():
    """Six in cluster 2, which is nobody's: four of anna, one of bob, one of anna held out."""
    truth = np.array([0, 0, 0, 0, 1, 0, 1])
    library = SimulatedLibrary(vector=np.eye(7), start=np.array([2, 2, 2, 2, 2, 2, 1]), truth=truth)
    items = simulated_reviewer.begin(library)
    return replace(items, start=np.array([2] * 6 + [1]), clusters=("a", "b", "c")), truth


def test_a_run_costs_a_click_and_one_for_each_that_belongs_elsewhere(row):
    items, truth = row
    after, spent = simulated_reviewer.drag(items, truth, np.arange(6), np.arange(5))
    assert spent == 2
    assert after.said.tolist() == [0, 0, 0, 0, 1, -1, -1]
    assert after.start.tolist() == [2, 2, 2, 2, 2, 0, 1]  # the held-out one follows
    assert after.group[0] == after.group[3] != after.group[4]
    assert after.is_fixed.tolist() == [True] * 5 + [False] * 2


def test_a_page_is_approved_by_one_click_and_one_for_each_wrong_item(row):
    items, truth = row
    after, spent = simulated_reviewer.approve(items, truth, np.array([6, 4, 0]))
    assert spent == 3  # bob's 6 is where he belongs, the others lie in nobody's cluster
    assert after.said[[6, 4, 0]].tolist() == [1, 1, 0]
    assert len(set(after.group[[6, 4, 0]].tolist())) == 3


def test_unknown_orders_are_refused(fragments):
    with pytest.raises(ValueError, match="sideways"):
        curve(fragments, "sideways")
