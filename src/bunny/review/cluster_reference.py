"""Cluster references of events, resolved to today's clusters.

A name that people gave leads to its cluster. Without one, the cluster is the one that most of the
exemplars are in; an id alone is believed only where an event has nothing else. Of a cluster that
broke up since it was named, the other parts are known by its members; of two named ones that the
machine made one, whose name is whose is known by them too.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bunny.core import atomic
from bunny.review.anchor import AssetIndex
from bunny.review.event_log import ClusterRef, Event, Level
from bunny.review.snapshot import NOISE, NONE, PERSON, UNNAMED, Snapshot

REJECT_SHARE = 0.25  # of a rejected cluster's exemplars that make another one just as wrong
MAX_NAME = 64  # characters; a character's name is a folder too


def is_noise(ref: ClusterRef | None) -> bool:
    """Whether an event means the noise bucket."""
    return ref is not None and not (ref.cluster_id or ref.name or ref.exemplars)


def is_name(level: Level, name: str) -> bool:
    """Whether a person may call a cluster so; characters' names are folders, labels and words.

    Examples
    --------
    >>> [is_name("character", name) for name in ("anna", "../x", "person-02", "Aux")]
    [True, False, False, False]
    """
    if not name.strip() or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        return False
    if level == "scene":
        return "/" not in name
    is_taken = UNNAMED.fullmatch(name) or name in ("unknown", "scene")
    return not (is_taken or name.startswith(".") or atomic.portable_name_error(name))


def find(content: AssetIndex, now: Snapshot, level: Level, ref: ClusterRef | None) -> int | None:
    """Find the cluster that a reference means; None when there is none, or it is the noise bucket.

    Parameters
    ----------
    level : {"scene", "character"}

    Returns
    -------
    int or None
        Number of a cluster.
    """
    if ref is None:
        return None
    if ref.name and (named := now.named(level, ref.name)) is not None:
        return named
    former = now.formerly(level, ref.name) if ref.name and ref.exemplars else None
    votes = _votes(content, now, level, ref)
    if votes:
        most = max(votes.values())
        best = next(number for number in votes if votes[number] == most)
        is_other = ref.name and now.folders[best].name and best != former
        return None if is_other else best
    return former if ref.exemplars or ref.name else now.ids.get((level, ref.cluster_id))


def find_rejected(
    content: AssetIndex, now: Snapshot, event: Event, items: Sequence[int]
) -> frozenset[int]:
    """Find all clusters that an event says its items are not in.

    Notes
    -----
    After another clustering what was one cluster may be two: all that hold a good share of its
    exemplars are meant. When nothing is left to know a cluster by but the rejected items
    themselves, only a cluster of such items is meant.
    """
    ref, level = event.cluster, event.level
    named = find(content, now, level, ref)
    found = set() if named is None else {named}
    if ref is None or named is None or now.folders[named].name:
        return frozenset(found)
    votes = _votes(content, now, level, ref)
    found |= {n for n, v in votes.items() if v >= REJECT_SHARE * sum(votes.values())}
    own = set(items)
    if votes and set(content.match_all(level, ref.exemplars)) <= own:
        found = {n for n in found if set(now.members(n).tolist()) <= own}
    return frozenset(found)


def find_parts(
    content: AssetIndex, now: Snapshot, level: Level, ref: ClusterRef | None, number: int
) -> list[int]:
    """Find what else was in a cluster that broke up: nameless clusters, mostly of its members.

    Parameters
    ----------
    level : {"scene", "character"}
    ref : ClusterRef or None
        The cluster as it was.
    number : int
        The part that is known already.

    Notes
    -----
    A cluster in which a person placed something is that person's word, and stays as it is.
    """
    items = content.match_all(level, ref.members) if ref is not None else []
    votes = Counter(int(now.cluster[i]) for i in items if now.cluster[i] != NOISE)
    found = []
    for part in sorted(votes.keys() - {number}):
        members = now.members(part)
        is_free = not now.folders[part].name and not now.is_said[members].any()
        if is_free and 2 * votes[part] > len(members):
            found.append(part)
    return found


def find_named_items(
    content: AssetIndex, now: Snapshot, event: Event, number: int
) -> list[int] | None:
    """Find the items that a name is for, in a cluster that has a name for others already.

    Returns
    -------
    list of int or None
        Members of `number` that are to bear the name of their own; None where the cluster has no
        other name, or has it for the same items: then it is simply called otherwise.
    """
    ref, name = event.cluster, now.folders[number].name
    if ref is None or ref.name or not ref.members or name in ("", event.text.strip()):
        return None
    items, held = content.match_all(event.level, ref.members), now.held.get(number, NONE)
    if not items or 2 * sum(i in held for i in items) > len(items):
        return None
    return [
        i
        for i in items
        if now.cluster[i] == number and i not in held and (now.is_approved[i] or not now.is_said[i])
    ]


def find_or_create(
    content: AssetIndex, now: Snapshot, event: Event, ref: ClusterRef | None
) -> int | None:
    """Find a cluster, or make it anew of its name or of exemplars that lie in no cluster today."""
    found = find(content, now, event.level, ref)
    if found is not None or ref is None:
        return found
    if ref.name:
        is_fit = is_name(event.level, ref.name)
        return create(now, event, ref.name) if is_fit else None
    items = content.match_all(event.level, ref.exemplars)
    if not items:
        return None
    number = create(now, event)
    free = [i for i in items if now.cluster[i] == NOISE and not now.is_said[i]]
    now.move([i for i in free if number not in now.cannot.get(i, ())], number, PERSON)
    return number


def create(now: Snapshot, event: Event, name: str = "") -> int:
    """Make a cluster whose id follows from the event, so that each replay calls it the same.

    What was learned may have put items there before; then it is that cluster.
    """
    cluster_id = new_id(event, name)
    known = now.ids.get((event.level, cluster_id))
    if known is None:
        return now.add(event.level, cluster_id, name)
    now.rename(known, name, cluster_id)
    return known


def new_id(event: Event, name: str = "") -> str:
    """Id of a cluster that an event creates or names: a character's name, else a new id."""
    if name and event.level == "character":
        return name
    former = event.cluster.cluster_id if event.cluster is not None else ""
    prefix = "figure" if former.startswith("figure-") else "person"
    prefix = "scene" if event.level == "scene" else prefix
    return f"{prefix}-{hashlib.sha256(event.event_id.encode()).hexdigest()[:8]}"


def central_members(
    content: AssetIndex, now: Snapshot, number: int, limit: int, exclude: Sequence[int] = ()
) -> list[int]:
    """Members that stand for a cluster: those that people spoke of first, then the most alike."""
    members = np.setdiff1d(now.members(number), np.asarray(exclude, np.int64))
    alike = content.similarity[members]
    order = np.lexsort((members, -alike, ~now.is_said[members]))
    return members[order][:limit].tolist()


def _votes(content: AssetIndex, now: Snapshot, level: Level, ref: ClusterRef) -> Counter[int]:
    """How many exemplars lie in each cluster, in order of the first."""
    items = content.match_all(level, ref.exemplars)
    return Counter(int(now.cluster[i]) for i in items if now.cluster[i] != NOISE)
