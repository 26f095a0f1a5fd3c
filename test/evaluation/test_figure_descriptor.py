"""The describer of drawn figures on pictures drawn here."""

import cv2
import numpy as np
import pytest

from bunny.evaluation import figure_descriptor, identity
from bunny.evaluation.identity import Gallery

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


def box_of(x: int, size: int) -> tuple[int, int, int, int]:
    return (x - size, 52 - 2 * size + size // 2, x + size, 52 + size)


def gallery_of(fitted, figure: str) -> Gallery:
    crops = [
        figure_descriptor.square_crop(scene(100 + i, figure), box_of(48, 22)) for i in range(4)
    ]
    return Gallery(vector=fitted.describe(crops), shot=np.arange(4))


def test_vectors_are_of_unit_length(fitted):
    seen = fitted.look(scene(1, "white"))
    assert np.linalg.norm(seen.vector, axis=1) == pytest.approx(1, abs=1e-4)
    assert seen.vector.shape == (len(seen.box), figure_descriptor.DIMENSION)
    assert seen.box.min() >= 0 and seen.box.max() <= 1
    assert fitted.describe([]).shape == (0, figure_descriptor.DIMENSION)


@pytest.mark.parametrize("figure", ["white", "red"])
def test_a_figure_is_told_from_another_and_from_nobody(fitted, figure):
    """At other places and sizes than in the crops, on grounds never seen."""
    gallery = gallery_of(fitted, figure)
    other = {"white": "red", "red": "white"}[figure]
    own = [
        identity.likeness(fitted.look(scene(200 + i, figure, 38 + 3 * i, 16 + i)), gallery)
        for i in range(5)
    ]
    rest = [
        identity.likeness(fitted.look(scene(300 + i, kind)), gallery)
        for i in range(5)
        for kind in (other, "")
    ]
    better = np.array(own)[:, None] > np.array(rest)[None]
    assert better.mean() > 0.95 and np.median(own) > max(rest)


def test_the_best_window_lies_on_the_figure(fitted):
    seen = fitted.look(scene(400, "white", x=30, size=16))
    best = seen.box[(seen.vector @ gallery_of(fitted, "white").vector.T).max(axis=1).argmax()]
    assert abs((best[0] + best[2]) / 2 - 30 / SIDE) < 0.15


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
