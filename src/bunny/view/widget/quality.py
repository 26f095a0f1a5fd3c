"""Widget of picture quality: pictures kept and dropped at other thresholds.

All that costs time is read and searched for when it is opened; a move then decides about 200,000
pictures and redraws within a tenth of a second. The decision is that of stage filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bunny.core.config import FilteringConfig, filter_preset
from bunny.quality import duplicate, flag, reason
from bunny.quality import threshold_search as quality_threshold
from bunny.table import store
from bunny.view import html, style
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Draw

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Button, Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

GALLERY = 12  # pictures of each kind that are shown
RANGE: dict[str, explorer.Range] = {
    "blur_threshold": (0.0, 1.0, 0.01),
    "min_brightness": (0.0, 0.5, 0.01),
    "max_brightness": (0.5, 1.0, 0.01),
    "min_contrast": (0.0, 0.3, 0.005),
    "duplicate_distance": (0, 8, 1),
    "duplicate_structure": (0.5, 0.98, 0.01),
    "max_smear": (0.0, 1.0, 0.01),
    "max_blockiness": (0.0, 1.0, 0.01),
    "max_subtitle_share": (0.0, 1.0, 0.005),
}
KEPT = reason.CODE["kept"]


@dataclass(frozen=True, kw_only=True)
class QualityData:
    """A film's measures, ready to be decided about at any thresholds."""

    prepared: flag.PreparedMeasures
    near: duplicate.NearDuplicateCache | None  # None: duplicates are searched for at each decision
    blur: np.ndarray  # (rows,) float32: the sharpness that is judged, NaN where not measured
    shown: np.ndarray  # rows that have a small picture, the least sharp first
    pictures: Mapping[str, str]
    names: list[str]  # frame_id of each row
    times: Mapping[str, float]


