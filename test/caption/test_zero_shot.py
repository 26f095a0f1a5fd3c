"""Words of a vocabulary chosen by small CLIPs and SigLIPs."""

import cv2
import numpy as np
import pytest
import tiny_captioner
import yaml

from bunny.caption import clip, zero_shot
from bunny.caption.answer import CaptionQuestion
from bunny.core.config.captioning import ClipCaptionConfig
from bunny.core.error import UserError

PLACE = {"template": "{word}", "says": "in {word}", "words": ["grass", "snow"]}
LIGHT = {"template": "{word}", "says": "at {word}", "words": ["day", "night"]}
PICTURE = np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_captioner.save_clip(tmp_path_factory.mktemp("root") / "clip")


def load(folder, tmp_path, groups, least=0.0):
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump(groups, sort_keys=False))
    config = ClipCaptionConfig(model=str(folder), vocabulary=str(path), min_probability=least)
    return zero_shot.ZeroShot(config)


def ask(ready, **more):
    jpeg = cv2.imencode(".jpg", PICTURE)[1].tobytes()
    known = {"frame_id": "f", "picture": jpeg, "facts": (), "names": ()}
    return ready.caption_batch([CaptionQuestion(**known, **more)])[0]


def test_the_likeliest_word_is_that_of_the_model_itself(folder, tmp_path):
    import torch
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor

    net = CLIPModel.from_pretrained(folder)
    inputs = CLIPProcessor.from_pretrained(folder, use_fast=False)(
        text=["grass", "snow"],
        images=[Image.fromarray(PICTURE[:, :, ::-1])],
        return_tensors="pt",
        padding=True,
    )
    with torch.inference_mode():
        share = net(**inputs).logits_per_image.softmax(dim=1)[0]
    best = int(share.argmax())
    chosen = load(folder, tmp_path, {"place": PLACE}, float(share[best]) - 1e-4).choose([PICTURE])
    assert chosen == [{"place": ["grass", "snow"][best]}]
    assert load(folder, tmp_path, {"place": PLACE}, float(share[best]) + 1e-4).choose(
        [PICTURE]
    ) == [{}]


def test_the_sentence_is_who_does_what_where(folder, tmp_path):
    one = {
        name: {"template": "{word}", "says": says, "words": [word]}
        for name, says, word in (
            ("place", "in {word}", "grass"),
            ("action", "{word}", "running"),
            ("clothes", "wearing {word}", "a hat"),
            ("light", "at {word}", "night"),
            ("weather", "{word}", "rain"),
        )
    }
    ready = load(folder, tmp_path, one)
    told = {"subject": "bunny character", "framing": "wide shot"}
    full = ask(ready, **told)
    assert full.text == (
        "bunny character running in grass, wearing a hat, wide shot, at night, rain"
    )
    assert full.parts == {
        "subject": "bunny character",
        "action": "running",
        "place": "in grass",
        "clothes": "wearing a hat",
        "light": "at night",
        "framing": "wide shot",
    }
    assert full.tags == ("grass", "running", "a hat", "night", "rain")
    sure = ask(ready, **told, light="day")  # what was measured goes before what is guessed
    assert sure.text.endswith("wide shot, day, rain")
    assert "night" not in sure.tags
    assert ask(ready).text == "grass, at night"  # nobody is there to run


def test_nothing_sure_and_nobody_seen_is_a_failure(folder, tmp_path):
    answer = ask(load(folder, tmp_path, {"place": PLACE}, 1.0))
    assert (answer.status, answer.is_answered) == ("failed", True)
    assert "captioning.clip.min_probability" in answer.error


def test_a_siglip_does_as_well(tmp_path):
    siglip = tiny_captioner.save_siglip(tmp_path / "siglip")
    ready = load(siglip, tmp_path, {"place": PLACE, "light": LIGHT})
    [chosen] = ready.choose([PICTURE])
    assert set(chosen) == {"place", "light"}
    encoder = clip.load(str(siglip), setting="captioning.clip.model", otherwise="leave it out")
    vectors = encoder.embed_picture([PICTURE])
    assert vectors.shape == (1, 16)
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-5)


def test_our_own_vocabulary_is_one():
    groups = zero_shot.read_vocabulary(zero_shot.OWN_VOCABULARY)
    assert [group.name for group in groups] == ["place", "action", "clothes", "light"]
    assert all(len(set(group.words)) == len(group.words) >= 5 for group in groups)
    assert all(isinstance(word, str) and word == word.strip() for g in groups for word in g.words)


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ({**PLACE, "template": "a place"}, "group place"),
        ({**PLACE, "says": None}, "group place"),
        ({**PLACE, "words": []}, "group place"),
        (["grass"], "group place"),
    ],
)
def test_a_vocabulary_of_another_form_is_refused(tmp_path, group, says):
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump({"place": group}))
    with pytest.raises(UserError, match=says):
        zero_shot.read_vocabulary(path)
    with pytest.raises(UserError, match="found no file"):
        zero_shot.read_vocabulary(tmp_path / "none.yaml")


def test_another_kind_of_model_is_refused(tmp_path):
    blip = tiny_captioner.save_blip(tmp_path / "blip")
    with pytest.raises(UserError, match=r"captioning\.clip\.model .*it is a blip"):
        load(blip, tmp_path, {"place": PLACE})
