"""Scores of frames become shots."""

import numpy as np
import polars as pl
import pytest

from bunny.library.search import catalogue, ranking
from bunny.library.search.catalogue import Catalogue

NAN = float("nan")


def make(frames, shots):
    frame = [
        dict(zip(("film_id", "shot_index", "timestamp_s", "file", "who"), f, strict=True))
        for f in frames
    ]
    for i, row in enumerate(frame):
        row |= {"frame_id": f"f{i}", "text": "", "sentence": "", "place": "scene-001"}
    shot = [
        {
            "film_id": film,
            "shot_index": n,
            "start_s": a,
            "end_s": b,
            "shot_who": ["x"],
            "is_approved": False,
            "asset_id": f"{film}-s{n}",
        }
        for film, n, a, b in shots
    ]
    return Catalogue(
        frame=pl.DataFrame(frame, schema=catalogue.FRAME),
        shot=pl.DataFrame(shot, schema=catalogue.SHOT),
    )


@pytest.fixture
def known():
    frames = [
        ("a", 0, 0.0, "0.jpg", ["x"]),
        ("a", 0, 1.0, "1.jpg", ["x", "y"]),
        ("a", 1, 2.0, None, []),
        ("a", 1, 2.9, "3.jpg", []),
        ("b", 0, 0.5, "4.jpg", ["y"]),
    ]
    return make(frames, [("a", 0, 0.0, 2.0), ("a", 1, 2.0, 3.0), ("b", 0, 0.0, 1.0)])


def part(*score):
    return ranking.QueryPart(score=np.array(score, np.float32), why=lambda row: f"r{row}")


EVERY = np.ones(5, dtype=bool)


def test_a_shot_has_its_best_frame_s_score_and_second(known):
    found = ranking.rank_shots(known, [part(0.1, 0.3, 0.9, 0.2, 0.5)], EVERY, 9)
    columns = ["film_id", "shot_index", "matched_s", "file", "why", "asset_id"]
    assert found.select(columns).rows() == [
        ("a", 1, 2.0, "3.jpg", "r2", "a-s1"),  # no picture of it: the nearest of the shot
        ("b", 0, 0.5, "4.jpg", "r4", "b-s0"),
        ("a", 0, 1.0, "1.jpg", "r1", "a-s0"),
    ]
    assert found["score"].to_list() == pytest.approx([0.9, 0.5, 0.3])
    assert found.select("start_s", "end_s").rows()[0] == (2.0, 3.0)


def test_parts_are_averaged_and_each_must_speak(known):
    one, two = part(0.2, 0.4, 0.8, NAN, 1.0), part(0.6, NAN, 0.4, 0.9, NAN)
    found = ranking.rank_shots(known, [one, two], EVERY, 9)
    assert found["shot_index"].to_list() == [1, 0]
    assert found["score"].to_list() == pytest.approx([0.6, 0.4])
    assert found["why"][0] == "r2; r2"


def test_only_allowed_frames_answer_and_no_more_than_asked(known):
    allowed = np.array([True, False, False, True, True])
    found = ranking.rank_shots(known, [part(0.1, 0.9, 0.8, 0.7, 0.6)], allowed, 2)
    assert found.select("film_id", "shot_index", "matched_s").rows() == [
        ("a", 1, 2.9),
        ("b", 0, 0.5),
    ]


def test_nothing_asked_gives_every_shot_in_order(known):
    found = ranking.rank_shots(known, [], EVERY, 9)
    assert found.select("film_id", "shot_index", "score").rows() == [
        ("a", 0, 1.0),
        ("a", 1, 1.0),
        ("b", 0, 1.0),
    ]


def test_among_equal_frames_one_that_shows_who_is_asked_for(known):
    equal = part(0.5, 0.5, 0.1, 0.1, 0.1)
    assert ranking.rank_shots(known, [equal], EVERY, 1)["matched_s"][0] == 0.0
    assert ranking.rank_shots(known, [equal], EVERY, 1, who=["y"])["matched_s"][0] == 1.0


def test_no_answer_has_the_columns(known):
    found = ranking.rank_shots(known, [], np.zeros(5, dtype=bool), 9)
    assert found.height == 0 and found.schema == pl.Schema(ranking.SHOTS)


def test_blend_by_hand():
    share, cosine = np.array([1, 0, 0.5], np.float32), np.array([0.2, NAN, -0.4], np.float32)
    assert ranking.blend(share, cosine) == pytest.approx([0.6, 0, 0.25])
    assert ranking.blend(share, None) == pytest.approx([1, 0, 0.5])
    assert ranking.blend(None, cosine) == pytest.approx([0.2, 0, 0])


def test_spread_takes_the_largest_and_leaves_gaps():
    found = ranking.max_per_row(np.array([2, 0, 2]), np.array([0.1, 0.5, 0.3]), 4)
    assert found[[0, 2]] == pytest.approx([0.5, 0.3]) and np.isnan(found[[1, 3]]).all()
