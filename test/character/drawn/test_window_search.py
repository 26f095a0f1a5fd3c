"""Drawn characters: windows, votes, decisions."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.character.drawn import efficientnet, window_search
from bunny.character.drawn.efficientnet import WindowFeatures

RED, BLUE, MEAN = np.eye(3, dtype=np.float32)
BOXES = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1]], np.float32)


def _grid(*features):
    return WindowFeatures(box=BOXES[: len(features)], feature=np.array(features, np.float32) + MEAN)


def _found(grid, **reference):
    views = {name: np.array([v], np.float32) + MEAN for name, v in reference.items()}
    return {c.character: c for c in window_search.find_candidates(grid, MEAN, views)}


def test_each_character_is_found_where_it_leads():
    found = _found(_grid(RED, BLUE, -RED), red=RED, blue=BLUE)
    assert found["red"].similarity == pytest.approx(1) and found["red"].margin == pytest.approx(1)
    assert np.allclose(found["red"].box, BOXES[0], atol=0.03)
    assert np.allclose(found["blue"].box, BOXES[1], atol=0.03)


def test_a_likeness_that_another_beats_is_no_candidate():
    both = RED + 0.5 * BLUE  # 0.89 red, 0.45 blue
    assert set(_found(_grid(both), red=RED, blue=BLUE)) == {"red"}
    alone = _found(_grid(both), blue=BLUE)["blue"]
    assert alone.similarity == pytest.approx(0.447, abs=1e-3)
    assert alone.margin == pytest.approx(alone.similarity)


def test_nothing_alike_nobody_asked_for():
    assert _found(_grid(-RED), red=RED) == {}
    assert _found(_grid(RED)) == {}


def test_a_clear_window_goes_before_a_more_similar_doubtful_one():
    near = np.array([1, 0.98, 0.0])  # 0.714 red, 0.700 blue
    clear = np.array([0.6, 0.0, 0.8])  # 0.6 red, 0 blue
    found = _found(_grid(near, clear), red=RED, blue=BLUE)
    assert found["red"].similarity == pytest.approx(0.6, abs=1e-3)


def test_a_box_grows_over_warm_neighbours_and_stops_at_cold_ones():
    box = np.array([[0, 0, 0.25, 0.5], [0.25, 0, 0.5, 0.5], [0.75, 0, 1, 0.5]], np.float32)
    grown = window_search.refine_box(box, np.array([1.0, 0.9, 0.9]), 0)
    assert np.allclose(grown, [0, 0, 0.5, 0.5], atol=0.02)
    kept = window_search.refine_box(box, np.array([1.0, 0.5, 0.9]), 0)
    assert np.allclose(kept, [0, 0, 0.25, 0.5], atol=0.02)


def test_a_real_drawing_is_found_on_another_ground():
    net = efficientnet.EfficientNet()
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(60, 190, (12, 20, 3), dtype=np.uint8), (640, 360))
    reference = np.full((200, 200, 3), 240, np.uint8)
    _draw_figure(reference, (100, 100))
    mean = window_search.mean_window(net, frame)
    _draw_figure(frame, (480, 180))
    look = {"toon": window_search.describe_reference(net, reference)}
    (found,) = window_search.find_candidates(window_search.describe(net, frame), mean, look)
    x, y = (found.box[:2] + found.box[2:]) / 2 * [640, 360]
    assert abs(x - 480) < 90 and abs(y - 180) < 70


def _draw_figure(image, middle):
    """A yellow head with eyes on a red body."""
    x, y = middle
    cv2.ellipse(image, (x, y + 50), (35, 45), 0, 0, 360, (40, 40, 210), -1)
    cv2.circle(image, (x, y - 20), 40, (60, 210, 240), -1)
    for side in (-15, 15):
        cv2.circle(image, (x + side, y - 25), 11, (255, 255, 255), -1)
        cv2.circle(image, (x + side, y - 25), 5, (20, 20, 20), -1)


def _regions(*rows, track_id=None):
    columns = ["region_id", "shot_index", "candidate", "similarity", "margin"]
    types = {"shot_index": pl.Int32, "similarity": pl.Float32, "margin": pl.Float32}
    ids = pl.Series("track_id", track_id or [None] * len(rows), dtype=pl.String)
    return pl.LazyFrame(rows, schema=columns, orient="row").cast(types).with_columns(ids)


FRAMES = pl.LazyFrame(
    {"shot_index": [0, 1], "num_frames": [4, 1]}, schema_overrides={"shot_index": pl.Int32}
)


def test_frames_of_a_shot_vote():
    region = _regions(("a", 0, "x", 0.6, 0.2), ("b", 0, "x", 0.4, 0.2), ("c", 1, "x", 0.6, 0.2))
    voted = window_search.vote(region, FRAMES, min_margin=0.1).collect()
    # 0.6 / 2 + (0.6 + 0.4) / 4 / 2 = 0.425; alone in its shot a frame keeps its own similarity
    assert voted["support"].to_list() == pytest.approx([0.425, 0.325, 0.6])


def test_a_doubtful_lead_does_not_vote():
    region = _regions(("a", 0, "x", 0.6, 0.2), ("b", 0, "x", 0.6, 0.05))
    voted = window_search.vote(region, FRAMES, min_margin=0.1).collect()
    assert voted["support"].to_list() == pytest.approx([0.375, 0.075])


def test_a_track_votes_for_itself_however_late_it_enters():
    region = _regions(
        *[(i, 0, "x", 0.6, 0.2) for i in "abc"], ("d", 0, "x", 0.6, 0.2), track_id=list("ssst")
    )
    many = FRAMES.with_columns(num_frames=pl.lit(20))
    voted = window_search.vote(region, many, min_margin=0.1, is_by_track=True).collect()
    # three frames in a row keep 0.6; one alone is taken as three: 0.6 / 2 + 0.6 / 3 / 2 = 0.4
    assert voted["support"].to_list() == pytest.approx([0.6, 0.6, 0.6, 0.4])


def test_a_track_of_one_frame_in_a_shot_of_one_is_no_accident():
    region = _regions(("a", 1, "x", 0.6, 0.2), track_id=["t"])
    voted = window_search.vote(region, FRAMES, min_margin=0.1, is_by_track=True)
    assert voted.collect()["support"].to_list() == pytest.approx([0.6])


def _selected(support, margin=0.3, num=2, characters=("x",), more=()):
    """How many are accepted of one region with this support, and of `more` with 0.6."""
    region = _regions(("a", 0, "x", 0.6, margin), *more)
    region = region.with_columns(support=pl.Series([support] + [0.6] * len(more)))
    return (
        window_search.select_regions(
            region, characters, threshold=0.45, min_margin=0.1, num_candidates=num
        )
        .collect()
        .height
    )


def test_selection_at_its_thresholds():
    assert _selected(0.45) == 1 and _selected(0.449) == 0
    assert _selected(0.6, characters=()) == 0


def test_a_weak_lead_counts_only_beside_a_strong_one():
    strong, other = ("b", 5, "x", 0.6, 0.18), ("b", 5, "y", 0.6, 0.5)
    assert _selected(0.6, margin=0.179) == 0 and _selected(0.6, margin=0.18) == 1
    assert _selected(0.6, margin=0.1, more=[strong]) == 2
    assert _selected(0.6, margin=0.09, more=[strong]) == 1
    assert _selected(0.6, margin=0.1, more=[other], characters=("x", "y")) == 1  # y alone


def test_a_character_without_rivals_must_be_more_alike():
    assert _selected(0.5, num=1) == 0 and _selected(0.58, num=1) == 1
