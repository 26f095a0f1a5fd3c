"""Settings of extract, filter, detect and cluster do what they say."""

import pytest
import setting_effect
from effect_film import BETWEEN, EFFECT


@pytest.mark.parametrize("key", sorted(EFFECT))
def test_the_setting_has_its_effect(key, request, tmp_path):
    film = request.getfixturevalue(EFFECT[key].film)
    setting_effect.check(key, EFFECT[key], film, tmp_path)


@pytest.mark.parametrize("key", sorted(BETWEEN))
def test_frames_decoded_again_are_made_as_the_kept_ones(key, request, tmp_path):
    film = request.getfixturevalue(BETWEEN[key].film)
    setting_effect.check(key, BETWEEN[key], film, tmp_path)
