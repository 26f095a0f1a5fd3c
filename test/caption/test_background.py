"""Backgrounds in words: from cells whose colours are given, and names as people give them."""

from collections import Counter

import cv2
import numpy as np
import pytest
from matplotlib.colors import XKCD_COLORS, to_rgb

from bunny.caption import background
from bunny.quality import colour_cell

BASIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black")
WHOLE = (0.0, 0.0, 1.0, 1.0)
SKY, GRASS, SUN, SNOW = (150, 200, 255), (60, 160, 60), (255, 220, 60), (245, 247, 250)
NIGHT, MUD, TILE = (15, 15, 20), (110, 75, 40), (128, 128, 128)


def _cells(*rows):
    """Cells of a picture of 32 x 32 px: rows of RGB colours from top to bottom, side by side."""
    picture = np.zeros((colour_cell.SIDE, colour_cell.SIDE, 3), np.uint8)
    for band, row in zip(np.array_split(np.arange(colour_cell.SIDE), len(rows)), rows, strict=True):
        for part, colour in zip(
            np.array_split(np.arange(colour_cell.SIDE), len(row)), row, strict=True
        ):
            picture[band[0] : band[-1] + 1, part[0] : part[-1] + 1] = colour[::-1]
    return colour_cell.measure_cells(picture)


def test_a_cell_is_the_mean_colour_of_its_part_of_the_picture():
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:2, :4] = 255
    cells = colour_cell.measure_cells(picture).reshape(32, 32, 3)
    assert cells[0, 0].tolist() == [255, 128, 128]
    assert cells[0, 1].tolist() == cells[1, 0].tolist() == [0, 128, 128]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[SKY], [GRASS]], "against a background that is light blue above and green below"),
        ([[GRASS]], "against a green background"),
        ([[SNOW]], "against a white background"),
        ([[TILE]], "against a grey background"),
        ([[NIGHT]], "against a dark background"),
        ([[SKY], [TILE, SNOW]], "against a background that is light blue above"),
        (
            [[GRASS, GRASS, GRASS, SNOW, SNOW, MUD]],
            "against a background with green, white and brown",
        ),
        ([[(200, 180, 160)]], ""),  # beige or pale brown: people do not agree
    ],
)
def test_colours_are_said_by_where_they_are(rows, words):
    assert background.background_words(_cells(*rows), WHOLE, []) == words


def test_a_rarer_colour_is_said_with_its_side():
    cells = _cells(*([[SKY]] * 4), [SKY, SKY, SKY, SUN], *([[GRASS]] * 5))
    words = "against a background that is light blue above and green below with some yellow"
    assert background.background_words(cells, WHOLE, []) == f"{words} on the right"


def test_figures_and_what_is_outside_the_window_do_not_count():
    cells = _cells([SKY, MUD], [SKY, GRASS])
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    assert background.background_words(cells, left, []) == "against a light blue background"
    assert background.background_words(cells, WHOLE, [right]) == "against a light blue background"
    assert background.background_words(cells, WHOLE, [WHOLE]) == ""
    assert background.background_words(None, WHOLE, []) == ""


def test_hues_are_named_as_people_name_them():
    """XKCD's survey of 2010 has 948 colours as people call them, e.g. dark sea green."""
    said, right = Counter(), Counter()
    for name, code in XKCD_COLORS.items():
        called = name.removeprefix("xkcd:").replace("gray", "grey").split()[-1]
        if called not in BASIC:
            continue
        rgb = np.array([[to_rgb(code)]], np.float32)
        lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0]
        for given, is_it in background.name_cells(lab).items():
            if is_it[0] and given in BASIC:
                said[given] += 1
                right[given] += given == called
    assert {name: right[name] for name in said if right[name] < 0.95 * said[name]} == {}
    hues = [name for name in background.HUE if name in BASIC]
    assert min(said[name] for name in hues) >= 12