def explore_quality(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore which frames are kept at other thresholds of `filtering`; see `explorer`."""
    opened = open_quality(space, is_interactive=is_interactive)
    if is_interactive:
        return _assemble(space, opened, config.filtering, root)
    from IPython.display import HTML

    return HTML(_draw(opened, config.filtering)({}))


def open_quality(space: Workspace, *, is_interactive: bool = True) -> QualityData:
    """Read measures and small pictures, and find near frames once."""
    measure = store.read_or_empty(space.table, "measure")
    frame = store.read_or_empty(space.table, "frame")
    prepared = flag.prepare(measure)
    names = prepared.measure["frame_id"].to_list()
    judged = reason.sharpness_expr(prepared.measure.columns)
    blur = prepared.measure.select(judged).to_series().to_numpy()
    pictures = explorer.frame_pictures(space, frame)
    has_picture = prepared.measure["frame_id"].is_in(list(pictures)).to_numpy()
    shown = np.flatnonzero(has_picture)
    return QualityData(
        prepared=prepared,
        near=find_near(prepared) if is_interactive else None,
        blur=blur,
        shown=shown[np.argsort(np.nan_to_num(blur[shown]), kind="stable")],
        pictures=pictures,
        names=names,
        times=dict(frame.select("frame_id", "timestamp_s").iter_rows()),
    )


def find_near(prepared: flag.PreparedMeasures) -> duplicate.NearDuplicateCache:
    """Find near frames for every position of the duplicate sliders."""
    low, high, _ = RANGE["duplicate_structure"]
    return duplicate.NearDuplicateCache(
        prepared.phash,
        prepared.signature,
        max_distance=int(RANGE["duplicate_distance"][1]),
        min_structure=low,
        max_structure=high,
    )


def judge(opened: QualityData, filtering: FilteringConfig) -> quality_threshold.ThresholdSolution:
    """Decide as stage filter does; groups of duplicates are remembered."""
    pair = filtering.duplicate_distance, filtering.duplicate_structure
    near = opened.near
    groups = near.group(*pair) if near else flag.group_duplicates(opened.prepared, *pair)
    return quality_threshold.solve(opened.prepared, groups, filtering)


def page(
    opened: QualityData,
    now: quality_threshold.ThresholdSolution,
    before: quality_threshold.ThresholdSolution,
) -> str:
    """Show a decision and how it differs from another one.

    Parameters
    ----------
    now, before : solve.Solution
        What is looked at, and what it is compared with.

    Returns
    -------
    str
        HTML: counts, what is new, the histogram of sharpness, pictures of each kind.
    """
    if not opened.names:
        return "<p>no frame was measured: run stage extract first</p>"
    is_kept, was_kept = now.decision.code == KEPT, before.decision.code == KEPT
    blur = opened.blur[~np.isnan(opened.blur)]
    threshold = now.threshold.blur_threshold
    galleries = (
        (is_kept & ~was_kept, "Newly kept", "good"),
        (was_kept & ~is_kept, "Newly dropped", "bad"),
        (is_kept, "Kept", "good"),
        (~is_kept, "Dropped", "bad"),
    )
    new, gone = (int(which.sum()) for which, *_ in galleries[:2])
    change = f"<b>{new}</b> newly kept, <b>{gone}</b> newly dropped"
    return (
        html.counts(_counts(now.decision.code))
        + f"<p>compared with the saved settings: {change}</p>"
        + (f"<p>{escape(now.note)}</p>" if now.note else "")
        + f"<p>blur_threshold {threshold:.2f}: {rate_text(threshold)} of the labelled films</p>"
        + html.histogram(blur, threshold, low=0, high=1, axis="sharpness")
        + "".join(_gallery(opened, now.decision.code, *gallery) for gallery in galleries)
    )


def rate_text(threshold: float) -> str:
    """Shares of sharp and of blurred pictures that a `blur_threshold` drops, in words.

    Examples
    --------
    >>> rate_text(0.0)
    'drops 0 % of sharp and 0 % of clearly blurred pictures'
    """
    sharp, blurred = (f"{round(100 * share, 1):g}" for share in filter_preset.blur_rates(threshold))
    return f"drops {sharp} % of sharp and {blurred} % of clearly blurred pictures"


def moved(
    solved: quality_threshold.ThresholdSolution, key: str, value: float | str
) -> FilteringConfig:
    """Settings after one control moved.

    A preset or a number to keep takes back the thresholds that were chosen; a slider that moves
    after `keep_about` starts from the thresholds that were solved and ends the solving.
    """
    now = solved.threshold
    if key == "preset":
        update = filter_preset.preset_thresholds(str(value)) | {"keep_about": 0}
    elif key == "keep_about" and value:
        update = filter_preset.preset_thresholds(now.preset)
    else:
        update = {"keep_about": 0}
    return now.model_copy(update=update | {key: value})


def _draw(opened: QualityData, filtering: FilteringConfig) -> Draw:
    """Page at other thresholds, compared with the settings."""
    before = judge(opened, filtering)
    return lambda values: page(opened, judge(opened, filtering.model_copy(update=values)), before)


def _assemble(
    space: Workspace, opened: QualityData, settings: FilteringConfig, root: Path | None
) -> Widget:
    """Controls above the page; every move of one redraws it once."""
    import ipywidgets

    found = judge(opened, settings)
    state = {"settings": settings, "found": found, "before": found, "is_setting": False}
    values = dict(found.threshold)
    sliders = {key: explorer.slider(key, values[key], span) for key, span in RANGE.items()}
    rate = ipywidgets.Label(rate_text(found.threshold.blur_threshold))
    choice = ipywidgets.ToggleButtons(
        options=list(filter_preset.PRESET_STRICTNESS), value=settings.preset
    )
    about = ipywidgets.BoundedIntText(
        value=settings.keep_about, max=10_000_000, description="keep about"
    )
    controls = {**sliders, "preset": choice, "keep_about": about}
    shown, message = ipywidgets.HTML(page(opened, found, found)), ipywidgets.HTML()
    button = explorer.keep_button(space)

    def on_move(key: str, value: float | str) -> None:
        if state["is_setting"]:
            return
        state["settings"] = moved(state["found"], key, value)
        state["found"] = judge(opened, state["settings"])
        state["is_setting"] = True
        _set(controls, dict(state["found"].threshold), key)
        state["is_setting"] = False
        rate.value = rate_text(state["found"].threshold.blur_threshold)
        shown.value = page(opened, state["found"], state["before"])

    def on_click(_button: Button) -> None:
        keys = (*RANGE, "preset", "keep_about")
        chosen = {key: getattr(state["settings"], key) for key in keys}
        message.value = explorer.save(space.film_id, "filtering", chosen, root)
        if message.value.startswith("saved"):
            state["before"] = state["found"]

    for key, control in controls.items():
        control.observe(lambda change, key=key: on_move(key, change["new"]), names="value")
    button.on_click(on_click)
    rows = (ipywidgets.HBox([choice, about]), ipywidgets.HBox([button, message]), shown)
    blur = ipywidgets.HBox([sliders["blur_threshold"], rate])
    others = (slider for key, slider in sliders.items() if key != "blur_threshold")
    return ipywidgets.VBox([blur, *others, *rows])


def _set(controls: Mapping[str, Any], values: Mapping[str, Any], moved_key: str) -> None:
    """Show values on all controls but the one that moved."""
    for key, control in controls.items():
        if key != moved_key and control.value != values[key]:
            control.value = values[key]


def _counts(code: np.ndarray) -> dict[str, int]:
    """Pictures by reason, kept ones first, then the most frequent."""
    numbers = np.bincount(code, minlength=len(reason.REASONS))
    named = {name: int(n) for name, n in zip(reason.REASONS, numbers, strict=True) if n}
    return dict(sorted(named.items(), key=lambda kv: (kv[0] != "kept", -kv[1], kv[0])))


def _gallery(opened: QualityData, code: np.ndarray, is_in: np.ndarray, name: str, tone: str) -> str:
    """Show those nearest to the sharpness threshold first: they are the ones to judge."""
    rows = opened.shown[is_in[opened.shown]]
    rows = rows[:GALLERY] if tone == "good" else rows[::-1][:GALLERY]
    order = "least sharp first" if tone == "good" else "sharpest first"
    found = []
    for row in rows.tolist():
        frame_id = opened.names[row]
        words = _words(opened, row, reason.REASONS[code[row]])
        found.append((opened.pictures[frame_id], words, tone))
    return html.tiles(found, f"{name}: {int(is_in.sum())}, {order}")


def _words(opened: QualityData, row: int, why: str) -> str:
    score = "" if np.isnan(opened.blur[row]) else f" {opened.blur[row]:.2f}"
    why = "" if why == "kept" else f" {why}"
    return f"{style.clock(opened.times[opened.names[row]])}{score}{why}"
