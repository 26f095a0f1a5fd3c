import math

import numpy as np
import pytest

from bunny.dataset import vendi


@pytest.mark.parametrize("order", [0.5, 1, 2, math.inf])
@pytest.mark.parametrize("copies", [1, 4])
def test_vendi_of_identical_and_orthogonal_pictures(order, copies):
    """n the same: 1; n at right angles: n, however often each is repeated."""
    same = np.tile([[3.0, 4.0, 0.0]], (5 * copies, 1))
    apart = np.repeat(np.eye(4) * [[1], [2], [3], [9]], copies, axis=0)
    assert vendi.vendi_score(same, order) == pytest.approx(1)
    assert vendi.vendi_score(apart, order) == pytest.approx(4)


def test_vendi_of_two_groups_by_hand():
    """Three of one look and one of another: eigenvalues 3/4 and 1/4."""
    vector = np.array([[1.0, 0], [2, 0], [5, 0], [0, 1]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert vendi.vendi_score(vector) == pytest.approx(math.exp(entropy))
    assert vendi.vendi_score(vector, math.inf) == pytest.approx(4 / 3)
    assert vendi.vendi_score(vector, 2) == pytest.approx(1 / (0.75**2 + 0.25**2))


def test_vendi_of_two_pictures_with_a_cosine_by_hand():
    """Cosine 0.6: eigenvalues of K / 2 are 0.8 and 0.2."""
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    found = vendi.vendi_score(np.array([[1.0, 0.0], [0.6, 0.8]]))
    assert found == pytest.approx(math.exp(entropy))


def test_vendi_is_the_same_from_either_matrix():
    """More pictures than numbers, or fewer: zeros added to every vector change nothing."""
    vector = np.random.default_rng(0).normal(size=(30, 7))
    wide = np.hstack([vector, np.zeros((30, 50))])
    assert vendi.vendi_score(vector) == pytest.approx(vendi.vendi_score(wide))
    assert vendi.vendi_score(np.zeros((0, 7))) == 0


@pytest.mark.parametrize("vector", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.ones(3)])
def test_vectors_without_a_length_are_refused(vector):
    with pytest.raises(ValueError, match="expected"):
        vendi.vendi_score(vector)


@pytest.mark.parametrize("order", [0, -1, math.nan])
def test_orders_that_are_none_are_refused(order):
    with pytest.raises(ValueError, match="order: expected a number above 0"):
        vendi.vendi_score(np.eye(2), order)


def test_nearest_by_hand():
    index, distance = vendi.nearest(np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]]))
    assert index.tolist() == [1, 2, 1]
    assert distance == pytest.approx([0.4, 0.2, 0.2])
    with pytest.raises(ValueError, match="at least 2"):
        vendi.nearest(np.eye(1))


def test_blocks_find_what_one_block_finds(monkeypatch):
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(23, 5)), rng.normal(size=(9, 5))
    whole, between = vendi.nearest(one), vendi.closest_between(one, other)
    monkeypatch.setattr(vendi, "BLOCK", 4)
    assert (vendi.nearest(one)[0] == whole[0]).all()
    assert vendi.nearest(one)[1] == pytest.approx(whole[1])
    assert vendi.closest_between(one, other) == pytest.approx(between)


def test_alike_pairs_name_no_picture_twice():
    index, distance = np.array([1, 0, 1, 4, 3]), np.array([0.1, 0.1, 0.15, 0.3, 0.3])
    assert vendi.alike_pairs(index, distance, 5) == [(0, 1), (3, 4)]
    assert vendi.alike_pairs(index, distance, 1) == [(0, 1)]
    assert vendi.alike_pairs(index, distance, 0) == []


def test_closest_between_two_groups():
    assert vendi.closest_between(np.eye(2)[:1], np.array([[0.6, 0.8]])) == pytest.approx(0.4)
    assert vendi.closest_between(np.eye(2), np.zeros((0, 2))) is None
