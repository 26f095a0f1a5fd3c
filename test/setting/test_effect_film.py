"""Settings of extract, filter, detect and cluster do what they say."""

import pytest
import setting_effect
from effect_film import BETWEEN, EFFECT, PICTURES_ANEW


@pytest.mark.parametrize("key", sorted(EFFECT))
def test_the_setting_has_its_effect(key, request, tmp_path):
    film = request.getfixturevalue(EFFECT[key].film)
    setting_effect.check(key, EFFECT[key], film, tmp_path)


@pytest.mark.parametrize("key", sorted(BETWEEN))
def test_frames_decoded_again_are_made_as_the_kept_ones(key, request, tmp_path):
    film = request.getfixturevalue(BETWEEN[key].film)
    setting_effect.check(key, BETWEEN[key], film, tmp_path)


def test_scene_vectors_are_of_the_pictures_that_are_there(bright_face_film, tmp_path):
    setting_effect.check("extraction.tone_curve", PICTURES_ANEW, bright_face_film, tmp_path)
