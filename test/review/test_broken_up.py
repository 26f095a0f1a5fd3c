"""What people named stays named when the machine parts it, or makes one of two."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rejection import is_rejected

from bunny.review import create_event
from bunny.review import event_log as record
from bunny.review.create_event import EventContext
from bunny.review.state import ReviewState

ANA, BEN = EventContext(user="ana"), EventContext(user="ben")


def s(number):
    return f"film-s{number:05d}"


def _film(lib, *clusters):
    """One shot a number; 0 is noise."""
    rows = [lib.shot_row(i, f"scene-{c:03d}" if c else None) for i, c in enumerate(clusters)]
    return lib.table(rows)


def _names(state):
    """Name of each shot's cluster, "" for a nameless one, None in noise."""
    numbers = state.now.cluster.tolist()
    return [state.now.folders[n].name if n >= 0 else None for n in numbers]


def _at(second, event):
    """At a time of its own, so that the order of the record is the order of these numbers."""
    return replace(event, time=f"2026-01-01T00:00:{second:02d}+00:00", event_id=f"e{second:02d}")


def _rename(state, cluster, name, second, who=ANA):
    return _at(second, create_event.rename(state, who, cluster, name, level="scene"))


@pytest.fixture
def two(lib):
    """Shots 0 to 2 are scene-001, 3 to 5 scene-002, 6 is noise."""
    return ReviewState.of(_film(lib, 1, 1, 1, 2, 2, 2, 0))


@pytest.fixture
def named(two):
    """They are called kitchen and hall, by events e01 and e02."""
    one = _rename(two, "scene-001", "kitchen", 1)
    other = _rename(two, "scene-002", "hall", 2)
    return [one, other]


def test_every_part_keeps_the_name(lib, named):
    again = ReviewState.of(_film(lib, 1, 2, 3, 4, 4, 4, 0)).replay(named)
    assert _names(again) == ["kitchen"] * 3 + ["hall"] * 3 + [None]
    assert again.clusters("scene")["size"].to_list() == [3, 3]


def test_a_part_that_was_mostly_something_else_stays_as_it_is(lib, named):
    # scene-002 has one of the kitchen and two shots that were in noise; half is not most
    again = ReviewState.of(_film(lib, 1, 1, 2, 3, 3, 4, 4, 2, 2)).replay(named)
    assert _names(again) == ["kitchen", "kitchen", "", "hall", "hall", "", "", "", ""]


def test_two_names_on_one_cluster_part_it_again(lib, named):
    again = ReviewState.of(_film(lib, 1, 1, 1, 1, 1, 1, 1)).replay(named)
    # the seventh was in neither: it stays with the first that was named
    assert _names(again) == ["kitchen"] * 3 + ["hall"] * 3 + ["kitchen"]
    assert again.find_cluster("hall", "scene") != again.find_cluster("kitchen", "scene")
    undo = _at(3, create_event.undo(again, ANA, "e02"))
    assert _names(again.replay([undo])) == ["kitchen"] * 7


def test_of_two_names_for_the_same_shots_the_later_stands(lib, two):
    one = _rename(two, "scene-001", "kitchen", 1)
    other = _rename(two, "scene-001", "galley", 2, BEN)  # ben had not seen ana's
    both = ReviewState.of(_film(lib, 1, 1, 1, 2, 2, 2, 0)).replay([other, one])
    assert _names(both) == ["galley"] * 3 + [""] * 3 + [None]
    again = ReviewState.of(_film(lib, 1, 2, 1, 2, 2, 2, 0)).replay([other, one])
    assert _names(again)[0] == _names(again)[2] == "galley"


def test_what_people_merged_is_named_as_one(lib, two):
    two.apply(_at(1, create_event.merge(two, ANA, "scene-001", "scene-002", level="scene")))
    two.apply(_rename(two, "scene-001", "kitchen", 2))
    again = ReviewState.of(_film(lib, 1, 1, 2, 3, 3, 4, 0)).replay(two.every)  # both broke up
    assert _names(again) == ["kitchen"] * 6 + [None]
    undone = again.replay([_at(3, create_event.undo(again, ANA, "e01"))])  # they were never one
    assert _names(undone) == ["kitchen"] * 3 + [""] * 3 + [None]
    assert _names(two.replay(undone.every)) == ["kitchen"] * 3 + [""] * 3 + [None]


