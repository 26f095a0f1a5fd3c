"""Figures of the evaluation from hand-made tables: they draw, and hold what they should."""

import json

import polars as pl
import pytest

from bunny.core.config import Config
from bunny.table import store
from bunny.view import style
from bunny.view.plot import evaluation as plot_evaluation
from bunny.view.report import evaluation as report_evaluation
from bunny.view.report.section import ReportData

PNG = b"\x89PNG"


def row(step: int, prompt_set: str, metric: str, value: float, **more) -> dict:
    key = {"run_id": "r", "character": "bunny", "step": step, "prompt_set": prompt_set}
    bounds = {"low": value - 0.1, "high": value + 0.1, "n": 6}
    return {**key, "metric": metric, "about": "", "value": value, **bounds, **more}


@pytest.fixture
def evaluation() -> pl.DataFrame:
    """A base, three checkpoints, the second chosen; two characters."""
    rows = [
        row(step, "choose", metric, value + 0.1 * (step == 200))
        for metric, value in (("identity", 0.6), ("recognised", 0.7), ("score", 0.5))
        for step in (0, 100, 200, 300)
    ]
    rows.append(row(200, "choose", "chosen", 200.0))
    for step in (0, 200):
        rows += [row(step, "report", m, 0.2 + step / 400) for m in ("identity", "recognised")]
        for about, value in (("bunny", step / 250), ("nobody", 1 - step / 250)):
            rows.append(row(step, "report", "confusion", value, about=about))
    rows.append(row(200, "report", "gain recognised", 0.5))
    for who, about, value in (("bunny", "bunny", 1.0), ("pip", "pip", 0.9), ("pip", "bunny", 0.1)):
        rows.append(row(0, "real", "confusion", value, character=who, about=about))
    return store.from_rows("evaluation", rows)


@pytest.fixture
def picture() -> pl.DataFrame:
    """Two prompts x two seeds with the base and step 200; one is a copy, one failed."""
    rows = [
        {"picture_id": f"{step}-{prompt}-{seed}", "run_id": "r", "character": "bunny"}
        | {"step": step, "prompt_set": "report", "prompt": prompt, "seed": seed}
        | {"file": f"evaluation/r/{step}-{prompt}-{seed}.png", "identity": 0.5}
        | {"is_somebody": True, "recognised": "bunny" if step else "pip"}
        | {"nearest": 0.2 + seed / 10 + step / 1000}
        | {"is_copy": bool(step) and seed == 2 and prompt == "a"}
        for step in (0, 200)
        for prompt in ("a", "b")
        for seed in (1, 2)
    ]
    broken = {"file": None, "identity": None, "nearest": None, "recognised": None}
    rows[-1] |= {**broken, "is_somebody": None, "is_copy": None, "error": "no numbers"}
    return store.from_rows("evaluation_picture", rows)


def test_steps_have_a_panel_a_measure_and_the_base_across(evaluation, look):
    figure = plot_evaluation.plot_steps(evaluation)
    shown = figure.data
    assert shown["panel"].cast(pl.String).unique().sort().to_list() == [
        "identity (0: another person, 1: as in the film)",
        "recognition rate",
        "score used to choose",
    ]
    assert shown.filter("is_chosen")["step"].unique().to_list() == [200]
    look("plot-steps", style.to_png(figure))


def test_one_checkpoint_without_intervals_still_draws(evaluation):
    alone = evaluation.filter(pl.col("step").is_in([0, 200])).with_columns(
        low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64)
    )
    assert style.to_png(plot_evaluation.plot_steps(alone)).startswith(PNG)


def test_confusion_tells_real_base_and_adapter_apart(evaluation, look):
    figure = plot_evaluation.plot_confusion(evaluation)
    cells = figure.data.with_columns(pl.col("panel").cast(pl.String))
    counts = dict(cells.group_by("panel").len().iter_rows())
    assert counts == {"frames of the film": 3, "base model alone": 2, "with the adapter": 2}
    assert cells.filter(pl.col("panel") == "with the adapter", pl.col("about") == "bunny")[
        "label"
    ].to_list() == ["80"]
    look("plot-confusion", style.to_png(figure))


def test_copies_are_counted(picture, look):
    figure = plot_evaluation.plot_copying(picture)
    assert figure.data.filter("flagged")["pictures"].sum() == 1
    assert figure.data["pictures"].sum() == 7  # the one that failed is not there
    assert "orange: 1 of 7" in figure.labels.subtitle
    look("plot-copying", style.to_png(figure))


def test_sheet_lays_the_base_beside_the_adapter(picture, tmp_path):
    tiles = plot_evaluation.tiles(tmp_path, picture)
    assert list(tiles) == ["a", "b"]
    assert [t.title for t in tiles["a"]] == ["base", "step 200", "base", "step 200"]
    assert [t.tone for t in tiles["a"]] == ["plain", "good", "plain", "bad"]
    assert tiles["a"][3].note == "bunny, identity 0.50, a copy"
    assert tiles["b"][3].note == "no numbers" and tiles["b"][3].file is None


def test_nothing_evaluated_is_said_in_the_figure():
    empty, none = store.from_rows("evaluation", []), store.from_rows("evaluation_picture", [])
    for figure in (
        plot_evaluation.plot_steps(empty),
        plot_evaluation.plot_confusion(empty),
        plot_evaluation.plot_copying(none),
    ):
        assert style.to_png(figure).startswith(PNG)


def put(root, name: str, rows: list[dict] | pl.DataFrame) -> None:
    table = rows if isinstance(rows, pl.DataFrame) else store.from_rows(name, rows)
    store.write(root / "table", name, table)


def test_report_has_verdict_and_numbers(evaluation, picture, tmp_path):
    run = {"run_id": "r", "character": "bunny", "trigger": "bunny", "base_model": "toy"}
    run |= {"config_json": json.dumps({"settings": {"rank": 8}}), "seed": 0, "num_images": 9}
    run |= {"num_held_out": 3, "num_steps": 300, "seconds": 1.0, "status": "done"}
    put(tmp_path, "training_run", [run])
    rates = {"real recognised": 1.0, "strangers recognised": 0.0, "shots": 5.0}
    tested = [row(0, "real", metric, value, n=20) for metric, value in rates.items()]
    put(tmp_path, "evaluation", [*evaluation.to_dicts(), *tested])
    put(tmp_path, "evaluation_picture", picture)
    section = report_evaluation.evaluation(ReportData(root=tmp_path, film_id="f", config=Config()))
    assert not section.missing
    assert section.texts[0].startswith("The adapter partly learned bunny: bunny is recog")
    assert any(text.startswith("Stop at step 200") for text in section.texts)
    assert ("recognised", "0.20 (0.10–0.30)", "0.70 (0.60–0.80)", "6") in section.grids[0].rows
    assert len(section.plots) == 3 and len(section.groups) == 2


def test_report_says_why_there_is_no_evaluation(tmp_path):
    section = report_evaluation.evaluation(ReportData(root=tmp_path, film_id="f", config=Config()))
    assert section.missing == "Stage evaluate has not run."
