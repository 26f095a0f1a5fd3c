"""`bunny evaluate` on a film without a fine-tune, and what it says of one that has figures."""

import json

import pytest

from bunny.command import evaluate
from bunny.contract import fingerprint
from bunny.core import atomic, workspace
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


def test_findings_say_the_class_word_that_is_set(space, tmp_path):
    """As the stage may have left it: the class word alone draws the bunny in every picture."""
    run = {
        "run_id": "run-1",
        "character": "bunny",
        "trigger": "bunny",
        "base_model": "toy",
        "base_hash": "ff",
        "config_json": "{}",
        "seed": 0,
        "num_images": 12,
        "num_held_out": 2,
        "num_steps": 200,
        "seconds": 30.0,
        "status": "failed",
    }
    for name in READ:
        rows = [run] if name == "training_run" else []
        store.write(space.table, name, store.from_rows(name, rows))
    call = (space.film_id, str(tmp_path / "data"), ("captioning.class_word=rabbit",))
    assert evaluate.evaluate(*call).findings == {}
    at = {"run_id": "run-1", "character": "bunny", "about": "", "n": 20}
    values = [("choose", 200, "chosen", 200.0), ("report", 200, "recognised", 1.0)]
    values += [("real", 0, "real recognised", 1.0), ("real", 0, "strangers recognised", 0.0)]
    values += [("real", 0, "shots", 5.0)]
    rows = [
        {**at, "prompt_set": name, "step": step, "metric": metric, "value": value}
        | {"low": 0.8 * value, "high": value}
        for name, step, metric, value in values
    ]
    leak = {**at, "prompt_set": "class", "metric": "leak"}
    rows.append({**leak, "step": 0, "value": 0.0, "low": 0.0, "high": 0.2})
    rows.append({**leak, "step": 200, "value": 1.0, "low": 0.8, "high": 1.0})
    store.write(space.table, "evaluation", store.from_rows("evaluation", rows))
    record = fingerprint.read_record(space.root, "evaluate")
    record["tables"]["evaluation"] = fingerprint.table_record(space.root, "evaluation", len(rows))
    atomic.write_bytes(space.stage("evaluate") / "stage.json", json.dumps(record).encode())
    report = evaluate.evaluate(*call)
    assert report.status == "skipped"
    assert "The class word was overwritten: “rabbit” alone draws bunny" in report.to_text()


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
