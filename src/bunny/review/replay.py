"""Replay of events over the machine's clusters, one rule for each kind of event.

Events are replayed over the machine's clusters in order of their time, then of their id, those that
were undone left out. So the result is a function of the set of events and of the tables alone: two
people's records merge in any order, and a run in between changes nothing. A later word of a person
stands over an earlier one, and any word of a person over the machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from bunny.review import cluster_reference, event_log, undo
from bunny.review.anchor import AssetIndex
from bunny.review.event_log import Event, order_key
from bunny.review.reassign import Reassignment
from bunny.review.snapshot import (
    LEARNED,
    MACHINE,
    NOISE,
    PERSON,
    LinkEvidence,
    Snapshot,
    machine_name,
)

MAX_EVIDENCE = 30  # items of a cluster that stand for it in what is learned from an event


def holding(events: Collection[Event]) -> list[Event]:
    """Events that hold, in order of replay: undone ones, undos and second copies are left out.

    Parameters
    ----------
    events : collection of Event
        In any order.
    """
    gone = undo.undone(events)
    kept = event_log.by_id(events).values()
    return sorted((e for e in kept if e.kind != "undo" and e.event_id not in gone), key=order_key)


def step(content: AssetIndex, fall: Reassignment, now: Snapshot, event: Event) -> None:
    """Let an event change a situation, in place.

    Parameters
    ----------
    fall : Reassignment
        Where an item goes that was rejected.
    event : Event
        None of kind undo.
    """
    items = content.match_all(event.level, event.items)
    number = _DOES[event.kind](content, fall, now, event, items)
    now.touched[event.event_id] = (tuple(items), number)


def _assign(content, fall, now, event, items) -> int | None:
    """Must-link with the target's exemplars, or with its name.

    A propagated one was made by likeness: it moves nobody of whom a person said something else.
    """
    is_noise = cluster_reference.is_noise(event.cluster)
    target = (
        NOISE if is_noise else cluster_reference.find_or_create(content, now, event, event.cluster)
    )
    if target is None:
        return None
    is_explicit = event.origin != "propagated"
    if not is_explicit:
        items = [i for i in items if not now.is_said[i] and target not in now.barred(i)]
    _learn(content, now, event, 1, items, target)
    _learn_left(content, now, event, items, target)
    _put(now, items, target)
    now.is_said[items] = is_explicit
    now.is_approved[items] = False
    return None if is_noise else target


def _approve(content, fall, now, event, items) -> int | None:
    """Must-link that survives the next clustering; what was rejected from there stays away."""
    is_noise = cluster_reference.is_noise(event.cluster)
    target = (
        NOISE if is_noise else cluster_reference.find_or_create(content, now, event, event.cluster)
    )
    if target is None:
        return None
    right = [i for i in items if target not in now.cannot.get(i, ())]
    moved = [i for i in right if now.cluster[i] != target]
    _learn(content, now, event, 1, right, target)
    _put(now, moved, target)
    now.is_said[right] = True
    now.is_approved[right] = True
    return None if is_noise else target


def _reject(content, fall, now, event, items) -> int | None:
    """Cannot-link of items and cluster; items in it fall to their next best cluster or to noise."""
    wrong = cluster_reference.find_rejected(content, now, event, items)
    for number in sorted(wrong):
        _learn(content, now, event, 0, items, number)
    for item in items:
        now.forbid(item, wrong)
    _evict(fall, now, [i for i in items if int(now.cluster[i]) in wrong])
    return min(wrong) if wrong else None


def _merge(content, fall, now, event, items) -> int | None:
    """Must-link of two clusters; what was rejected from either stays out of both."""
    stays = cluster_reference.find_or_create(content, now, event, event.cluster)
    goes = cluster_reference.find(content, now, event.level, event.other)
    if stays is None or goes is None:
        return None
    if stays != goes:
        now.hold(stays, [*now.members(stays).tolist(), *now.members(goes).tolist()])
        _unite(content, fall, now, event, stays, goes)
    _gather(content, fall, now, event, stays)
    return stays


def _split(content, fall, now, event, items) -> int | None:
    """Cannot-link of items with what they leave, must-link among themselves."""
    if not items:
        return None
    name = event.text.strip()
    if name and not cluster_reference.is_name(event.level, name):
        return None
    known = now.named(event.level, name) if name else None
    number = cluster_reference.create(now, event, name) if known is None else known
    before = {int(now.cluster[i]) for i in items}
    for item, barred in now.cannot.items():  # no machine takes the part for another thing
        if barred & before:
            now.leave(item, number)
    _learn_left(content, now, event, items, number)
    if len(items) > 1:
        pair = (items[:1], items[1:])
        now.evidence.append(_evidence(event, 1, *pair))
    _put(now, items, number)
    now.is_said[items] = True
    now.is_approved[items] = False
    return number


def _rename(content, fall, now, event, items) -> int | None:
    """A name sticks to the content: to each part of it, and in a cluster of others' to its own."""
    name = event.text.strip()
    if name and not cluster_reference.is_name(event.level, name):
        return None
    number = cluster_reference.find_or_create(content, now, event, event.cluster)
    if number is None:
        return None
    same = now.named(event.level, name) if name else None
    own = cluster_reference.find_named_items(content, now, event, number) if name else None
    if own is not None:
        number = _part(content, now, event, own, number, same)
    elif same is not None and same != number:
        _unite(content, fall, now, event, same, number)
        number = same
    else:
        is_scene = event.level == "scene"
        cluster_id = (
            now.folders[number].cluster_id if is_scene else name or cluster_reference.new_id(event)
        )
        now.rename(number, name, cluster_id)
    if name and event.cluster is not None:
        now.hold(number, content.match_all(event.level, event.cluster.members))
        _gather(content, fall, now, event, number)
    return number


