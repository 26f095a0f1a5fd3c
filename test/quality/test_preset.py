"""Presets and the path of strictness."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bunny.core import config
from bunny.core.config import filter_preset
from bunny.core.error import UserError

KEYS = [key for key in filter_preset.THRESHOLD_CURVE if key != "max_brightness"]


def test_by_hand():
    assert filter_preset.preset_thresholds("generous")["blur_threshold"] == 0.15
    assert filter_preset.preset_thresholds("balanced")["max_brightness"] == 0.96
    assert filter_preset.preset_thresholds("strict")["min_contrast"] == 0.05
    assert filter_preset.thresholds_at(0.5)["blur_threshold"] == pytest.approx(0.16)
    assert filter_preset.thresholds_at(2.5)["blur_threshold"] == pytest.approx(0.605)
    assert (
        filter_preset.thresholds_at(2.5)["min_brightness"]
        == filter_preset.preset_thresholds("strict")["min_brightness"]
    )


def test_the_ends_let_all_or_hardly_any_pass():
    assert filter_preset.thresholds_at(-7) == filter_preset.thresholds_at(-1)
    assert filter_preset.thresholds_at(-1)["blur_threshold"] == 0
    assert filter_preset.thresholds_at(9)["blur_threshold"] == 1


@given(one=st.floats(-1, 3), two=st.floats(-1, 3))
def test_stricter_thresholds_never_let_more_pass(one, two):
    low, high = (filter_preset.thresholds_at(level) for level in sorted((one, two)))
    for key in filter_preset.THRESHOLD_CURVE:
        sign = -1 if key.startswith("max_") else 1
        assert sign * low[key] <= sign * high[key]


def test_every_key_is_a_setting():
    assert set(filter_preset.THRESHOLD_CURVE) <= set(config.FilteringConfig.model_fields)
    for nodes in filter_preset.THRESHOLD_CURVE.values():
        steps = np.diff(nodes)
        assert (steps >= 0).all() or (steps <= 0).all()


def test_blur_rates_by_hand():
    assert filter_preset.blur_rates(0) == (0, 0)
    assert filter_preset.blur_rates(1) == (1, 1)
    low, middle, high = (filter_preset.blur_rates(t) for t in (0.15, 0.16, 0.17))
    assert middle == pytest.approx([(a + b) / 2 for a, b in zip(low, high, strict=True)])
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.2"):
        filter_preset.blur_rates(1.2)


def test_presets_lose_the_stated_share_of_sharp_pictures():
    for name, most in (("generous", 0.001), ("balanced", 0.01), ("strict", 0.05)):
        threshold = filter_preset.preset_thresholds(name)["blur_threshold"]
        assert filter_preset.blur_rates(threshold)[0] <= most
    shares = np.array(filter_preset.BLUR_RATE)
    assert (np.diff(shares, axis=0) >= 0).all()


def test_chosen_keys_are_those_that_differ():
    settings = config.FilteringConfig(preset="strict", blur_threshold=0.3).model_dump()
    assert filter_preset.overridden_keys(settings) == {"blur_threshold"}
    assert filter_preset.overridden_keys(config.FilteringConfig().model_dump()) == set()


def test_settings_take_what_is_missing_from_the_preset():
    found = config.FilteringConfig(preset="strict", min_contrast=0.3)
    assert (found.blur_threshold, found.min_contrast) == (0.21, 0.3)
    for name, other in itertools.pairwise(filter_preset.PRESET_STRICTNESS):
        assert config.FilteringConfig(preset=name) != config.FilteringConfig(preset=other)
    assert config.FilteringConfig(preset="balanced") == config.FilteringConfig()


def _load(root, *overrides, **files):
    (root / "config").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "config" / f"{name}.yaml").write_text(f"filtering: {{{text}}}")
    return config.load(root, overrides, environment={}).filtering


def test_a_preset_wins_over_thresholds_of_weaker_sources(tmp_path):
    main = "preset: balanced, blur_threshold: 0.2, min_contrast: 0.02, batch_size: 5"
    assert _load(tmp_path, main=main).blur_threshold == 0.2
    found = _load(tmp_path, local_a="preset: strict, min_contrast: 0.3")
    assert (found.blur_threshold, found.min_contrast, found.batch_size) == (0.21, 0.3, 5)
    found = _load(tmp_path, "filtering.preset=generous")
    assert (found.blur_threshold, found.min_contrast) == (0.15, 0.01)
    found = _load(tmp_path, "filtering.preset=generous", "filtering.blur_threshold=0.5")
    assert (found.preset, found.blur_threshold) == ("generous", 0.5)


def test_a_preset_that_is_none_is_refused(tmp_path):
    for name in ("medium", "3", "[a]"):
        with pytest.raises(UserError, match=r"filtering\.preset.*'strict', 'balanced' or 'gener"):
            _load(tmp_path, f"filtering.preset={name}")
