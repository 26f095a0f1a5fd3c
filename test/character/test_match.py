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


def test_compares_halfway_between_the_nearest_picture_and_their_mean():
    """The mean of two views that have nothing in common is at 45 degrees: cosine 0.7071."""
    anna = np.eye(3, dtype=np.float32)[:2]
    names, similarity = match.compare(
        np.array([[1, 0, 0], [0.7071, 0.7071, 0]], np.float32), {"anna": anna}, "sface"
    )
    assert names == ["anna"]
    assert similarity[:, 0] == pytest.approx([0.8536, 0.8536], abs=1e-3)


def _tracks(views, number, quality, reference=None):
    views = np.array(views, np.float32)
    portrait = np.stack([views[np.array(number) == k].mean(axis=0) for k in range(max(number) + 1)])
    reference = reference or {"anna": np.eye(2, dtype=np.float32)[:1]}
    view = match.TrackViews(
        portrait=portrait,
        vector=views,
        number=np.array(number),
        quality=np.array(quality),
        clarity=np.ones(len(portrait)),
        recogniser="sface",
    )
    return match.compare_views(view, reference, None)[1][:, 0]


def test_a_track_counts_by_its_portrait_and_the_upper_quartile_of_its_views():
    views = [[s, np.sqrt(1 - s**2)] for s in (0.1, 0.2, 0.3, 0.4, 0.9)]
    assert _tracks(views, [0] * 5, [1.0] * 5)[0] == pytest.approx((0.38 + 0.4) / 2, abs=1e-4)
    single = _tracks([*views, [1, 0]], [0] * 5 + [1], [1.0] * 6)
    assert single == pytest.approx([0.39, 1.0], abs=1e-4)


def test_poor_views_of_a_track_do_not_count():
    views = [[0.5, np.sqrt(0.75)], [-1, 0]]
    assert _tracks(views, [0, 0], [1.0, 0.49])[0] == pytest.approx((-0.25 + 0.5) / 2)
    assert _tracks(views, [0, 0], [1.0, 0.5])[0] == pytest.approx((-0.25 + 0.5) / 2)


def test_order_of_views_does_not_matter():
    views = np.random.default_rng(0).normal(size=(12, 2))
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    number, quality = np.arange(12) % 3, np.linspace(0.1, 1, 12)
    shuffled = np.random.default_rng(1).permutation(12)
    one = _tracks(views, number.tolist(), quality)
    other = _tracks(views[shuffled], number[shuffled].tolist(), quality[shuffled])
    assert one == pytest.approx(other)


def test_each_subject_may_have_its_own_threshold():
    found = _decide([0.5, 0.1], [0.5, 0.1], threshold=np.array([0.5, 0.51]))
    assert found.character == ["anna", None]


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
    here = match.probability(np.float32(similarity), np.float32(margin))
    assert 0 <= here <= 1
    assert match.probability(np.float32(similarity + more), np.float32(margin)) >= here
    assert match.probability(np.float32(similarity), np.float32(margin + more)) >= here


def test_confidence_by_hand():
    """Slope 12 around similarity 0.40, slope 4 around margin 0.10, which counts from -1 to 0.5."""
    similarity = np.array([0.4, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4])
    margin = np.array([0.1, 0.1, 0.2, 0.5, 2.0, -1.0, -3.0])
    chance = match.probability(similarity, margin)
    # 1 / (1 + exp(-score)) of the scores 0, 1.2, 0.4, 1.6, 1.6, -4.4, -4.4
    by_hand = [0.5, 0.768525, 0.598688, 0.832018, 0.832018, 0.012128, 0.012128]
    assert chance == pytest.approx(by_hand, abs=1e-6)
    assert chance.dtype == np.float32


def test_decide_uses_the_weight_it_is_given():
    """Slope 20 around 0.5, the margin without weight: 1 / (1 + exp(-2)) = 0.8808."""
    found = match.decide(
        NAMES,
        np.array([[0.6, 0.1], [0.6, 0.58]]),
        threshold=0.4,
        min_margin=0.05,
        weight=(20.0, 0.5, 0.0, 0.0),
    )
    assert found.character == ["anna", None]
    assert found.confidence == pytest.approx([0.880797, 1 - 0.880797])
    assert found.confidence.dtype == np.float32


def test_of_equals_the_first_name_is_the_best():
    names = [f"n{i:02d}" for i in range(64)]
    found = match.decide(names, np.full((3, 64), 0.5), threshold=0.4, min_margin=0.0)
    assert found.character == ["n00"] * 3 and found.margin.tolist() == [0, 0, 0]


def test_similarities_stay_in_single_precision():
    reference = {"ben": np.eye(2)[1:], "anna": np.eye(2)[:1]}  # doubles, and not in order
    names, similarity = match.compare(np.eye(2, dtype=np.float32), reference, "sface")
    assert names == ["anna", "ben"] and similarity.dtype == np.float32
    assert similarity.tolist() == [[1, 0], [0, 1]]


def test_a_name_is_given_once_a_frame():
    names = match.resolve_conflicts(
        ["anna", "anna", "anna", None],
        np.array([0.5, 0.7, 0.4, 0.9]),
        [{"1"}, {"1", "2"}, {"3"}, {"1"}],
    )
    assert names == [None, "anna", "anna", None]
