"""Explorers of faces and scenes: sliders whose histogram, counts and gallery follow at once.

Each explorer is a function returning a widget, or the same page as plain HTML when it is not
interactive. Small pictures are read once when it is made; a move of a slider reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.table import store
from bunny.view import explore, fragment, slider, style, thumbnail, tile
from bunny.view.slider import Draw, Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.config import Config
    from bunny.workspace import Workspace

MAX_CHANGES = 18
MAX_SCENES = 24
SCENE_TILES = 6

# Slider ranges: key to (lowest, highest, step).
LABEL_RANGE = {
    "similarity_threshold": (0.0, 1.0, 0.01),
    "min_margin": (0.0, 0.5, 0.01),
    "drawn_threshold": (0.0, 1.0, 0.01),
    "drawn_margin": (0.0, 0.5, 0.01),
}

SCENE_RANGE = {"scene_threshold": (0.0, 1.0, 0.01), "noise_threshold": (0.0, 1.0, 0.01)}


def explore_label(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Who gets a name at which thresholds of `detection`.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings, where the sliders begin.
    is_interactive : bool
        False gives the page for the settings as they are.
    root : Path, optional
        The project's folder, where the button writes `config/local_<film_id>.yaml`.
    """
    draw = draw_label(space, config)
    start = {key: getattr(config.detection, key) for key in LABEL_RANGE}
    return slider.explorer(space, "detection", start, LABEL_RANGE, draw, is_interactive, root)


def explore_scene(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Which pictures are one scene at which thresholds of `clustering`; as `explore_label`."""
    draw = draw_scene(space, config)
    start = {key: getattr(config.clustering, key) for key in SCENE_RANGE}
    return slider.explorer(space, "clustering", start, SCENE_RANGE, draw, is_interactive, root)


def draw_label(space: Workspace, config: Config) -> Draw:
    """Read what the label explorer needs; gives the function from thresholds to its page."""
    seen = explore.read_seen(space.table)
    before = explore.judge_labels(seen, config.detection.model_dump())
    pictures = _subject_pictures(space, seen)

    def draw(values: Values) -> str:
        if seen.face.is_empty() and seen.region.is_empty():
            return "<p>no face and no figure was found: run stage detect first</p>"
        after = explore.judge_labels(seen, values)
        changed = explore.changes(before, after)
        return (
            fragment.counts(explore.count_names(after))
            + _similarities(after, seen.region, values)
            + f"<p>{changed.height} change compared with the settings as they are</p>"
            + fragment.tiles(_changed_tiles(changed, pictures))
        )

    return draw


def draw_scene(space: Workspace, config: Config) -> Draw:
    """Read what the scene explorer needs; gives the function from thresholds to its page."""
    frame = store.read_or_empty(space.table, "frame")
    embedding = store.read_or_empty(space.table, "embedding")
    pictures = slider.frame_pictures(space, frame)

    def draw(values: Values) -> str:
        if embedding.drop_nulls("vector").is_empty():
            return "<p>no scene vector was measured: run stage cluster first</p>"
        scenes = explore.judge_scenes(frame, embedding, values)
        similarity = scenes["similarity"].to_list()
        axis = "similarity to the scene when it was joined"
        return (
            fragment.counts(explore.count_scenes(scenes))
            + fragment.histogram(similarity, values["scene_threshold"], low=0, high=1, axis=axis)
            + "".join(
                _scene_tiles(part, pictures)
                for part in scenes.partition_by("scene", maintain_order=True)[:MAX_SCENES]
            )
        )

    return draw


def _subject_pictures(space: Workspace, seen: explore.Seen) -> dict[str, str]:
    """Cut-outs of faces and figures, at most `MAX_THUMBNAILS`, spread over the film."""
    frame = store.read_or_empty(space.table, "frame").drop_nulls("file")
    columns = ("subject_id", "frame_id", *tile.BOX)
    both = [
        seen.face.rename({"face_id": "subject_id"}).select(columns),
        seen.region.rename({"region_id": "subject_id"}).select(columns),
    ]
    rows = pl.concat(both).join(frame.select("frame_id", "file"), on="frame_id")
    tiles = {
        r["subject_id"]: tile.Tile(file=space.root / r["file"], box=tuple(r[c] for c in tile.BOX))
        for r in tile.spread(rows.sort("subject_id").to_dicts(), thumbnail.MAX_THUMBNAILS)
    }
    return thumbnail.load(space.root / "thumbnail_subject.parquet", tiles)


def _similarities(label: pl.DataFrame, region: pl.DataFrame, values: Values) -> str:
    """Histograms of faces and of drawn figures, each with its own threshold."""
    faces = label.filter(pl.col("subject_type") == "face")["distance"].drop_nulls()
    best = region.group_by("frame_id").agg(pl.col("similarity").max()).sort("frame_id")
    parts = []
    for similarity, name, key in (
        ((1 - faces).to_list(), "similarity of faces", "similarity_threshold"),
        (best["similarity"].to_list(), "best figure of each picture", "drawn_threshold"),
    ):
        if similarity:
            parts.append(fragment.histogram(similarity, values[key], low=-0.2, high=1, axis=name))
    return "".join(parts)


def _scene_tiles(scene: pl.DataFrame, pictures: Mapping[str, str]) -> str:
    rows = [r for r in scene.to_dicts() if r["frame_id"] in pictures]
    name = scene["scene"][0]
    tone = "bad" if name == explore.NO_SCENE else "good"
    found = [
        (pictures[r["frame_id"]], f"{style.clock(r['timestamp_s'])} {r['similarity']:.2f}", tone)
        for r in tile.spread(rows, SCENE_TILES)
    ]
    return fragment.tiles(found, f"{name}: {scene.height}")


def _changed_tiles(changed: pl.DataFrame, pictures: Mapping[str, str]) -> list[tuple]:
    rows = [r for r in changed.to_dicts() if r["subject_id"] in pictures]
    return [
        (
            pictures[r["subject_id"]],
            f"{r['before'] or explore.UNKNOWN} → {r['after'] or explore.UNKNOWN}",
            "good" if r["after"] else "bad",
        )
        for r in tile.spread(rows, MAX_CHANGES)
    ]
