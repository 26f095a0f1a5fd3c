"""Colour words of backgrounds, on pictures whose colours are known."""

import numpy as np
import pytest

from bunny.caption import colour


def _plain(*bands: str, height: int = 40, width: int = 60) -> np.ndarray:
    """Horizontal bands of named colours, BGR."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    edges = np.linspace(0, height, len(bands) + 1).astype(int)
    for name, top, end in zip(bands, edges[:-1], edges[1:], strict=True):
        picture[top:end] = colour.COLOUR_RGB[name][::-1]
    return picture


@pytest.mark.parametrize("name", colour.COLOUR_RGB)
def test_each_term_names_itself_even_a_little_darker(name):
    picture = (_plain(name) * 0.93).astype(np.uint8)
    assert colour.name_background(picture) == (name,)


def test_the_more_frequent_colour_comes_first_and_a_third_is_left_out():
    picture = _plain("blue", "green", "green", "red", height=100)
    picture[-1:] = colour.COLOUR_RGB["blue"][::-1]  # blue 26, green 50, red 24 of 100 rows
    assert colour.name_background(picture) == ("green", "blue")


def test_a_rare_colour_is_not_worth_a_word():
    picture = _plain("white", height=80)
    picture[:11] = colour.COLOUR_RGB["red"][::-1]
    assert colour.name_background(picture) == ("white",)
    picture[:12] = colour.COLOUR_RGB["red"][::-1]
    assert colour.name_background(picture) == ("white", "red")


def test_subjects_are_left_out_unless_nothing_else_is_there():
    picture = _plain("green")
    picture[10:, 10:50] = colour.COLOUR_RGB["red"][::-1]
    assert colour.name_background(picture, [(1 / 6, 0.25, 5 / 6, 1.0)]) == ("green",)
    assert colour.name_background(picture, [(-1.0, -1.0, 2.0, 2.0)]) == ("red", "green")


def test_one_pixel_has_a_colour_and_grey_pictures_are_refused():
    assert colour.name_background(np.full((1, 1, 3), 250, np.uint8)) == ("white",)
    with pytest.raises(ValueError, match="uint8"):
        colour.name_background(np.zeros((4, 4), np.uint8))
