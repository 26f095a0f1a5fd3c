"""Bars are found, night scenes and titles are not taken for them."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from bunny.video import frame as video_frame
from bunny.video import letterbox, probe
from bunny.video.frame import DecodedFrame

WIDTH, HEIGHT = 320, 180


def _scene(width=WIDTH, height=HEIGHT, low=60, high=200, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.integers(low, high, (height // 10 + 1, width // 10 + 1), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


def _barred(box, level=16, noise=0.0, low=60):
    """A scene inside bars; `box` is what the scene fills."""
    x0, y0, x1, y1 = box
    luma = np.full((HEIGHT, WIDTH), level, np.float32)
    luma += noise * np.random.default_rng(1).standard_normal(luma.shape)
    luma[y0:y1, x0:x1] = _scene(x1 - x0, y1 - y0, low)
    return np.clip(luma.round(), 0, 255).astype(np.uint8)


LETTERBOX = (0, 23, WIDTH, 157)
PILLARBOX = (40, 0, 280, HEIGHT)
FOUR = (40, 23, 280, 157)
TALL = (109, 0, 211, HEIGHT)  # 9:16 inside 16:9


@pytest.mark.parametrize("box", [LETTERBOX, PILLARBOX, FOUR, TALL, (0, 0, WIDTH, HEIGHT)])
@pytest.mark.parametrize(("level", "noise"), [(0, 0), (16, 0), (16, 1.5), (30, 1)])
def test_bars_are_found_to_the_pixel(box, level, noise):
    assert letterbox.merge_boxes([letterbox.content_vote(_barred(box, level, noise))]) == box


@pytest.mark.parametrize("width", [1, 2])
def test_a_soft_edge_goes_with_the_bar(width):
    luma = _barred(LETTERBOX).astype(np.float32)
    for k in range(width):  # a ramp from bar to picture, inside the picture
        share = (k + 1) / (width + 1)
        for line in (23 + k, 156 - k):
            luma[line] = 16 + share * (luma[line] - 16)
    found = letterbox.content_vote(luma.round().astype(np.uint8))
    assert found == (0, 23 + width, WIDTH, 157 - width)


def test_uneven_bars_of_a_few_lines_are_each_taken():
    assert letterbox.content_vote(_barred((0, 22, WIDTH, 157))) == (0, 22, WIDTH, 157)


def test_a_dark_ground_that_goes_on_from_a_bar_is_not_cut_off():
    luma = _barred(LETTERBOX)
    luma[120:] = 16
    assert letterbox.content_vote(luma) == LETTERBOX


def test_one_dark_side_is_no_bar():
    luma = _scene()
    luma[150:] = 16
    assert letterbox.content_vote(luma) == (0, 0, WIDTH, HEIGHT)


def test_grey_borders_are_no_bars():
    assert letterbox.content_vote(_barred(LETTERBOX, level=60, low=100)) == (0, 0, WIDTH, HEIGHT)


def _night():
    """A lit window and a moon in the dark, no straight edges."""
    luma = np.full((HEIGHT, WIDTH), 18, np.uint8)
    cv2.circle(luma, (250, 40), 12, 220, -1)
    cv2.rectangle(luma, (60, 90), (90, 130), 180, -1)
    return luma


def _title():
    luma = np.full((HEIGHT, WIDTH), 16, np.uint8)
    cv2.putText(luma, "THE RABBIT", (40, 100), cv2.FONT_HERSHEY_DUPLEX, 1.2, 235, 2)
    return luma


def _vignette():
    ys, xs = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return np.clip(200 * (1.1 - np.hypot(xs, ys)), 16, 255).astype(np.uint8)


def _outline():
    """A card: a thin rectangle and nothing in it."""
    luma = np.full((HEIGHT, WIDTH), 16, np.uint8)
    return cv2.rectangle(luma, (60, 30), (259, 149), 200, 2)


def _octagon():
    """A logo: straight sides, full, and no picture."""
    luma = np.full((HEIGHT, WIDTH), 16, np.uint8)
    points = [
        (75, 20),
        (245, 20),
        (280, 55),
        (280, 125),
        (245, 160),
        (75, 160),
        (40, 125),
        (40, 55),
    ]
    return cv2.fillPoly(luma, [np.array(points, np.int32)], 200)


@pytest.mark.parametrize(
    "luma",
    [
        np.full((HEIGHT, WIDTH), 16, np.uint8),
        _night(),
        _title(),
        _vignette(),
        _outline(),
        _octagon(),
    ],
    ids=["black", "night", "title", "vignette", "outline", "octagon"],
)
def test_a_frame_that_cannot_tell_has_no_vote(luma):
    assert letterbox.content_vote(luma) is None


def test_a_curved_edge_is_none_of_a_bar():
    # As through a letterbox slit or binoculars: bright to both sides, round above and below.
    xs = np.linspace(-1, 1, WIDTH)
    reach = 70 * (1 - 0.7 * xs**2)
    luma = np.where(np.abs(np.arange(HEIGHT) - 89.5)[:, None] < reach, _scene(), 16)
    found = letterbox.content_vote(luma.astype(np.uint8))
    assert letterbox.merge_boxes([found]) == (0, 0, WIDTH, HEIGHT)


def test_a_night_with_noise_over_all_of_it_has_no_bars():
    luma = (18 + 40 * np.random.default_rng(0).random((HEIGHT, WIDTH))).astype(np.uint8)
    assert letterbox.content_vote(luma) == (0, 0, WIDTH, HEIGHT)


def test_a_person_in_the_light_amid_dark_leaves_an_axis_to_others():
    luma = np.full((HEIGHT, WIDTH), 16, np.uint8)
    luma[23:157, 100:180] = _scene(80, 134)
    found = letterbox.content_vote(luma)
    assert found is None
    assert letterbox.merge_boxes([found, LETTERBOX]) == LETTERBOX


def test_a_shot_has_the_union_of_its_frames():
    assert letterbox.merge_boxes([None, (0, 23, 320, 150), (0, 30, 320, 157), None]) == LETTERBOX
    assert (
        letterbox.merge_boxes([(WIDTH, 23, 0, 157)]) == LETTERBOX
    )  # nobody knows the axis: all of it
    assert letterbox.merge_boxes([(WIDTH, 23, 0, 157), FOUR]) == FOUR
    assert letterbox.merge_boxes([None, None]) is None
    assert letterbox.merge_boxes([]) is None


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (63, 4)])
def test_tiny_pictures_do_not_fail(size):
    for level in (0, 200):
        found = letterbox.merge_boxes([letterbox.content_vote(np.full(size, level, np.uint8))])
        assert found in (None, (0, 0, size[1], size[0]))


def _info(film_tools, tmp_path, **values):
    path = film_tools.write(tmp_path / "a.mp4", [np.full((64, 96, 3), 90, np.uint8)])
    info = replace(probe.probe(path), **values)
    size = probe.shown_size(96, 64, info.sample_aspect, info.rotation_deg)
    return replace(info, width_px=size[0], height_px=size[1])


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, (8, 4, 90, 60)),
        ({"rotation_deg": 90}, (4, 6, 60, 88)),  # x from y0, y from width - x1
        ({"rotation_deg": 180}, (6, 4, 88, 60)),
        ({"rotation_deg": 270}, (4, 8, 60, 90)),
        ({"is_mirrored": True}, (6, 4, 88, 60)),
        ({"is_mirrored": True, "rotation_deg": 90}, (4, 8, 60, 90)),
        ({"sample_aspect": Fraction(2)}, (16, 4, 180, 60)),
        ({"sample_aspect": Fraction(4, 3), "rotation_deg": 90}, (4, 8, 60, 117)),  # 10.67 up
    ],
)
def test_box_on_the_picture_as_shown(tmp_path, film_tools, values, wanted):
    info = _info(film_tools, tmp_path, **values)
    assert letterbox.shown_box((8, 4, 90, 60), info) == wanted


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(2), Fraction(1, 2)])
def test_the_crop_of_the_picture_is_the_content(
    tmp_path, film_tools, rotation, is_mirrored, aspect
):
    import av

    info = _info(
        film_tools, tmp_path, rotation_deg=rotation, is_mirrored=is_mirrored, sample_aspect=aspect
    )
    image = np.zeros((64, 96, 3), np.uint8)
    image[8:52, 10:70] = 180
    raw = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv444p")
    frame = DecodedFrame(index=0, pts=0, time_base=Fraction(1), raw=raw)
    box = letterbox.shown_box((10, 8, 70, 52), info)
    shown = video_frame.to_bgr(frame, info, crop=box)
    area = 60 * 44 * max(aspect, 1 / aspect)
    assert shown.shape[0] * shown.shape[1] == area
    assert shown[2:-2, 2:-2].min() > 170  # the resize softens the border
    whole = video_frame.to_bgr(frame, info)
    assert int((whole > 90).all(axis=2).sum()) == pytest.approx(area, rel=0.03)
