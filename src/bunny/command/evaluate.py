"""`bunny evaluate`: stage evaluate, its verdict, figures and contact sheet."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from bunny import pipeline
from bunny.command import film_workspace
from bunny.core import log
from bunny.core.workspace import Workspace
from bunny.evaluation.verdict import EvaluationFinding
from bunny.table import store
from bunny.view.report import evaluation as report_evaluation

MARK = {"good": "+", "bad": "!", "plain": "-"}


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The verdict on a film's fine-tunes, and where the figures and pictures are."""

    space: Workspace
    status: str  # done, or skipped: it was up to date
    note: str
    findings: dict[str, list[EvaluationFinding]]  # by run_id
    evaluation: pl.DataFrame
    files: Sequence[Path]

    def to_json(self) -> str:
        """One JSON object on one line."""
        report = {
            "film_id": self.space.film_id,
            "status": self.status,
            "note": self.note,
            "runs": {run: [asdict(f) for f in found] for run, found in self.findings.items()},
            "evaluation": self.evaluation.to_dicts(),
            "files": [path.as_posix() for path in self.files],
        }
        return json.dumps(report)

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [self.space.film_id]
        if not self.findings:
            lines.append(f"  {self.note}")
        for run, found in self.findings.items():
            lines += [f"  {run}", *(f"    {MARK[f.tone]} {f.text}" for f in found)]
        return "\n".join([*lines, *(f"  {path}" for path in self.files)])


def evaluate(
    film: str | None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    is_debug: bool = False,
) -> EvaluationReport:
    """Evaluate a film's fine-tunes and write figures and a sheet of the drawings.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    data_dir, overrides
        As given to `--data-dir` and `--set`.
    is_debug : bool
        Show more log lines.

    Raises
    ------
    UserError
        If there is no such film, or stages before have not run.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ("evaluation/*",))
    log.configure(space.log / space.film_id, is_verbose=is_debug)
    result = pipeline.run_stage("evaluate", space, config)
    names = ("evaluation", "training_run", "candidate", "dataset", "evaluation_picture")
    table = {name: store.read_or_empty(space.table, name) for name in names}
    found = report_evaluation.judge(
        table["evaluation"],
        table["training_run"],
        table["candidate"],
        table["dataset"],
        config.captioning.class_word,
    )
    return EvaluationReport(
        space=space,
        status=result.status,
        note=result.note,
        findings=found,
        evaluation=table["evaluation"],
        files=report_evaluation.write_figures(
            space.root, table["evaluation"], table["evaluation_picture"]
        ),
    )
