"""Shots that a person wants looked at more often: more frames there, none lost elsewhere."""

import polars as pl

from bunny.core.config import Config
from bunny.dataset import addition
from bunny.dataset.addition import Addition
from bunny.stage.detect import Detect
from bunny.video import extra_frame

KEY = "added spans"


def _tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two shots of two seconds at 24 frames a second; a frame kept each second."""
    shot = pl.DataFrame(
        {
            "shot_index": [0, 1],
            "first_frame_index": [0, 48],
            "end_frame_index": [48, 96],
            "start_s": [0.0, 2.0],
            "end_s": [2.0, 4.0],
            "transition_in": ["start", "cut"],
        }
    ).cast({"shot_index": pl.Int32})
    index = [0, 24, 48, 72]
    frame = pl.DataFrame(
        {"shot_index": [0, 0, 1, 1], "frame_index": index, "timestamp_s": [i / 24 for i in index]}
    ).cast({"shot_index": pl.Int32})
    return shot, frame


def test_a_dense_span_adds_frames_and_loses_none():
    shot, frame = _tables()
    plain = extra_frame.choose_frames(shot, frame, 0.5)
    assert plain["frame_index"].to_list() == [12, 36, 60, 84]
    again = extra_frame.add_dense_spans(shot, frame, plain, [(0, 48, 0.25)])
    assert again["frame_index"].to_list() == [6, 12, 18, 30, 36, 42, 60, 84]
    assert again["shot_index"].to_list() == [0] * 6 + [1] * 2
    assert extra_frame.add_dense_spans(shot, frame, plain, []).equals(plain)


def test_where_nothing_was_planned_only_the_span_is_looked_at():
    shot, frame = _tables()
    again = extra_frame.add_dense_spans(shot, frame, extra_frame.NO_FRAMES, [(48, 96, 0.5)])
    assert again["frame_index"].to_list() == [60, 84]


def test_only_an_addition_that_wants_it_makes_detection_stale(labelled_film):
    def settings() -> dict:
        config = Config.model_validate({"detection": {"extra_interval_seconds": 0}})
        return Detect(config, labelled_film, labelled_film).settings()

    before = settings()
    assert KEY not in before
    addition.add(labelled_film, Addition(addition_id="a1", character="bunny", spans=((4, 6),)))
    assert settings() == before
    dense = Addition(addition_id="a2", character="bunny", spans=((4, 6),), interval_s=0.25)
    addition.add(labelled_film, dense)
    after = settings()
    assert after[KEY] == [[4, 6, 0.25]] and "extraction.crop_bars" in after
    addition.undo(labelled_film, "a2", time="", user="")
    assert settings() == before
