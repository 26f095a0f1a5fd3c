"""Numbers of rows in words: what a run and `bunny status` print of a stage."""

import importlib

from bunny import pipeline
from bunny.contract import row_count


def test_rows_are_in_words_without_zeros():
    rows = {"label": 40, "face": 1, "track": 1240, "region": 0, "calibration": 1}
    assert row_count.describe(rows) == "40 labels, 1 face, 1,240 tracks"
    assert row_count.describe({"clip": 0, "clip_candidate": 0, "clip_box": 3}) == "no clips"
    assert row_count.describe({}) == ""


def test_the_main_table_of_every_stage_has_words():
    for place in pipeline.STAGE.values():
        module, _, kind = place.partition(":")
        stage = getattr(importlib.import_module(module), kind)
        assert stage.writes[0] in row_count.WORDS, place
