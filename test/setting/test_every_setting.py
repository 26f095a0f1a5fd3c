"""No key of the settings is without a test of what it does."""

import ast
from pathlib import Path

import effect_film
import effect_library
import effect_training
import setting_effect

TABLES = (effect_film, effect_training, effect_library)
ROOT = Path(__file__).resolve().parents[2]
SEEN_ELSEWHERE = {
    key: test for table in TABLES for key, test in getattr(table, "SEEN_ELSEWHERE", {}).items()
}


def test_every_key_has_an_effect_or_a_reason():
    shown = [key for table in TABLES for key in table.EFFECT]
    not_seen = {key: why for table in TABLES for key, why in table.NOT_SEEN.items()}
    assert sorted([*shown, *not_seen, *SEEN_ELSEWHERE]) == sorted(setting_effect.every_key())
    assert all(len(why) > 20 for why in not_seen.values()), "a reason is a sentence"


def test_what_is_seen_elsewhere_is_tested_there():
    for key, test in SEEN_ELSEWHERE.items():
        path, _, name = test.partition("::")
        module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        found = {part.name for part in module.body if isinstance(part, ast.FunctionDef)}
        assert name in found, f"{key}: {test}"
        assert name.startswith("test_")


def test_the_two_values_of_an_effect_differ():
    for table in TABLES:
        for key, effect in table.EFFECT.items():
            assert effect.values[0] != effect.values[1], key
            assert (effect.gives is None) != (effect.holds is None), key
