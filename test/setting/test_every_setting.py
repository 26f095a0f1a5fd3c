"""No key of the settings is without a test of what it does."""

import effect_film
import effect_library
import effect_training
import setting_effect

TABLES = (effect_film, effect_training, effect_library)


def test_every_key_has_an_effect_or_a_reason():
    shown = [key for table in TABLES for key in table.EFFECT]
    not_seen = {key: why for table in TABLES for key, why in table.NOT_SEEN.items()}
    assert sorted([*shown, *not_seen]) == sorted(setting_effect.keys())
    assert all(len(why) > 20 for why in not_seen.values()), "a reason is a sentence"


def test_the_two_values_of_an_effect_differ():
    for table in TABLES:
        for key, effect in table.EFFECT.items():
            assert effect.values[0] != effect.values[1], key
            assert (effect.gives is None) != (effect.holds is None), key
