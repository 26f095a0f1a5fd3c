"""Metadata view: one row a frame, joined from all tables."""

import json
from pathlib import Path

import polars as pl

from bunny.table import corrected, store


def view(folder: Path) -> pl.LazyFrame:
    """One row a frame: frame, quality, shot, scene cluster, characters, newest caption.

    Parameters
    ----------
    folder : Path
        The film's table folder; tables that do not exist yet give null columns.

    Returns
    -------
    pl.LazyFrame
        Columns of `frame` and `quality`, `transition_in`, `motion`, `kind`, `scene_id`,
        `characters` (list of struct name, confidence; best first), `caption`, `tags`.
    """
    frame = store.read(folder, "frame").lazy()
    quality = _table(folder, "quality").rename({"reason": "quality_reason"}).drop("error")
    shot = _table(folder, "shot").select("shot_index", "transition_in", "motion", "kind")
    scene = (
        _table(folder, "cluster")
        .filter(pl.col("level") == "scene")
        .select(frame_id="item_id", scene_id="cluster_id")
    )
    return (
        frame.join(quality, on="frame_id", how="left")
        .join(shot, on="shot_index", how="left")
        .join(scene, on="frame_id", how="left")
        .join(_characters(folder), on="frame_id", how="left")
        .join(_captions(folder), on="frame_id", how="left")
        .sort("frame_index")
    )


def to_json(folder: Path) -> str:
    """The view in the form other tools read: `{"film_id": …, "frames": [{id, source_path, …}]}`."""
    rows = view(folder).collect()
    film = store.read(folder, "film").row(0, named=True)
    frames = [
        {
            "id": row["frame_id"],
            "source_path": row["file"],
            "timestamp": row["timestamp_s"],
            "blur_score": row["blur_score"],
            "characters": row["characters"] or [],
            "caption": row["caption"],
            "shot_index": row["shot_index"],
            "frame_index": row["frame_index"],
            "scene_id": row["scene_id"],
            "is_kept": row["is_kept"],
            "tags": row["tags"] or [],
        }
        for row in rows.iter_rows(named=True)
    ]
    head = {"film_id": film["film_id"], "source": film["path"], "frames": frames}
    return json.dumps(head, indent=1, ensure_ascii=False)


def _characters(folder: Path) -> pl.LazyFrame:
    """Named characters of each frame, the surest first, each once."""
    return (
        _table(folder, "label")
        .filter(pl.col("character").is_not_null())
        .group_by("frame_id", "character")
        .agg(pl.col("confidence").max())
        .sort(["frame_id", "confidence", "character"], descending=[False, True, False])
        .group_by("frame_id", maintain_order=True)
        .agg(characters=pl.struct(name="character", confidence="confidence"))
    )


def _captions(folder: Path) -> pl.LazyFrame:
    """The newest caption of each frame."""
    return (
        _table(folder, "caption")
        .sort("version")
        .group_by("frame_id", maintain_order=True)
        .agg(caption=pl.col("text").last(), tags=pl.col("tags").last())
    )


def _table(folder: Path, name: str) -> pl.LazyFrame:
    return corrected.read_or_empty(folder, name).lazy()
