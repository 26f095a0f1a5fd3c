"""`auto` becomes the models that are in the hub's cache."""

import hub_server
import pytest
import tiny_onnx

from bunny.character.drawn import drawn_model
from bunny.core import hub_model
from bunny.core.config import DetectionConfig


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Puts tiny models into an empty cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    made = {
        "ccip": tiny_onnx.save_ccip(tmp_path / "ccip"),
        "anime-person": tiny_onnx.save_detector(
            tmp_path / "person", tiny_onnx.yolo([0, 0, 1, 1, 0.9])
        ),
    }

    def put(*names):
        for name in names:
            hub_server.fill_cache(tmp_path / "hub", hub_model.MODELS[name], made[name])

    return put


def chosen(**wanted):
    """Detector and embedding of every frame, then models of drawn shots."""
    config = DetectionConfig(**wanted)
    named = drawn_model.resolve(config)
    assert drawn_model.resolve(named) == named
    found = drawn_model.describe(drawn_model.find_auto(config))
    return named.drawn_detector, named.drawn_embedding, found


def test_without_models_it_is_the_built_in_search(here):
    assert chosen() == ("", "", "")
    assert chosen(drawn_detector="anime-person") == ("anime-person", "", "")
    here("anime-person")
    assert chosen() == ("", "", "")  # a detector alone recognises nobody


def test_models_that_are_here_search_drawn_shots(here):
    here("ccip")
    assert chosen() == ("", "", "ccip")
    here("anime-person")
    assert chosen() == ("", "", "ccip and anime-person")
    assert chosen(drawn_detector="") == ("", "", "ccip")
    assert chosen(is_drawn_enabled=False) == ("", "", "")


def test_what_is_named_takes_what_it_needs_and_what_goes_with_it(here):
    here("ccip", "anime-person")
    assert chosen(drawn_embedding="") == ("", "", "")
    assert chosen(drawn_embedding="ccip") == ("anime-person", "ccip", "")
    assert chosen(drawn_embedding="ccip", drawn_detector="") == ("", "ccip", "")
    assert chosen(drawn_detector="anime-face") == ("anime-face", "ccip", "")
    assert chosen(drawn_detector="google/owl") == ("google/owl", "", "")
    assert chosen(drawn_embedding="a/dino") == ("", "a/dino", "")


def test_a_download_that_lacks_a_file_is_not_here(here, tmp_path):
    here("ccip")
    assert hub_model.is_here("ccip")
    next((tmp_path / "hub").rglob("metrics.json")).unlink()
    assert not hub_model.is_here("ccip") and chosen() == ("", "", "")
