"""Drawn or photographed, by a tiny model for which bright is drawn."""

import json

import numpy as np
import pytest
import tiny_onnx

from bunny.character.drawn.medium import AnimeRealClassifier
from bunny.core.error import UserError


def test_probability_is_that_of_the_label_anime(tmp_path):
    white, black = (np.full((9, 7, 3), value, np.uint8) for value in (255, 0))
    net = AnimeRealClassifier(f"anime-real:{tiny_onnx.save_classifier(tmp_path / 'a')}")
    # values go from 0..1 to -1..1, so the logits are 1 and 0, or -1 and 0
    assert net.measure_drawn(white) == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    assert net.measure_drawn(black) == pytest.approx(1 / (1 + np.exp(1)), abs=1e-6)
    turned = tiny_onnx.save_classifier(tmp_path / "b", labels=("real", "anime"))
    assert AnimeRealClassifier(f"anime-real:{turned}").measure_drawn(white) == pytest.approx(
        1 / (1 + np.exp(1)), abs=1e-6
    )


def test_what_is_no_such_classifier_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected anime-real or anime-real:<folder or hub id>"):
        AnimeRealClassifier("real")
    other = tiny_onnx.save_classifier(tmp_path / "other", labels=("cat", "dog"))
    with pytest.raises(UserError, match=r"expected anime among the labels in .* found cat, dog"):
        AnimeRealClassifier(f"anime-real:{other}")
    (other / "meta.json").write_text(json.dumps(["anime"]))
    with pytest.raises(UserError, match="found none; choose a model with this output"):
        AnimeRealClassifier(f"anime-real:{other}")


def test_output_that_is_no_probability_is_refused(tmp_path):
    folder = tiny_onnx.save_classifier(tmp_path / "raw", is_softmax=False)
    net = AnimeRealClassifier(f"anime-real:{folder}")
    with pytest.raises(UserError, match="expected raw to give probabilities of anime, real"):
        net.measure_drawn(np.zeros((9, 7, 3), np.uint8))
