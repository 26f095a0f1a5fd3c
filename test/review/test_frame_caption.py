"""Captions that people give single pictures: events, replay, and table frame_caption_edit."""

import json
from dataclasses import replace

import polars as pl
import pytest

from bunny.core.error import UserError
from bunny.review import corrected_table, create_event, event_log
from bunny.review.create_event import EventContext
from bunny.review.event_log import FrameCaption
from bunny.review.state import ReviewState
from bunny.table import store

ANA = EventContext(user="ana")


def frames(*times: float, files: tuple = ()) -> pl.DataFrame:
    """Table `frame` with a picture at each time; names count on."""
    files = files or (None,) * len(times)
    return store.from_rows(
        "frame",
        [
            {"frame_id": f"f{i}", "film_id": "film", "shot_index": int(time), "frame_index": i}
            | {"pts": i, "time_base_num": 1, "time_base_den": 24, "timestamp_s": time}
            | {"file": f"frame/f{i}.png", "width_px": 8, "height_px": 8, "reason": "keyframe"}
            | {"source_file": file}
            for i, (time, file) in enumerate(zip(times, files, strict=True))
        ],
    )


def words(state: ReviewState, frame: pl.DataFrame) -> dict[str, str]:
    edits = corrected_table.frame_caption_edits(state, frame)
    return dict(edits.select("frame_id", "text").iter_rows())


def test_words_of_a_picture_stand_and_are_taken_back_by_one_undo(shots):
    state = ReviewState.of(shots)
    edit = [FrameCaption(time_s=1.25, text="a  hat\n"), FrameCaption(time_s=2.5, text="a coat")]
    event = create_event.frame_caption_edit(state, ANA, edit)
    assert [one.asset_id for one in event.items] == ["film-s00001", "film-s00002"]
    assert set(state.apply(event)) == {"film-s00001", "film-s00002"}
    frame = frames(1.0, 1.25, 2.5)
    assert words(state, frame) == {"f1": "a hat", "f2": "a coat"}
    state.apply(create_event.undo(state, ANA, event.event_id))
    assert words(state, frame) == {}


def test_no_text_gives_a_picture_back_and_a_later_word_of_its_shot_stands_over_it(shots):
    state, frame = ReviewState.of(shots), frames(1.25, 1.5, 2.5)
    edit = [FrameCaption(time_s=time, text="a hat") for time in (1.25, 1.5, 2.5)]
    state.apply(create_event.frame_caption_edit(state, ANA, edit))
    state.apply(create_event.frame_caption_edit(state, ANA, [FrameCaption(time_s=1.25)]))
    assert words(state, frame) == {"f1": "a hat", "f2": "a hat"}
    state.apply(create_event.caption_edit(state, ANA, ["film-s00001"], "a street"))
    assert words(state, frame) == {"f2": "a hat"}
    assert state.captions() == {"film-s00001": ("a street", "ana")}


def test_a_picture_is_known_again_by_its_time_whatever_it_is_called(shots):
    """Other pictures were taken, shots were cut elsewhere; nearest within half a frame."""
    state = ReviewState.of(shots)
    edit = [FrameCaption(time_s=1.25, text="a hat")]
    event = create_event.frame_caption_edit(state, ANA, edit)
    joined = shots.with_columns(
        end_s=pl.when(pl.col("shot_index") == 0).then(2.0).otherwise("end_s")
    )
    joined = joined.filter(pl.col("shot_index") != 1)
    later = ReviewState.of(joined).replay([event])
    assert words(later, frames(0.5, 1.1, 1.2499)) == {"f2": "a hat"}
    assert words(later, frames(1.2, 1.3)) == {}
    assert words(later, frames()) == {}


def test_a_picture_of_a_folder_is_known_by_its_file(shots):
    """Another file came before it, so that all times moved on."""
    state = ReviewState.of(shots)
    edit = [FrameCaption(time_s=1.0, source_file="b.png", text="a hat")]
    state.apply(create_event.frame_caption_edit(state, ANA, edit))
    assert words(state, frames(0.0, 1.0, 2.0, files=("a.png", "aa.png", "b.png"))) == {
        "f2": "a hat"
    }


def test_the_record_gives_the_event_back_and_refuses_a_broken_one(tmp_path, shots):
    state = ReviewState.of(shots)
    edit = [FrameCaption(time_s=1.25, text="a hat"), FrameCaption(time_s=2.5)]
    event = create_event.frame_caption_edit(state, ANA, edit)
    event_log.append(tmp_path, [event])
    assert event_log.read(tmp_path) == [event]
    entry = json.loads(json.dumps(event.to_dict()))
    entry["frames"][0]["colour"] = "red"
    with pytest.raises(UserError, match="not a valid correction"):
        event_log.from_dict(entry)
    table = corrected_table.feedback(ReviewState.of(shots).replay([event]))
    assert table.select("kind", "asset_ids", "is_lost").rows() == [
        ("frame_caption_edit", ["film-s00001", "film-s00002"], False)
    ]


def test_pictures_outside_the_film_long_words_and_none_at_all_are_refused(shots):
    state = ReviewState.of(shots)
    for edit, says in (
        ([], "expected pictures, got none"),
        ([FrameCaption(time_s=99.0, text="a hat")], r"no shot of this film has a picture at 99"),
        ([FrameCaption(time_s=1.0, text="x" * 4001)], "expected 1 to 4000 characters, got 4001"),
    ):
        with pytest.raises(UserError, match=says):
            create_event.frame_caption_edit(state, ANA, edit)


def test_two_records_merge_in_any_order(shots):
    state = ReviewState.of(shots)
    one = create_event.frame_caption_edit(state, ANA, [FrameCaption(time_s=1.25, text="a hat")])
    one = replace(one, time="2026-01-01T00:00:00+00:00")
    other = create_event.frame_caption_edit(
        state, EventContext(user="ben"), [FrameCaption(time_s=1.25, text="a cap")]
    )
    for order in ([one, other], [other, one]):
        assert words(ReviewState.of(shots).replay(order), frames(1.25)) == {"f0": "a cap"}
