"""Words of measures: at their limits, with values worked out by hand."""

from collections import Counter

import cv2
import numpy as np
import pytest
from matplotlib.colors import XKCD_COLORS, to_rgb

from bunny.caption import statement, trigger
from bunny.character import appearance
from bunny.character.face import pose

BASIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black")


def _landmark(turn: float) -> list[float]:
    """Eyes 40 apart, the nose `turn` half distances off their middle, the mouth below."""
    return [80, 50, 120, 50, 100 + 20 * turn, 70, 85, 90, 115, 90]


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (0.0, "in front view"),
        (-0.19, "in front view"),
        (0.22, ""),
        (-0.3, "turned slightly left"),
        (0.43, ""),
        (0.5, "in three-quarter view facing right"),
        (-1.2, ""),
        (-1.5, "in profile facing left"),
    ],
)
def test_views_have_gaps_between_them(turn, words):
    assert pose.measure_turn(np.reshape(_landmark(turn), (5, 2))) == pytest.approx(turn)
    assert statement.view_words(_landmark(turn), 0.9, 0.0, 0.5) == words


@pytest.mark.parametrize(
    ("score", "pitch", "luma"), [(0.84, 0, 0.5), (0.9, 0.21, 0.5), (0.9, -0.21, 0.5), (0.9, 0, 0.1)]
)
def test_a_doubtful_tilted_or_dark_face_has_no_view(score, pitch, luma):
    assert statement.view_words(_landmark(0), score, pitch, luma) == ""
    assert statement.view_words(None, score, pitch, luma) == ""


@pytest.mark.parametrize(
    ("lab", "clothes", "beside"),
    [
        ((4, 1, 0, 1), "wearing black clothes", "against a black background"),
        ((19, 3, 3, 0.8), "wearing black clothes", "against a dark background"),
        ((24, 10, 10, 1), "", "against a dark background"),
        ((50, 2, 2, 1), "", "against a grey background"),
        ((40, 2, 2, 1), "", "against a dark grey background"),
        ((65, 0, -3, 1), "", "against a light grey background"),
        ((90, 0, 2, 1), "", "against a bright background"),
        ((35, 39, 25, 1), "wearing red clothes", "against a red background"),
        ((50, -30, 25, 1), "wearing green clothes", "against a green background"),
        ((40, 10, -45, 1), "wearing blue clothes", "against a blue background"),
        ((63, 10, 29, 1), "", "against a warm-coloured background"),  # or skin: hue 71 degrees
        ((50, 12, -12, 1), "", ""),  # between grey and purple
        ((4, 1, 0, 0.69), "", ""),  # many colours
    ],
)
def test_colours_are_named_where_people_agree(lab, clothes, beside):
    assert statement.clothes_words(lab, 0.3) == clothes
    assert statement.beside_words(lab) == beside


def test_hues_are_named_as_people_name_them():
    """XKCD's survey of 2010 has 948 colours as people call them, e.g. dark sea green."""
    said, right = Counter(), Counter()
    for name, code in XKCD_COLORS.items():
        called = name.removeprefix("xkcd:").replace("gray", "grey").split()[-1]
        rgb = np.array([[to_rgb(code)]], np.float32)
        lab = [*cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0, 0], 1.0]
        if called in BASIC and (words := statement.clothes_words(lab, 0.5)):
            said[words.split()[1]] += 1
            right[words.split()[1]] += words.split()[1] == called
    assert {
        name: right[name] / said[name] for name in said if right[name] < 0.95 * said[name]
    } == {}
    assert min(said[name] for name in ("red", "green", "blue", "yellow", "purple")) >= 17


def test_clothes_of_a_face_in_the_dark_have_no_colour():
    assert statement.clothes_words((4, 1, 0, 1), 0.19) == ""
    assert statement.clothes_words(None, 0.5) == statement.beside_words(None) == ""


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ((0.21, 0, 0), "low light"),
        ((0.22, 0, 0), ""),
        ((0.5, 6, 15), "warm light"),
        ((0.5, 6, 14.9), ""),
        ((None, 9, 30), ""),
    ],
)
def test_light_is_named_by_what_is_measured(measures, words):
    assert statement.light_words(*measures) == words


def test_a_close_up_of_skin_is_no_warm_light():
    assert statement.light_words(0.5, 9, 20, is_close_up=True) == ""


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.85, "extreme close-up"),
        (0.5, "close-up"),
        (0.25, "medium close-up"),
        (0.165, "medium shot"),
        (0.1, "medium wide shot"),
        (0.09, "wide shot"),
    ],
)
def test_framing_of_a_face(share, words):
    assert statement.face_framing(share) == words


def test_a_mirrored_picture_is_turned_to_the_other_side():
    text = "anna turned slightly left, ben in profile facing right, on the left"
    mirrored = "anna turned slightly right, ben in profile facing left, on the right"
    assert trigger.mirror_sides(text) == mirrored
    assert trigger.mirror_sides(mirrored) == text


def test_colours_under_and_beside_a_face_are_measured():
    """A face at 80..120 x 60..100 of a picture: grey above, blue below 110, left green."""
    image = np.full((200, 200, 3), 128, np.uint8)
    image[110:] = (190, 100, 30)
    image[:110, :70] = (40, 160, 40)
    box = (80.0, 60.0, 120.0, 100.0)
    clothes = appearance.measure_clothes(image, box)  # y 118 to 160
    assert clothes[3] == 1.0
    assert statement.clothes_words(clothes, 0.5) == "wearing blue clothes"
    # Beside: 32 to 60 is green and 140 to 168 grey, so the middle is neither.
    beside = appearance.measure_beside(image, box, is_face=True)
    assert beside[3] <= 0.5
    assert statement.beside_words(beside) == ""


def test_an_area_outside_the_picture_is_not_measured():
    """The face ends at the picture's lower edge; the sides of a box as wide are outside too."""
    image = np.full((100, 100, 3), 128, np.uint8)
    assert appearance.measure_clothes(image, (30.0, 50.0, 70.0, 100.0)) is None
    assert appearance.measure_beside(image, (0.0, 0.0, 100.0, 100.0), is_face=False) is None
    left = appearance.measure_beside(image, (50.0, 20.0, 100.0, 60.0), is_face=False)
    assert left[3] == 1.0  # from one side
