"""Search catalogue: one row a frame and a shot, with characters, place, light and text.

One row a frame: the stored ones, and those that only faces were looked for in, which have no
picture. What people corrected (tables `label_corrected`, `asset`, `feedback`) goes before what was
found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bunny.caption import metadata_facts
from bunny.table import corrected, store

# (quality, frame, shot, label, cluster) -> frame_id, who, shot_size, light; passed in by the job
Describe = Callable[..., pl.DataFrame]

FRAME = {
    "film_id": pl.String,
    "frame_id": pl.String,
    "shot_index": pl.Int32,
    "timestamp_s": pl.Float64,
    "file": pl.String,  # null: no picture is stored
    "who": pl.List(pl.String),  # in this picture
    "shot_size": pl.String,  # close-up, medium, wide; null: nobody is seen
    "light": pl.String,  # day, dusk, night; null: not sure
    "sharpness": pl.Float32,  # 1 is sharp
    "place": pl.String,  # cluster at level scene, e.g. "scene-003"; null: none
    "place_name": pl.String,  # what people call it
    "text": pl.String,  # all words on it: caption, tags, names, comments
    "sentence": pl.String,  # the caption alone, or what stands for one
}
SHOT = {
    "film_id": pl.String,
    "shot_index": pl.Int32,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "shot_who": pl.List(pl.String),  # in any picture of the shot
    "is_approved": pl.Boolean,
    "asset_id": pl.String,
}
DESCRIPTION = {"frame_id": pl.String, "who": pl.List(pl.String), "shot_size": pl.String}


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Frames and shots of one film or of several, in order of film and time."""

    frame: pl.DataFrame  # columns of `FRAME`
    shot: pl.DataFrame  # columns of `SHOT`


def read(table: Path, film_id: str, describe: Describe) -> Catalogue:
    """Read a film's tables; those of stages that did not run are taken as empty.

    Parameters
    ----------
    table : Path
        The film's folder of tables; `frame` and `shot` must be there.
    describe : callable
        From quality (every frame kept), frame, shot, label, cluster to `frame_id`, `who`,
        `shot_size`, `light`.
    """
    frame, shot = store.read(table, "frame"), store.read(table, "shot")
    extra = store.read_or_empty(table, "extra_frame")
    quality = store.read_or_empty(table, "quality")
    label = store.read(table, corrected.table_name(table, "label"))
    cluster = store.read_or_empty(table, "cluster")
    asset = store.read_or_empty(table, "asset").filter(pl.col("level") == "scene")
    every = _all_frames(frame, extra, quality)
    measured = every.select("frame_id", *metadata_facts.LIGHT_COLUMNS, is_kept=pl.lit(True))
    seen = describe(measured, pl.concat([frame, extra.select(frame.columns)]), shot, label, cluster)
    rows = (
        every.join(seen, on="frame_id", how="left", maintain_order="left")
        .with_columns(film_id=pl.lit(film_id), who=pl.col("who").fill_null([]))
        .with_columns(pl.col("light").forward_fill().backward_fill().over("shot_index"))
        .join(_places(cluster, asset), on="frame_id", how="left", maintain_order="left")
    )
    rows = _placed(rows, asset)
    rows = rows.join(_written(table), on="frame_id", how="left", maintain_order="left")
    rows = rows.join(_said(table), on="shot_index", how="left", maintain_order="left")
    single = store.read_or_empty(table, "frame_caption_edit")
    single = single.select("frame_id", frame_caption="text")  # over the words of its shot
    rows = _worded(rows.join(single, on="frame_id", how="left", maintain_order="left"))
    frame = rows.select(*FRAME).cast(pl.Schema(FRAME))
    return Catalogue(frame=frame, shot=_shots(shot, rows, asset, film_id))


def join(parts: list[Catalogue]) -> Catalogue:
    """Several films as one."""
    empty = Catalogue(frame=pl.DataFrame(schema=FRAME), shot=pl.DataFrame(schema=SHOT))
    parts = parts or [empty]
    return Catalogue(
        frame=pl.concat([p.frame for p in parts]), shot=pl.concat([p.shot for p in parts])
    )


def _all_frames(frame: pl.DataFrame, extra: pl.DataFrame, quality: pl.DataFrame) -> pl.DataFrame:
    """Stored and extra frames in order of time, with their measures."""
    measure = quality.select("frame_id", *metadata_facts.LIGHT_COLUMNS, sharpness="blur_score")
    columns = ["frame_id", "shot_index", "timestamp_s", "file"]
    both = pl.concat([frame.select(columns), extra.select(columns)])
    return both.join(measure, on="frame_id", how="left").sort("timestamp_s", "frame_id")


