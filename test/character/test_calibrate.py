"""The threshold that holds for one film."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.character import calibrate


def _pairs(different, same=()):
    kinds = ["same-frame"] * len(different) + ["same-track"] * len(same)
    ids = [str(i) for i in range(len(kinds))]
    rows = {
        "pair_id": ids,
        "kind": kinds,
        "one_id": ids,
        "other_id": ids,
        "similarity": [*different, *same],
    }
    return (
        pl.DataFrame(rows)
        .with_columns(pl.lit(None, dtype=pl.Float32).alias("adapted_similarity"))
        .cast(calibrate.SCHEMA)
    )


def _spread(middle, deviation, number):
    """Numbers with this median and median absolute deviation."""
    return (middle + deviation * np.tile([-1.0, 0, 1], number)[: 3 * number]).tolist()


def test_pairs_and_references_are_weighted_by_their_number():
    found = calibrate.estimate(
        _pairs(_spread(0.1, 0.05, 10)), np.array(_spread(0.2, 0.05, 5)).reshape(-1, 1)
    )
    tail = 3.5401 * 1.4826 * 0.05
    assert found.num_different == 45
    assert found.threshold == pytest.approx((30 * (0.1 + tail) + 15 * (0.2 + tail)) / 45, abs=1e-4)


def test_a_track_is_one_stranger_to_however_many():
    found = calibrate.estimate(_pairs([]), np.full((12, 5), 0.1, np.float32))
    assert found.num_different == 12 and found.threshold == pytest.approx(0.1)
    alone = np.full((12, 5), np.nan)
    assert calibrate.estimate(_pairs([]), alone).threshold is None


def test_mirrors_are_left_out_and_counted():
    clean = calibrate.estimate(_pairs(_spread(0.1, 0.05, 10)))
    mirrored = calibrate.estimate(_pairs([*_spread(0.1, 0.05, 10), 0.9, 0.71]))
    assert mirrored.threshold == clean.threshold and mirrored.num_twins == 2
    assert "2 pairs of one frame are too similar to count" in calibrate.describe(mirrored, 0.4)


def test_too_few_leave_the_setting():
    found = calibrate.estimate(_pairs([0.3] * (calibrate.LEAST - 1), [0.9] * 100))
    assert found.threshold is None and found.num_same == 100
    assert calibrate.threshold(found, 0.4) == 0.4
    assert "too few strangers in the film to measure (9)" in calibrate.describe(found, 0.4)


def test_film_and_setting_count_alike_at_fifty_strangers():
    def mixed(number, film):
        found = calibrate.ThresholdEstimate(
            threshold=film, num_same=0, num_different=number, num_twins=0
        )
        return calibrate.threshold(found, 0.4)

    assert mixed(50, 0.5) == pytest.approx(0.45)
    assert mixed(150, 0.36) == pytest.approx(0.37)
    assert mixed(10**6, 0.9) == pytest.approx(0.48) and mixed(10**6, 0) == pytest.approx(0.32)


@given(st.lists(st.floats(-1, 1), max_size=60), st.floats(0.2, 0.6))
def test_the_step_is_bounded_whatever_the_film_says(values, configured):
    found = calibrate.estimate(_pairs(values))
    assert abs(calibrate.threshold(found, configured) - configured) <= calibrate.MAX_STEP + 1e-9
