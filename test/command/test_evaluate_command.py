"""`bunny evaluate` on a film without a fine-tune, and what it says of one that has figures."""

import json

import pytest

from bunny.command import evaluate
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.evaluation.verdict import EvaluationFinding
from bunny.table import store
from bunny.view.report import evaluation as report_evaluation

READ = ("frame", "label", "reference", "candidate", "dataset", "training_run", "adapter")


@pytest.fixture
def space(tmp_path):
    film = tmp_path / "My Film.mp4"
    film.write_bytes(b"a film")
    return workspace.create(tmp_path, "data", film, None)


def test_stages_before_are_asked_for(space, tmp_path):
    with pytest.raises(UserError, match=r"stage evaluate: expected tables frame, .* run extract"):
        evaluate.evaluate(None, str(tmp_path / "data"))


def test_a_film_without_a_fine_tune_says_so(space, tmp_path):
    for name in READ:
        store.write(space.table, name, store.from_rows(name, []))
    report = evaluate.evaluate(space.film_id, str(tmp_path / "data"))
    assert (report.status, report.findings, report.files) == ("done", {}, [])
    assert "no finished fine-tune" in report.to_text()
    assert json.loads(report.to_json())["note"].startswith("no finished fine-tune")


def test_figures_are_written_and_findings_marked(space):
    row = {"run_id": "r", "character": "bunny", "prompt_set": "choose", "about": "", "n": 2}
    rows = [
        {**row, "step": step, "metric": metric, "value": 0.5}
        for step in (0, 10)
        for metric in ("identity", "score")
    ]
    evaluation = store.from_rows("evaluation", rows)
    files = report_evaluation.write_figures(
        space.root, evaluation, store.from_rows("evaluation_picture", [])
    )
    assert [f.name for f in files] == ["step.png", "confusion.png", "copying.png", "sheet.png"]
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in files)
    found = {"r": [EvaluationFinding(kind="copies", tone="bad", text="It copies.")]}
    report = evaluate.EvaluationReport(
        space=space, status="done", note="", findings=found, evaluation=evaluation, files=files
    )
    assert "    ! It copies." in report.to_text()
    assert json.loads(report.to_json())["runs"]["r"][0]["tone"] == "bad"