def _places(cluster: pl.DataFrame, asset: pl.DataFrame) -> pl.DataFrame:
    """The place of each frame as it was found, and that place's name."""
    found = cluster.filter(pl.col("level") == "scene").select(
        frame_id="item_id", place="cluster_id"
    )
    name = asset.drop_nulls(["cluster_id", "name"]).select(place="cluster_id", place_name="name")
    return found.join(name.unique("place", keep="first"), on="place", how="left")


def _placed(rows: pl.DataFrame, asset: pl.DataFrame) -> pl.DataFrame:
    """The place of a shot that a person decided on is that of its frames."""
    said = asset.filter(pl.col("source") == "person").select(
        "shot_index", said="cluster_id", said_name="name", is_said=pl.lit(True)
    )
    rows = rows.join(said, on="shot_index", how="left", maintain_order="left")
    return rows.with_columns(
        place=pl.when("is_said").then("said").otherwise("place"),
        place_name=pl.when("is_said").then("said_name").otherwise("place_name"),
    )


def _written(table: Path) -> pl.DataFrame:
    """The newest caption and tags of each frame."""
    caption = store.read_or_empty(table, "caption").sort("version")
    return caption.group_by("frame_id", maintain_order=True).agg(
        caption=pl.col("text").last(), tags=pl.col("tags").last()
    )


def _said(table: Path) -> pl.DataFrame:
    """What people wrote on shots: captions of theirs, and comments."""
    asset = store.read_or_empty(table, "asset").select("shot_index", asset_ids="asset_id")
    said = (
        store.read_or_empty(table, "feedback")
        .filter(pl.col("kind").is_in(["comment", "caption_edit"]) & ~pl.col("is_undone"))
        .sort("time", "event_id")
        .explode("asset_ids")
        .join(asset, on="asset_ids")
    )
    is_caption = pl.col("kind") == "caption_edit"
    return said.group_by("shot_index", maintain_order=True).agg(
        own_caption=pl.col("text").filter(is_caption).last(),
        comments=pl.col("text").filter(~is_caption).str.join(". "),
    )


def _worded(rows: pl.DataFrame) -> pl.DataFrame:
    """All words on a frame as one text; without a caption, who and where stand for one."""
    names = pl.col("who").list.join(" and ")
    facts = [names, pl.col("place_name"), pl.col("shot_size"), pl.col("light")]
    plain = pl.concat_str(
        [pl.when(f.str.len_chars() > 0).then(f) for f in facts], separator=", ", ignore_nulls=True
    )
    spoken = pl.coalesce("frame_caption", "own_caption", "caption", plain)
    named = pl.concat_str([spoken, pl.col("place_name")], separator=", ", ignore_nulls=True)
    number = pl.col("place").str.replace("scene", "place")
    parts = [spoken, pl.col("tags").list.join(", "), plain, "place", number, "comments"]
    return rows.with_columns(
        sentence=named, text=pl.concat_str(parts, separator=". ", ignore_nulls=True)
    )


def _shots(
    shot: pl.DataFrame, rows: pl.DataFrame, asset: pl.DataFrame, film_id: str
) -> pl.DataFrame:
    """Shots with who is anywhere in them, and whether a person approved."""
    who = rows.select("shot_index", shot_who="who").explode("shot_who").drop_nulls()
    who = who.unique().sort("shot_who").group_by("shot_index").agg("shot_who")
    approved = asset.select("shot_index", "is_approved", "asset_id")
    number = pl.col("shot_index").cast(pl.String).str.zfill(5)  # as stage review names them
    return (
        shot.with_columns(film_id=pl.lit(film_id))
        .join(who, on="shot_index", how="left")
        .join(approved, on="shot_index", how="left")
        .with_columns(
            pl.col("shot_who").fill_null([]),
            pl.col("is_approved").fill_null(value=False),
            pl.coalesce("asset_id", pl.format("{}-s{}", "film_id", number)),
        )
        .sort("shot_index")
        .select(*SHOT)
        .cast(pl.Schema(SHOT))
    )


DESCRIPTION |= {"light": pl.String}


def describe_frames(
    quality: pl.DataFrame,
    frame: pl.DataFrame,
    shot: pl.DataFrame,
    label: pl.DataFrame,
    cluster: pl.DataFrame,
) -> pl.DataFrame:
    """Characters, their size and the light of each frame; see `caption.metadata_facts`."""
    facts = metadata_facts.gather(quality, frame, shot, label, cluster)
    rows = [(f.frame_id, list(f.characters), f.shot_size, f.light) for f in facts]
    return pl.DataFrame(rows, schema=DESCRIPTION, orient="row")
