"""Who said something of the same items without having seen what others said of them."""

from __future__ import annotations

from collections.abc import Sequence

from bunny.review.event import Anchor, Event
from bunny.review.state import State

SILENT = ("comment",)  # kinds that change nothing another could have meant otherwise


def unseen(record: Sequence[Event], event: Event, state: State) -> list[Event]:
    """Find what others said of the same items, or clusters, that the user of an event had not seen.

    Parameters
    ----------
    record : sequence of Event
        The whole record, in the order in which it was put down (`log.read`).
    event : Event
        One of it, or one about to be put down.
    state : State
        To know items by their content.

    Returns
    -------
    list of Event
        In the order of the record. All are kept and the later one holds; people should be told.
    """
    ids = [one.event_id for one in record]
    end = ids.index(event.event_id) if event.event_id in ids else len(record)
    own = _touches(event, record, state)
    return [
        other
        for other in record[event.seen : end]
        if other.user != event.user
        and other.kind not in SILENT
        and own & _touches(other, record, state)
    ]


def find(record: Sequence[Event], state: State) -> list[tuple[Event, list[Event]]]:
    """Find all events of a record that have something in `unseen`, in order."""
    pairs = [(event, unseen(record, event, state)) for event in record]
    return [(event, others) for event, others in pairs if others]


def _touches(event: Event, record: Sequence[Event], state: State) -> set[object]:
    """Items of today that an event is about, and clusters where it is about nothing else."""
    if event.kind == "undo":
        target = next((one for one in record if one.event_id == event.undoes), None)
        return set() if target is None or target.kind == "undo" else _touches(target, record, state)
    if event.items:
        return set(state.content.match_all(event.level, event.items))
    refs = [ref for ref in (event.cluster, event.other) if ref is not None]
    anchors: list[Anchor] = [anchor for ref in refs for anchor in ref.exemplars]
    return set(state.content.match_all(event.level, anchors))
