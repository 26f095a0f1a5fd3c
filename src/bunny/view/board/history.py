"""What a person can take back, and corrections in words."""

from __future__ import annotations

from collections.abc import Sequence

from bunny.review.event import Event

THING = {"scene": "shot", "character": "figure"}


def undone(events: Sequence[Event]) -> set[str]:
    """Ids of events that do not hold; an undo that was itself undone has no effect.

    Parameters
    ----------
    events : sequence of Event
        In the order in which they were put down.
    """
    found: set[str] = set()
    for event in sorted(events, key=_moment, reverse=True):
        if event.kind == "undo" and event.event_id not in found:
            found.add(event.undoes)
    return found


def steps(events: Sequence[Event], user: str) -> tuple[Event | None, Event | None]:
    """What this person would undo and redo next.

    Returns
    -------
    tuple
        The person's last correction that holds, and the last undo of theirs that holds and came
        after their last correction: undoing that one brings the correction back.
    """
    gone = undone(events)
    own = sorted((e for e in events if e.user == user), key=_moment)
    deeds = [e for e in own if e.kind != "undo"]
    last = _moment(deeds[-1]) if deeds else ("", "")
    known = {e.event_id for e in deeds}
    back = [
        e
        for e in own
        if e.kind == "undo" and e.undoes in known and e.event_id not in gone and _moment(e) > last
    ]
    held = [e for e in deeds if e.event_id not in gone]
    return (held[-1] if held else None), (back[-1] if back else None)


def describe(event: Event, events: Sequence[Event] = ()) -> str:
    """One correction in a few words, without who did it.

    Parameters
    ----------
    event : Event
    events : sequence of Event
        Among which to look for what an undo takes back.
    """
    things = _things(event)
    target = _name(event.cluster)
    if event.kind == "undo":
        past = next((e for e in events if e.event_id == event.undoes), None)
        return "undid a correction" if past is None else f"undid: {describe(past, events)}"
    texts = {
        "assign": f"moved {things} to {target}",
        "reject": f"rejected {things} from {target}",
        "merge": f"merged {_name(event.other)} into {target}",
        "split": f"made {event.text or 'a new cluster'} of {things}",
        "rename": f"renamed {target} to {event.text}",
        "approve": f"approved {things}",
        "comment": f"commented on {things}: {event.text}",
        "caption_edit": f"wrote the caption of {things}",
    }
    return texts[event.kind]


def _things(event: Event) -> str:
    number = len(event.items)
    return f"{number} {THING[event.level]}{'' if number == 1 else 's'}"


def _name(cluster) -> str:
    if cluster is None:
        return "the noise bucket"
    return cluster.name or cluster.cluster_id or "the noise bucket"


def _moment(event: Event) -> tuple[str, str]:
    return event.time, event.event_id