def _part(content, now: Snapshot, event: Event, items, number: int, same: int | None) -> int:
    """Give back their name to items that the machine put into another named cluster."""
    target = cluster_reference.create(now, event, event.text.strip()) if same is None else same
    for item, barred in now.cannot.items():
        if number in barred:
            now.leave(item, target)
    own = [i for i in items if target not in now.cannot.get(i, ())]
    _learn_left(content, now, event, own, target)
    for item in own:
        now.leave(item, number)
    now.move(own, target, PERSON)
    return target


def _gather(content, fall, now: Snapshot, event: Event, number: int) -> None:
    """Put the other parts of what an event named or merged to the part that it found."""
    for ref in (event.cluster, event.other):
        for part in cluster_reference.find_parts(content, now, event.level, ref, number):
            _unite(content, fall, now, event, number, part)


def _comment(content, fall, now, event, items) -> int | None:
    """Changes no label."""
    now.num_comments[items] += 1
    return cluster_reference.find(content, now, event.level, event.cluster)


def _caption_edit(content, fall, now, event, items) -> int | None:
    """The words of shots from now on; no text gives them back to the machine."""
    for item in items:
        if not content.is_scene[item]:
            continue
        if event.text.strip():
            now.captions[item] = (event.text.strip(), event.user)
        else:
            now.captions.pop(item, None)
        for key in [key for key in now.frame_captions if content.shot_at(key[0]) == item]:
            del now.frame_captions[key]  # a later word stands over an earlier one
    return None


def _frame_caption_edit(content, fall, now, event, items) -> int | None:
    """The words of single pictures; no text gives them back to their shot or the machine."""
    for frame in event.frames:
        key = (frame.time_s, frame.source_file)
        now.frame_captions.pop(key, None)
        if frame.text.strip():
            now.frame_captions[key] = (frame.text.strip(), event.user)
    return None


_DOES: dict[str, Callable[..., int | None]] = {
    "assign": _assign,
    "approve": _approve,
    "reject": _reject,
    "merge": _merge,
    "split": _split,
    "rename": _rename,
    "comment": _comment,
    "caption_edit": _caption_edit,
    "frame_caption_edit": _frame_caption_edit,
}


