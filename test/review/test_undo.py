"""Undo: replay and board ask one rule, whatever the clocks of the machines say."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bunny.review import replay, undo
from bunny.review.event_log import Event
from bunny.view.board import action

NUM_EVENTS = 8
MOVED = Event(user="ana", kind="assign", level="scene", event_id="moved", time="2026-01-01T10:00")


@st.composite
def records(draw):
    """Corrections and undos of anything, unknown ids and themselves too, with any stamps."""
    events = []
    for i in range(draw(st.integers(1, NUM_EVENTS))):
        undoes = draw(st.none() | st.integers(0, NUM_EVENTS).map("e{}".format))
        clock = st.sampled_from(["09:59+00:00", "10:00", "10:01Z", "09:30-02:00", "12:30+05:00"])
        one = replace(
            MOVED,
            event_id=f"e{i}",
            time=f"2026-01-01T{draw(clock)}",
            user=draw(st.sampled_from(["ana", "ben"])),
        )
        events.append(one if undoes is None else replace(one, kind="undo", undoes=undoes))
    return events


def holds(event_id, events, above=()):
    """The rule in its plain form: no undo of it holds; a circle of undos holds nowhere."""
    undos = [e.event_id for e in events if e.kind == "undo" and e.undoes == event_id]
    if event_id in above:
        return False
    return not any(holds(one, events, (*above, event_id)) for one in undos)


def in_circle(event, events):
    known = {e.event_id: e for e in events}
    path = []
    while event is not None and event.kind == "undo" and event.event_id not in path:
        path.append(event.event_id)
        event = known.get(event.undoes)
    return event is not None and event.event_id == (path or [""])[0]


@given(events=records(), data=st.data())
def test_board_and_replay_agree_in_any_order_and_with_any_clock(events, data):
    shuffled = data.draw(st.permutations(events)) + events[:2]  # two of them twice
    gone = undo.undone(shuffled)
    expected = {e.event_id for e in events if in_circle(e, events) or not holds(e.event_id, events)}
    assert gone == expected
    held = replay.holding(shuffled)
    assert {e.event_id for e in held} == {e.event_id for e in events if e.kind != "undo"} - gone
    for user in ("ana", "ben"):
        past, back = action.undo_and_redo(shuffled, user)
        assert past == next((e for e in reversed(held) if e.user == user), None)
        assert back is None or (back.event_id not in gone and back.undoes in gone)


def test_a_redo_stamped_before_its_undo_by_a_slow_clock_counts():
    back = replace(MOVED, kind="undo", event_id="back", undoes="moved", time="2026-01-01T10:05")
    redo = replace(back, event_id="redo", undoes="back", user="ben", time="2026-01-01T09:00")
    assert undo.undone([MOVED, back, redo]) == {"back"}
    assert action.undo_and_redo([MOVED, back, redo], "ana") == (MOVED, None)
