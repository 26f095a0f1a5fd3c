"""Report section on the evaluation: verdict, metrics, plots and pictures."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bunny.core import atomic
from bunny.dataset import gap
from bunny.evaluation import verdict
from bunny.evaluation.verdict import EvaluationFinding
from bunny.table import scalar
from bunny.view import contact_sheet, style
from bunny.view.plot import evaluation as plot_evaluation
from bunny.view.report.section import (
    ReportData,
    ReportSection,
    ReportTable,
    group,
    plot,
)

MAX_PROMPTS = 8
MAX_DRAWINGS = 8  # of one prompt
FOLDER = "evaluation"
METRICS = (
    "identity",
    "recognised",
    "nobody",
    "agreement",
    "copied",
    "diversity",
    "vendi",
    "score",
    "drift",
    "leak",
    "bleeding",
)
SETS = {"report": "", "class": " (class word alone)", "pair": " (two characters)"}


def evaluation(data: ReportData) -> ReportSection:
    """Whether the adapter learned its character, and what that cost."""
    evaluation, picture = data.table("evaluation"), data.table("evaluation_picture")
    if evaluation.is_empty():
        why = data.why_nothing(
            "evaluate", "Stage evaluate has not run, or there was nothing to evaluate."
        )
        return ReportSection(id="evaluation", title="Did it learn the character?", missing=why)
    found = findings(data)
    drawn = list(plot_evaluation.tiles(data.root, picture).items())[:MAX_PROMPTS]
    return ReportSection(
        id="evaluation",
        title="Did it learn the character?",
        texts=[f.text for part in found.values() for f in part if f.tone != "bad"],
        notes=[f.text for part in found.values() for f in part if f.tone == "bad"],
        grids=[_numbers(part) for part in evaluation.partition_by("run_id")],
        plots=[
            plot(plot_evaluation.plot_steps(evaluation), "measures of each checkpoint"),
            plot(plot_evaluation.plot_confusion(evaluation), "confusion matrix of the characters"),
            plot(plot_evaluation.plot_copying(picture), "similarity to the training pictures"),
        ],
        groups=[group(t[:MAX_DRAWINGS], f"“{prompt}”", kind="pairs") for prompt, t in drawn],
    )


def findings(data: ReportData) -> dict[str, list[EvaluationFinding]]:
    """The verdict on each run, by run_id."""
    return judge(
        data.table("evaluation"),
        data.table("training_run"),
        data.table("candidate"),
        data.table("dataset"),
        data.config.captioning.class_word,
    )


def judge(
    evaluation: pl.DataFrame,
    training_run: pl.DataFrame,
    candidate: pl.DataFrame,
    dataset: pl.DataFrame,
    class_word: str,
) -> dict[str, list[EvaluationFinding]]:
    """The verdict on each run that was evaluated.

    Parameters
    ----------
    evaluation, training_run, candidate, dataset : pl.DataFrame
        Tables of those names.
    class_word : str
        As in the settings.

    Returns
    -------
    dict
        run_id to its findings, the outcome first.
    """
    gaps = gap.find_gaps(candidate, dataset)
    found = {}
    for run in training_run.iter_rows(named=True):
        rows = evaluation.filter(pl.col("run_id") == run["run_id"])
        if rows.is_empty():
            continue
        drawn = rows.filter(pl.col("prompt_set").cast(pl.String) == "choose", pl.col("step") > 0)
        steps = tuple(drawn["step"].unique().sort().to_list())
        about = verdict.run_info(run, steps, class_word)
        found[run["run_id"]] = verdict.judge(rows, about, gaps)
    return found


def sentences(found: dict[str, list[EvaluationFinding]]) -> list[str]:
    """The verdict in words, each run's outcome first."""
    return [finding.text for part in found.values() for finding in part]


def _numbers(rows: pl.DataFrame) -> ReportTable:
    """The chosen checkpoint beside the base on the prompts for reporting."""
    step = scalar.as_int(rows.filter(pl.col("metric") == "chosen")["step"].max() or 0)
    at = {
        (r["prompt_set"], r["metric"], r["step"]): r
        for r in rows.filter(pl.col("about") == "").iter_rows(named=True)
        if r["prompt_set"] != "other"
    }
    lines = []
    for name, words in SETS.items():
        for metric in METRICS:
            base, ours = at.get((name, metric, 0)), at.get((name, metric, step))
            if ours:
                count = str(ours["n"])
                lines.append((metric + words, _with_interval(base), _with_interval(ours), count))
    head = ("measure", "base model alone", f"step {step}", "pictures")
    return ReportTable(head=head, rows=lines, numeric=(1, 2, 3))


def _with_interval(row: dict | None) -> str:
    if row is None or row["value"] is None:
        return ""
    if row["low"] is None:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} ({row['low']:.2f}–{row['high']:.2f})"


def write_figures(root: Path, evaluation: pl.DataFrame, picture: pl.DataFrame) -> list[Path]:
    """Write the plots and a sheet of the drawings into the film's folder `evaluation/`.

    Returns
    -------
    list of Path
        Empty where nothing was evaluated.
    """
    if evaluation.is_empty():
        return []
    folder = root / FOLDER
    plots = {
        "step.png": plot_evaluation.plot_steps(evaluation),
        "confusion.png": plot_evaluation.plot_confusion(evaluation),
        "copying.png": plot_evaluation.plot_copying(picture),
    }
    for name, figure in plots.items():
        atomic.write_bytes(folder / name, style.to_png(figure))
    sheet = contact_sheet.rows(plot_evaluation.tiles(root, picture))
    atomic.write_bytes(folder / "sheet.png", contact_sheet.to_png(sheet))
    return [folder / name for name in (*plots, "sheet.png")]
