"""Thresholds solved for a number of frames."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import FilteringConfig, filter_preset
from bunny.quality import flag, threshold_search

film = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("film.py"))))


def _kept(table, **filtering):
    return set(_judge(table, **filtering)[0].filter("is_kept")["frame_id"])


def _judge(table, **filtering):
    return threshold_search.flag_frames(table, FilteringConfig(**filtering))


def _kept_at(table, level, **filtering):
    return _kept(table, **filter_preset.thresholds_at(level), **filtering)


def test_by_hand():
    table = film.measures(*({"blur_score": s} for s in (0.3, 0.5, 0.7, 0.9)))
    quality, found = _judge(table, keep_about=2, duplicate_distance=0)
    assert quality["is_kept"].to_list() == [False, False, True, True]
    assert 0.5 < found.threshold.blur_threshold < 0.7
    assert found.num_kept == 2
    assert found.note.startswith("keep_about 2: 2 frames kept at strictness 2.")


def test_without_a_number_thresholds_are_as_given():
    found = _judge(film.measures({}), blur_threshold=0.4)[1]
    assert (found.threshold.blur_threshold, found.strictness, found.note) == (0.4, None, "")


def test_more_than_generous_gives_is_said():
    table = film.measures({}, {"blur_score": 0.16}, {"blur_score": 0.14})
    quality, found = _judge(table, keep_about=50, duplicate_distance=0)
    assert quality["is_kept"].to_list() == [True, True, False]
    assert found.strictness == 0
    assert found.note.startswith(
        "keep_about 50: even the most generous thresholds keep only 2 frames ("
    )


def test_a_threshold_that_somebody_chose_stays():
    rows = [{"blur_score": 0.3 + i / 20, "brightness": 0.1 + i / 20} for i in range(10)]
    table = film.measures(*rows)
    found = _judge(table, keep_about=4, max_brightness=0.36, duplicate_distance=0)[1]
    assert found.threshold.max_brightness == 0.36
    assert found.num_kept == 4
    assert found.note.endswith("; max_brightness as configured)")


def test_frames_that_are_equal_go_together():
    scores = [0.8] * 3 + [0.6] * 4 + [0.4] * 3
    table = film.measures(*({"blur_score": s, "phash": 31**i} for i, s in enumerate(scores)))
    counts = [_judge(table, keep_about=n, duplicate_distance=0)[1].num_kept for n in range(1, 11)]
    # None is no answer for 1; of 5, three and seven are two away: the generous one.
    assert counts == [3, 3, 3, 3, 7, 7, 7, 7, 10, 10]


@pytest.mark.parametrize("wanted", [1, 10, 57, 100])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_number_is_met_exactly_when_no_frames_are_equal(wanted, batch_size):
    table = film.random_measures(400, seed=wanted, num_groups=200)
    found = _judge(table, keep_about=wanted, batch_size=batch_size)[1]
    most = len(_kept_at(table, 0, batch_size=batch_size))
    assert found.num_kept == min(wanted, most)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    levels=st.tuples(st.floats(-1, 3), st.floats(-1, 3)),
    num_groups=st.sampled_from([0, 1, 8]),
    batch_size=st.sampled_from([1, 4]),
)
def test_no_frame_is_newly_kept_at_a_higher_strictness(seed, levels, num_groups, batch_size):
    """Duplicates and batches included: the best of each is the one that goes last."""
    table = film.random_measures(40, seed, num_groups)
    low, high = (_kept_at(table, level, batch_size=batch_size) for level in sorted(levels))
    assert high <= low


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    key=st.sampled_from(list(filter_preset.THRESHOLD_CURVE)),
    step=st.floats(0, 0.5),
)
def test_one_stricter_threshold_never_keeps_more_groups(seed, key, step):
    """Another frame of a group may take over, but no group comes back and none is split."""
    table = film.random_measures(40, seed, num_groups=6)
    strict = filter_preset.preset_thresholds("balanced")[key] + (
        -step if key.startswith("max_") else step
    )
    before, after = _kept(table), _kept(table, **{key: float(np.clip(strict, 0, 1))})
    prepared = flag.prepare(table)
    of = np.empty(40, int)
    of[prepared.order] = flag.group_duplicates(prepared, 4, 0.9)
    groups = [{int(of[int(name[2:])]) for name in kept} for kept in (before, after)]
    assert groups[1] <= groups[0]
    assert len(after) == len(groups[1])


def test_what_is_recorded_can_be_read_again(tmp_path):
    import json

    found = _judge(film.measures({}, {"blur_score": 0.9}), keep_about=1)[1]
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps(threshold_search.to_json(found)))
    assert threshold_search.read_threshold(path) == found.threshold
    assert json.loads(path.read_text())["strictness"] == found.strictness


def test_no_frames():
    quality, found = _judge(film.measures(), keep_about=10)
    assert quality.height == 0 and found.num_kept == 0
