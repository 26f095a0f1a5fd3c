"""What maps do to vectors: the nuisance shrinks, people come apart, nothing is left to chance."""

import numpy as np
import pytest

from bunny.review.learn import item, linear_map, method, triplet

QUICK = triplet.TripletTraining(steps=40, seed=3)


def nearest_is_same(vector, who):
    cosine = vector @ vector.T
    np.fill_diagonal(cosine, -2)
    return float((who[cosine.argmax(axis=1)] == who).mean())


@pytest.fixture
def people(lit, make_items):
    vector, who = lit()
    said = np.where(np.arange(len(who)) < 80, who, -1)
    return make_items(vector, who, said), who


def _loss(vector, triplets, margin):
    """Mean triplet loss of rows of anchor, positive, negative."""
    return np.maximum(0, margin + triplet.hardness(item.unit(vector), triplets)).mean()


def test_the_adapter_lowers_its_loss_and_is_the_same_again(people):
    items, _ = people
    one, again = (triplet.train(items, items.is_said, QUICK) for _ in range(2))
    triplets = triplet.collect_triplets(items)
    before = _loss(items.vector, triplets, 0.2)
    assert _loss(one.apply(items.vector), triplets, 0.2) < 0.7 * before
    assert np.array_equal(one.up, again.up)


def test_the_adapter_is_held_to_the_identity(people):
    items, _ = people
    held, free = (
        triplet.train(items, items.is_said, triplet.TripletTraining(steps=40, hold=hold))
        for hold in (10.0, 0.0)
    )
    far = [np.abs(one.apply(items.vector) - items.vector).mean() for one in (held, free)]
    assert far[0] < 0.5 * far[1]


def test_without_triplets_nothing_changes(people):
    items, _ = people
    none = np.zeros(len(items.said), bool)
    mapped = triplet.train(items, none, QUICK).apply(items.vector)
    assert np.allclose(mapped, items.vector, atol=1e-6)


def test_maps_tell_unseen_people_better_where_light_confuses(people, lit):
    items, _ = people
    fresh, who = lit(n=300, seed=9)
    plain = nearest_is_same(fresh, who)
    for name in ("triplet", "correlation"):
        mapped = method.mapper(name, triplet.TripletTraining(steps=100))(items, items.is_said)
        assert nearest_is_same(mapped.apply(fresh), who) > plain + 0.03, name


def test_covariances_by_hand():
    # one identity with views (1, 0) and (0, 1), one with (2, 0) twice, all placed
    vector = np.array([[1.0, 0], [0, 1], [2, 0], [2, 0]])
    between, within = linear_map._covariances(vector, np.array([0, 0, 1, 1]), np.ones(4))
    # views with themselves: diag(1/2, 1/2) and diag(4, 0); pairs: offdiagonal 1/2 and diag(4, 0)
    assert within == pytest.approx(np.array([[2.25, 0], [0, 0.25]]))
    assert between == pytest.approx(np.array([[2.0, 0.25], [0.25, 0.0]]))


def test_unsure_pairs_count_less():
    vector = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    weight = np.array([1, 1, 0.1, 0.1])
    between, _ = linear_map._covariances(vector, np.array([0, 0, 1, 1]), weight)
    assert between[0, 0] / between[1, 1] == pytest.approx(10)


def test_correlation_without_pairs_is_the_identity(make_items):
    items = make_items(np.eye(3), [0, 1, 2])
    assert np.allclose(linear_map.fit_correlation(items, items.is_said).apply(np.eye(3)), np.eye(3))


def test_a_space_refuses_other_vectors():
    with pytest.raises(ValueError, match="embeddings of length 3, got 2"):
        linear_map.identity(3).apply(np.eye(2))


def test_a_space_refuses_arrays_that_are_no_map():
    good = linear_map.identity(3).to_arrays()
    for bad in ({"mean": np.zeros(2)}, {"up": np.zeros((2, 0))}, {"mean": np.full(3, np.nan)}):
        with pytest.raises(ValueError):
            linear_map.from_arrays({**good, **bad}, is_residual=True)


def test_unknown_method():
    with pytest.raises(ValueError, match="threshold, triplet, correlation"):
        method.mapper("magic", QUICK)


def test_no_group_is_dealt_into_two_parts():
    group = np.random.default_rng(0).integers(0, 20, 200)
    parts = method.group_folds(group, 3, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    assert sum(len(set(group[part])) for part in parts) == len(set(group))
    assert max(map(len, parts)) - min(map(len, parts)) < 30
