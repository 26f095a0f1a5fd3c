"""What corrections say of likeness, as pairs: must-link 1, cannot-link 0.

Both are for learning. That a correction holds through every run is not their work but the
replay's.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from bunny.review.snapshot import Evidence
from bunny.review.state import State
from bunny.table import store

MAX_PAIRS = 30  # of one event and label, so that a large cluster does not drown the others


def pairs(state: State, limit: int = MAX_PAIRS) -> pl.DataFrame:
    """Table `training_feedback`.

    Parameters
    ----------
    state : State
        After all events.
    limit : int
        Pairs of one event and label at most: each item with the most central others first.

    Notes
    -----
    | event | 1 | 0 |
    |---|---|---|
    | assign | items and the target's members | items and the members of what they left |
    | approve | items and the cluster's members | |
    | reject | | items and the cluster's members |
    | merge | central members of both | |
    | split | the items among themselves | items and the members of what they left |

    Of two events that say otherwise of one pair the later one counts.
    """
    ids, found = state.content.ids, {}
    used: dict[tuple[str, int], int] = {}
    for one in state.evidence():
        part = (one.event_id, one.label)
        for anchor, other in spread(one, limit - used.get(part, 0)):
            used[part] = used.get(part, 0) + 1
            key = frozenset((anchor, other))
            found.pop(key, None)
            found[key] = {
                "anchor_id": ids[anchor],
                "positive_id": ids[other],
                "label": one.label,
                "level": one.level,
                "event_id": one.event_id,
            }
    return store.from_rows("training_feedback", found.values())


def spread(one: Evidence, limit: int) -> Iterable[tuple[int, int]]:
    """Pairs of an event, at most `limit`: all items in turn, each with its next other.

    Examples
    --------
    >>> one = Evidence(event_id="e", label=1, level="scene", items=(1, 2), others=(7, 8))
    >>> list(spread(one, 3))
    [(1, 7), (2, 8), (1, 8)]
    """
    count = 0
    for turn in range(len(one.others)):
        for place, item in enumerate(one.items):
            other = one.others[(turn + place) % len(one.others)]
            if count >= limit:
                return
            if item != other:
                count += 1
                yield item, other
