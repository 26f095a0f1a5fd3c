"""Corrected labels, clusters, captions and constraint pairs as tables for later stages.

Both are for learning. That a correction holds through every run is not their work but the
replay's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from bunny.review import event_log
from bunny.review.snapshot import LinkEvidence
from bunny.review.state import ReviewState
from bunny.table import store

CLUSTER_NAME_CONFIDENCE = (
    0.9  # confidence of a name that a figure has because its whole cluster got it
)

MAX_APART_S = 0.02  # of a picture and the one that a person wrote of: half a frame at 25 a second

MAX_PAIRS = 30  # of one event and label, so that a large cluster does not drown the others


def corrected_labels(
    label: pl.DataFrame, subject: pl.DataFrame, state: ReviewState, machine: pl.DataFrame
) -> pl.DataFrame:
    """Table `label_corrected`: `label` with the names of figures that people spoke of.

    Parameters
    ----------
    subject : pl.DataFrame
        From `asset_table.subjects_of`.
    state : ReviewState
        After all events.
    machine : pl.DataFrame
        Table `asset` as the machine made it.

    Notes
    -----
    A figure of which a person said who it is, or who it is not, has source `person` and confidence
    1; one that has its name with its cluster has source `cluster`. All others stay as they were.
    """
    now = _figures(state, machine).filter("is_new")
    changed = label.join(subject, on="subject_id", how="left", maintain_order="left").join(
        now.select("asset_id", "who", "is_explicit"),
        on="asset_id",
        how="left",
        maintain_order="left",
    )
    is_changed = pl.col("is_explicit").is_not_null()
    is_other = is_changed & ~pl.col("character").eq_missing(pl.col("who"))
    sure = pl.when("is_explicit").then(1.0).otherwise(CLUSTER_NAME_CONFIDENCE)
    source = pl.when("is_explicit").then(pl.lit("person")).otherwise(pl.lit("cluster"))
    return store.check(
        "label_corrected",
        changed.with_columns(
            pl.when(is_other).then("who").otherwise("character").alias("character"),
            pl.when(is_changed).then(sure).otherwise("confidence").alias("confidence"),
            pl.when(is_changed)
            .then(source)
            .otherwise(pl.col("source").cast(pl.String))
            .alias("source"),
            pl.when(is_other).then(None).otherwise("distance").alias("distance"),
            pl.when(is_other).then(None).otherwise("margin").alias("margin"),
        ).select(label.columns),
    )


def corrected_clusters(
    cluster: pl.DataFrame,
    names: pl.DataFrame,
    subject: pl.DataFrame,
    state: ReviewState,
    machine: pl.DataFrame,
) -> pl.DataFrame:
    """Table `cluster_corrected`: frames where their shots are now, named scenes by name.

    Parameters
    ----------
    names : pl.DataFrame
        Table `label_corrected`.
    subject, state, machine
        As `label_corrected`.
    """
    scenes = _scene_rows(cluster.filter(pl.col("level") == "scene"), state, machine)
    place = dict(scenes.select("item_id", "cluster_id").iter_rows())
    figures = _character_rows(cluster, names, place)
    unknown = _unknown_rows(cluster.filter(pl.col("level") == "unknown"), subject, state, machine)
    return store.check(
        "cluster_corrected", pl.concat([scenes, figures, unknown], how="vertical_relaxed")
    )


def caption_edits(state: ReviewState) -> pl.DataFrame:
    """Table `caption_edit`: the words that people gave shots."""
    shot = state.content.asset["shot_index"].to_list()
    return store.from_rows(
        "caption_edit",
        [
            {"shot_index": shot[state.item(asset_id)], "text": text, "user": user}
            for asset_id, (text, user) in state.captions().items()
        ],
    )


def frame_caption_edits(state: ReviewState, frame: pl.DataFrame) -> pl.DataFrame:
    """Table `frame_caption_edit`: the words that people gave single pictures.

    Parameters
    ----------
    frame : pl.DataFrame
        Table `frame`: a picture is known by its file in a folder of pictures, else as the one that
        is nearest in time, at most `MAX_APART_S` away. Of others nothing is said today.
    """
    rows = frame.sort("timestamp_s", "frame_id")
    times, ids = rows["timestamp_s"].to_numpy(), rows["frame_id"].to_list()
    by_file = dict(rows.drop_nulls("source_file").select("source_file", "frame_id").iter_rows())
    found: dict[str, tuple[str, str]] = {}
    for (time_s, source_file), said in state.frame_captions().items():
        if source_file:
            frame_id = by_file.get(source_file)
        else:
            nearest = int(np.abs(times - time_s).argmin()) if len(times) else -1
            is_near = nearest >= 0 and abs(times[nearest] - time_s) <= MAX_APART_S
            frame_id = ids[nearest] if is_near else None
        if frame_id is not None:
            found[frame_id] = said
    return store.from_rows(
        "frame_caption_edit",
        [{"frame_id": key, "text": text, "user": user} for key, (text, user) in found.items()],
    )


def feedback(state: ReviewState) -> pl.DataFrame:
    """Table `feedback`: every event and what it stands for in today's tables."""
    rows = []
    for event in state.every:
        asset_ids, cluster_id = state.touched(event.event_id)
        is_undone = state.is_undone(event.event_id) and event.kind != "undo"
        is_missed = bool(event.items) and not asset_ids
        has_target = event.cluster is not None and bool(
            event.cluster.cluster_id or event.cluster.name
        )
        rows.append(
            {
                "event_id": event.event_id,
                "time": event_log.moment(event).isoformat(timespec="microseconds"),
                "user": event.user,
                "kind": event.kind,
                "level": event.level,
                "num_items": len(event.items),
                "asset_ids": asset_ids,
                "cluster_id": cluster_id,
                "text": event.text or None,
                "reason": event.reason or None,
                "origin": event.origin,
                "is_undone": is_undone,
                "is_lost": is_missed or (not asset_ids and has_target and cluster_id is None),
            }
        )
    return store.from_rows("feedback", rows)


