"""Agreement of boundaries."""

import pytest

from bunny.video.shot.score import score_boundaries


def test_counts_by_hand():
    score = score_boundaries([10, 31, 55, 80], [10, 30, 70])
    assert (score.num_true, score.num_found, score.num_hit) == (3, 4, 2)
    assert (score.missed, score.extra) == (((70, 71),), (55, 80))
    assert (score.precision, score.recall) == (0.5, pytest.approx(2 / 3))
    assert score.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))


def test_tolerance_is_inclusive_and_each_is_used_once():
    assert score_boundaries([11], [10]).num_hit == 1
    assert score_boundaries([12], [10]).num_hit == 0
    twice = score_boundaries([10, 11], [10])
    assert (twice.num_hit, twice.extra) == (1, (11,))


def test_a_gradual_transition_is_a_span():
    assert score_boundaries([25], [(20, 30)]).num_hit == 1
    assert score_boundaries([32], [(20, 30)]).num_hit == 0


def test_ignored_spans_are_no_false_alarms():
    score = score_boundaries([10, 50], [10], ignore=[(45, 60)])
    assert (score.precision, score.extra) == (1.0, ())


def test_nothing_found_and_nothing_true():
    empty = score_boundaries([], [])
    assert (empty.precision, empty.recall, empty.f1) == (1, 1, 1)
    assert score_boundaries([], [5]).f1 == 0
