"""The report of a batch: its films, how each ended, and what came of them together."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bunny.core import atomic
from bunny.table import scalar
from bunny.view import style
from bunny.view.report import page
from bunny.view.report.section import ReportSection, ReportTable, plot

COUNTS = {
    "num_shots": "shots",
    "num_frames": "frames kept",
    "num_labels": "labels",
    "num_characters": "characters",
    "num_captions": "captions",
    "num_images": "training pictures",
}
MAX_PLOTTED = 40  # films of a plot


def write(folder: Path, table: pl.DataFrame, project: str) -> Path:
    """Write `report.html` of a batch.

    Parameters
    ----------
    folder : Path
        The batch's own.
    table : pl.DataFrame
        Table `batch_film`.
    project : str
        Name and version.
    """
    path = folder / "report.html"
    atomic.write_bytes(path, render(table, project).encode())
    return path


def render(table: pl.DataFrame, project: str) -> str:
    """Text of the page."""
    done = table.filter(pl.col("status") == "done")
    left = table.filter(~pl.col("status").is_in(["done", "waiting", "running"]))
    sections = [_films(table)]
    if left.height:
        sections.insert(0, _put_aside(left))
    hours = scalar.as_float(done["duration_s"].fill_null(0).sum()) / 3600
    return page.render_page(
        page.ReportPage(
            title=f"Batch of {style.plural(table.height, 'film')}",
            project=project,
            lead=describe(table),
            numbers=[
                (f"{scalar.as_int(table[column].sum()):,}", word) for column, word in COUNTS.items()
            ],
            parts=[("", sections)],
            footer=f"{hours:.1f} hours of film · table batch_film.parquet beside this page",
        )
    )


def describe(table: pl.DataFrame) -> str:
    """One sentence on how a batch stands.

    Examples
    --------
    "10 of 12 films done, 1 refused, 1 failed."
    """
    counts = dict(table["status"].cast(pl.String).value_counts().iter_rows())
    words = [f"{counts.get('done', 0)} of {style.plural(table.height, 'film')} done"]
    others = ("refused", "failed", "stopped", "running", "waiting")
    words += [f"{counts[name]} {name}" for name in others if counts.get(name)]
    return ", ".join(words) + "."


def _films(table: pl.DataFrame) -> ReportSection:
    """Every film with its counts."""
    shown = table.filter(pl.col("status") == "done").sort("seconds", descending=True)
    plots = (
        [plot(_plot_seconds(shown.head(MAX_PLOTTED)), "run time of each film")]
        if len(shown)
        else []
    )
    return ReportSection(
        id="films",
        title="Films",
        grids=[
            ReportTable(
                head=("film", "state", "length", "run time", *COUNTS.values()),
                rows=[_row(row) for row in table.iter_rows(named=True)],
                numeric=tuple(range(2, 4 + len(COUNTS))),
            )
        ],
        plots=plots,
    )


def _put_aside(left: pl.DataFrame) -> ReportSection:
    """Films without a result, and why."""
    return ReportSection(
        id="put-aside",
        title="Films without a result",
        texts=["Fix the cause, then run the batch again: finished films are skipped."],
        grids=[
            ReportTable(
                head=("film", "state", "attempts", "reason"),
                rows=[
                    (Path(film).name, status, str(number), error or "")
                    for film, status, number, error in left.select(
                        "film", "status", "num_attempts", "error"
                    ).iter_rows()
                ],
                numeric=(2,),
            )
        ],
    )


def _row(row: dict) -> tuple[str, ...]:
    length = "" if row["duration_s"] is None else style.clock(row["duration_s"])
    took = style.duration(row["seconds"]) if row["num_attempts"] else ""
    counts = (f"{row[column]:,}" for column in COUNTS)
    return (Path(row["film"]).name, row["status"], length, took, *counts)


def _plot_seconds(shown: pl.DataFrame):
    """Run time of each film as a share of its length."""
    import plotnine as p9

    known = shown.filter(pl.col("duration_s").fill_null(0) > 0).with_columns(
        name=pl.col("film_id").fill_null("film"), share=pl.col("seconds") / pl.col("duration_s")
    )
    if known.is_empty():
        return style.empty_plot("no film of known length has run")
    return (
        p9.ggplot(known, p9.aes("name", "share"))
        + p9.geom_col(fill=style.GOOD, width=0.65)
        + p9.scale_x_discrete(limits=known["name"].to_list()[::-1], name="")
        + p9.scale_y_continuous(name="run time / length", expand=(0, 0, 0.05, 0))
        + p9.coord_flip()
        + p9.labs(title="Run time as a share of the film's length, longest run first")
        + style.theme(1.1 + 0.28 * known.height)
    )
