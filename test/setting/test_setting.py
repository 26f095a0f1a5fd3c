"""Every setting does what it says: here, or in the test of the domain that `seen_in.yaml` names."""

import ast
from pathlib import Path

import effect_library
import effect_training
import pytest
import setting_effect
from seen_in import SEEN_IN

ROOT = Path(__file__).resolve().parents[2]
EFFECT = effect_library.EFFECT | effect_training.EFFECT
ROWS = [
    pytest.param(key, marks=[pytest.mark.slow] if EFFECT[key].is_slow else [])
    for key in sorted(EFFECT)
]


@pytest.mark.parametrize("key", ROWS)
def test_the_setting_has_its_effect(key, film, tmp_path):
    setting_effect.check(key, EFFECT[key], film(EFFECT[key].film), tmp_path)


def test_every_key_is_seen_once():
    assert sorted([*EFFECT, *SEEN_IN]) == sorted(setting_effect.every_key())


def test_what_is_seen_elsewhere_is_tested_there():
    tests = {}
    for key, test in SEEN_IN.items():
        path, _, name = test.partition("::")
        if path not in tests:
            body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
            tests[path] = {part.name for part in body if isinstance(part, ast.FunctionDef)}
        assert name.startswith("test_") and name in tests[path], f"{key}: {test}"


def test_the_two_values_of_an_effect_differ():
    for key, effect in EFFECT.items():
        assert effect.values[0] != effect.values[1], key
        assert (effect.gives is None) != (effect.holds is None), key
