"""Corrections without one person: the one place where the record is not only appended to.

A record that says who somebody is keeps that person; so what says it is taken out when a person is
to be forgotten. Everything else stays as it was said, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from bunny.review.event_log import AssetAnchor, ClusterRef, Event


def erase(
    events: Sequence[Event],
    name: str,
    is_person: Callable[[AssetAnchor], bool],
    rewrite: Callable[[str], str],
) -> list[Event]:
    """Events that say nothing of a person any more.

    Parameters
    ----------
    events : sequence of Event
        The record, oldest first.
    name : str
        Whom no event may name.
    is_person : callable
        Whether an anchor stands for the person.
    rewrite : callable
        Takes the name out of a text.

    Returns
    -------
    list of Event
        Left out are events about a cluster or name that is the person's, those about nobody else's
        items, and what undoes such; of others the person's items are taken out, and the name out of
        comments and captions.
    """
    kept: list[Event] = []
    dropped: set[str] = set()
    num_before: list[int] = [0]  # of the events up to a place, how many are kept
    for event in events:
        own = _erase_one(event, name, is_person, rewrite, dropped)
        if own is None:
            dropped.add(event.event_id)
        else:
            seen = num_before[min(event.seen, len(num_before) - 1)]
            kept.append(replace(own, seen=seen) if event.seen != seen else own)
        num_before.append(len(kept))
    return kept


def _erase_one(
    event: Event,
    name: str,
    is_person: Callable[[AssetAnchor], bool],
    rewrite: Callable[[str], str],
    dropped: Collection[str],
) -> Event | None:
    clusters = [one for one in (event.cluster, event.other) if one is not None]
    if event.undoes in dropped or any(_has_name(one, name) for one in clusters):
        return None
    if event.kind in ("rename", "split") and event.text == name:
        return None
    items = _others(event.items, is_person)
    if event.items and not items:
        return None
    return replace(
        event,
        items=items,
        cluster=_without(event.cluster, is_person),
        other=_without(event.other, is_person),
        text=rewrite(event.text),
        reason=rewrite(event.reason),
        frames=tuple(replace(one, text=rewrite(one.text)) for one in event.frames),
    )


def _has_name(cluster: ClusterRef, name: str) -> bool:
    return name in (cluster.name, cluster.cluster_id.rpartition("/")[2])


def _without(
    cluster: ClusterRef | None, is_person: Callable[[AssetAnchor], bool]
) -> ClusterRef | None:
    if cluster is None:
        return None
    return replace(
        cluster,
        exemplars=_others(cluster.exemplars, is_person),
        members=_others(cluster.members, is_person),
    )


def _others(
    anchors: Sequence[AssetAnchor], is_person: Callable[[AssetAnchor], bool]
) -> tuple[AssetAnchor, ...]:
    return tuple(one for one in anchors if not is_person(one))
