"""A tagger in ONNX whose probabilities are the picture's mean colours."""

import cv2
import numpy as np
import pytest
import tiny_captioner

from bunny.caption import tagger
from bunny.caption.answer import CaptionQuestion
from bunny.character.drawn.onnx_model import ModelFolder
from bunny.core.config.captioning import TaggerCaptionConfig
from bunny.core.error import UserError

RED, GREEN = (0, 0, 255), (0, 255, 0)  # BGR


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_captioner.save_tagger(tmp_path_factory.mktemp("root") / "tagger")


def load(folder, **more):
    return tagger.Tagger(TaggerCaptionConfig(model=str(folder), **more))


def square(colour, side=10):
    return np.full((side, side, 3), colour, np.uint8)


def test_tags_from_the_thresholds_on_the_surest_first(folder):
    mixed = square((0, 204, 128))  # red 0.50, green 0.80
    assert load(folder).tag([square(RED), mixed]) == [
        (["red sky"], ["hare"]),
        (["green grass", "red sky"], []),  # the character needs 0.85
    ]
    strict = load(folder, general_threshold=0.8, character_threshold=0.5)
    assert strict.tag([mixed]) == [(["green grass"], ["hare"])]


def test_a_wide_picture_is_padded_with_white(folder):
    """Half red and half white: red 1.0, green and blue 0.5."""
    wide = np.full((8, 16, 3), RED, np.uint8)
    assert load(folder, general_threshold=0.45).tag([wide]) == [
        (["red sky", "green grass", "o_o"], ["hare"])
    ]
    assert load(folder, general_threshold=0.55).tag([wide]) == [(["red sky"], ["hare"])]


def test_captions_are_who_is_seen_and_the_general_tags(folder):
    ready = load(folder)
    asked = [
        CaptionQuestion(
            frame_id="f",
            picture=cv2.imencode(".jpg", square(colour, 32))[1].tobytes(),
            facts=(),
            names=(),
            subject=subject,
        )
        for colour, subject in ((RED, "bunny character"), (GREEN, ""), ((0, 0, 0), ""))
    ]
    one, two, three = ready.caption_batch(asked)
    assert (one.text, one.tags) == ("bunny character, red sky", ("red sky", "hare"))
    assert (two.text, two.tags) == ("green grass", ("green grass",))
    assert (three.status, three.error) == (
        "failed",
        "no tag reaches captioning.tagger.general_threshold",
    )


def test_a_network_of_timm_gives_what_timm_gives(tmp_path):
    """Its own preparation of a picture of the right size, then blue, green, red."""
    timm = pytest.importorskip("timm")
    import torch
    from PIL import Image

    folder = tiny_captioner.save_timm_tagger(tmp_path / "timm")
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    net = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(net.pretrained_cfg))
    ready = transform(Image.fromarray(picture[:, :, ::-1]))[[2, 1, 0]]
    with torch.inference_mode():
        wanted = net(ready[None]).sigmoid()[0].numpy()
    about = ModelFolder(key=tagger.KEY, path=folder, licence="unknown")
    network = tagger.TimmNetwork(about, num_tags=len(wanted))
    assert network.side_px == 32
    assert network.estimate(picture[None].astype(np.float32))[0] == pytest.approx(wanted, abs=1e-5)
    general = load(folder, general_threshold=0.0, character_threshold=1.0).tag([picture])[0][0]
    assert general == [("red sky", "green grass", "o_o")[i] for i in np.argsort(-wanted[:3])]


def test_a_network_of_timm_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch):
    folder = tiny_captioner.save_timm_tagger(tmp_path / "timm")
    listed = (folder / "selected_tags.csv").read_text().splitlines()
    (folder / "selected_tags.csv").write_text("\n".join(listed[:-1]))
    with pytest.raises(
        UserError, match=r"expected 4 outputs as .* lists tags, found num_classes 5"
    ):
        load(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"expected a network of timm in .* could not load it"):
        load(folder)
    monkeypatch.setattr(tagger, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="timm, which is not installed; install it with `uv sync"):
        load(folder)


def test_files_that_are_missing_or_of_another_model_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"captioning\.tagger\.model: expected model\.onnx"):
        load(tmp_path)
    other = tiny_captioner.save_tagger(tmp_path / "other")
    listed = (other / "selected_tags.csv").read_text().splitlines()
    (other / "selected_tags.csv").write_text("\n".join(listed[:-1]))
    with pytest.raises(UserError, match=r"4 probabilities as selected_tags\.csv lists tags"):
        load(other)
    (other / "selected_tags.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="columns name and category"):
        load(other)
    (other / "model.onnx").write_bytes(b"no model")
    (other / "selected_tags.csv").write_text("\n".join(listed))
    with pytest.raises(UserError, match="expected an ONNX model"):
        load(other)
