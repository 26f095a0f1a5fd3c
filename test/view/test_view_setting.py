"""Settings that a view reads beside the stage: thresholds of the explorer and the report."""

import pytest

from bunny.core.config import Config
from bunny.table import store
from bunny.view.report import film
from bunny.view.report.section import ReportData
from bunny.view.widget import preview


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_a_threshold_that_is_set_is_not_a_measured_one(tmp_path, threshold):
    settings = Config(detection={"similarity_threshold": threshold}).detection.model_dump()
    seen = preview.read_tables(tmp_path)
    verdict = preview.judge(seen, preview.compare(seen, settings), settings)
    assert verdict.threshold["face"] == threshold and not verdict.is_measured


@pytest.fixture
def labelled(tmp_path):
    """A face and a drawn figure of Anna."""
    box = dict.fromkeys(("x0_px", "y0_px"), 0.0) | dict.fromkeys(("x1_px", "y1_px"), 9.0)
    rows = [
        {
            "subject_id": f"f-{kind}", "subject_type": kind, "character": "anna", "frame_id": "f",
            "shot_index": 0, **box, "distance": 0.4, "confidence": 0.9, "source": "reference",
        }
        for kind in ("face", "region")
    ]  # fmt: skip
    store.write(tmp_path / "table", "label", store.from_rows("label", rows))
    return tmp_path


@pytest.mark.parametrize("key", ["similarity_threshold", "drawn_threshold"])
def test_the_report_draws_the_thresholds_that_are_set(labelled, key):
    """Of faces and of drawn figures alike, the picture changes with the line in it."""
    first, same, moved = (
        film.people(
            ReportData(root=labelled, film_id="film", config=Config(detection={key: at}))
        ).plots[0]
        for at in (0.6, 0.6, 0.7)
    )
    assert first == same != moved
