"""Captions composed for windows: right for what the window shows."""

from dataclasses import replace

import numpy as np
import pytest
from character_view import make_view

from bunny.core.config import CaptioningConfig
from bunny.core.config.captioning import CaptionVariantsConfig
from bunny.dataset.crop import CropWindow
from bunny.dataset.crop_caption import CaptionWords
from bunny.dataset.view import OtherCharacter
from bunny.dataset.window_caption import WindowCaptions
from bunny.quality.colour_cell import measure_cells

KNOWN = {
    "view": "in front view",
    "clothes": "wearing black clothes",
    "beside": "against a grey background",
    "place": "in the kitchen",
    "light": "low light",
}
WORDS = CaptionWords(trigger="anna", class_word="woman", other_triggers={"Ben": "ben"})
TRIGGERS = {"Anna": "anna", "Ben": "ben"}
FACE = (100, 100, 140, 150)  # 50 px high


def _view(others=(), **statements):
    seen = tuple(OtherCharacter(character=n, box=b, is_seen=is_seen) for n, b, is_seen in others)
    made = make_view(box=FACE, is_face=True, others=seen, text="a text of the frame")
    return replace(made, character="Anna", statements={**KNOWN, **statements})


def _window(side, others=()):
    """A square window from the frame's corner."""
    box = {"x0_px": 0, "y0_px": 0, "x1_px": side, "y1_px": side}
    return CropWindow(index=0, size=(64, 64), shot_size="medium", others=others, **box)


def _caption(view, window, **settings):
    captioning = CaptioningConfig(class_word="woman", **settings)
    captions = WindowCaptions.of(captioning, WORDS, TRIGGERS, [(view, window)])
    return captions.write(view, window)


def test_a_caption_says_view_place_clothes_framing_and_light():
    text, variants = _caption(_view(), _window(160))  # 50 of 160: 0.31
    assert text == (
        "anna woman in front view in the kitchen against a grey background, "
        "wearing black clothes, medium close-up, low light"
    )
    assert variants == ()


def test_the_framing_is_that_of_the_window():
    bare = _view(view="", clothes="", beside="", place="", light="")
    texts = [_caption(bare, _window(side))[0] for side in (100, 160, 250, 400, 600)]
    assert [text.removeprefix("anna woman, ") for text in texts] == [
        "close-up",
        "medium close-up",
        "medium shot",
        "medium wide shot",
        "wide shot",
    ]


@pytest.mark.parametrize(
    ("box", "is_seen", "who"),
    [
        ((200, 100, 240, 150), True, "anna woman in front view and a person"),
        ((200, 100, 240, 150), False, "anna woman in front view"),  # hardly seen: no number
        ((290, 100, 330, 150), True, "anna woman in front view"),  # a quarter in: no number
        ((400, 100, 440, 150), True, "anna woman in front view"),  # outside
    ],
)
def test_people_are_counted_in_the_window(box, is_seen, who):
    text, _ = _caption(_view([(None, box, is_seen)], place="", beside=""), _window(300))
    assert text.startswith(f"{who}, ")
    assert ("wearing black clothes" in text) == ("person" not in text)


def test_named_others_are_said_with_their_sides_where_they_are_in_the_window():
    view = _view([("Ben", (200, 100, 240, 150), True)], place="", beside="")
    text, _ = _caption(view, _window(300, others=("Ben",)))
    assert text == (
        "anna woman on the left in front view and ben woman on the right, medium shot, low light"
    )
    text, _ = _caption(view, _window(160))
    assert "ben" not in text and "left" not in text


def test_styles_and_variants_are_written_for_the_window():
    variants = CaptionVariantsConfig(short=0.5, tags=0.5)
    text, written = _caption(_view(), _window(160), style="tags", variants=variants)
    tags = "front view, black clothes, medium close-up, low light, kitchen, grey background"
    assert text == f"anna woman in front view, {tags}"
    assert [(one.text, one.share) for one in written] == [
        ("anna woman in front view in the kitchen against a grey background", 0.5),
        (text, 0.5),
    ]


def test_what_a_model_wrote_is_fitted_instead():
    written = replace(_view(), statements=None, text="Anna laughs, wide shot")
    assert _caption(written, _window(160))[0] == "Anna laughs, medium shot"


FIGURE = (100, 100, 160, 200)  # 100 px high


def _figure(box=FIGURE, *, is_steady=True, cells=None):
    """A drawn figure in a frame of 640 x 360."""
    known = dict.fromkeys(KNOWN, "")
    made = make_view(box=box, is_face=False, text="a text of the frame")
    return replace(
        made, character="Anna", statements=known, is_steady=is_steady, colour_cells=cells
    )


@pytest.mark.parametrize(
    ("box", "side", "is_steady", "words"),
    [
        (FIGURE, 300, True, "wide shot"),  # a third of the height, as much room above and below
        (FIGURE, 300, False, ""),
        ((100, 10, 160, 110), 300, True, ""),  # 10 px of room above
        ((100, 100, 160, 220), 260, True, "full body"),  # 0.46 of the height
        ((100, 100, 160, 215), 260, True, "wide shot"),  # 0.44
    ],
)
def test_a_figure_is_framed_by_its_box_where_that_is_steady(box, side, is_steady, words):
    text, _ = _caption(_figure(box, is_steady=is_steady), _window(side))
    assert text.removeprefix("anna woman").removeprefix(" on the left").removeprefix(", ") == words


@pytest.mark.parametrize(
    ("side", "words"), [(300, ""), (321, "on the left"), (170, "on the right"), (240, "")]
)
def test_a_figure_alone_in_one_half_is_on_that_side(side, words):
    text, _ = _caption(_figure(is_steady=False), _window(side))  # its box is from 100 to 160
    assert text.removeprefix("anna woman").strip() == words


def test_the_background_of_a_figure_is_said_by_the_cells_around_it():
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[:, :] = (60, 160, 60)
    picture[FIGURE[1] : FIGURE[3], FIGURE[0] : FIGURE[2]] = 255  # a white figure
    cells = measure_cells(picture)
    text, _ = _caption(_figure(is_steady=False, cells=cells), _window(240))
    assert text == "anna woman against a green background"
    text, _ = _caption(replace(_view(), colour_cells=cells), _window(160))
    assert "against a grey background" in text  # beside a face
