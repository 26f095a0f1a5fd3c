"""Who is who, from vectors alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.character import match

NAMES = ["anna", "ben"]


def _decide(*rows, names=NAMES, threshold=0.4, min_margin=0.05):
    return match.decide(
        names, np.array(rows, np.float32), threshold=threshold, min_margin=min_margin
    )


def test_compares_with_the_nearest_picture_and_with_their_mean():
    anna = np.eye(3, dtype=np.float32)[:2]  # two views that have nothing in common
    names, similarity = match.compare(
        np.array([[1, 0, 0], [0.7071, 0.7071, 0]], np.float32), {"anna": anna}, "sface"
    )
    assert names == ["anna"]
    assert similarity[:, 0] == pytest.approx([1.0, 1.0], abs=1e-3)


def test_near_and_clear_is_named():
    found = _decide([0.6, 0.1])
    assert found.character == ["anna"] and found.margin[0] == pytest.approx(0.5)
    assert found.confidence[0] > 0.9


def test_thresholds_are_inclusive():
    assert _decide([0.5, 0.25], threshold=0.5, min_margin=0.25).character == ["anna"]
    assert _decide([0.5, 0.25], threshold=0.501).character == [None]
    assert _decide([0.5, 0.25], min_margin=0.251).character == [None]


def test_a_stranger_is_unknown_and_surely_so():
    found = _decide([0.1, 0.0])
    assert found.character == [None] and found.best == ["anna"] and found.confidence[0] > 0.9


def test_one_character_alone_has_no_rival():
    found = _decide([0.5], names=["anna"])
    assert found.character == ["anna"] and found.margin[0] == match.NO_RIVAL


def test_nobody_to_be_and_nobody_there():
    nobody = match.decide(NAMES, np.empty((0, 2), np.float32), threshold=0, min_margin=0)
    assert nobody.character == [] and len(nobody.confidence) == 0
    lone = match.decide([], np.empty((2, 0), np.float32), threshold=0, min_margin=0)
    assert lone.character == [None, None] and lone.confidence.tolist() == [1, 1]


@given(st.floats(-1, 1), st.floats(0, 2), st.floats(0, 0.2))
def test_confidence_grows_with_similarity_and_margin(similarity, margin, more):
    here = match.confidence(np.float32(similarity), np.float32(margin))
    assert 0 <= here <= 1
    assert match.confidence(np.float32(similarity + more), np.float32(margin)) >= here
    assert match.confidence(np.float32(similarity), np.float32(margin + more)) >= here


def test_a_name_is_given_once_a_frame():
    names = match.resolve_conflicts(
        ["anna", "anna", "anna", None],
        np.array([0.5, 0.7, 0.4, 0.9]),
        [{"1"}, {"1", "2"}, {"3"}, {"1"}],
    )
    assert names == [None, "anna", "anna", None]
