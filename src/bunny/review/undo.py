"""Undo and redo: the one rule that decides which events of a record no longer hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bunny.review import event_log
from bunny.review.event_log import Event


def undone(events: Iterable[Event]) -> set[str]:
    """Find the events that do not hold.

    An undo takes its event back for as long as the undo itself holds; an undo of an undo is a redo.
    Only who undoes whom counts, never the time: clocks of different machines disagree.

    Parameters
    ----------
    events : iterable of Event
        The whole record, in any order.

    Returns
    -------
    set of str
        Their ids. Undos that undo each other in a circle do not hold either.
    """
    known = event_log.by_id(events)
    target = {
        e.event_id: e.undoes for e in known.values() if e.kind == "undo" and e.undoes in known
    }
    open_undos = Counter(target.values())  # of each event, undos that are not decided yet
    decided = [event_id for event_id in known if not open_undos[event_id]]
    found: set[str] = set()
    while decided:
        event_id = decided.pop()
        if event_id not in target:
            continue
        undoes = target.pop(event_id)
        if event_id not in found:
            found.add(undoes)
        open_undos[undoes] -= 1
        if not open_undos[undoes]:
            decided.append(undoes)
    return found | target.keys()  # undos that nothing decided are a circle
