"""The describer of pictures and its windows."""

import numpy as np
import pytest

from bunny.character.drawn import efficientnet


@pytest.fixture(scope="module")
def net():
    return efficientnet.EfficientNet()


def test_the_shortened_forward_equals_the_librarys_own(net, astronaut):
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from bunny.character import model_file

    plain = EfficientNet.from_name("efficientnet-lite0")
    path = model_file.path_of(model_file.MODELS["efficientnet-lite0"])
    plain.load_state_dict(torch.load(path, weights_only=True))
    square = np.ascontiguousarray(astronaut[:224, :224])
    pixels = (square[:, :, ::-1].astype(np.float32) - 127) / 128
    with torch.inference_mode():
        wanted = plain.eval().extract_features(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    assert np.allclose(net.map_features(square, 224), wanted[0].permute(1, 2, 0), atol=1e-3)


def test_embedding_is_the_mean_of_the_grid_and_repeats(net, astronaut):
    grid = net.map_features(astronaut, 224)
    assert grid.shape == (7, 7, efficientnet.DIMENSION) and grid.min() >= 0
    assert np.array_equal(net.embed(astronaut), grid.mean(axis=(0, 1)))


def test_the_style_has_both_heights_and_does_not_depend_on_size(net, astronaut):
    small = np.ascontiguousarray(astronaut[:224, :224])
    style = net.measure_style(small)
    assert style.shape == (2 * 2 * (112 + 192),) and np.isfinite(style).all()
    half = style.size // 2
    assert not np.allclose(style[:half], style[half:], atol=0.1)
    doubled = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    assert np.allclose(net.measure_style(doubled)[:half], style[:half], atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "width"), [((720, 1280), 384), ((224, 224), 224), ((1000, 10), 32), ((1, 1), 224)]
)
def test_width_follows_in_whole_cells(shape, width):
    assert efficientnet.width_for(shape, 224) == width


def test_windows_cover_the_grid_to_its_edges():
    window = efficientnet.place_windows(7, 12, [(7, 7)])
    assert window.tolist() == [[0, 0, 7, 7], [2, 0, 9, 7], [4, 0, 11, 7], [5, 0, 12, 7]]


def test_windows_are_cut_to_a_small_grid_and_stand_once():
    assert efficientnet.place_windows(2, 3, [(7, 7), (5, 5)]).tolist() == [[0, 0, 3, 2]]


def test_pooling_is_the_mean():
    grid = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    pooled = efficientnet.pool_windows(grid, np.array([[0, 0, 3, 2], [1, 0, 2, 1], [1, 1, 3, 2]]))
    assert pooled.tolist() == [[5, 6], [2, 3], [9, 10]]
