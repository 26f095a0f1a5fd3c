"""Look-alikes, conflicts, pairs for learning, and doubt: each worked out by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from bunny.review import corrected_table, create_event, look_alike
from bunny.review import doubt as review_doubt
from bunny.review.create_event import EventContext
from bunny.review.state import ReviewState

ANA = EventContext(user="ana")
ANGLES = (0, 10, 20, 80, 90, 100, 30)


def s(number: int) -> str:
    return f"film-s{number:05d}"


@pytest.fixture(scope="module")
def plane(lib):
    return lib.vectors({s(i): a for i, a in enumerate(ANGLES)})


def test_look_alikes_are_shown_the_nearest_first_and_nothing_changes(shots, plane):
    state = ReviewState.of(shots)
    before = state.frame()
    # 6 lies at 30 degrees: 2 is 10 away, 1 is 20, 0 is 30 (cosine 0.866), 3 is 50.
    found = look_alike.look_alikes(state, plane, [s(6)], 0.9, 10, cluster_id="scene-002")
    assert found["asset_id"].to_list() == [s(2), s(1)]
    assert found["similarity"].to_list() == pytest.approx(
        [np.cos(np.radians(10)), np.cos(np.radians(20))], abs=1e-6
    )
    assert look_alike.look_alikes(state, plane, [s(6)], 0.9, 1).height == 1
    assert state.frame().equals(before) and state.num_events == 0


def test_look_alikes_leave_out_whom_a_person_spoke_of_and_who_is_there(shots, plane):
    state = ReviewState.of(shots)
    state.apply(create_event.approve(state, ANA, [s(1)]))
    state.apply(create_event.reject(state, ANA, [s(2)], "scene-002"))
    found = look_alike.look_alikes(state, plane, [s(6)], 0.8, 10, cluster_id="scene-002")
    assert found["asset_id"].to_list() == [s(0)]
    into = look_alike.look_alikes(state, plane, [s(6)], 0.8, 10, cluster_id="scene-001")
    assert into.is_empty()  # they are all there


def test_undo_takes_all_of_a_propagated_event_back(shots, plane):
    state = ReviewState.of(shots)
    before = state.frame()
    found = look_alike.look_alikes(state, plane, [s(6)], 0.8, 10, cluster_id="scene-002")
    event = create_event.assign(
        state, replace(ANA, origin="propagated"), found["asset_id"].to_list(), "scene-002"
    )
    assert len(state.apply(event)) == 3
    assert state.members("scene-001", "scene") == []
    state.apply(create_event.undo(state, ANA, event.event_id))
    assert state.frame().equals(before)


def test_a_propagated_event_moves_nobody_of_whom_somebody_else_spoke(shots):
    state = ReviewState.of(shots)
    late = create_event.assign(state, replace(ANA, origin="propagated"), [s(0), s(1)], "scene-002")
    early = create_event.approve(state, EventContext(user="ben"), [s(0)])
    early = replace(early, time="2020-01-01T00:00:00+00:00")
    state.replay([late, early])
    assert (state.cluster_of(s(0)), state.cluster_of(s(1))) == ("scene-001", "scene-002")


def test_what_others_said_unseen_of_the_same_items_is_a_conflict(shots):
    state = ReviewState.of(shots)
    one = create_event.assign(state, EventContext(user="ana", seen=0), [s(0), s(1)], "scene-002")
    other = create_event.assign(state, EventContext(user="ben", seen=0), [s(1)], "attic")
    elsewhere = create_event.reject(state, EventContext(user="ben", seen=0), [s(5)])
    seen = create_event.assign(state, EventContext(user="cleo", seen=2), [s(1)], "attic")
    record = [one, other, elsewhere, seen]
    state.replay(record)
    assert create_event.unseen_conflicts(record, other, state) == [one]
    others = {e.event_id: create_event.unseen_conflicts(record, e, state) for e in record}
    assert {key: found for key, found in others.items() if found} == {other.event_id: [one]}


def test_a_merge_and_a_word_on_its_members_are_a_conflict(shots):
    state = ReviewState.of(shots)
    merge = create_event.merge(
        state, EventContext(user="ana", seen=0), "scene-001", "scene-002", level="scene"
    )
    away = create_event.reject(state, EventContext(user="ben", seen=0), [s(4)])
    state.replay([merge, away])
    assert create_event.unseen_conflicts([merge, away], away, state) == [merge]


def test_pairs_of_an_assign_and_a_reject(shots):
    state = ReviewState.of(shots)
    state.apply(create_event.assign(state, ANA, [s(0)], "scene-002"))
    pairs = {
        (r["anchor_id"], r["positive_id"], r["label"])
        for r in corrected_table.constraint_pairs(state).to_dicts()
    }
    assert pairs == {*((s(0), s(i), 1) for i in (3, 4, 5)), *((s(0), s(i), 0) for i in (1, 2))}
    state.apply(create_event.reject(state, ANA, [s(0)]))  # the later word counts
    labels = (
        corrected_table.constraint_pairs(state)
        .filter(pl.col("positive_id") == s(3))["label"]
        .to_list()
    )
    assert labels == [0]
    assert corrected_table.constraint_pairs(state, limit=2).height == 4  # two of each event


def test_compare_leaves_the_item_itself_out():
    vector = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)
    similarity, margin = review_doubt.compare(vector, np.array([0, 0, 1, -1]))
    # The first two have each other, at cosine 0; the third is alone; noise looks at both.
    half = np.sqrt(0.5)
    assert similarity[:2] == pytest.approx([0, 0], abs=1e-6)
    assert np.isnan(similarity[2]) and np.isnan(margin[2])
    assert margin[:2] == pytest.approx([-0.6, -0.8], abs=1e-6)
    assert similarity[3] == pytest.approx(1.4 * half, abs=1e-6)
    assert margin[3] == pytest.approx(1.4 * half - 0.96, abs=1e-6)


def test_doubt_falls_with_likeness_and_with_the_margin():
    doubt = review_doubt.doubt_of(
        np.array([1.0, 0.75, 0.5, 1.0, np.nan, 0.8]),
        np.array([10.0, 10.0, 10.0, 0.0, np.nan, 0.1]),
        np.array([True, True, True, True, True, False]),
        0.5,
    )
    # Half the way from the floor: 1 - sqrt(0.5); at the floor or without margin 1.
    assert doubt == pytest.approx([0, 1 - np.sqrt(0.5), 1, 1, 0.5, 0.9], abs=1e-6)


def test_measure_gives_no_doubt_where_a_person_said_so(shots, plane):
    said = np.arange(7) == 0
    table = review_doubt.measure(shots, {"scene": plane}, said)
    assert table["doubt"][0] == 0
    # Shot 1 between 0 and 20 degrees: their mean lies at 10, its cosine is 1; the other at 90.
    assert table["similarity"][1] == pytest.approx(1, abs=1e-6)
    assert table["margin"][1] == pytest.approx(1 - np.cos(np.radians(80)), abs=1e-6)


def test_measure_asks_about_each_level_by_itself(shots, plane):
    said = np.arange(shots.height) == 0
    asked = review_doubt.measure(shots, {"scene": plane}, said)["question"]
    assert asked[0] is None
    numbers = sorted(set(asked.drop_nulls().to_list()))
    assert numbers == list(range(len(numbers))) and numbers
    assert not asked.filter(shots["level"] == "character").drop_nulls().len()


def test_the_noise_threshold_is_the_floor_of_scenes_below_one():
    assert review_doubt.level_floor(0.5) == review_doubt.FLOOR
    assert review_doubt.level_floor(1.0) == {"scene": 0.99, "character": 0.0}
