"""Lines of text, found on flat and on textured pictures, and not where there are none."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from bunny.quality import luma, measure, text

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SIZE = (1280, 720)
WORDS = ("I have been alone for as long", "as I can remember.")


def _write(picture, words, top_px, height_px, *, style="outline", font="DejaVuSans.ttf", fill=255):
    """Centred lines, one below the other."""
    image = Image.fromarray(picture[..., ::-1])
    draw, letters = ImageDraw.Draw(image), ImageFont.truetype(FONT / font, height_px)
    for index, line in enumerate(words):
        left = (image.width - draw.textlength(line, font=letters)) / 2
        at = (left, top_px + 1.25 * height_px * index)
        if style == "shadow":
            draw.text((at[0] + 2, at[1] + 2), line, font=letters, fill=(0, 0, 0))
        edge = 2 if style == "outline" else 0
        draw.text(
            at, line, font=letters, fill=(fill,) * 3, stroke_width=edge, stroke_fill=(0, 0, 0)
        )
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


def _lines(picture):
    return text.find_text(luma.to_luma(picture))


def _plain(value, size=SIZE):
    return np.full((size[1], size[0], 3), value, np.uint8)


def test_a_line_is_found_where_it_was_written():
    picture = _write(_plain(0), ("Somewhere far from home",), 300, 60, style="plain")
    (box,) = _lines(picture)
    rows, columns = (picture[..., 0].any(axis=axis).nonzero()[0] for axis in (1, 0))
    ink = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(box - ink).max() <= 4


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (255, 0), (120, 230), (90, 30)])
@pytest.mark.parametrize("height_px", [24, 40, 80])
def test_light_and_dark_text_of_any_size_on_plain_ground(ground, ink, height_px):
    words = ("A film by nobody", "and everybody else")
    picture = _write(_plain(ground), words, 250, height_px, style="plain", fill=ink)
    found = measure.measure_frame(picture)
    assert found.text_lines == 2
    assert found.subtitle_share == 0
    assert found.background_share > 0.98


@pytest.mark.parametrize("style", ["plain", "outline", "shadow"])
@pytest.mark.parametrize("font", ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf"])
def test_subtitles_on_photographs(photos, style, font):
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        ground = cv2.resize(photos[name], SIZE, interpolation=cv2.INTER_CUBIC)
        ground = (ground * 0.7).astype(np.uint8)  # white letters need a darker ground to be read
        picture = _write(ground, WORDS, 600, 40, style=style, font=font)
        found = measure.measure_frame(picture)
        assert measure.measure_frame(ground).subtitle_share == 0, name
        # Two lines of 40 px, 600 and 380 px wide or so, are 4 % of the frame.
        assert 0.01 < found.subtitle_share < 0.06, name
        assert found.text_share >= found.subtitle_share


def test_subtitles_on_a_letterbox_bar():
    picture = _plain(0)
    picture[90:630] = np.random.default_rng(0).integers(90, 110, (540, 1280, 3))
    found = measure.measure_frame(_write(picture, WORDS[:1], 650, 40, style="plain"))
    assert found.subtitle_share > 0.01


def test_only_low_centred_lines_are_subtitles():
    boxes = np.array(
        [
            [400, 620, 880, 660],  # low and in the middle
            [40, 620, 300, 660],  # a name at the left
            [400, 100, 880, 140],  # at the top
            [300, 500, 980, 640],  # too tall
            [560, 480, 720, 510],  # its middle is at 495 of 720: just below two thirds
        ],
        float,
    )
    assert text.is_subtitle(boxes, SIZE).tolist() == [True, False, False, False, True]
    assert text.is_subtitle(np.zeros((0, 4)), SIZE).shape == (0,)


def test_shares_and_lines_by_hand():
    boxes = np.array([[0, 0, 100, 20], [200, 2, 300, 18], [0, 30, 100, 50]], float)
    assert text.text_share(boxes, (1000, 100)) == pytest.approx((2000 + 1600 + 2000) / 1e5)
    assert text.count_lines(boxes) == 2  # the first two stand beside each other
    assert text.count_lines(boxes[:0]) == 0 and text.text_share(boxes[:0], (10, 10)) == 0


def test_natural_pictures_have_next_to_none(photos, textures):
    for name, picture in (photos | textures).items():
        for turned in (picture, cv2.flip(picture, 1), cv2.transpose(picture)):
            found = measure.measure_frame(np.ascontiguousarray(turned))
            assert found.text_share < 0.01, name
            assert found.subtitle_share < 0.005, name
            assert found.text_lines <= 3, name


def test_rows_of_equal_shapes_are_no_text():
    fence, discs, windows = _plain(40), _plain(40), _plain(40)
    for left in range(100, 1100, 40):
        fence[300:340, left : left + 8] = 220
        cv2.circle(discs, (left, 300), 14, (220,) * 3, -1)
        windows[300:330, left : left + 22] = 220
    for picture in (fence, discs, windows):
        assert not len(_lines(picture))


def test_film_size_hardly_matters():
    large = _write(_plain(30, (1920, 1080)), WORDS, 900, 56, style="plain")
    shares = []
    for width in (1920, 1280, 960):
        sized = cv2.resize(large, (width, width * 9 // 16), interpolation=cv2.INTER_AREA)
        shares.append(measure.measure_frame(sized).subtitle_share)
    assert min(shares) > 0.02 and max(shares) - min(shares) < 0.1 * max(shares)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_is_no_text(seed):
    rng = np.random.default_rng(seed)
    for shape in ((720, 1280), (1000, 1000), (5, 700)):
        assert not len(text.find_text(rng.integers(0, 256, shape, np.uint8)))
    dots = (rng.random((720, 1280)) < 0.02).astype(np.uint8) * 255
    assert text.text_share(text.find_text(dots), SIZE) < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2)])
def test_the_smallest_pictures_have_none(shape):
    assert text.find_text(np.full(shape, 200, np.uint8)).shape == (0, 4)
