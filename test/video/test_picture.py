"""Thumbnails and pictures as shown."""

from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video import decode, probe
from bunny.video import frame as video_frame
from bunny.video.frame import DecodedFrame

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def _corners(height=64, width=96):
    """RGB: red top left, green top right, blue bottom left, grey bottom right."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = BLUE
    return image


def _first(path):
    info = probe.probe(path)
    return next(iter(decode.iterate_frames(info))), info


def _quadrants(bgr):
    """RGB colour in the middle of the four quarters, reading order."""
    height, width = bgr.shape[:2]
    ys, xs = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    return [tuple(int(v) for v in bgr[y, x, ::-1]) for y in ys for x in xs]


def _is_near(one, two, tolerance=12):
    return all(abs(a - b) <= tolerance for a, b in zip(one, two, strict=True))


GREY = (128, 128, 128)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_come_through(tmp_path, film_tools, pix_fmt):
    options = {"crf": "5"}
    path = film_tools.write(tmp_path / "a.mp4", [_corners()], pix_fmt=pix_fmt, options=options)
    frame, info = _first(path)
    found = _quadrants(video_frame.to_bgr(frame, info))
    for colour, wanted in zip(found, (RED, GREEN, BLUE, GREY), strict=True):
        assert _is_near(colour, wanted), (colour, wanted)


@pytest.mark.parametrize(
    ("rotation", "wanted"),
    [
        (90, (GREEN, GREY, RED, BLUE)),  # counter-clockwise: the right side comes up
        (180, (GREY, BLUE, GREEN, RED)),
        (270, (BLUE, RED, GREY, GREEN)),
    ],
)
def test_rotation_is_applied_as_players_do(tmp_path, film_tools, rotation, wanted):
    path = film_tools.write(
        tmp_path / "a.mp4", [_corners()] * 2, rotation=rotation, options={"crf": "5"}
    )
    frame, info = _first(path)
    shown = video_frame.to_bgr(frame, info)
    assert shown.shape[:2] == (info.height_px, info.width_px)
    assert all(_is_near(a, b) for a, b in zip(_quadrants(shown), wanted, strict=True))
    by_opencv = _opencv_first(path)
    assert by_opencv.shape == shown.shape
    assert all(_is_near(a, b, 20) for a, b in zip(_quadrants(by_opencv), wanted, strict=True))


def _opencv_first(path):
    info = probe.probe(path, decoder="opencv")
    return next(iter(decode.iterate_frames(info))).raw


def test_wide_pixels_are_made_square(tmp_path, film_tools):
    path = film_tools.write(tmp_path / "a.mp4", [_corners()], aspect=Fraction(2))
    frame, info = _first(path)
    assert video_frame.to_bgr(frame, info).shape == (64, 192, 3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv420p10le", "gray"])
def test_thumb_has_full_range_luma_and_neutral_chroma(tmp_path, film_tools, pix_fmt):
    image = np.zeros((72, 128, 3), np.uint8)
    image[:, 64:] = 255
    raw = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
    if pix_fmt == "gray":  # made with full range, which a real grey film says of itself
        raw.color_range = 2
    frame = DecodedFrame(index=0, pts=0, time_base=Fraction(1), raw=raw)
    path = film_tools.write(tmp_path / "a.mp4", [image])
    thumb = video_frame.thumb(frame, probe.probe(path))
    assert thumb.shape == (36, 64, 3) and thumb.dtype == np.uint8
    assert thumb[:, :30, 0].max() <= 2 and thumb[:, 34:, 0].min() >= 253
    assert np.abs(thumb[..., 1:].astype(int) - 128).max() <= 2


def test_portrait_film_has_an_upright_thumb(tmp_path, film_tools):
    path = film_tools.write(tmp_path / "a.mp4", [np.zeros((128, 72, 3), np.uint8)])
    frame, info = _first(path)
    assert video_frame.thumb(frame, info).shape == (64, 36, 3)


def test_luma_is_read_without_a_copy():
    raw = av.VideoFrame(96, 64, "yuv420p")
    frame = DecodedFrame(index=0, pts=0, time_base=Fraction(1), raw=raw)
    view = video_frame.luma(frame)
    assert view.shape == (64, 96)
    assert view.base is not None and not view.flags.owndata


def test_sharpness_prefers_detail_and_puts_damage_last():
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    flat = np.full_like(noise, 100)
    common = {"index": 0, "pts": 0, "time_base": Fraction(1)}
    assert video_frame.sharpness(DecodedFrame(raw=flat, **common)) == 0
    assert video_frame.sharpness(DecodedFrame(raw=noise, **common)) > 1000
    assert video_frame.sharpness(DecodedFrame(raw=noise, is_damaged=True, **common)) == -1


def test_a_comb_is_rebuilt_and_other_pictures_are_left_alone():
    rng = np.random.default_rng(0)
    scene = np.repeat(rng.integers(0, 255, (1, 130, 1), np.uint8), 64, axis=0)
    one, two = scene[:, :120], scene[:, 10:]  # the same bars 10 px on
    combed = np.repeat(one, 3, axis=2)
    combed[1::2] = np.repeat(two, 3, axis=2)[1::2]
    assert video_frame.has_comb(combed)
    whole = np.repeat(one, 3, axis=2)
    assert np.array_equal(video_frame.deinterlace(combed), whole)
    assert video_frame.deinterlace(whole) is whole


def test_half_lines_are_interpolated():
    ramp = np.repeat(np.arange(0, 128, 2, dtype=np.uint8)[:, None, None], 8, axis=1).repeat(3, 2)
    combed = ramp.copy()
    combed[1::2] = 255 - combed[1::2]
    rebuilt = video_frame.deinterlace(combed)
    assert np.abs(rebuilt[:-1].astype(int) - ramp[:-1]).max() <= 1


def test_high_dynamic_range_is_known_and_tone_mapped(tmp_path, film_tools):
    # 10-bit code values of grey: 0.5807 of PQ is reference white, which is shown at about 231.
    image = np.full((64, 96, 3), round(0.5807 * 255), np.uint8)
    path = film_tools.write(
        tmp_path / "hdr.mp4", [image] * 2, pix_fmt="yuv420p10le", colour=(9, 16)
    )
    frame, info = _first(path)
    assert info.color_transfer == "pq"
    shown = video_frame.to_bgr(frame, info)
    assert shown.dtype == np.uint8 and shown.shape == (64, 96, 3)
    assert np.all(np.abs(shown.astype(int) - 231) <= 6)


def _moving_over_still():
    """A picture of two moments: the left half stands, the right half moves by 10 px a field."""
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 200, (6, 40), np.uint8).astype(np.float32)
    still = cv2.resize(noise, (160, 64), interpolation=cv2.INTER_CUBIC)
    still = np.clip(still, 0, 255).astype(np.uint8)
    first, second = still.copy(), still.copy()
    second[:, 80:] = still[:, 70:150]
    woven = first.copy()
    woven[1::2] = second[1::2]
    return (np.repeat(p[..., None], 3, axis=2) for p in (first, woven))


def test_what_stands_keeps_its_lines_and_what_moves_is_rebuilt():
    first, woven = _moving_over_still()
    rebuilt = video_frame.deinterlace(woven)
    assert np.array_equal(rebuilt[:, :70], first[:, :70])
    error = {
        name: np.abs(p[:, 90:].astype(int) - first[:, 90:]).mean()
        for name, p in (("woven", woven), ("rebuilt", rebuilt))
    }
    assert error["rebuilt"] < error["woven"] / 5


@pytest.mark.parametrize(
    ("mode", "is_interlaced", "is_rebuilt"),
    [("auto", False, False), ("auto", True, True), ("on", False, True), ("off", True, False)],
)
def test_the_comb_goes_where_the_film_or_the_setting_says(
    tmp_path, film_tools, mode, is_interlaced, is_rebuilt
):
    first, woven = _moving_over_still()
    path = film_tools.write(tmp_path / "a.mkv", [woven], codec="ffv1", pix_fmt="yuv444p")
    frame, info = _first(path)
    info = replace(info, is_interlaced=is_interlaced)
    shown = video_frame.to_bgr(frame, info, ExtractionConfig(deinterlace=mode))
    target = first if is_rebuilt else woven
    assert np.abs(shown.astype(int) - target).mean() < (5 if is_rebuilt else 1.5)
    assert video_frame.has_comb(shown) is not is_rebuilt


@pytest.mark.parametrize(
    ("size", "aspect", "rotation", "wanted"),
    [
        ((72, 128), Fraction(4, 3), 0, (96, 128)),  # stored upright, wide pixels
        ((128, 72), Fraction(4, 3), 90, (72, 171)),  # wide, then turned: 128 * 4/3 = 170.67
        ((128, 72), Fraction(3, 4), 270, (96, 128)),  # narrow: 72 / 0.75 = 96 high, then turned
    ],
)
def test_pixels_are_made_square_before_the_turn(
    tmp_path, film_tools, size, aspect, rotation, wanted
):
    width, height = size
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 2, : width // 2] = 200
    path = film_tools.write(tmp_path / "a.mp4", [image], aspect=aspect, rotation=rotation)
    frame, info = _first(path)
    shown = video_frame.to_bgr(frame, info)
    assert shown.shape[1::-1] == (info.width_px, info.height_px) == wanted
    bright = {0: (0.25, 0.25), 90: (0.75, 0.25), 270: (0.25, 0.75)}[rotation]
    y, x = int(bright[0] * wanted[1]), int(bright[1] * wanted[0])
    assert shown[y, x].min() > 190
    assert (shown > 130).all(axis=2).mean() == pytest.approx(0.25, abs=0.02)
