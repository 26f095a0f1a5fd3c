"""Held-out corrections decide."""

import numpy as np
import pytest

from bunny.review.learn import cross_validation, method, triplet

QUICK = triplet.TripletTraining(steps=60)
CHEAP = ("threshold", "correlation")


def library(lit, make_items, wrong=40, said=120, seed=0):
    """Every fourth item or so lies in a wrong cluster; people placed the first `said`."""
    vector, who = lit(n=200, seed=seed)
    start = who.copy()
    start[:wrong] = (who[:wrong] + 1) % 4
    order = np.random.default_rng(seed).permutation(200)
    vector, who, start = vector[order], who[order], start[order]
    return make_items(vector, start, np.where(np.arange(200) < said, who, -1)), who


def test_what_helps_is_chosen_and_puts_the_rest_right(lit, make_items):
    items, who = library(lit, make_items)
    found = cross_validation.run(items, CHEAP, training=QUICK)
    row = {r["method"]: r for r in found.table.to_dicts()}
    assert found.best == "correlation"
    assert row["correlation"]["gain_low"] > 0
    assert row["none"]["accuracy"] == pytest.approx((items.start == who)[:120].mean())
    rest = np.flatnonzero(~items.is_said)
    cluster, _, _ = method.predict(found.learned, items, items.is_said, rest)
    assert (cluster == who[rest]).mean() > (items.start == who)[rest].mean() + 0.1


def test_where_nothing_is_to_learn_nothing_is_deployed(make_items):
    rng = np.random.default_rng(0)
    vector, said = rng.normal(size=(80, 6)), rng.integers(0, 3, 80)
    items = make_items(vector, rng.integers(0, 3, 80), said)
    found = cross_validation.run(items, CHEAP, training=QUICK)
    assert (found.best, found.learned) == ("none", None)
    assert "more than its confidence interval" in found.reason


def test_without_approvals_harm_would_not_be_seen(lit, make_items):
    items, _ = library(lit, make_items, wrong=200, said=30)
    found = cross_validation.run(items, ("threshold",), training=QUICK)
    assert found.best == "none"
    assert "approve some" in found.reason


def test_few_groups_cannot_judge(lit, make_items):
    items, _ = library(lit, make_items)
    one = make_items(items.vector, items.start, items.said, np.where(items.is_said, 0, -1))
    found = cross_validation.run(one, ("threshold",), training=QUICK)
    assert found.best == "none"
    assert found.num_groups == 1


def test_a_cluster_nobody_else_knows_is_not_judged(make_items):
    # the last item founds a cluster of its own: no other part could know of it
    items = make_items(np.eye(4), [0, 0, 0, 0], [0, 0, 0, 1], clusters=2)
    assert cross_validation.run(items, ("threshold",), training=QUICK).num_items == 3


def test_rejections_judge_too(make_items):
    # two of each pair of eight are placed where they lie; of the last two a person said: not there
    vector = np.repeat(np.eye(2), 5, axis=0)
    start = np.repeat([0, 1], 5)
    said = [0, 0, 0, 0, -1, 1, 1, 1, 1, -1]
    items = make_items(vector, start, said, np.arange(10), barred=[(4, 0), (9, 1)])
    found = cross_validation.run(items, ("threshold",), training=QUICK)
    assert found.num_items == 10
    assert found.table["accuracy"][0] == pytest.approx(8 / 10)


def test_a_rejected_item_is_right_anywhere_but_there(make_items):
    items = make_items(np.eye(3), [0, 1, 2], [0, 1, -1], np.arange(3), barred=[(2, 2)])
    known = cross_validation._hide(items, np.array([2]))
    assert not known.barred.any()  # the rejection is hidden from what it judges
    hits = cross_validation._hits(items, known, np.array([0, 2]), "none", QUICK)
    assert hits.tolist() == [True, False]
    moved = make_items(np.eye(3), [0, 1, -1], [0, 1, -1], np.arange(3), [(2, 2)], clusters=3)
    known = cross_validation._hide(moved, np.array([2]))
    assert cross_validation._hits(moved, known, np.array([2]), "none", QUICK).tolist() == [True]


def test_the_report_is_on_what_neither_trained_nor_chose(lit, make_items):
    items, _ = library(lit, make_items)
    found = cross_validation.run(items, ("correlation",), training=QUICK)
    assert found.report["gain_low"] > 0
    row = found.table.filter(method="correlation").row(0, named=True)
    assert f"{found.report['gain']:+.3f}" in found.reason
    assert found.report["accuracy"] == pytest.approx(row["accuracy"], abs=0.1)


def test_only_a_sure_report_deploys():
    sure = {"gain": 0.2, "gain_low": 0.01, "gain_high": 0.4}
    assert cross_validation._stand("threshold", sure)[0] == "threshold"
    best, reason = cross_validation._stand("threshold", {**sure, "gain_low": 0.0})
    assert best == "none"
    assert "not significantly: gain +0.200" in reason


def test_judge_by_hand():
    right = {"none": np.array([1, 0, 0, 1], bool), "threshold": np.array([1, 1, 1, 1], bool)}
    table = cross_validation.judge(right, np.array([0, 1, 2, 3]))
    row = table.filter(method="threshold").row(0, named=True)
    assert (row["accuracy"], row["low"], row["high"], row["gain"]) == (1, 1, 1, 0.5)
    assert 0 <= row["gain_low"] < 0.5 < row["gain_high"] <= 1


def test_groups_are_drawn_together():
    right = {"none": np.zeros(40, bool), "threshold": np.arange(40) < 20}
    alone = cross_validation.judge(right, np.arange(40)).row(1, named=True)
    pairs = cross_validation.judge(right, np.arange(40) // 20).row(1, named=True)
    assert alone["gain_low"] > 0
    assert pairs["gain_low"] == 0


def test_more_methods_make_the_interval_wider():
    rng = np.random.default_rng(0)
    none, better = rng.random(60) < 0.5, rng.random(60) < 0.8
    one = cross_validation.judge({"none": none, "threshold": better}, np.arange(60))
    three = cross_validation.judge(
        {"none": none, "threshold": better, "a": none, "b": none}, np.arange(60)
    )
    assert three["gain_low"][1] < one["gain_low"][1]


def test_nothing_placed_nothing_judged(make_items):
    found = cross_validation.run(make_items(np.eye(3), [0, 1, 2]), ("threshold",), training=QUICK)
    assert found.best == "none"
    assert found.table["accuracy"].null_count() == 2
