"""A shot's measures as arrays, with its characters' boxes, writing and logos, from the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.clip.measure import Box
from bunny.core.config.clip import ClipConfig
from bunny.table.box import BOX, CROP

GRADUAL = ("fade", "dissolve")
GRADUAL_MARGIN_S = 0.5  # beside a transition, beyond the margin of the settings
DARK, FADED = 0.1, 0.25  # of the shot's brightest frame, and of the frame before the fade
FADE_STEP, FADE_LEVELS = 6, 1.0  # in a fade, so many frames are darker by so many levels
MEASURED = ("change", "layout_change", "scene_score", "shift_x", "shift_y", "zoom", "sharpness")
TEXT = ("title", "credit", "subtitled", "black", "blank")  # the filter's reasons


@dataclass(frozen=True, kw_only=True)
class ShotMeasures:
    """A shot's frames, each array (n,), by time."""

    shot_index: int
    index: np.ndarray  # frame indices
    time_s: np.ndarray
    change: np.ndarray
    layout_change: np.ndarray
    scene_score: np.ndarray  # by another detector, see `scene_score`
    shift_x: np.ndarray
    shift_y: np.ndarray
    zoom: np.ndarray
    sharpness: np.ndarray
    size: tuple[int, int]  # width, height in pixels
    first: int  # of the frames that may be in a clip
    end: int
    boxes: Mapping[str, Mapping[int, Box]]  # by character and frame index, where it is alike
    text_s: tuple[float, ...] = ()  # times of frames with writing on them
    overlays: tuple[Box, ...] = ()  # logos, in pixels of the shot's picture


def read_shots(tables: Mapping[str, pl.DataFrame], wanted: ClipConfig) -> Iterator[ShotMeasures]:
    """Shots that were measured, in order.

    Parameters
    ----------
    tables : mapping of str to pl.DataFrame
        `shot`, `clip_frame`, `clip_box`, `frame` and `quality`; `clip_overlay` where it is.
    """
    boxes = _boxes(tables["clip_box"], wanted.min_likeness)
    text, logos = _text_times(tables, wanted.max_text_share), _overlays(tables)
    shots = (
        tables["shot"]
        .sort("shot_index")
        .with_columns(after=pl.col("transition_in").cast(pl.String).shift(-1))
    )
    about = {row["shot_index"]: row for row in shots.iter_rows(named=True)}
    usable = tables["clip_frame"].filter(pl.col("error").is_null()).sort("frame_index")
    for (shot,), own in usable.partition_by(
        "shot_index", as_dict=True, maintain_order=True
    ).items():
        row = about[shot]
        time_s = own["timestamp_s"].to_numpy()
        first, end = wanted.margin_frames, len(time_s) - wanted.margin_frames
        if row["transition_in"] in GRADUAL:
            first = max(first, int(np.searchsorted(time_s, row["start_s"] + GRADUAL_MARGIN_S)))
        if row["after"] in GRADUAL:
            end = min(end, int(np.searchsorted(time_s, row["end_s"] - GRADUAL_MARGIN_S)))
        luma = own["luma"].fill_null(0).to_numpy()
        first = max(first, _count_faded(luma[::-1]) + wanted.margin_frames)
        end = min(end, len(luma) - _count_faded(luma) - wanted.margin_frames)
        yield ShotMeasures(
            shot_index=shot,
            index=own["frame_index"].to_numpy(),
            time_s=time_s,
            **{name: own[name].fill_null(0).to_numpy().astype(np.float64) for name in MEASURED},
            size=(int(own["width_px"][0]), int(own["height_px"][0])),
            first=first,
            end=max(first, end),
            boxes=boxes.get(shot, {}),
            text_s=tuple(text.get(shot, ())),
            overlays=logos.get(shot, ()),
        )


def _count_faded(luma: np.ndarray) -> int:
    """How many frames at the end of a shot are in a fade to black, to a step of six frames.

    Parameters
    ----------
    luma : np.ndarray, shape (n,)
        Mean of each frame, by time; reversed for a fade from black.

    Examples
    --------
    >>> _count_faded(np.array([100.0] * 30 + [100.0 - 5 * k for k in range(20)]))
    19
    >>> _count_faded(np.full(30, 8.0))  # a night
    0
    """
    last = len(luma) - 1
    at = last
    while at > 0 and luma[at] < DARK * luma.max():
        at -= 1
    while at >= FADE_STEP and luma[at - FADE_STEP] - luma[at] > FADE_LEVELS:
        at -= FADE_STEP
    return last - at if luma[last] < FADED * luma[at] else 0


def _boxes(table: pl.DataFrame, min_likeness: float) -> dict[int, dict[str, dict[int, Box]]]:
    """Boxes that are labelled, or alike enough, by shot, character and frame."""
    sure = table.filter(pl.col("is_labelled") | (pl.col("likeness") >= min_likeness))
    found: dict[int, dict[str, dict[int, Box]]] = {}
    for shot, name, index, *box in sure.select(
        "shot_index", "character", "frame_index", *BOX
    ).iter_rows():
        found.setdefault(shot, {}).setdefault(name, {})[index] = (box[0], box[1], box[2], box[3])
    return found


def _overlays(tables: Mapping[str, pl.DataFrame]) -> dict[int, tuple[Box, ...]]:
    """Logos by shot, in pixels of the shot's picture."""
    known = tables.get("clip_overlay")
    if known is None or known.is_empty():
        return {}
    logos = known.sort("overlay_index").select(BOX).rows()
    cuts = tables["frame"].drop_nulls(CROP).unique("shot_index", keep="first", maintain_order=True)
    return {
        shot: tuple((x0 - left, y0 - top, x1 - left, y1 - top) for x0, y0, x1, y1 in logos)
        for shot, left, top in cuts.select("shot_index", *CROP[:2]).iter_rows()
    }


def _text_times(
    tables: Mapping[str, pl.DataFrame], max_text_share: float
) -> dict[int, list[float]]:
    """Times of frames that show writing or nothing, by shot.

    Of kept frames the filter says so; the frames between are looked at for writing now and then.
    """
    is_text = pl.col("reason").cast(pl.String).is_in(TEXT)
    flagged = tables["quality"].filter(is_text).select("frame_id")
    kept = tables["frame"].join(flagged, on="frame_id")
    between = tables["clip_frame"].filter(pl.col("text_share") > max_text_share)
    columns = ("shot_index", "timestamp_s")
    rows = pl.concat([kept.select(columns), between.select(columns)]).unique().sort(columns)
    found: dict[int, list[float]] = {}
    for shot, time in rows.iter_rows():
        found.setdefault(shot, []).append(time)
    return found
