import numpy as np
import pytest

from bunny.character.drawn import figure_embedding
from bunny.character.drawn.figure_embedding import (
    BASIS,
    HEAD,
    PART_WEIGHT,
    RAW,
    STRONG,
    UNIT,
    FigureNet,
)


@pytest.fixture(scope="module")
def net():
    return FigureNet()


def flat(colour, size=64):
    return np.full((size, size, 3), colour, np.uint8)


def test_colours_of_a_cell_are_shared_by_the_eight_around_them():
    black = figure_embedding.count_colours(flat((0, 0, 0)), 1, 1)[0, 0]
    assert black[0] == pytest.approx(1) and black[1:].max() == 0
    white = figure_embedding.count_colours(flat((255, 255, 255)), 1, 1)[0, 0]
    assert white[-1] == pytest.approx(1)
    # Red 51 of 255 lies at 0.6 of the step from level 0 to level 1 (85); red is the last channel.
    dark_red = figure_embedding.count_colours(flat((0, 0, 51)), 1, 1)[0, 0]
    assert dark_red[:2] == pytest.approx([0.4, 0.6])


def test_colours_stay_in_their_cells():
    image = np.concatenate([flat((0, 0, 0)), flat((255, 255, 255))], axis=1)
    left, right = figure_embedding.count_colours(image, 1, 2)[0]
    assert left[0] == pytest.approx(1) and right[-1] == pytest.approx(1)
    assert left.sum() == pytest.approx(1) and right.sum() == pytest.approx(1)


def test_a_grid_has_a_cell_each_32_pixels(net):
    image = np.random.default_rng(0).integers(0, 255, (90, 130, 3), np.uint8)
    assert net.map_cells(image, 96, 128).shape == (3, 4, RAW)
    assert net.describe_reference(image).shape == (6, RAW)


def test_vectors_have_unit_length_and_the_parts_their_weights(net):
    raw = np.random.default_rng(0).normal(size=(5, RAW)).astype(np.float32)
    vector = net.to_vector(raw, np.zeros(RAW, np.float32))
    assert vector.shape == (5, UNIT)
    assert np.linalg.norm(vector, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    ends = np.cumsum([BASIS, STRONG, HEAD])[:-1]
    for part, weight in zip(np.split(vector, ends, axis=1), PART_WEIGHT, strict=True):
        assert (part**2).sum(axis=1) == pytest.approx(
            np.full(5, weight / sum(PART_WEIGHT)), abs=1e-5
        )


def test_a_dot_product_is_the_weighted_mean_of_three_cosines(net):
    raw = np.zeros((2, RAW), np.float32)
    raw[:, 0] = 1  # the basis and its strong part agree,
    raw[0, BASIS], raw[1, BASIS + 1] = 1, 1  # the heads do not
    one, other = net.to_vector(raw, np.zeros(RAW, np.float32))
    assert float(one @ other) == pytest.approx((1.0 + 0.5) / 2.5, abs=1e-5)


def test_the_films_mean_is_taken_off_the_basis_but_not_off_the_head(net):
    raw = np.ones((1, RAW), np.float32)
    vector = net.to_vector(raw, np.ones(RAW, np.float32))[0]
    assert np.abs(vector[: BASIS + STRONG]).max() == 0
    assert np.abs(vector[BASIS + STRONG :]).min() > 0


def test_figureness_is_a_chance():
    raw = np.zeros((3, RAW), np.float32)
    raw[:, -1] = [0, 1000, -1000]
    chance = figure_embedding.figureness(raw)
    assert chance[0] == 0.5 and chance[1] == pytest.approx(1) and chance[2] == pytest.approx(0)


def test_the_bank_holds_hundreds_of_figures_and_is_small():
    bank = figure_embedding.read_bank()
    assert bank.shape[1] == RAW and len(bank) >= 300 and np.isfinite(bank).all()
    assert (figure_embedding.FOLDER / "figure_bank.safetensors").stat().st_size < 1_200_000


def test_views_of_several_pictures_are_stacked_also_from_flat_rows():
    views = np.arange(2 * RAW, dtype=np.float32)
    assert figure_embedding.stack_views([views, views[:RAW]]).shape == (3, RAW)
