"""Events from what the board shows, and conflicts with events their user had not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from bunny.core.error import UserError
from bunny.review import cluster_reference
from bunny.review.event_log import AssetAnchor, ClusterRef, Event, FrameCaption, Level
from bunny.review.state import ReviewState

MAX_TEXT = 4000  # characters of a comment or a caption

SILENT = ("comment",)  # kinds that change nothing another could have meant otherwise


@dataclass(frozen=True, kw_only=True)
class EventContext:
    """Who makes an event, why and where: fields common to all that a person makes."""

    user: str
    seen: int | None = None  # events of the record the person had seen; None: all in the state
    reason: str = ""
    origin: str = "board"
    exemplars: int = 30  # members that stand for a cluster, as `review.exemplars`


def assign(
    state: ReviewState, context: EventContext, asset_ids: Sequence[str], cluster_id: str
) -> Event:
    """Move items into a cluster.

    Parameters
    ----------
    asset_ids : sequence of str
        Of one level.
    cluster_id : str
        Id or name of a cluster; a name that there is not yet makes one. "" is the noise bucket: the
        items belong nowhere.

    Raises
    ------
    UserError
        For unknown items, items of both levels, or a name that no cluster can have.
    """
    level = state.level_of(asset_ids)
    known = cluster_id if cluster_id == "" else state.find_cluster(cluster_id, level)
    if known is None:
        check_name(cluster_id, level)
        ref = ClusterRef(cluster_id=cluster_id, name=cluster_id)
    else:
        ref = state.refer(known, level, context.exemplars, asset_ids)
    return _event(state, context, "assign", level, asset_ids, cluster=ref)


def reject(
    state: ReviewState,
    context: EventContext,
    asset_ids: Sequence[str],
    cluster_id: str | None = None,
) -> Event:
    """Say that items are not in a cluster, by default in the one that they are in.

    Raises
    ------
    UserError
        As `assign`; if no cluster is given and the items are in several, or in none.
    """
    level = state.level_of(asset_ids)
    cluster_id = _own(state, asset_ids, cluster_id, level)
    if cluster_id == "":
        raise UserError(
            "reject: these items are in no cluster; say which cluster to reject them from"
        )
    ref = state.refer(cluster_id, level, context.exemplars, asset_ids)
    return _event(state, context, "reject", level, asset_ids, cluster=ref)


def merge(
    state: ReviewState, context: EventContext, cluster_id: str, other_id: str, *, level: Level
) -> Event:
    """Put all of `other_id` into `cluster_id`.

    Raises
    ------
    UserError
        If either is no cluster of the level, or both are one.
    """
    stays, goes = (_known(state, one, level) for one in (cluster_id, other_id))
    if stays == goes:
        raise UserError(
            f"merge: expected two different clusters, got {stays} twice; choose another"
        )
    return _event(
        state,
        context,
        "merge",
        level,
        (),
        cluster=state.refer(stays, level, context.exemplars, is_whole=True),
        other=state.refer(goes, level, context.exemplars, is_whole=True),
    )


def split(
    state: ReviewState, context: EventContext, asset_ids: Sequence[str], name: str = ""
) -> Event:
    """Take items out of where they are, into a cluster of their own.

    Raises
    ------
    UserError
        As `assign`, or if there is a cluster of that name.
    """
    level = state.level_of(asset_ids)
    if name:
        check_name(name, level)
        if state.find_cluster(name, level) is not None:
            raise UserError(
                f"split into {name}: a cluster of that name exists already; move the "
                "items there instead"
            )
    inside = [state.cluster_of(asset_id) for asset_id in asset_ids]
    known = [one for one in inside if one is not None]
    most = max(known, key=known.count, default="")
    ref = state.refer(most, level, context.exemplars, asset_ids)
    return _event(state, context, "split", level, asset_ids, cluster=ref, text=name)


def rename(
    state: ReviewState, context: EventContext, cluster_id: str, name: str, *, level: Level
) -> Event:
    """Name a cluster; of two clusters that get one name one is made.

    Parameters
    ----------
    name : str
        "" takes the name away.

    Raises
    ------
    UserError
        If there is no such cluster, or nothing can be called so.
    """
    known = _known(state, cluster_id, level)
    name = name.strip()
    if name:
        check_name(name, level)
    ref = state.refer(known, level, context.exemplars, is_whole=True)
    return _event(state, context, "rename", level, (), cluster=ref, text=name)


def approve(
    state: ReviewState,
    context: EventContext,
    asset_ids: Sequence[str],
    cluster_id: str | None = None,
) -> Event:
    """Say that items are right where they are; of items in several clusters see `by_cluster`.

    Raises
    ------
    UserError
        As `assign`; if no cluster is given and the items are in several.
    """
    level = state.level_of(asset_ids)
    cluster_id = _own(state, asset_ids, cluster_id, level)
    ref = state.refer(cluster_id, level, context.exemplars, asset_ids)
    return _event(state, context, "approve", level, asset_ids, cluster=ref)


def comment(
    state: ReviewState,
    context: EventContext,
    asset_ids: Sequence[str],
    text: str,
    *,
    cluster_id: str | None = None,
    level: Level | None = None,
) -> Event:
    """Say something about items, or about a cluster (then `level` is needed).

    Raises
    ------
    UserError
        If it is about nothing, says nothing, or is too long.
    """
    text = _check_text("comment", text)
    if asset_ids:
        level = state.level_of(asset_ids)
    if level is None or not (asset_ids or cluster_id):
        raise UserError("comment: expected items or a cluster, got neither")
    ref = state.refer(cluster_id, level, context.exemplars) if cluster_id else None
    return _event(state, context, "comment", level, asset_ids, cluster=ref, text=text)


def caption_edit(
    state: ReviewState, context: EventContext, asset_ids: Sequence[str], text: str
) -> Event:
    """Give shots words that outlive every captioning; "" gives them back to the machine.

    Raises
    ------
    UserError
        If the items are no shots, or the text is too long.
    """
    if state.level_of(asset_ids) != "scene":
        raise UserError("caption: expected shots, got figures; only shots have captions")
    text = _check_text("caption", text) if text.strip() else ""
    return _event(state, context, "caption_edit", "scene", asset_ids, text=text)


def frame_caption_edit(
    state: ReviewState, context: EventContext, frames: Sequence[FrameCaption]
) -> Event:
    """Give single pictures words that outlive every captioning; one event, so one undo.

    Parameters
    ----------
    frames : sequence of FrameCaption
        A text of "" gives a picture back to its shot's words, or the machine's.

    Raises
    ------
    UserError
        If there is no picture, one lies in no shot, or a text is too long.
    """
    if not frames:
        raise UserError("caption: expected pictures, got none; choose at least one")
    shots: list[str] = []
    for frame in frames:
        item = state.content.shot_at(frame.time_s)
        if item is None:
            raise UserError(
                f"caption: no shot of this film has a picture at {frame.time_s:.3f} s; "
                "run stage review again"
            )
        shots.append(state.content.ids[item])
        if frame.text.strip():
            _check_text("caption", frame.text)
    plain = tuple(replace(frame, text=" ".join(frame.text.split())) for frame in frames)
    event = _event(state, context, "frame_caption_edit", "scene", shots)
    return replace(event, frames=plain)


def frame_captions(frame: pl.DataFrame, texts: Mapping[str, str]) -> list[FrameCaption]:
    """Pictures with the words for them, as `frame_caption_edit` takes them.

    Parameters
    ----------
    texts : mapping
        Words by frame_id.
    """
    rows = frame.filter(pl.col("frame_id").is_in(list(texts))).sort("frame_id")
    return [
        FrameCaption(
            time_s=row["timestamp_s"],
            source_file=row["source_file"] or "",
            text=texts[row["frame_id"]],
        )
        for row in rows.iter_rows(named=True)
    ]


def undo(state: ReviewState, context: EventContext, event_id: str) -> Event:
    """Take an event back; of an undo, let the event hold again.

    Raises
    ------
    UserError
        If there is no such event, or it is undone.
    """
    target = {e.event_id: e for e in state.every}.get(event_id)
    if target is None:
        raise UserError(
            f"undo {event_id}: no correction has this id; list them with `bunny "
            "correct list FILM --events`"
        )
    if target.kind != "undo" and state.is_undone(event_id):
        raise UserError(f"undo {event_id}: this correction has already been undone")
    return _event(state, context, "undo", target.level, (), undoes=event_id)


def by_cluster(state: ReviewState, asset_ids: Sequence[str]) -> dict[str, list[str]]:
    """Items by the cluster that they are in; "" is the noise bucket."""
    found: dict[str, list[str]] = {}
    for asset_id in asset_ids:
        found.setdefault(state.cluster_of(asset_id) or "", []).append(asset_id)
    return found


def last_event_by(state: ReviewState, user: str) -> Event | None:
    """The newest event of a user that holds: what an undo of that user takes back."""
    return next((e for e in reversed(state.events) if e.user == user), None)


def check_name(name: str, level: Level) -> str:
    """Refuse what a cluster cannot be called.

    Raises
    ------
    UserError
        Saying what it should be.
    """
    if not cluster_reference.is_name(level, name):
        what = "a scene" if level == "scene" else "a character"
        raise UserError(
            f"name {name[: cluster_reference.MAX_NAME]!r}: expected a plain name for "
            f"{what} of at most {cluster_reference.MAX_NAME} characters, without "
            "slashes and not of the form of automatic names; choose another"
        )
    return name


def _event(
    state: ReviewState, context: EventContext, kind, level: Level, asset_ids: Sequence[str], **own
) -> Event:
    if not context.user.strip():
        raise UserError("user: expected the name of the person who makes the correction, got none")
    return Event(
        time=state.next_time(),
        user=context.user,
        kind=kind,
        level=level,
        items=state.anchors(dict.fromkeys(asset_ids)),
        reason=context.reason,
        origin=context.origin,
        seen=state.num_events if context.seen is None else context.seen,
        **own,
    )


def _known(state: ReviewState, cluster_id: str, level: Level) -> str:
    """Id of a cluster given by id or name."""
    found = state.find_cluster(cluster_id, level)
    return state.now.folders[state.number(cluster_id, level)].cluster_id if found is None else found


def _own(state: ReviewState, asset_ids: Sequence[str], cluster_id: str | None, level: Level) -> str:
    """The cluster that is given, or the one that all items are in."""
    if cluster_id is not None:
        return "" if cluster_id == "" else _known(state, cluster_id, level)
    inside = by_cluster(state, asset_ids)
    if len(inside) != 1:
        raise UserError(
            f"items: expected items of one cluster, got items of {len(inside)} "
            "clusters; name the cluster, or correct one cluster at a time"
        )
    return next(iter(inside))


def _check_text(what: str, text: str) -> str:
    text = text.strip()
    if not text or len(text) > MAX_TEXT:
        got = f"{len(text)}; shorten it" if text else "an empty text"
        raise UserError(f"{what}: expected 1 to {MAX_TEXT} characters, got {got}")
    return text


def unseen_conflicts(record: Sequence[Event], event: Event, state: ReviewState) -> list[Event]:
    """Find what others said of the same items, or clusters, that the user of an event had not seen.

    Parameters
    ----------
    record : sequence of Event
        The whole record, in the order in which it was put down (`event_log.read`).
    event : Event
        One of it, or one about to be put down.
    state : ReviewState
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


def _touches(event: Event, record: Sequence[Event], state: ReviewState) -> set[object]:
    """Items of today that an event is about, and clusters where it is about nothing else."""
    if event.kind == "undo":
        target = next((one for one in record if one.event_id == event.undoes), None)
        return set() if target is None or target.kind == "undo" else _touches(target, record, state)
    if event.items:
        return set(state.content.match_all(event.level, event.items))
    refs = [ref for ref in (event.cluster, event.other) if ref is not None]
    anchors: list[AssetAnchor] = [anchor for ref in refs for anchor in ref.exemplars]
    return set(state.content.match_all(event.level, anchors))
