"""`bunny export stats`: the change of every frame as PySceneDetect's stats file."""

import csv
import io
from pathlib import Path

import polars as pl

from bunny.command import film_workspace
from bunny.core.error import UserError

HEAD = ("Frame Number", "Timecode")  # of PySceneDetect's `StatsManager`, 0.7
METRICS = ("brightness", "contrast", "cut_score", "dissolve_weight", "luma_change", "moved")
THUMBNAIL_LEVELS = 64 * 36 * 255  # largest sum of `luma_levels`


def export(film: str | None, output: Path | None = None, data_dir: str | None = None) -> str:
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
    from bunny.core import atomic
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
