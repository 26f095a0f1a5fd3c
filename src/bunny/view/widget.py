"""Threshold explorers: sliders whose histogram, counts and gallery follow at once.

Each explorer is a function returning a widget, or the same page as plain HTML when it is not
interactive. Small pictures are read once when it is made; a move of a slider reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny import config as configuration
from bunny import workspace
from bunny.error import UserError
from bunny.table import store
from bunny.view import explore, fragment, style, thumbnail, tile

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.config import Config
    from bunny.workspace import Workspace

GALLERY = 12  # pictures of each kind that a widget shows
MAX_CHANGES = 18
MAX_SCENES = 24
SCENE_TILES = 6
Values = dict[str, Any]
Draw = Callable[[Values], str]

# Slider ranges: key to (lowest, highest, step).
QUALITY_RANGE = {
    "blur_threshold": (0.0, 1.0, 0.01),
    "min_brightness": (0.0, 0.5, 0.01),
    "max_brightness": (0.5, 1.0, 0.01),
    "min_contrast": (0.0, 0.3, 0.005),
    "duplicate_distance": (0, 24, 1),
}
LABEL_RANGE = {
    "similarity_threshold": (0.0, 1.0, 0.01),
    "min_margin": (0.0, 0.5, 0.01),
    "drawn_threshold": (0.0, 1.0, 0.01),
    "drawn_margin": (0.0, 0.5, 0.01),
}

SCENE_RANGE = {"scene_threshold": (0.0, 1.0, 0.01), "noise_threshold": (0.0, 1.0, 0.01)}


def explore_quality(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Which pictures stay at which thresholds of `filtering`.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings, where the sliders begin.
    is_interactive : bool
        False gives the page for the settings as they are.
    root : Path, optional
        The project's folder, where the button writes `config/local_<film_id>.yaml`.
    """
    draw = draw_quality(space, config)
    start = {key: getattr(config.filtering, key) for key in QUALITY_RANGE}
    return _explorer(space, "filtering", start, QUALITY_RANGE, draw, is_interactive, root)


def explore_label(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Who gets a name at which thresholds of `detection`; parameters as `explore_quality`."""
    draw = draw_label(space, config)
    start = {key: getattr(config.detection, key) for key in LABEL_RANGE}
    return _explorer(space, "detection", start, LABEL_RANGE, draw, is_interactive, root)


def explore_scene(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Which pictures are one scene at which thresholds of `clustering`; as `explore_quality`."""
    draw = draw_scene(space, config)
    start = {key: getattr(config.clustering, key) for key in SCENE_RANGE}
    return _explorer(space, "clustering", start, SCENE_RANGE, draw, is_interactive, root)


def draw_quality(space: Workspace, config: Config) -> Draw:
    """Read what the quality explorer needs; gives the function from thresholds to its page."""
    measure = store.read_or_empty(space.table, "measure")
    frame = store.read_or_empty(space.table, "frame")
    others = config.filtering.model_dump()
    pictures = _frame_pictures(space, frame)
    times = dict(frame.select("frame_id", "timestamp_s").iter_rows())

    def draw(values: Values) -> str:
        if measure.is_empty():
            return "<p>no picture was measured: run stage extract first</p>"
        flagged = explore.judge_quality(measure, others | values)
        scores = flagged["blur_score"].drop_nulls().to_list()
        threshold = values["blur_threshold"]
        return (
            fragment.counts(explore.count_reasons(flagged))
            + fragment.histogram(scores, threshold, low=0, high=1, axis="blur_score")
            + _quality_gallery(flagged.filter("is_kept"), pictures, times, "Kept", "good")
            + _quality_gallery(flagged.filter(~pl.col("is_kept")), pictures, times, "Out", "bad")
        )

    return draw


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
    pictures = _frame_pictures(space, frame)

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


def _explorer(
    space: Workspace,
    section: str,
    start: Values,
    ranges: Mapping[str, tuple],
    draw: Draw,
    is_interactive: bool,
    root: Path | None,
) -> Widget | HTML:
    """Sliders above the page that `draw` makes of their values, and the button that saves them."""
    if not is_interactive:
        from IPython.display import HTML

        return HTML(draw(start))
    import ipywidgets

    sliders = {key: _slider(key, start[key], *ranges[key]) for key in ranges}
    page = ipywidgets.HTML(draw(start))
    message = ipywidgets.HTML()
    button = ipywidgets.Button(
        description="Keep for this film",
        tooltip=f"write config/local_{space.film_id}.yaml",
        button_style="primary",
    )

    def values() -> Values:
        return {key: slider.value for key, slider in sliders.items()}

    def on_move(_change: Any) -> None:
        page.value = draw(values())

    def on_click(_button: Any) -> None:
        message.value = save(space.film_id, section, values(), root)

    for slider in sliders.values():
        slider.observe(on_move, names="value")
    button.on_click(on_click)
    return ipywidgets.VBox([*sliders.values(), ipywidgets.HBox([button, message]), page])


def save(film_id: str, section: str, values: Values, root: Path | None = None) -> str:
    """Write a choice to the film's local settings; returns HTML that says where, or why not."""
    from html import escape

    rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
    try:
        path = configuration.save_local(root or workspace.project_root(), film_id, section, rounded)
    except (UserError, OSError) as error:
        return f"<b>not saved:</b> {escape(str(error))}"
    return f"saved to <code>{escape(path.as_posix())}</code>; run the notebook again to apply it"


def _slider(key: str, value: float, low: float, high: float, step: float) -> Widget:
    import ipywidgets

    kind = ipywidgets.IntSlider if isinstance(step, int) else ipywidgets.FloatSlider
    return kind(
        value=value,
        min=min(low, value),
        max=max(high, value),
        step=step,
        description=key,
        style={"description_width": "11em"},
        layout={"width": "36em"},
        **({} if isinstance(step, int) else {"readout_format": ".3f"}),
    )


def _quality_gallery(
    rows: pl.DataFrame,
    pictures: Mapping[str, str],
    times: Mapping[str, float],
    name: str,
    tone: str,
) -> str:
    """Show those nearest to the threshold first: they are the ones to judge."""
    shown = [r for r in rows.to_dicts() if r["frame_id"] in pictures]
    shown.sort(key=lambda r: (r["blur_score"] or 0.0, r["frame_id"]), reverse=tone == "bad")
    found = [
        (pictures[r["frame_id"]], _quality_words(r, times[r["frame_id"]]), tone)
        for r in shown[:GALLERY]
    ]
    order = "the least sharp first" if tone == "good" else "the sharpest first"
    return fragment.tiles(found, f"{name}: {rows.height}, {order}")


def _quality_words(row: Mapping[str, Any], time_s: float) -> str:
    score = "" if row["blur_score"] is None else f" {row['blur_score']:.2f}"
    reason = "" if row["is_kept"] else f" {row['reason']}"
    return f"{style.clock(time_s)}{score}{reason}"


def _frame_pictures(space: Workspace, frame: pl.DataFrame) -> dict[str, str]:
    """Small pictures of frames, at most `MAX_THUMBNAILS`, spread over the film."""
    shown = tile.spread(frame.drop_nulls("file").to_dicts(), thumbnail.MAX_THUMBNAILS)
    tiles = {r["frame_id"]: tile.Tile(file=space.root / r["file"]) for r in shown}
    return thumbnail.load(space.root / "thumbnail.parquet", tiles)


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
