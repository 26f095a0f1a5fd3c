"""Settings of extract, filter, detect and cluster do what they say."""

import pytest
import setting_effect
from effect_film import EFFECT


@pytest.mark.parametrize("key", sorted(EFFECT))
def test_the_setting_has_its_effect(key, request, tmp_path):
    film = request.getfixturevalue(EFFECT[key].film)
    setting_effect.check(key, EFFECT[key], film, tmp_path)
