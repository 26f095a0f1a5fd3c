"""Drawn characters by hub models: tiny ones with random weights, saved to a folder here."""

import numpy as np
import pytest

from bunny.character.drawn import onnx_model, owlv2, window_search
from bunny.core.error import UserError

SIDE = 64


def _picture(seed, height=48, width=80):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("embedding", ["", "dino"])
def test_guided_folders_give_candidates_of_the_common_form(guided_folders, embedding):
    net = owlv2.Owlv2Detector(guided_folders["owl"], guided_folders.get(embedding, ""))
    image = _picture(0)
    look = {"ann": [net.describe_reference(image)], "ben": [net.describe_reference(_picture(1))]}
    assert (look["ann"][0].embedding is None) == (embedding == "")
    found = net.find_candidates(image, look)
    assert found and all(isinstance(one, window_search.RegionCandidate) for one in found)
    for one in found:
        assert one.box.shape == (4,) and (one.box >= 0).all() and (one.box <= 1).all()
        assert (one.box[2:] - one.box[:2] >= owlv2.MIN_SIDE).all()
        assert window_search.FLOOR <= one.similarity <= 1 and one.margin > 0


def test_the_query_is_what_transformers_own_route_takes(guided_folders):
    import torch

    net = owlv2.Owlv2Detector(guided_folders["owl"])
    image, other = _picture(0, SIDE, SIDE), _picture(1, SIDE, SIDE)  # square: nothing is padded
    query = net.describe_reference(other).query
    _, chance = net.propose(image, query[None])
    pixels = [
        torch.from_numpy(owlv2.prepare(i, SIDE, owlv2.CLIP_MEAN, owlv2.CLIP_SCALE))
        for i in (image, other)
    ]
    with torch.inference_mode():
        whole = net.network.image_guided_detection(*pixels).logits[0, :, 0]
    wanted = torch.sigmoid(whole).numpy()
    assert len(chance) and all(np.isclose(wanted, c, atol=1e-5).any() for c in chance[:, 0])


def test_a_picture_is_most_like_itself_to_the_embedder(guided_folders):
    net = owlv2.Owlv2Detector(guided_folders["owl"], guided_folders["dino"])
    whole = np.array([0, 0, 1, 1], np.float32)
    one, again = net.embed(_picture(0), [whole, whole])
    assert one @ again == pytest.approx(1, abs=1e-5) and one.shape == (32,)


def test_nobody_asked_for_nobody_found(guided_folders):
    assert owlv2.Owlv2Detector(guided_folders["owl"]).find_candidates(_picture(0), {}) == []


def test_boxes_come_from_the_padded_square_to_shares_of_the_picture():
    # a 200x100 picture is padded to 200x200: its lower half is nothing
    box = np.array([[0.5, 0.25, 0.5, 0.25], [0.5, 0.5, 1, 1]], np.float32)
    assert owlv2.to_shares(box, (100, 200, 3)).tolist() == [[0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1]]


def test_names_and_licences_are_known(guided_folders):
    net = owlv2.Owlv2Detector(guided_folders["owl"], guided_folders["dino"])
    assert net.name == "owl+dino"
    assert net.licence == {guided_folders["owl"]: "apache-2.0", guided_folders["dino"]: "unknown"}
    assert onnx_model.licence_of("facebook/dinov2-small") == "apache-2.0"


def test_what_is_no_such_model_is_refused_in_one_sentence(guided_folders, tmp_path):
    with pytest.raises(UserError, match=r"drawn_detector: expected a folder or a hub id"):
        owlv2.Owlv2Detector(str(tmp_path / "none" / "such"))
    with pytest.raises(UserError, match=r"expected an OWLv2 model, .*dino is dinov2"):
        owlv2.Owlv2Detector(guided_folders["dino"])
    with pytest.raises(UserError, match="could not be loaded"):
        owlv2.Owlv2Detector(str(tmp_path))
