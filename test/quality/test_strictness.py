"""Up to which strictness a frame is good."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.core.config import filter_preset
from bunny.quality import reason

film = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("film.py"))))


def _of(**row):
    return float(reason.measure_strictness(film.measures(row))[0])


def test_by_hand():
    assert _of(blur_score=0.17) == pytest.approx(1, abs=1e-5)
    assert _of(blur_score=0.075) == pytest.approx(-0.5, abs=1e-5)
    assert _of(blur_score=0.605) == pytest.approx(2.5, abs=1e-5)
    assert _of(brightness=0.045) == pytest.approx(0.5, abs=1e-5)
    assert _of(brightness=0.97) == pytest.approx(0.5, abs=1e-5)
    assert _of(contrast=0.035, blur_score=0.9) == pytest.approx(1.5, abs=1e-5)


def test_exposure_limits_nothing_past_strict():
    assert _of(blur_score=1.0, brightness=0.11, contrast=0.051) == 3


def test_what_was_not_measured_is_no_number():
    assert np.isnan(_of(blur_score=None))
    assert reason.measure_strictness(film.measures()).size == 0


def test_a_threshold_may_be_left_out():
    table = film.measures({"blur_score": 0.05, "contrast": 0.01})
    assert reason.measure_strictness(table)[0] == pytest.approx(0, abs=1e-5)
    without = reason.measure_strictness(table, frozenset({"min_contrast"}))
    assert without[0] == pytest.approx(1 + (4 / 23 - 0.17) / 0.04, abs=1e-4)  # odds 4 / 19


@given(value=st.floats(0, 1), level=st.floats(-1, 3))
def test_it_is_where_the_threshold_is_passed(value, level):
    for key in filter_preset.THRESHOLD_CURVE:
        threshold = filter_preset.thresholds_at(level)[key]
        passes = value <= threshold if key.startswith("max_") else value >= threshold
        up_to = float(reason.highest_strictness(key, np.array([value]))[0])
        if abs(up_to - level) > 1e-9:
            assert passes == (level < up_to), (key, up_to)