def test_what_a_person_placed_is_no_part(lib, two):
    split = _at(1, create_event.split(two, BEN, [s(2)]))
    name = _rename(two, "scene-001", "kitchen", 2)  # ana had not seen ben's
    again = ReviewState.of(_film(lib, 1, 1, 1, 2, 2, 2, 0)).replay([name, split])
    assert _names(again) == ["kitchen", "kitchen", "", "", "", "", None]


def test_approved_ones_go_with_their_name_and_assigned_ones_stay(lib, two):
    right = _at(1, create_event.approve(two, ANA, [s(3), s(4)], "scene-002"))
    moved = _at(2, create_event.assign(two, BEN, [s(5)], "scene-001"))
    first = _rename(two, "scene-001", "kitchen", 3)
    second = _rename(two, "scene-002", "hall", 4)
    again = ReviewState.of(_film(lib, 1, 1, 1, 1, 1, 1, 0)).replay([second, first, moved, right])
    assert _names(again) == ["kitchen"] * 3 + ["hall"] * 2 + ["kitchen", None]


def test_a_person_that_the_machine_takes_for_another_keeps_the_name(lib, figures):
    state = ReviewState.of(figures)
    event = create_event.rename(state, ANA, "person-01", "carl", level="character")
    rows = [lib.figure_row(f"film-t{i}", i, "left", "bunny") for i in range(3)]
    rows += [lib.figure_row(f"film-u{i}", i, "right", "bunny") for i in range(3)]
    again = ReviewState.of(lib.table(rows)).replay([event])
    assert [again.cluster_of(f"film-t{i}") for i in range(3)] == ["bunny"] * 3
    assert [again.cluster_of(f"film-u{i}") for i in range(3)] == ["carl"] * 3


def test_who_was_rejected_comes_back_by_no_part(lib, two):
    two.apply(_at(1, create_event.reject(two, ANA, [s(2)], "scene-001")))
    two.apply(_rename(two, "scene-001", "kitchen", 2))
    again = ReviewState.of(_film(lib, 1, 2, 2, 3, 3, 3, 2)).replay(two.every)
    assert _names(again)[2] is None
    assert is_rejected(again, s(2), again.cluster_of(s(0)))


def test_a_record_of_before_is_read_and_names_the_largest_part(lib, named):
    line = named[0].to_dict()
    assert record.from_dict(line) == named[0] and len(line["cluster"]["members"]) == 3
    del line["cluster"]["members"]
    again = ReviewState.of(_film(lib, 1, 1, 2, 3, 3, 3, 0)).replay([record.from_dict(line)])
    assert _names(again) == ["kitchen", "kitchen", "", "", "", "", None]


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=st.lists(st.integers(0, 3), min_size=10, max_size=10),
    after=st.lists(st.integers(0, 5), min_size=10, max_size=10),
    data=st.data(),
)
def test_no_name_is_lost_and_pure_parts_keep_theirs(lib, before, after, data):
    first = ReviewState.of(_film(lib, *before))
    there = data.draw(st.permutations(sorted(set(before) - {0})))
    names = {c: f"place {c}" for c in there}
    said = [_rename(first, f"scene-{c:03d}", names[c], i) for i, c in enumerate(there)]
    again = ReviewState.of(_film(lib, *after)).replay(said)
    other = ReviewState.of(_film(lib, *after))
    for event in data.draw(st.permutations(said)):
        other.apply(event)
    assert other.frame().equals(again.frame())
    found = _names(again)
    for c, name in names.items():
        own = [i for i, was in enumerate(before) if was == c]
        assert not any(after[i] for i in own) or name in {found[i] for i in own}
    for part in set(after) - {0}:
        was = {before[i] for i in range(10) if after[i] == part}
        got = {found[i] for i in range(10) if after[i] == part}
        assert got <= {"", *(names[c] for c in was if c)}  # nobody's name comes from elsewhere
        if len(was) == 1:
            assert got == {names.get(was.pop(), "")}
