"""Laws of the replay: any order, any moment of a re-run, any renumbering gives the same labels."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rejection import touched_number

from bunny.review import create_event
from bunny.review.create_event import EventContext
from bunny.review.replay import holding
from bunny.review.snapshot import NONE
from bunny.review.state import ReviewState

NUM_SHOTS, NUM_CLUSTERS = 12, 4
SETTINGS = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NAMES = ["kitchen", "hall", "anna", "bob"]

OFTEN = ["assign", "reject"]
MOVES = ["new", "noise", "merge", "split", "propagated"]
SELDOM = [*MOVES, "rename", "approve", "comment", "undo"]
# What somebody does: kind, items, a cluster by its place among those there are, a name, a user.
ACT = st.tuples(
    st.sampled_from(OFTEN * 2 + SELDOM),
    st.lists(st.integers(0, NUM_SHOTS - 1), min_size=1, max_size=4, unique=True),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(NAMES),
    st.sampled_from(["ana", "ben"]),
    st.sampled_from(["scene", "character"]),
)
ACTS = st.lists(ACT, max_size=8)


def library(lib, clusters=None, jitter=0.0, prefix="film", rename=None):
    """Twelve shots with a figure each; `rename` gives other ids to the machine's clusters."""
    clusters = clusters or [i % NUM_CLUSTERS for i in range(NUM_SHOTS)]
    rename = rename or list(range(NUM_CLUSTERS))
    rows = [
        lib.shot_row(i, f"scene-{rename[c]:03d}" if c else None, prefix)
        for i, c in enumerate(clusters)
    ]
    rows += [
        lib.figure_row(
            f"{prefix}-t{i:02d}", i, "left", f"person-{rename[c]:02d}" if c else None, jitter
        )
        for i, c in enumerate(clusters)
    ]
    return lib.table(rows)


def vectors(lib, prefix="film"):
    """Shots of one cluster look alike."""
    return lib.vectors(
        {f"{prefix}-s{i:05d}": 25 * (i % NUM_CLUSTERS) + i for i in range(NUM_SHOTS)}
    )


def do(state, acts, clock=None):
    """Say things as they can be said; gives the events, each applied."""
    clock = clock or itertools.count()
    events = []
    for act in acts:
        event = _event(state, *act)
        if event is not None:
            time = f"2026-01-01T00:00:{next(clock):02d}.000000+00:00"
            event = replace(event, time=time, event_id=f"e{len(state.every):04d}")
            state.apply(event)
            events.append(event)
    return events


def _event(state, kind, numbers, one, two, name, user, level):
    rows = [
        i for i in range(len(state.content.ids)) if state.content.is_scene[i] == (level == "scene")
    ]
    ids = [state.content.ids[rows[n]] for n in numbers]
    clusters = sorted(state.clusters(level)["cluster_id"])
    if kind == "comment":
        return create_event.comment(state, EventContext(user=user), ids, "a word")
    if kind == "undo":
        past = [e for e in state.every if e.kind == "undo" or not state.is_undone(e.event_id)]
        return (
            create_event.undo(state, EventContext(user=user), past[one % len(past)].event_id)
            if past
            else None
        )
    if kind == "noise":
        return create_event.assign(state, EventContext(user=user), ids, "")
    if kind == "new":
        return create_event.assign(state, EventContext(user=user), ids, name)
    if kind == "split":
        return create_event.split(state, EventContext(user=user), ids)
    if not clusters:
        return None
    first, second = clusters[one % len(clusters)], clusters[two % len(clusters)]
    if kind == "merge":
        return (
            None
            if first == second
            else create_event.merge(state, EventContext(user=user), first, second, level=level)
        )
    if kind == "rename":
        return create_event.rename(state, EventContext(user=user), first, name, level=level)
    if kind == "reject":
        return create_event.reject(state, EventContext(user=user), ids, first)
    if kind == "propagated":
        return create_event.assign(state, EventContext(user=user, origin="propagated"), ids, first)
    make_it = create_event.approve if kind == "approve" else create_event.assign
    return make_it(state, EventContext(user=user), ids, first)


def groups(state):
    """What is with what, and what it is called, without ids: by the content of the items."""
    found = {}
    for i, number in enumerate(state.now.cluster.tolist()):
        found.setdefault((number, bool(state.content.is_scene[i])), []).append(i)
    return {
        (None if number < 0 else state.now.folders[number].name, tuple(items))
        for (number, _), items in found.items()
    }


@SETTINGS
@given(acts=ACTS, data=st.data())
def test_any_order_of_appending_gives_the_same(lib, acts, data):
    state = ReviewState.of(library(lib), vectors(lib))
    events = do(state, acts)
    shuffled = data.draw(st.permutations(events))
    one = ReviewState.of(library(lib), vectors(lib)).replay(shuffled)
    assert one.frame().equals(state.frame())
    other = ReviewState.of(library(lib), vectors(lib))
    for event in [*shuffled, *shuffled[:3]]:  # one at a time, some twice
        other.apply(event)
    assert other.frame().equals(state.frame())


@SETTINGS
@given(acts=ACTS, clusters=st.lists(st.integers(0, 3), min_size=12, max_size=12), data=st.data())
def test_clustered_again_any_order_gives_the_same(lib, acts, clusters, data):
    said = do(ReviewState.of(library(lib), vectors(lib)), acts)
    again = ReviewState.of(library(lib, clusters), vectors(lib)).replay(said)
    other = ReviewState.of(library(lib, clusters), vectors(lib))
    for event in data.draw(st.permutations(said)):
        other.apply(event)
    assert other.frame().equals(again.frame())
    names = [f.name for f in again.now.folders.values() if f.name and f.level == "scene"]
    assert len(names) == len(set(names))  # a name is one cluster


