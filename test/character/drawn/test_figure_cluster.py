"""Unknown drawn figures: which are covered by a name, and which are one."""

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.character.drawn import figure_cluster
from bunny.table import store

SIDE = 10.0


def at(degrees):
    """A unit vector in the plane; two of them have the cosine of the angle between them."""
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def figure(name, frame, track, x0=0.0, angle=0.0, **more):
    """A figure of 10 x 10 pixels."""
    box = table_row.box(x0, 0.0, x0 + SIDE, SIDE)
    ids = {"figure_id": name, "frame_id": frame, "track_id": track}
    return table_row.fill("figure", box | more, embedding=at(angle), objectness=0.99, **ids)


def label(frame, x0, character="bunny", side=SIDE):
    ids = {"subject_id": f"{frame}-r{x0}", "subject_type": "region", "frame_id": frame}
    box = table_row.box(x0, 0.0, x0 + side, side)
    return table_row.fill("label", box, character=character, **ids)


def table(*rows):
    return store.from_rows("figure", list(rows))


def labels(*rows):
    return store.from_rows("label", list(rows))


def groups(*rows, **setting):
    free = figure_cluster.uncovered(table(*rows), labels())
    found = figure_cluster.group_figures(free, **{"threshold": 0.6} | setting)
    return dict(found.select("figure_id", "group").iter_rows())


def free_ids(figures, *rows):
    return figure_cluster.uncovered(table(*figures), labels(*rows))["figure_id"].to_list()


@pytest.mark.parametrize(("x0", "is_free"), [(0.0, False), (7.0, False), (7.5, True)])
def test_a_label_that_shares_the_figure_covers_it(x0, is_free):
    """Of ten columns three are shared at 7.0, which is the least that counts."""
    assert free_ids([figure("a", "f", None)], label("f", x0)) == ["a"] * is_free


def test_a_large_label_covers_what_lies_in_it_and_the_reverse():
    assert free_ids([figure("a", "f", None)], label("f", 0.0, side=100.0)) == []
    assert free_ids([figure("a", "f", None, x1_px=100.0, y1_px=100.0)], label("f", 40.0)) == []


def test_a_label_without_a_name_covers_nothing():
    assert free_ids([figure("a", "f", None)], label("f", 0.0, None)) == ["a"]


def test_a_track_that_lies_on_a_character_is_that_character_everywhere():
    views = [figure(f"a{i}", f"f{i}", "t") for i in range(3)]
    assert free_ids(views, label("f0", 0.0)) == []


def test_who_passes_in_front_of_a_character_stays():
    """The figures overlap in one of three frames; that view says nothing, the others do."""
    views = [figure(f"a{i}", f"f{i}", "t") for i in range(3)]
    bunny = [label("f0", 0.0), label("f1", 50.0), label("f2", 90.0)]
    assert free_ids(views, *bunny) == ["a1", "a2"]


def test_figures_that_failed_are_left_out():
    assert (
        free_ids([figure("a", "f", "t", error="unreadable"), figure("b", "g", "t", embedding=None)])
        == []
    )


def test_tracks_alike_are_one_and_the_largest_group_comes_first():
    """cos 45° = 0.71 passes 0.6; cos 60° = 0.5 does not."""
    rows = [figure(f"a{i}", f"f{i}", "a") for i in range(2)]
    rows += [figure(f"b{i}", f"g{i}", "b", angle=45) for i in range(2)]
    rows += [figure(f"c{i}", f"h{i}", "c", angle=105) for i in range(3)]
    assert groups(*rows) == {"a0": 0, "a1": 0, "b0": 0, "b1": 0, "c0": 1, "c1": 1, "c2": 1}


@pytest.mark.parametrize("method", ["agglomerative", "hdbscan"])
def test_two_figures_of_one_frame_are_never_one_however_alike(method):
    rows = [
        figure(f"{t}{i}", f"f{i}", t, x0) for t, x0 in (("a", 0.0), ("b", 50.0)) for i in (0, 1)
    ]
    found = groups(*rows, method=method)
    assert found["a0"] == found["a1"] != found["b0"] == found["b1"]
    assert min(found.values()) >= 0


def test_a_head_and_the_body_around_it_may_be_one():
    rows = [figure(f"head{i}", f"f{i}", "head", 20.0) for i in (0, 1)]
    rows += [figure(f"full{i}", f"f{i}", "full", x1_px=60.0, y1_px=90.0, angle=30) for i in (0, 1)]
    assert set(groups(*rows).values()) == {0}


def test_parted_in_one_frame_is_parted():
    rows = [figure(f"a{i}", f"f{i}", "a") for i in (0, 1)]
    rows += [figure("b0", "f0", "b"), figure("b1", "f1", "b", 50.0)]
    found = groups(*rows)
    assert found["a0"] != found["b0"]


@pytest.mark.parametrize(
    ("num_views", "objectness", "group"),
    [(2, 0.98, 0), (1, 0.99, figure_cluster.NOISE), (5, 0.96, figure_cluster.NOISE)],
)
def test_a_track_alone_is_noise_when_it_is_short_or_weak(num_views, objectness, group):
    rows = [figure(f"a{i}", f"f{i}", "a", objectness=objectness) for i in range(num_views)]
    assert set(groups(*rows).values()) == {group}


def test_what_may_be_a_place_joins_no_group():
    """Three tracks of one direction; one's mean is 0.96, though its best view is sure."""
    rows = [figure("a", "f0", None), figure("c", "f3", None)]
    rows += [figure(f"b{i}", f"f{i}", "b", objectness=0.92 + 0.08 * (i == 2)) for i in (1, 2)]
    assert groups(*rows) == {"a": 0, "b1": figure_cluster.NOISE, "b2": figure_cluster.NOISE, "c": 0}


def test_similarity_is_to_the_middle_of_the_group():
    """Two of equal weight 60° apart lie 30° from their middle."""
    rows = [figure("a", "f", None), figure("b", "g", None, angle=60)]
    free = figure_cluster.uncovered(table(*rows), labels())
    found = figure_cluster.group_figures(free, threshold=0.49)
    assert found["similarity"].to_list() == pytest.approx([np.cos(np.pi / 6)] * 2, abs=1e-6)


def test_no_figures():
    free = figure_cluster.uncovered(table(), labels())
    assert figure_cluster.group_figures(free, threshold=0.6).is_empty()
    assert figure_cluster.add_unlabelled_figures(labels(), free).is_empty()


def test_figures_get_nameless_rows_of_labels_once():
    known = labels(label("f", 50.0), {**label("g", 0.0, None), "subject_id": "b"})
    found = figure_cluster.add_unlabelled_figures(
        known, table(figure("b", "g", None), figure("a", "f", None))
    )
    assert found.head(2).equals(known) and found.height == 3
    row = found.row(2, named=True)
    assert (row["subject_id"], row["subject_type"], row["character"]) == ("a", "region", None)
    assert row["confidence"] == pytest.approx(0.99) and row["x1_px"] == SIDE
    assert store.check("label", found).height == 3


def test_rows_in_another_order_give_the_same_groups():
    rows = [
        figure(f"{t}{i}", f"{t}{i}", t, angle=a)
        for t, a in (("a", 0), ("b", 20), ("c", 90))
        for i in (0, 1)
    ]
    turned = figure_cluster.uncovered(
        table(*rows).sample(fraction=1, shuffle=True, seed=4), labels()
    )
    found = figure_cluster.group_figures(turned, threshold=0.6)
    assert dict(found.select("figure_id", "group").iter_rows()) == groups(*rows)
    assert isinstance(found, pl.DataFrame)
