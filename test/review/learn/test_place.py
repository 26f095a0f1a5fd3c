"""Scores and thresholds by hand."""

import numpy as np
import pytest

from bunny.review.learn import threshold_rule
from bunny.review.learn.threshold_rule import NEVER, ThresholdRule

NONE = -1
X, Y = [1.0, 0.0], [0.0, 1.0]


def scores(vectors, member, is_known, num=2):
    vectors = np.array(vectors, np.float32)
    return threshold_rule.score(vectors, np.array(member), np.array(is_known, bool), num)


def test_an_item_does_not_speak_for_itself():
    found = scores([X, [0.6, 0.8], Y], [0, 0, 1], [0, 0, 0])
    # the first against the other member alone: 0.6; the third is alone in its cluster
    assert np.allclose(found, [[0.6, 0.0], [0.6, 0.8], [0.0, -1.0]], atol=1e-6) is False
    assert found[0] == pytest.approx([0.6, 0.0])
    assert found[1] == pytest.approx([0.6, 0.8])
    assert found[2, 1] == -1


def test_the_nearest_confirmed_member_counts_half():
    found = scores([X, [0.6, 0.8], Y, [0.8, 0.6]], [0, 0, NONE, NONE], [1, 0, 0, 0])
    centroid = np.array([1.6, 0.8]) / np.hypot(1.6, 0.8)
    assert found[3, 0] == pytest.approx((centroid @ [0.8, 0.6] + 0.8) / 2, abs=1e-6)
    assert found[0, 0] == pytest.approx(0.6)  # itself is no exemplar


def test_an_empty_cluster_has_no_score():
    assert scores([X, Y], [0, 0], [0, 0], num=3)[:, 1:].tolist() == [[-1, -1]] * 2


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    member, known = rng.integers(-1, 3, 50), rng.random(50) < 0.3
    whole = scores(vectors, member, known, 3)
    monkeypatch.setattr(threshold_rule, "BLOCK", 7)
    assert np.allclose(scores(vectors, member, known, 3), whole, atol=1e-6)


def decide(rows, start, rule, barred=None):
    rows = np.array(rows, np.float32)
    bars = np.zeros(rows.shape, bool) if barred is None else np.array(barred)
    return threshold_rule.decide(rows, np.array(start), bars, rule)


def test_thresholds_are_inclusive():
    rule = ThresholdRule(join=0.75, move=0.25)
    cluster, similarity, margin = decide(
        [[0.25, 0.5], [0.25, 0.49], [0.75, 0.0], [0.74, 0.0]], [0, 0, NONE, NONE], rule
    )
    assert cluster.tolist() == [1, 0, 0, NONE]
    assert similarity.tolist() == pytest.approx([0.5, 0.25, 0.75, 0.74])
    assert margin.tolist() == pytest.approx([0.25, -0.24, 0.75, 0.74])


def test_alone_in_its_cluster_it_joins_like_noise_or_stays():
    assert decide([[-1, 0.8], [-1, 0.7]], [0, 0], ThresholdRule(join=0.75))[0].tolist() == [1, 0]


def test_never_to_a_barred_cluster():
    rule = ThresholdRule(join=-1, move=-2)
    cluster = decide([[0.9, 0.2], [0.9, 0.2]], [0, NONE], rule, [[True, False]] * 2)[0]
    assert cluster.tolist() == [1, 1]


def test_out_of_reach_nothing_changes():
    assert decide([[0.0, 1.0], [-1.0, 1.0]], [0, NONE], ThresholdRule())[0].tolist() == [0, NONE]


def calibrate(rows, start, said):
    rows = np.array(rows, np.float32)
    return threshold_rule.calibrate(
        rows, np.array(start), np.zeros(rows.shape, bool), np.array(said)
    )


def test_the_move_threshold_lies_between_right_and_wrong_moves():
    # gaps 0.5 and 0.4 are right moves, 0.1 would be wrong
    rule = calibrate([[0.2, 0.7], [0.3, 0.7], [0.6, 0.7]], [0, 0, 0], [1, 1, 0])
    assert rule.move == pytest.approx(0.25)
    assert rule.join == NEVER


def test_moves_that_lose_as_much_as_they_gain_are_left_alone():
    assert calibrate([[0.2, 0.7], [0.2, 0.7]], [0, 0], [1, 0]).move == NEVER


def test_the_join_threshold():
    rule = calibrate([[0.9, 0.1], [0.5, 0.1], [0.3, 0.1]], [NONE] * 3, [0, 0, 1])
    assert rule.join == pytest.approx(0.4)


def test_no_examples_no_rule():
    assert calibrate(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0, int)) == ThresholdRule()
