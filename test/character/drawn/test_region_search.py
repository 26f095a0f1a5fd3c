"""The second look: where, how close, and what it finds."""

import cv2
import numpy as np
import pytest

from bunny import demo
from bunny.character.drawn import efficientnet, region_search, window_search
from bunny.character.drawn.efficientnet import WindowFeatures

RED, BLUE = np.eye(2, 1280, dtype=np.float32)
BOX = np.array(
    [[0, 0, 0.5, 1], [0.1, 0.1, 0.2, 0.3], [0.7, 0.1, 0.8, 0.3], [0.71, 0.1, 0.81, 0.3]], np.float32
)
SMALL = np.array([False, True, True, True])


def _places(similarity, likeness=(0.9, 0.5, 0.4, 0.3), is_small=SMALL):
    grid = WindowFeatures(box=BOX, feature=np.zeros((4, 1280), np.float32), is_small=is_small)
    found = region_search.propose(grid, np.array(similarity, np.float32), np.array(likeness))
    return [BOX.tolist().index(place.tolist()) for place in found]


def test_small_places_are_taken_likeliest_first_and_not_twice():
    # window 3 lies on window 2: IoU 0.09 / 0.11 = 0.82
    assert _places(np.zeros((4, 2))) == [1, 2]
    assert _places(np.zeros((4, 2)), (0.9, 0.2, 0.4, 0.3)) == [2, 1]


def test_where_somebody_is_surely_found_nobody_looks_again():
    assert _places([[0.6, 0.1], [0, 0], [0, 0], [0, 0]]) == [2]
    assert _places([[0.6, 0.55], [0, 0], [0, 0], [0, 0]]) == [1, 2]  # ahead by 0.05: not sure


def test_what_is_like_no_reference_is_no_place():
    assert _places(np.zeros((4, 2)), (0.9, 0.15, 0.16, 0)) == [2]
    assert _places(np.zeros((4, 2)), is_small=None) == []


def test_each_character_counts_alike_in_what_they_share():
    reference = {"red": np.stack([RED] * 9), "blue": BLUE[None]}
    shared = region_search.shared_direction(np.zeros(1280, np.float32), reference)
    assert shared[:3].tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0])


@pytest.fixture(scope="module")
def net():
    return efficientnet.EfficientNet()


@pytest.mark.parametrize("place", [[0.4, 0.4, 0.5, 0.6], [0, 0, 0.05, 0.1], [0.97, 0.97, 1, 1]])
def test_a_closer_look_stays_around_its_place(net, place):
    place = np.array(place, np.float32)
    box = region_search.look_closer(net, np.zeros((360, 640, 3), np.uint8), place).box
    assert box.min() >= 0 and box.max() <= 1
    middle = (place[:2] + place[2:]) / 2
    assert (box[:, :2].min(axis=0) <= middle).all() and (middle <= box[:, 2:].max(axis=0)).all()


def test_a_closer_look_is_a_share_larger_than_its_place(net):
    place = np.array([0.25, 0.25, 0.75, 0.75])
    box = region_search.look_closer(net, np.zeros((400, 400, 3), np.uint8), place).box
    # 200 px and 1.3 times that: 260 px, from 70 to 330
    assert [box.min(), box.max()] == pytest.approx([70 / 400, 330 / 400])


def test_a_picture_of_one_pixel_is_looked_at(net):
    box = region_search.look_closer(net, np.zeros((1, 1, 3), np.uint8), np.array([0, 0, 1, 1])).box
    assert box.tolist() == [[0, 0, 1, 1]]


def test_a_small_figure_of_the_sample_is_found_by_the_second_look(net):
    film = cv2.VideoCapture(str(demo.film_path()))
    frames = [_read(film, index) for index in (200, 800, 1092, 1400)]
    mean = np.mean([window_search.mean_window(net, one) for one in frames], axis=0)
    folder = demo.film_path().parent / "reference"
    looks = {
        name: window_search.describe_reference(net, cv2.imread(str(folder / name / "1.jpg")))
        for name in ("bunny", "pip")
    }
    plain = window_search.find_candidates(window_search.describe(net, frames[2]), mean, looks)
    closer = region_search.search_frame(net, frames[2], mean, looks)
    before = max((one.similarity for one in plain if one.character == "pip"), default=0)
    (pip,) = (one for one in closer if one.character == "pip")
    assert pip.similarity > before and pip.similarity > 0.45
    x, y = (pip.box[:2] + pip.box[2:]) / 2 * [1280, 720]
    assert 836 < x < 961 and 442 < y < 637  # its box in the truth


def test_nobody_asked_for_nobody_found(net):
    empty = np.zeros(efficientnet.DIMENSION, np.float32)
    assert region_search.search_frame(net, np.zeros((64, 64, 3), np.uint8), empty, {}) == []


def _read(film, index):
    film.set(cv2.CAP_PROP_POS_FRAMES, index)
    return film.read()[1]
