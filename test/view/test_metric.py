"""Metrics of a film made by hand, read as Prometheus reads them."""

import json
import re
import sys

import pytest
from prometheus_client import parser

from bunny.core import workspace
from bunny.review import event_log
from bunny.review.event_log import Event
from bunny.table import store
from bunny.view import metric


def read(text):
    """Samples by name and the values of their labels."""
    families = parser.text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def write_record(film_dir, stage, **record):
    path = film_dir / "stage" / stage / "stage.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": stage, **record}), encoding="utf-8")


def finished(seconds, items, failed, **rows):
    tables = {table: {"rows": number} for table, number in rows.items()}
    counts = {"num_items": items, "failed": failed, "peak_memory_mb": 2.0}
    return {"status": "done", "seconds": seconds, "tables": tables, **counts}


@pytest.fixture
def space(tmp_path):
    made = workspace.locate(tmp_path, str(tmp_path / "data"), "meadow-00000000")
    write_record(made.root, "extract", **finished(2.0, 6, 0, frame=6))
    write_record(made.root, "detect", **finished(4.0, 6, 2, face=3, label=3))
    write_record(made.root, "caption", status="failed", error="no model")
    return made


def test_stages_by_their_records(space):
    metric.write(space)
    found = read((space.log / "metrics.prom").read_text(encoding="utf-8"))
    film = space.film_id
    assert found == {
        ("bunny_stage_done", film, "caption"): 0,
        ("bunny_stage_done", film, "detect"): 1,
        ("bunny_stage_done", film, "extract"): 1,
        ("bunny_stage_seconds", film, "detect"): 4,
        ("bunny_stage_seconds", film, "extract"): 2,
        ("bunny_stage_items", film, "detect"): 6,
        ("bunny_stage_items", film, "extract"): 6,
        ("bunny_stage_failed_items", film, "detect"): 2,
        ("bunny_stage_failed_items", film, "extract"): 0,
        ("bunny_stage_frames_per_second", film, "detect"): 1.5,
        ("bunny_stage_peak_memory_bytes", film, "detect"): 2097152,
        ("bunny_stage_peak_memory_bytes", film, "extract"): 2097152,
        ("bunny_table_rows", film, "detect", "face"): 3,
        ("bunny_table_rows", film, "detect", "label"): 3,
        ("bunny_table_rows", film, "extract", "frame"): 6,
    }


def test_names_are_as_prometheus_wants_them(space):
    """Each is a state that may fall again, as after a run or `bunny forget`: a gauge, no counter.

    So none may end as counters and parts of histograms do, and units are base units, last in the
    name: https://prometheus.io/docs/practices/naming.
    """
    names = {**metric.FILM_METRICS, **metric.BATCH_METRICS}
    of_other_kinds = r"total|count|sum|bucket|created|info"
    no_base_unit = r"ms|us|milliseconds|minutes|hours|[kmgt]i?b|kilobytes|megabytes|percent"
    for name, (about, labels) in names.items():
        assert re.fullmatch(r"bunny(_[a-z]+)+", name) and about
        assert not re.search(rf"_({of_other_kinds}|{no_base_unit})$", name)
        assert not {"le", "quantile", "job", "instance", *name.split("_")[-1:]} & set(labels)
    metric.write(space)
    text = (space.log / "metrics.prom").read_text(encoding="utf-8")
    families = list(parser.text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) == 7
    for family in families:
        assert family.type == "gauge" and family.documentation == names[family.name][0]
        assert all(sample.name == family.name for sample in family.samples)
    assert text.endswith("\n")