@SETTINGS
@given(before=ACTS, after=ACTS, jitter=st.floats(0, 0.02), data=st.data())
def test_a_rerun_in_between_with_other_ids_and_boxes_changes_nothing(
    lib, before, after, jitter, data
):
    plain = ReviewState.of(library(lib), vectors(lib))
    events = do(plain, before)
    order = data.draw(st.permutations(range(NUM_CLUSTERS)))
    again = ReviewState.of(
        library(lib, jitter=jitter, prefix="redone", rename=order), vectors(lib, "redone")
    )
    again.replay(events)
    assert groups(again) == groups(plain)
    clock = itertools.count(30)
    later = do(again, after, clock)  # said on the screen of the re-run
    plain.replay(later)
    assert groups(again) == groups(plain)


@SETTINGS
@given(
    before=ACTS,
    after=ACTS,
    target=st.integers(0, 20),
    numbers=st.sets(st.integers(0, 11), min_size=1, max_size=3),
    clusters=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_what_a_person_rejected_never_comes_back_by_itself(
    lib, before, after, target, numbers, clusters
):
    state = ReviewState.of(library(lib), vectors(lib))
    do(state, before)
    there = sorted(state.clusters("scene")["cluster_id"])
    if not there:
        return
    ids = [f"film-s{n:05d}" for n in sorted(numbers)]
    clock = itertools.count(30)
    event = create_event.reject(state, EventContext(user="ana"), ids, there[target % len(there)])
    event = replace(event, time=f"2026-01-01T00:00:{next(clock)}+00:00")
    state.apply(event)
    number = touched_number(state, event.event_id)
    if number is None:
        return
    kinds = ("merge", "split", "rename", "approve", "propagated", "reject", "comment")
    quiet = [act for act in after if act[0] in kinds]
    spoken = [act for act in quiet if act[0] != "split"]  # a split places what it names
    later = do(state, spoken, clock)
    rerun = ReviewState.of(library(lib, clusters), vectors(lib)).replay(state.every)
    for one in (state, rerun):
        wrong = touched_number(one, event.event_id)
        for asset_id in ids:
            item = one.item(asset_id)
            if wrong is not None:
                assert one.now.cluster[item] != wrong
                assert wrong in one.now.cannot.get(item, NONE)
    assert len(later) <= len(spoken)


@SETTINGS
@given(before=ACTS, act=ACT, after=ACTS)
def test_undo_restores_as_if_it_had_never_been_said(lib, before, act, after):
    state = ReviewState.of(library(lib), vectors(lib))
    events = do(state, before)
    clock = itertools.count(20)
    said = do(state, [act], clock)
    events += do(state, [a for a in after if a[0] != "undo"], clock)
    for one in said:
        if one.kind == "undo":
            continue
        undo = create_event.undo(state, EventContext(user="ana"), one.event_id)
        undo = replace(undo, time="2026-01-01T00:01:00+00:00")
        state.apply(undo)
        without = ReviewState.of(library(lib), vectors(lib)).replay(events)
        assert state.frame().equals(without.frame())
        state.apply(replace(undo, event_id="again", undoes=undo.event_id))
        assert state.frame().equals(
            ReviewState.of(library(lib), vectors(lib)).replay([*events, one]).frame()
        )


def test_undos_in_a_circle_say_nothing(shots):
    state = ReviewState.of(shots)
    moved = create_event.assign(state, EventContext(user="ana"), ["film-s00006"], "scene-001")
    one = replace(
        create_event.comment(state, EventContext(user="a"), ["film-s00000"], "x"),
        kind="undo",
        undoes="b",
        event_id="a",
    )
    other = replace(one, event_id="b", undoes="a")
    assert holding([one, moved, other]) == [moved]


@pytest.mark.parametrize(
    ("undos", "stays"),
    [
        ({"a": "b", "b": "a"}, True),
        ({"a": "b", "b": "c", "c": "a"}, True),
        ({"a": "a"}, True),
        ({"a": "b", "b": "a", "c": "moved"}, False),  # nothing speaks against c
        ({"a": "b", "b": "a", "c": "a", "d": "moved"}, False),
        ({"a": "moved", "b": "a", "c": "b"}, False),  # undone, done again, undone
        ({"a": "moved", "b": "a", "c": "b", "d": "c"}, True),
        ({"a": "moved", "b": "a", "c": "a"}, True),  # taken back twice
        ({"a": "moved", "b": "c", "c": "b"}, False),
        ({"a": "moved", "b": "moved", "c": "a"}, False),  # of two undos one holds
        ({"a": "moved", "b": "a", "a2": "b", "b2": "a2"}, True),
        ({"a": "b", "b": "moved", "c": "a", "b2": "c"}, True),
        ({"a": "gone"}, True),
    ],
)
def test_undos_in_any_order_and_in_circles_come_to_one_end(shots, undos, stays):
    """`undos` says of each undo what it undoes; whether `moved` holds, in every order."""
    state = ReviewState.of(shots)
    moved = create_event.assign(state, EventContext(user="ana"), ["film-s00006"], "scene-001")
    moved = replace(moved, event_id="moved", time="2026-01-01T00:00:00+00:00")
    empty = replace(moved, kind="undo", items=(), cluster=None)
    events = [moved, *(replace(empty, event_id=k, undoes=v) for k, v in undos.items())]
    for order in itertools.permutations(events):
        assert holding(order) == ([moved] if stays else [])
        found = ReviewState.of(shots)
        for event in order:
            found.apply(event)
        assert found.cluster_of("film-s00006") == ("scene-001" if stays else None)
