import numpy as np
import polars as pl
import pytest
import table_row

from bunny.character.drawn import figure_label
from bunny.character.drawn.figure_label import REVIEW_FROM
from bunny.core.config import DetectionConfig


def figures(*rows):
    """Rows (frame, candidate, similarity, margin) of one shot, all in one place."""
    made = [
        {"figure_id": f"film-{frame:08d}-g{i:02d}", "frame_id": f"film-{frame:08d}"}
        | table_row.box(0.0, 0.0, 50.0, 50.0)
        | {"shot_index": 0, "candidate": name, "objectness": 1.0, "model": figure_label.MODEL}
        | {"similarity": similarity, "margin": margin, "score": None, "track_id": None}
        | {"beside_lab": None}
        for i, (frame, name, similarity, margin) in enumerate(rows)
    ]
    types = dict.fromkeys(("score", "similarity", "margin"), pl.Float32)
    types |= dict.fromkeys(("track_id", "candidate"), pl.String)
    types |= {"beside_lab": pl.Array(pl.Float32, 4)}
    return pl.DataFrame(made, schema_overrides=types)


FRAME = pl.DataFrame(
    {
        "frame_id": [f"film-{i:08d}" for i in range(6)],
        "frame_index": range(6),
        "shot_index": [0] * 6,
    }
)


def voted(*rows):
    return figure_label.vote(figure_label.link_figures(figures(*rows), FRAME, "film"))


def named(table, threshold=0.78, presence=0.88):
    setting = DetectionConfig(figure_score=threshold, figure_presence=presence)
    region = figure_label.to_regions(table).lazy()
    return figure_label.select(region, setting).collect()


def test_a_lead_counts_twice_and_up_to_a_quarter():
    rows = pl.DataFrame({"similarity": [0.5, 0.5, 0.5], "margin": [0.1, 0.25, 0.9]})
    scores = rows.select(s=figure_label.score())["s"].to_list()
    assert scores == pytest.approx([0.7, 1.0, 1.0])


def test_a_track_has_the_better_half_of_its_frames():
    table = voted((0, "anna", 0.6, 0.2), (1, "anna", 0.5, 0.1), (2, "anna", 0.1, -0.5))
    # Of three frames the better two: similarity 0.55, lead 0.15.
    assert table["score"].to_list() == pytest.approx([0.55 + 0.3 - REVIEW_FROM] * 3)


def test_figures_of_nobody_have_a_track_and_no_score():
    table = voted((0, None, None, None), (1, None, None, None))
    assert table["score"].null_count() == 2
    assert table["track_id"].n_unique() == 1
    assert figure_label.to_regions(table).is_empty()


def test_who_is_nowhere_clear_in_the_film_is_named_nowhere():
    weak = voted((0, "anna", 0.5, 0.15))  # 0.80
    assert named(weak).is_empty()
    both = voted((0, "anna", 0.5, 0.15), (5, "anna", 0.5, 0.19))  # two tracks: 0.80 and 0.88
    assert named(both)["frame_id"].to_list() == ["film-00000005", "film-00000000"]


def test_what_hardly_looks_like_a_figure_is_a_perhaps_at_most():
    rows = figures((0, "anna", 0.6, 0.25), (1, "anna", 0.6, 0.25))
    linked = figure_label.link_figures(rows, FRAME, "film")
    place = linked.with_columns(objectness=pl.Series([0.97, 0.92]))  # 0.945 on the average
    assert figure_label.vote(place)["score"].to_list() == [0, 0]
    thing = linked.with_columns(objectness=pl.Series([0.97, 0.94]))
    assert figure_label.vote(thing)["score"].to_list() == pytest.approx([1.1 - REVIEW_FROM] * 2)


def test_thresholds_are_inclusive():
    one = voted((0, "anna", 0.5, 0.25))  # 1.0
    assert named(one, threshold=1.0, presence=1.0).height == 1
    assert named(one, threshold=1.01, presence=1.0).is_empty()
    assert named(one, threshold=1.0, presence=1.01).is_empty()


def test_a_frame_far_below_its_track_gets_no_name():
    table = voted((0, "anna", 0.6, 0.25), (1, "anna", 0.6, 0.25), (2, "anna", 0.5, 0.0))
    assert sorted(named(table)["frame_id"]) == ["film-00000000", "film-00000001"]


def test_one_character_is_in_a_frame_once():
    rows = figures((0, "anna", 0.6, 0.25), (0, "anna", 0.5, 0.25))
    table = figure_label.vote(rows.with_columns(track_id=pl.Series(["one", "two"])))
    kept = named(table)
    assert kept["similarity"].to_list() == pytest.approx([0.6])


def test_confidence_rises_with_the_score_and_stays_a_chance():
    chance = figure_label.confidence(np.linspace(-1, 2, 50))
    assert (np.diff(chance) >= 0).all() and chance.min() >= 0 and chance.max() <= 1
