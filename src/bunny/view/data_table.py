"""Tables of notebooks: whole, with words for columns, times as a clock and rounded numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.view import html, style

if TYPE_CHECKING:
    from IPython.display import HTML

MAX_ROWS = 500
TALL = 24  # rows from which a table scrolls in its place
TIMES = ("time", "start_s", "end_s", "timestamp_s", "first_s", "last_s", "target_s", "matched_s")
LENGTHS = ("seconds", "duration_s")
WORDS = {  # headings of columns whose name does not read as words
    "frame_id": "frame",
    "film_id": "film",
    "shot_index": "shot",
    "cluster_id": "cluster",
    "pair_id": "pair",
    "reference_id": "picture",
    "subject_type": "found as",
    "transition_in": "begins with",
    "luma_range": "luma range",
    "timestamp_s": "time",
    "start_s": "start",
    "end_s": "end",
    "first_s": "first seen",
    "last_s": "last seen",
    "target_s": "time",
    "matched_s": "found at",
    "tags": "tag",
    "rules": "rule",
    "duration_s": "length",
    "seconds": "run time",
    "fallback_reason": "reason for fallback",
    "num_images": "training pictures",
    "num_held_out": "held-out pictures",
    "base_model": "base",
    "loss_first": "training loss at start",
    "loss_last": "training loss at end",
    "held_out_loss_first": "held-out loss at start",
    "held_out_loss_last": "held-out loss at end",
    "is_undone": "undone",
    "input_tokens": "tokens read",
    "output_tokens": "tokens written",
    "cost_usd": "US dollars",
    "num_pictures": "pictures",
    "least_frame_id": "least similar frame",
}


def show(table: pl.DataFrame, nothing: str = "Nothing to show.") -> HTML:
    """Show a table in a notebook.

    Parameters
    ----------
    table : pl.DataFrame
        Shown in its order, to its 500th row.
    nothing : str
        Sentence for a table without rows.
    """
    from IPython.display import HTML

    if table.is_empty():
        return HTML(f"<p>{escape(nothing)}</p>")
    look = {
        name: f" style='text-align:{'right' if kind.is_numeric() else 'left'}'"
        for name, kind in table.schema.items()
    }
    head = "".join(f"<th{look[name]}>{escape(word(name))}</th>" for name in table.columns)
    body = "".join(
        "".join(f"<td{look[name]}>{escape(_cell(name, value))}</td>" for name, value in row.items())
        + "</tr><tr>"
        for row in table.head(MAX_ROWS).iter_rows(named=True)
    ).removesuffix("<tr>")
    height = "max-height:32rem;overflow:auto;" if table.height > TALL else ""
    rest = table.height - MAX_ROWS
    more = f"<p>{style.plural(rest, 'more row')} not shown</p>" if rest > 0 else ""
    return HTML(
        f"<div class='{html.NO_MATHS}' style='{height}width:fit-content'><table><tr>{head}</tr>"
        f"<tr>{body}</table></div>{more}"
    )


def facts(values: Mapping[str, Any]) -> HTML:
    """Show named values in a notebook, one per line; missing ones are left out."""
    from IPython.display import HTML

    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(word(name))}</th>"
        f"<td style='text-align:left'>{escape(_cell(name, value))}</td></tr>"
        for name, value in values.items()
        if value is not None
    )
    return HTML(f"<table class='{html.NO_MATHS}'>{rows}</table>")


def word(column: str) -> str:
    """Heading of a column.

    Examples
    --------
    >>> word("num_frames"), word("width_px"), word("frame_id"), word("step")
    ('frames', 'width (px)', 'frame', 'step')
    """
    if column in WORDS:
        return WORDS[column]
    name = column.removeprefix("num_").removeprefix("is_")
    name = name.replace("min_", "minimum_").replace("max_", "maximum_")
    for unit in ("px", "mb", "s"):
        if name.endswith(f"_{unit}"):
            return f"{name.removesuffix(f'_{unit}').replace('_', ' ')} ({unit})"
    return name.replace("_", " ")


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if column in TIMES and isinstance(value, int | float):
        return style.clock(value)
    if column in LENGTHS:
        return style.duration(value)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """Three decimals below 1; a number that would become 0 keeps its first digit."""
    if abs(value) >= 1:
        return f"{value:.3g}"
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return text if float(text) or not value else f"{value:.1g}"