def test_what_models_cost_and_corrections(space):
    one = {"version": 1, "provider": "bedrock", "input_tokens": 100, "output_tokens": 10}
    rows = [
        {**one, "frame_id": "f1", "status": "done", "cost_usd": 0.5},
        {**one, "frame_id": "f2", "status": "refused", "cost_usd": 0.25},
        {"frame_id": "f3", "version": 1, "provider": "tags", "status": "done"},
    ]
    store.write(space.root / "table", "caption", store.from_rows("caption", rows))
    said = {"user": "ana", "kind": "comment", "level": "scene", "text": "so"}
    event_log.append(space.root, [Event(**said), Event(**said), Event(**said, origin="cli")])
    found = read(metric.film_text(space.root).decode())
    film = space.film_id
    paid = {key: value for key, value in found.items() if key[0].startswith("bunny_model")}
    assert paid == {
        ("bunny_model_answers", film, "bedrock", "done", "caption"): 1,
        ("bunny_model_answers", film, "bedrock", "refused", "caption"): 1,
        ("bunny_model_answers", film, "tags", "done", "caption"): 1,
        ("bunny_model_cost_usd", film, "bedrock", "caption"): 0.75,
        ("bunny_model_cost_usd", film, "tags", "caption"): 0,
        ("bunny_model_input_tokens", film, "bedrock", "caption"): 200,
        ("bunny_model_input_tokens", film, "tags", "caption"): 0,
        ("bunny_model_output_tokens", film, "bedrock", "caption"): 20,
        ("bunny_model_output_tokens", film, "tags", "caption"): 0,
    }
    assert found["bunny_corrections", film, "comment", "board"] == 2
    assert found["bunny_corrections", film, "comment", "cli"] == 1


def test_films_and_batches_are_joined_and_those_that_are_gone_are_forgotten(space, tmp_path):
    other = workspace.locate(tmp_path, str(tmp_path / "data"), "shore-00000000")
    write_record(other.root, "extract", **finished(1.0, 3, 0, frame=3))
    batch = tmp_path / "data" / "batch" / "abcd"
    batch.mkdir(parents=True)
    metric.write(space)
    metric.write(other)
    runs = {"film": "a.mp4", "node": "n", "attempt": 2, "share": 0.25, "stage": "detect"}
    counts = {"waiting": 3, "running": 2, "failed": 1}
    metric.write_batch(space, batch, counts, 4, seconds_left=90.0, running=[runs])
    path = space.log / "metrics.prom"
    found = read(path.read_text(encoding="utf-8"))
    assert found["bunny_stage_items", "shore-00000000", "extract"] == 3
    assert found["bunny_stage_items", space.film_id, "extract"] == 6
    assert found["bunny_batch_films", "abcd", "waiting"] == 3
    assert found["bunny_batch_films", "abcd", "put_aside"] == 1
    assert found["bunny_batch_failed_attempts", "abcd"] == 4
    assert found["bunny_batch_seconds_left", "abcd"] == 90
    assert sum("bunny_batch_film_share" in key for key in found) == 1
    assert next(v for key, v in found.items() if key[0] == "bunny_batch_film_share") == 0.25
    other.root.rename(tmp_path / "gone")
    batch.rmdir()
    metric.write(space)
    assert {key[1] for key in read(path.read_text(encoding="utf-8"))} == {space.film_id}


def test_damaged_tables_and_records_cost_their_own_numbers_alone(space):
    (space.root / "table").mkdir()
    (space.root / "table" / "caption.parquet").write_bytes(b"no table")
    (space.root / "stage" / "detect" / "stage.json").write_text("{", encoding="utf-8")
    event_log.append(space.root, [Event(user="a", kind="comment", level="scene", text="b")])
    found = read(metric.film_text(space.root).decode())
    assert found["bunny_stage_items", space.film_id, "extract"] == 6
    assert found["bunny_stage_done", space.film_id, "detect"] == 0
    assert found["bunny_corrections", space.film_id, "comment", "board"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_full_disk_costs_the_metrics_alone(space):
    import full_disk

    metric.write(space)
    path = space.log / "metrics.prom"
    before = path.read_bytes()
    write_record(space.root, "filter", **finished(1.0, 6, 0, quality=6))
    with full_disk.full_after(40):
        metric.write(space)
    assert path.read_bytes() == before
    metric.write(space)
    assert ("bunny_stage_items", space.film_id, "filter") in read(path.read_text("utf-8"))


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_the_names_of_films_cannot_break_the_format(tmp_path):
    odd = tmp_path / 'a"b\\c\nd'
    write_record(odd, "extract", **finished(1.0, 3, 0, frame=3))
    found = read(metric.film_text(odd).decode())
    assert found["bunny_stage_items", odd.name, "extract"] == 3