def _put(now: Snapshot, items: Sequence[int], target: int) -> None:
    """Put items where a person says they belong."""
    for item in items:
        before = int(now.cluster[item])
        if before != target:
            now.leave(item, before)
        now.allow(item, target)
    now.move(items, target, PERSON)


def _evict(fall: Reassignment, now: Snapshot, items: Sequence[int]) -> None:
    """Take items out of where they are; each falls to what is allowed and like it, or to noise."""
    now.move(items, NOISE, PERSON)
    now.is_said[items] = False
    now.is_approved[items] = False
    for item, number in fall.choose(now, items).items():
        now.move([item], number, MACHINE)


def _unite(content, fall, now: Snapshot, event: Event, stays: int, goes: int) -> None:
    """Put all of one cluster into another; nobody comes to where he was rejected from."""
    coming, there = now.members(goes), now.members(stays)
    out = [int(i) for i in coming if stays in now.cannot.get(int(i), ())]
    out += [int(i) for i in there if goes in now.cannot.get(int(i), ())]
    _learn(
        content,
        now,
        event,
        1,
        cluster_reference.central_members(content, now, goes, MAX_EVIDENCE),
        stays,
    )
    now.move(coming.tolist(), stays, PERSON)
    for known in (now.cannot, now.left):
        for item, numbers in list(known.items()):
            if goes in numbers:
                known[item] = numbers - {goes} | {stays}
    for item, numbers in list(now.left.items()):  # who is in it did not leave it
        if now.cluster[item] == stays and item not in out:
            now.left[item] = numbers - {stays}
    gone, kept = now.folders.pop(goes), now.folders[stays]
    now.hold(stays, now.held.pop(goes, ()))
    now.ids.pop((gone.level, gone.cluster_id), None)
    now.into[goes] = stays
    if gone.name and not kept.name:
        is_scene = event.level == "scene"
        now.rename(stays, gone.name, kept.cluster_id if is_scene else gone.name)
    _evict(fall, now, out)


def _learn(content, now, event: Event, label: int, items: Sequence[int], number: int) -> None:
    """Put down that items and the members of a cluster are alike, or are not."""
    if number == NOISE or not len(items):
        return
    others = cluster_reference.central_members(content, now, number, MAX_EVIDENCE, exclude=items)
    if others:
        now.evidence.append(_evidence(event, label, items, others))


def _learn_left(content, now, event: Event, items: Sequence[int], target: int) -> None:
    """Put down that items are not alike those that they leave."""
    before = sorted({int(now.cluster[i]) for i in items} - {NOISE, target})
    for number in before:
        own = [i for i in items if now.cluster[i] == number]
        others = cluster_reference.central_members(
            content, now, number, MAX_EVIDENCE, exclude=items
        )
        if others:
            now.evidence.append(_evidence(event, 0, own, others))


def _evidence(
    event: Event, label: int, items: Sequence[int], others: Sequence[int]
) -> LinkEvidence:
    return LinkEvidence(
        event_id=event.event_id,
        label=label,
        level=event.level,
        items=tuple(items[:MAX_EVIDENCE]),
        others=tuple(others),
    )


def start(content: AssetIndex) -> Snapshot:
    """The machine's clusters, before any word of a person.

    Parameters
    ----------
    content : AssetIndex
        `machine_cluster_id` is where items are, `source` whether something learned put them there.
    """
    asset, n = content.asset, content.asset.height
    now = Snapshot(
        cluster=np.full(n, NOISE, np.int32),
        source=np.zeros(n, np.int8),
        is_said=np.zeros(n, bool),
        is_approved=np.zeros(n, bool),
        num_comments=np.zeros(n, np.int32),
        folders={},
        called={},
        ids={},
    )
    for i, cluster_id in enumerate(asset["machine_cluster_id"].to_list()):
        if cluster_id is None:
            continue
        level = "scene" if content.is_scene[i] else "character"
        number = now.ids.get((level, cluster_id))
        if number is None:
            number = now.add(level, cluster_id, machine_name(level, cluster_id))
        now.cluster[i] = number
    now.source[(asset["source"] == "learned").fill_null(False).to_numpy()] = LEARNED
    return now
