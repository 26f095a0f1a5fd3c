"""Widget of shots: how many there would be at other thresholds, and which boundaries differ.

Decided over table `change` as stage extract decides; no frame of the film is decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.core.config import ExtractionConfig
from bunny.table import store
from bunny.video import change_table
from bunny.video.shot.fast_detector import FoundShot
from bunny.video.shot.meter import MEASURED_FROM
from bunny.view import html, style
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Draw, Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

MAX_BOUNDARIES = 12  # of each kind that are shown
MAX_SCORE = 6.0  # right end of the histogram
PEAK = 0.2  # lower scores are of frames that are like the one before
SHOT_RANGE: dict[str, explorer.Range] = {
    "cut_threshold": (MEASURED_FROM, 5.0, 0.05),
    "min_shot_frames": (1, 100, 1),
}


@dataclass(frozen=True, kw_only=True)
class ShotData:
    """A film's change scores, ready to be decided on."""

    change: pl.DataFrame
    rate: Fraction
    times: Sequence[float]  # seconds, by frame index
    taken: Sequence[tuple[int, str]]  # frame index and small picture, in order


def explore_shot(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore shots at other thresholds of `extraction`; see `explorer`."""
    draw = draw_shots(space, config)
    return explorer.explorer(space, config, "extraction", SHOT_RANGE, draw, is_interactive, root)


def draw_shots(space: Workspace, config: Config) -> Draw:
    """Read what the explorer needs; gives the function from thresholds to its page."""
    if config.extraction.shot_detector != "fast" or config.extraction.method != "shot":
        words = "thresholds can only be tried with method shot and shot_detector fast"
        return lambda values: f"<p>{words}</p>"
    opened = _open_shots(space)
    if opened.change.is_empty():
        return lambda values: "<p>no change score was measured: run stage extract first</p>"
    before = decide(opened, {key: getattr(config.extraction, key) for key in SHOT_RANGE})
    return lambda values: page(opened, decide(opened, values), before, values)


def _open_shots(space: Workspace) -> ShotData:
    """Read the change scores and small pictures of a film."""
    change = store.read_or_empty(space.table, "change")
    film = store.read_or_empty(space.table, "film")
    frame = store.read_or_empty(space.table, "frame").sort("frame_index")
    pictures = explorer.frame_pictures(space, frame)
    rates = film.select("frame_rate_num", "frame_rate_den").rows()
    return ShotData(
        change=change,
        rate=Fraction(*rates[0]) if rates else Fraction(0),
        times=change["timestamp_s"].to_list(),
        taken=[
            (index, pictures[frame_id])
            for index, frame_id in frame.select("frame_index", "frame_id").iter_rows()
            if frame_id in pictures
        ],
    )


def decide(opened: ShotData, values: Values) -> list[FoundShot] | None:
    """Shots at other thresholds; None below what was measured."""
    if values["cut_threshold"] < MEASURED_FROM:
        return None
    setting = ExtractionConfig(**{key: values[key] for key in SHOT_RANGE})
    return change_table.decide_shots(opened.change, setting, opened.rate)


def page(
    opened: ShotData,
    now: Sequence[FoundShot] | None,
    before: Sequence[FoundShot] | None,
    values: Values,
) -> str:
    """Show the shots at some thresholds and how they differ from those that are saved.

    Parameters
    ----------
    now, before : sequence of FoundShot or None
        What is looked at, and what it is compared with; None: not measured.
    values : dict
        Thresholds of `now`.

    Returns
    -------
    str
        HTML: counts, which boundaries are new and gone, the histogram of scores, pictures beside.
    """
    if now is None:
        return f"<p>cut_threshold must be at least {MEASURED_FROM:g}: less is not measured</p>"
    found, old = _boundaries(now), _boundaries(before or [])
    new, gone = sorted(found - old), sorted(old - found)
    scores = opened.change.filter(pl.col("cut_score") >= PEAK)["cut_score"].clip(0, MAX_SCORE)
    return (
        html.counts(_count_shots(now))
        + f"<p>compared with the saved settings: <b>{len(new)}</b> new boundaries, "
        f"<b>{len(gone)}</b> removed</p>"
        + html.histogram(
            scores.to_list(), values["cut_threshold"], low=PEAK, high=MAX_SCORE, axis="cut score"
        )
        + _gallery(opened, new, "New boundaries", "good")
        + _gallery(opened, gone, "Removed boundaries", "bad")
    )


def _count_shots(shots: Sequence[FoundShot]) -> Mapping[str, int]:
    """Number of shots, and of those that begin with each kind of transition."""
    kinds = Counter(shot.transition_in for shot in shots)
    named = {kind: kinds[kind] for kind in ("cut", "fade", "dissolve") if kinds[kind]}
    return {"shots": len(shots), **named}


def _boundaries(shots: Sequence[FoundShot]) -> set[int]:
    """First frames of shots but the first."""
    return {shot.first_frame_index for shot in shots if shot.transition_in != "start"}


def _gallery(opened: ShotData, boundaries: Sequence[int], name: str, tone: str) -> str:
    """The kept pictures on both sides of boundaries."""
    if not boundaries:
        return ""
    found = []
    for index in boundaries[:MAX_BOUNDARIES]:
        before = [item for item in opened.taken if item[0] < index][-1:]
        after = [item for item in opened.taken if item[0] >= index][:1]
        for side, sides in (("before", before), ("after", after)):
            words = f"{side} {style.clock(opened.times[index])}"
            found += [(picture, words, tone) for _, picture in sides]
    return html.tiles(found, f"{name}: {len(boundaries)}")
