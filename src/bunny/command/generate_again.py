"""What `bunny generate --again` does: a picture once more from what stands in its PNG."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.command.generate import Generated
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.workspace import Workspace
from bunny.generation import request
from bunny.table import store


def draw_again(
    picture: Path,
    *,
    output: Path | None = None,
    adapters: Sequence[Path] = (),
    frame: Path | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> Generated:
    """Draw a picture once more from what stands in its PNG, and compare.

    Parameters
    ----------
    picture : Path
        As `bunny generate` or stage generate wrote it.
    output : Path or None
        A folder; None: beside the picture.
    adapters : sequence of Path
        Where its adapters lie, if not where they were.
    frame : Path or None
        The picture that it started from, if not where it was.
    data_dir, overrides
        As everywhere.

    Returns
    -------
    Generated
        `notes` say whether it is the same, and if not, which version differs.

    Raises
    ------
    UserError
        If base, adapter or start are missing or changed.
    """
    import numpy as np
    from PIL import Image

    from bunny.generation import provenance, reproduce
    from bunny.training import base as base_model

    facts = reproduce.read_facts(picture)
    spaces = _spaces(facts, data_dir, overrides)
    files = [*adapters, *(f for s in spaces for f in sorted(s.checkpoint.rglob("*.safetensors")))]
    worn = reproduce.adapters_of(facts, files) if facts["adapters"] else []
    drawing = reproduce.drawing_of(facts, frame or _frame_file(facts, spaces))
    loaded = base_model.load_base(
        facts["base_model"], precision=_precision(facts), family=facts.get("base_family", "auto")
    )
    drawn = reproduce.draw_again(loaded, facts, drawing, worn)
    if drawn.picture is None:
        return Generated(output=picture.parent, files=[], errors=[drawn.error or ""])
    path = (output or picture.parent) / f"{picture.stem}-again.png"
    now = provenance.provenance_of(
        loaded,
        drawing,
        worn,
        drawn,
        has_safety_checker=facts.get("safety_checker") == request.CHECKER_ON,
    )
    kept = {key: value for key, value in facts.items() if key not in now}
    provenance.save_png(path, drawn.picture, {**now, **kept})
    with Image.open(picture) as before:
        off = np.abs(np.asarray(before, np.int16) - np.asarray(drawn.picture, np.int16))
    return Generated(
        output=path.parent,
        files=[path],
        notes=[_compared(off, reproduce.differences(loaded, facts))],
        facts={"is_same": not off.any(), "largest_difference": int(off.max())},
    )


def _spaces(
    facts: dict[str, Any], data_dir: str | None, overrides: Sequence[str]
) -> list[Workspace]:
    """Workspaces that may have a picture's adapters and frames, its own film first."""
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    config = configuration.load(root, [*overrides, *last])
    found = workspace.find(root, config.project.data_dir, None)
    return sorted(found, key=lambda space: space.film_id != facts.get("film_id"))


def _frame_file(facts: dict[str, Any], spaces: Sequence[Workspace]) -> Path | None:
    """The frame that a drawing started from, where its film is known."""
    for space in spaces:
        frame = store.read_or_empty(space.table, "frame")
        rows = frame.filter(pl.col("frame_id") == (facts.get("init_frame") or ""))
        if rows.height and rows["file"][0]:
            return space.root / rows["file"][0]
    return None


def _precision(facts: dict[str, Any]) -> str:
    """The settings' word for the numbers that a picture was drawn in."""
    words = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
    return words.get(facts.get("dtype", ""), "auto")


def _compared(off: Any, changed: Sequence[str]) -> str:
    """Whether it is the same picture; if not, why."""
    if not off.any():
        return "the same picture, bit for bit"
    words = (
        f"differs in {100 * (off.max(axis=-1) > 0).mean():.1f} % of the pixels, by at most "
        f"{off.max()} of 255"
    )
    return f"{words}; changed since: {', '.join(changed)}" if changed else f"{words}; same versions"
