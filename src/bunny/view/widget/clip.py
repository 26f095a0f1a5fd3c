"""Widget of clips: which runs of frames there would be at other thresholds of `clip`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.clip import plan
from bunny.clip.plan import ClipPlan
from bunny.contract import fingerprint
from bunny.core.config.clip import ClipConfig
from bunny.table import corrected
from bunny.view import html, style
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Draw, Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

TABLES = (
    "shot",
    "frame",
    "quality",
    "clip_frame",
    "clip_box",
    "clip_overlay",
    "cluster",
    "embedding",
)
ROWS = 60
# Slider ranges: key to (lowest, highest, step).
CLIP_RANGE = {
    "min_coverage": (0.0, 1.0, 0.01),
    "min_likeness": (-1.0, 1.0, 0.01),
    "min_motion": (0.0, 10.0, 0.05),
    "max_motion": (0.0, 100.0, 0.5),
    "min_sharpness": (0.0, 2000.0, 10.0),
    "margin_frames": (0, 48, 1),
    "max_similarity": (0.5, 1.0, 0.005),
}


def explore_clips(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore which clips there would be at other thresholds of `clip`; see `explorer`."""
    draw = draw_clips(space, config)
    return explorer.explorer(space, config, "clip", CLIP_RANGE, draw, is_interactive, root)


def draw_clips(space: Workspace, config: Config) -> Draw:
    """Read the measures; gives the function from thresholds to its page, which opens nothing."""
    tables = {name: corrected.read_or_empty(space.table, name) for name in TABLES}
    boxes = tables["clip_box"]
    names = set(boxes["character"].to_list())
    names &= set(config.models.characters or names)

    def decide(wanted: ClipConfig) -> list[ClipPlan]:
        chosen, others = plan.choose_clips(tables, tables["cluster"], names, wanted)
        return [*chosen, *others]

    before = decide(config.clip) if boxes.height else []
    known = {one.clip_id for one in before if not one.reason}

    def draw(values: Values) -> str:
        if not boxes.height:
            return f"<p>{escape(_nothing_measured(space))}</p>"
        now = decide(config.clip.model_copy(update=values))
        chosen = {one.clip_id for one in now if not one.reason}
        left = Counter(one.reason for one in now if one.reason)
        return (
            html.counts({"clips": len(chosen), **{f"left out ({k})": n for k, n in left.items()}})
            + "<p>compared with the saved settings: "
            + f"<b>{len(chosen - known)}</b> new, <b>{len(known - chosen)}</b> removed</p>"
            + _table(sorted(now, key=lambda one: (one.start_s, one.clip_id))[:ROWS])
        )

    return draw


def _nothing_measured(space: Workspace) -> str:
    """Why there is nothing to look at, and what to do."""
    note = fingerprint.read_record(space.root, "clip").get("note", "")
    if not note:
        return "no frame was measured for clips: set clip.preset and run stage clip"
    return (
        f"stage clip found no frame to measure ({note}): label characters first (10_review.ipynb)"
    )


def _table(plans: Sequence[ClipPlan]) -> str:
    head = ("time", "character", "frames", "coverage", "motion", "sharpness", "camera", "")
    rows = [
        (
            style.clock(one.start_s),
            one.character,
            str(one.num_frames),
            f"{one.coverage:.0%}",
            f"{one.motion:.2f}",
            f"{one.sharpness:.0f}",
            one.camera,
            one.detail or one.reason,
        )
        for one in plans
    ]
    return html.table(head, rows)
