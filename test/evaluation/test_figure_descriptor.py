"""The describer of whole pictures on pictures drawn here."""

import cv2
import numpy as np
import pytest

from bunny.evaluation import figure_descriptor

SIDE = 96


def scene(seed: int, figure: str = "", x: int = 48, size: int = 22) -> np.ndarray:
    """Blobs of random colours; on them a white ring with ears, a red square, or nobody."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(6):
        centre = tuple(int(v) for v in rng.integers(0, SIDE, 2))
        colour = [int(v) for v in rng.integers(40, 220, 3)]
        cv2.circle(picture, centre, int(rng.integers(6, 20)), colour, -1)
    if figure == "white":
        for side in (-1, 1):
            middle = (x + side * size // 3, 52 - size)
            cv2.ellipse(picture, middle, (size // 5, size // 2), 0, 0, 360, (255,) * 3, -1)
        cv2.circle(picture, (x, 52), size, (255, 255, 255), -1)
        cv2.circle(picture, (x, 52), size // 2, (20, 20, 20), 3)
    if figure == "red":
        cv2.rectangle(picture, (x - size, 52 - size), (x + size, 52 + size), (30, 30, 200), -1)
        cv2.line(picture, (x - size, 52), (x + size, 52), (250, 250, 250), 4)
    return picture


@pytest.fixture(scope="module")
def fitted():
    kinds = ("", "white", "red", "")
    return figure_descriptor.fit([scene(i, kinds[i % 4]) for i in range(16)])


def test_vectors_are_of_unit_length(fitted):
    vector = fitted.describe([scene(1, "white"), scene(2)])
    assert np.linalg.norm(vector, axis=1) == pytest.approx(1, abs=1e-4)
    assert vector.shape == (2, figure_descriptor.DIMENSION)
    assert fitted.describe([]).shape == (0, figure_descriptor.DIMENSION)


def test_the_same_picture_again_is_nearer_than_another_of_the_figure(fitted):
    one, again, other = fitted.describe(
        [scene(1, "white"), cv2.GaussianBlur(scene(1, "white"), (0, 0), 0.6), scene(2, "white", 60)]
    )
    assert one @ again > 0.9 > one @ other


def test_a_grid_has_the_colour_of_its_cells():
    """White is L* 100, a* and b* 0: the last three channels are 1, 0 and 0; no edge anywhere."""
    grid = figure_descriptor.channel_grid(np.full((96, 96, 3), 255, np.uint8)).reshape(64, 9)
    assert grid[:, :6] == pytest.approx(0)
    assert grid[:, 6:] == pytest.approx(np.tile([1, 0, 0], (64, 1)), abs=0.01)


def test_square_stays_inside_and_holds_the_box():
    picture = np.zeros((60, 100, 3), np.uint8)
    picture[10:30, 90:100] = 255
    cut = figure_descriptor.square_crop(picture, (90, 10, 100, 30), margin=0.0)
    assert cut.shape == (20, 20, 3)
    assert (cut == 255).all(axis=2).sum() == 200  # moved in from the edge, all of the box in it
    assert figure_descriptor.square_crop(picture, (0, 0, 100, 60)).shape == (60, 60, 3)


def test_without_a_picture_nothing_can_be_learned():
    with pytest.raises(ValueError, match="at least one frame"):
        figure_descriptor.fit([])
