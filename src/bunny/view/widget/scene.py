"""Widget of scenes: histogram, counts and gallery at other thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.table import store
from bunny.view import html, style, tile
from bunny.view.widget import explorer, preview
from bunny.view.widget.explorer import Draw, Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

MAX_SCENES = 24
SCENE_TILES = 6

# Slider ranges: key to (lowest, highest, step).
SCENE_RANGE = {"scene_threshold": (0.0, 1.0, 0.01), "noise_threshold": (0.0, 1.0, 0.01)}


def explore_scene(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore which pictures form a scene at other thresholds of `clustering`; see `explorer`."""
    draw = draw_scene(space, config)
    return explorer.explorer(space, config, "clustering", SCENE_RANGE, draw, is_interactive, root)


def draw_scene(space: Workspace, config: Config) -> Draw:
    """Read what the scene explorer needs; gives the function from thresholds to its page."""
    frame = store.read_or_empty(space.table, "frame")
    embedding = store.read_or_empty(space.table, "embedding")
    pictures = explorer.frame_pictures(space, frame)

    def draw(values: Values) -> str:
        if embedding.drop_nulls("vector").is_empty():
            return "<p>no scene embedding was found: run stage cluster first</p>"
        method = {"scene_method": config.clustering.scene_method}
        scenes = preview.judge_scenes(frame, embedding, {**values, **method})
        similarity = scenes["similarity"].to_list()
        axis = "similarity to the scene when it was added"
        return (
            html.counts(preview.count_scenes(scenes))
            + html.histogram(similarity, values["scene_threshold"], low=0, high=1, axis=axis)
            + "".join(
                _scene_tiles(part, pictures)
                for part in scenes.partition_by("scene", maintain_order=True)[:MAX_SCENES]
            )
        )

    return draw


def _scene_tiles(scene: pl.DataFrame, pictures: Mapping[str, str]) -> str:
    rows = [r for r in scene.to_dicts() if r["frame_id"] in pictures]
    name = scene["scene"][0]
    tone = "bad" if name == preview.NO_SCENE else "good"
    found = [
        (pictures[r["frame_id"]], f"{style.clock(r['timestamp_s'])} {r['similarity']:.2f}", tone)
        for r in tile.spread(rows, SCENE_TILES)
    ]
    return html.tiles(found, f"{name}: {scene.height}")