def _figures(state: ReviewState, machine: pl.DataFrame) -> pl.DataFrame:
    """Figures with `who` they are now, whether a person said so, and whether that is news."""
    frame, was = state.frame(), machine.select("asset_id", before="machine_cluster_id")
    said = pl.Series("is_said", state.now.is_said)
    spoken = pl.Series("is_spoken", [i in state.now.cannot for i in range(len(said))])
    return (
        frame.with_columns(said, spoken)
        .filter(pl.col("level") == "character")
        .join(was, on="asset_id", maintain_order="left")
        .with_columns(is_moved=~pl.col("cluster_id").eq_missing(pl.col("before")))
        .select(
            "asset_id",
            "cluster_id",
            "is_moved",
            who="name",
            is_explicit=pl.col("is_said") | (pl.col("is_spoken") & pl.col("cluster_id").is_null()),
            is_new=pl.col("is_said") | pl.col("is_moved"),
        )
    )


def _scene_rows(scenes: pl.DataFrame, state: ReviewState, machine: pl.DataFrame) -> pl.DataFrame:
    """Frames: with their shot where it was moved, else with their own cluster and its new name."""
    called = _called(state, machine)
    frame = state.frame().with_columns(pl.Series("is_said", state.now.is_said))
    shots = (
        frame.filter(pl.col("level") == "scene")
        .join(machine.select("asset_id", before="machine_cluster_id"), on="asset_id")
        .with_columns(now=pl.coalesce("name", "cluster_id"))
        .with_columns(carried=pl.col("before").replace_strict(called, default=pl.col("before")))
    )
    moved = shots.filter(pl.col("is_said") | ~pl.col("now").eq_missing(pl.col("carried"))).select(
        "shot_index", "now", is_moved=True
    )
    joined = scenes.join(moved, on="shot_index", how="left", maintain_order="left")
    carried = pl.col("cluster_id").replace_strict(called, default=pl.col("cluster_id"))
    scene = pl.when(pl.col("is_moved").fill_null(False)).then("now").otherwise(carried)
    return (
        joined.with_columns(scene.alias("cluster_id"))
        .with_columns(scene_id="cluster_id", is_noise=pl.col("cluster_id").is_null())
        .select(scenes.columns)
    )


def _called(state: ReviewState, machine: pl.DataFrame) -> dict[str, str]:
    """What the machine's scenes are called now: their name, else their id, merged ones so too."""
    from bunny.review import replay

    first = replay.start(state.content)
    now, found = state.now, {}
    for (level, cluster_id), number in first.ids.items():
        if level == "scene":
            folder = now.folders[now.final(number)]
            found[cluster_id] = folder.name or folder.cluster_id
    return found


def _character_rows(cluster: pl.DataFrame, names: pl.DataFrame, place: Mapping) -> pl.DataFrame:
    """Named figures of stored frames inside their scenes; similarity where nothing changed."""
    seen = names.drop_nulls("character").filter(pl.col("frame_id").is_in(list(place)))
    scene = pl.Series("scene_id", [place[f] for f in seen["frame_id"]], dtype=pl.String)
    rows = seen.with_columns(scene).select(
        item_id="subject_id",
        level=pl.lit("character"),
        shot_index="shot_index",
        cluster_id=pl.col("scene_id") + "/" + pl.col("character"),
        scene_id="scene_id",
        character="character",
        is_noise=pl.col("scene_id").is_null(),
    )
    old = cluster.filter(pl.col("level") == "character").select(
        "item_id", "similarity", who="character"
    )
    known = rows.join(old, on="item_id", how="left", maintain_order="left")
    same = pl.when(pl.col("who") == pl.col("character")).then("similarity")
    level = pl.col("level").cast(cluster.schema["level"])
    return known.with_columns(same.alias("similarity"), level).select(cluster.columns)


def _unknown_rows(
    unknown: pl.DataFrame, subject: pl.DataFrame, state: ReviewState, machine: pl.DataFrame
) -> pl.DataFrame:
    """Faces without a name: those that got one leave, others go with their figure."""
    now = _figures(state, machine).filter("is_new").select("asset_id", "who", now="cluster_id")
    joined = unknown.join(
        subject, left_on="item_id", right_on="subject_id", how="left", maintain_order="left"
    ).join(now.with_columns(is_new=True), on="asset_id", how="left", maintain_order="left")
    is_new = pl.col("is_new").fill_null(False)
    cluster_id = pl.when(is_new).then("now").otherwise("cluster_id")
    return (
        joined.filter(~is_new | pl.col("who").is_null())
        .with_columns(cluster_id.alias("cluster_id"))
        .with_columns(is_noise=pl.col("cluster_id").is_null())
        .select(unknown.columns)
    )


def constraint_pairs(state: ReviewState, limit: int = MAX_PAIRS) -> pl.DataFrame:
    """Table `training_feedback`.

    Parameters
    ----------
    state : ReviewState
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


def spread(one: LinkEvidence, limit: int) -> Iterable[tuple[int, int]]:
    """Pairs of an event, at most `limit`: all items in turn, each with its next other.

    Examples
    --------
    >>> one = LinkEvidence(event_id="e", label=1, level="scene", items=(1, 2), others=(7, 8))
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
