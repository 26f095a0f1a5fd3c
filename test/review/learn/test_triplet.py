"""Triplets and links by hand."""

import numpy as np

from bunny.review.learn import item, triplet

NONE = -1


def directions(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_anchor_is_the_moved_item_and_the_hardest_comes_first(make_items):
    # a0 at 0 deg was taken from cluster 1 and put into 0, with a1; a2 and a3 are in 1
    items = make_items(directions(0, 60, 20, 90), [1, 0, 1, 1], [0, NONE, NONE, NONE])
    found = triplet.collect_triplets(items)
    assert found.tolist() == [[0, 1, 2], [0, 1, 3]]
    hard = np.cos(np.radians(20)) - np.cos(np.radians(60))
    assert np.allclose(triplet.hardness(items.vector, found)[0], hard, atol=1e-6)


def test_confirmed_members_are_positives_before_others(make_items):
    # eight mates nearer than the confirmed one: it must be among the four positives
    items = make_items(
        directions(0, *range(1, 9), 80, 170), [0] * 10 + [1], [0] + [NONE] * 8 + [0, NONE]
    )
    mine = triplet.collect_triplets(items)
    assert 9 in mine[mine[:, 0] == 0][:, 1]
    assert len(np.unique(mine[mine[:, 0] == 0][:, 1])) == triplet.POSITIVES


def test_half_of_the_negatives_are_of_the_cluster_it_was_taken_from(make_items):
    start = [1, 0] + [1] * 10 + [2] * 20
    angles = [0, 1] + [90 + k for k in range(10)] + [10 + k for k in range(20)]
    items = make_items(directions(*angles), start, [0] + [NONE] * 31)
    negatives = np.unique(triplet.collect_triplets(items)[:, 2])
    assert sum(items.start[negatives] == 1) == triplet.NEGATIVES // 2
    assert len(negatives) == triplet.NEGATIVES


def test_who_was_thrown_out_is_a_negative_of_the_confirmed(make_items):
    items = make_items(directions(0, 5, 10, 90), [0, 0, 0, 1], [0, 0, NONE, NONE], barred=[(2, 0)])
    found = triplet.collect_triplets(items)
    assert [0, 1, 2] in found.tolist()
    assert not any(2 in row[:2] for row in found.tolist())


def test_only_what_is_known_teaches(make_items):
    items = make_items(directions(0, 60, 20, 90), [1, 0, 1, 1], [0, NONE, NONE, NONE])
    assert len(triplet.collect_triplets(items, np.zeros(4, bool))) == 0


def test_links(make_items):
    items = make_items(directions(0, 5, 50, 90), [0, 0, 1, 1], [0, 0, 1, NONE], barred=[(3, 0)])
    must, cannot = triplet.constraint_links(items)
    assert must.tolist() == [[0, 1]]
    assert cannot.tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_a_barred_item_is_no_member(make_items):
    items = make_items(directions(0, 5), [0, 0], barred=[(1, 0)])
    assert item.member_clusters(items, items.is_said).tolist() == [0, NONE]


def test_many_placed_items_are_not_all_asked(make_items, monkeypatch):
    monkeypatch.setattr(triplet, "MAX_ANCHORS", 5)
    angles = np.linspace(0, 90, 40)
    items = make_items(directions(*angles), [0] * 20 + [1] * 20, [0] * 20 + [1] * 20)
    assert len(np.unique(triplet.collect_triplets(items)[:, 0])) == 5
    must, cannot = triplet.constraint_links(items)
    assert len(must) + len(cannot) == 10
