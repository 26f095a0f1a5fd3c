"""Drawn figures without a name that people may still put into a character."""

import numpy as np
import plain_row
import pytest

from bunny.review import asset_table
from bunny.table import box as table_box
from bunny.table import store

KEPT = ("frame_id", "shot_index", *table_box.BOX)
UNIT = np.array([1.0, 0.0], np.float32)


def tables(tracks, labelled=("bo",), drawn=("bunny",), figures=(), clusters=()):
    """Tables of one frame; `tracks` has name to (candidate, x0 of a box of 10 x 10, similarity)."""
    region = [
        {
            "region_id": f"r-{name}",
            "frame_id": "f1",
            "shot_index": 0,
            "candidate": who,
            "x0_px": x0,
            "y0_px": 0.0,
            "x1_px": x0 + 10,
            "y1_px": 10.0,
            "similarity": similarity,
            "margin": 0.1,
            "support": None,
            "track_id": name,
            "model": "made",
        }
        for name, (who, x0, similarity) in tracks.items()
    ]
    label = [
        plain_row.label(f"r-{name}", "bunny", **{side: row[side] for side in KEPT})
        for row in region
        if (name := row["track_id"]) in labelled
    ]
    reference = [
        {
            "reference_id": f"{who}/a.png",
            "character": who,
            "content_hash": "0",
            "num_faces": 0,
            "route": route,
        }
        for route, names in (("region", drawn), ("face", ("anna",)))
        for who in names
    ]
    vectors = [{"subject_id": f"r-{n}", "model": "made", "vector": UNIT} for n in tracks]
    return {
        "region": store.from_rows("region", region),
        "figure": store.from_rows("figure", list(figures)),
        "cluster": store.from_rows("cluster", list(clusters)),
        "label": store.from_rows("label", label),
        "reference": store.from_rows("reference", reference),
        "subject_vector": store.from_rows("subject_vector", vectors),
    }


def missed(made):
    both = asset_table.add_missed_figures(made)
    assert both.head(made["label"].height).equals(made["label"])
    return both.slice(made["label"].height)


def test_a_figure_beside_the_labelled_one_is_offered():
    row = missed(tables({"bo": ("bunny", 0.0, 0.8), "new": ("bunny", 50.0, 0.5)})).row(
        0, named=True
    )
    assert (row["subject_id"], row["character"], row["confidence"]) == ("r-new", None, 0.0)
    assert (row["x0_px"], row["x1_px"]) == (50.0, 60.0)


@pytest.mark.parametrize(
    ("x0", "is_offered"),
    [(0.0, False), (7.0, False), (7.1, True)],  # 3 of 10 columns shared: the same figure
)
def test_boxes_that_share_a_figure(x0, is_offered):
    made = tables({"bo": ("bunny", 0.0, 0.8), "new": ("bunny", x0, 0.5)})
    assert (missed(made).height == 1) == is_offered


def test_of_two_tracks_on_one_figure_the_more_similar_is_offered():
    found = missed(tables({"weak": ("bunny", 0.0, 0.5), "strong": ("bunny", 2.0, 0.6)}, ()))
    assert found["subject_id"].to_list() == ["r-strong"]


def test_who_is_known_by_the_face_is_not_looked_for_in_regions():
    assert missed(tables({"a": ("anna", 0.0, 0.9)}, ())).is_empty()


def test_regions_without_a_vector_are_too_weak():
    made = tables({"new": ("bunny", 0.0, 0.9)}, ())
    made["subject_vector"] = made["subject_vector"].clear()
    assert missed(made).is_empty()


def test_no_regions_at_all():
    made = tables({}, ())
    assert asset_table.add_missed_figures(made).is_empty()


def figure(name, x0, **more):
    """A figure of 10 x 10 pixels, in the frame of `tables`; its own track."""
    return {
        "figure_id": name,
        "frame_id": "f1",
        "shot_index": 0,
        "x0_px": x0,
        "y0_px": 0.0,
        "x1_px": x0 + 10,
        "y1_px": 10.0,
        "objectness": 0.99,
        "embedding": UNIT,
        "source": "window",
        "model": "made",
        **more,
    }


def group_of(item_id, name):
    return {
        "item_id": item_id,
        "level": "unknown",
        "shot_index": 0,
        "cluster_id": name,
        "is_noise": name is None,
    }


def test_unknown_figures_are_offered_before_regions_on_them():
    regions = {"bo": ("bunny", 0.0, 0.8), "same": ("bunny", 51.0, 0.5), "far": ("bunny", 90.0, 0.5)}
    made = tables(regions, figures=[figure("fig", 50.0), figure("on-bo", 2.0)])
    found = missed(made)
    assert found["subject_id"].to_list() == ["fig", "r-far"]
    assert found["confidence"].to_list() == pytest.approx([0.99, 0.0])


@pytest.mark.parametrize(
    ("more", "is_offered"),
    [
        ({}, False),
        ({"objectness": 0.98}, True),
        ({"candidate": "bunny", "score": 0.1}, True),
        ({"candidate": "bunny", "score": -0.1}, False),
    ],
)
def test_weak_figures_of_no_group_are_offered_only_as_perhaps_somebody(more, is_offered):
    made = tables({}, figures=[figure("fig", 0.0, **{"objectness": 0.96} | more)])
    assert (missed(made).height == 1) == is_offered


def test_weak_figures_of_a_group_are_offered():
    made = tables(
        {}, figures=[figure("fig", 0.0, objectness=0.1)], clusters=[group_of("fig", "figure-01")]
    )
    assert missed(made)["subject_id"].to_list() == ["fig"]


def test_who_a_nameless_figure_may_be():
    """A region by its margin, a figure by its score; nobody where that is not above 0."""
    figures = [
        figure("a", 100.0, candidate="pip", score=0.7),
        figure("b", 200.0, candidate="pip", score=0.0),
        figure("c", 300.0),
    ]
    made = tables({"bo": ("bunny", 0.0, 0.8), "new": ("bunny", 50.0, 0.5)}, figures=figures)
    made["label"] = asset_table.add_missed_figures(made)
    found = asset_table.figure_candidates(made).sort("subject_id")
    assert found.select("subject_id", "perhaps").rows() == [("a", "pip"), ("r-new", "bunny")]
    assert found["chance"].to_list() == pytest.approx([0.7, 0.1])
