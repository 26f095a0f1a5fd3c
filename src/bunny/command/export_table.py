"""`bunny export json`, `feedback` and `stats`: tables of a film as files for other tools."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl

from bunny.command import film_workspace
from bunny.core import atomic, input_path
from bunny.core.error import UserError

HEAD = ("Frame Number", "Timecode")  # of PySceneDetect's `StatsManager`, 0.7
METRICS = ("brightness", "contrast", "cut_score", "dissolve_weight", "luma_change", "moved")
THUMBNAIL_LEVELS = 64 * 36 * 255  # largest sum of `luma_levels`


def export_json(film: str | None, data_dir: str | None, output: Path | None) -> str:
    """Write metadata.json of a known film; returns its path as text."""
    from bunny.table import metadata

    space, _ = film_workspace.open_film(film, data_dir, parts=())
    path = output or space.root / "metadata.json"
    input_path.check_output_file(path)
    atomic.write_bytes(path, metadata.to_json(space.table).encode())
    return str(path)


def export_feedback(
    film: str | None,
    output: Path | None = None,
    data_dir: str | None = None,
    *,
    has_events: bool = False,
) -> str:
    """Write pairs (anchor, positive, label), or the record itself, as JSON lines.

    Parameters
    ----------
    output : Path, optional
        File to write; None: `export/feedback.jsonl` of the film.

    Raises
    ------
    UserError
        If stage review has not run, or the file cannot be written.
    """
    from bunny.command import correct
    from bunny.review import corrected_table, event_log

    library = correct.open_reviewed_film(film, data_dir)
    out = output or library.space.root / "export" / "feedback.jsonl"
    input_path.check_output_file(out)
    if has_events:
        rows = [event.to_dict() for event in event_log.read(library.space.root)]
    else:
        pairs = corrected_table.constraint_pairs(library.state)
        columns = {"anchor": "anchor_id", "positive": "positive_id", "label": "label"}
        rows = pairs.select(**columns).to_dicts()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        atomic.write_bytes(out, lines.encode())
    except OSError as error:
        raise UserError(
            f"{out}: cannot write this file ({error.strerror}); give another --out"
        ) from error
    return f"{out}: {len(rows)} {'events' if has_events else 'pairs'}"


def export_stats(film: str | None, output: Path | None = None, data_dir: str | None = None) -> str:
    """Write the stats file of a known film; returns what was written, as text.

    Parameters
    ----------
    film : str or None
        Beginning of its film_id; None: the newest film.
    output : Path, optional
        File to write; None: `export/stats.csv` of the film.

    Raises
    ------
    UserError
        If nothing was measured, or the file cannot be written.
    """
    from bunny.table import store

    space, config = film_workspace.open_film(film, data_dir, parts=())
    change = store.read_or_empty(space.table, "change")
    if change.is_empty():
        raise UserError(
            f"{space.film_id}: expected table change with a row for each frame, found none; run "
            "stage extract with extraction.method shot and extraction.shot_detector fast "
            f"(they are {config.extraction.method} and {config.extraction.shot_detector})"
        )
    out = output or space.root / "export" / "stats.csv"
    input_path.check_output_file(out)
    try:
        atomic.write_bytes(out, _to_csv(change).encode())
    except OSError as error:
        raise UserError(f"{out}: expected to write there, got '{error.strerror}'") from error
    return f"{out}: {change.height} frames"


def _to_csv(change: pl.DataFrame) -> str:
    """Table change in the form of PySceneDetect's `StatsManager.save_to_csv`."""
    rows = change.select(
        pl.col("frame_index") + 1,
        "timestamp_s",
        "brightness",
        "contrast",
        "cut_score",
        dissolve_weight=pl.col("dissolve_weight").list.max(),
        luma_change=pl.col("luma_levels") / THUMBNAIL_LEVELS,
        moved="moved",
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*HEAD, *METRICS))
    for number, time_s, *values in rows.iter_rows():
        writer.writerow((number, timecode(time_s), *map(str, values)))
    return text.getvalue()


def timecode(time_s: float) -> str:
    """Time as HH:MM:SS.nnn.

    Examples
    --------
    >>> timecode(3723.042)
    '01:02:03.042'
    """
    milliseconds = round(time_s * 1000)
    minutes, rest = divmod(abs(milliseconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
