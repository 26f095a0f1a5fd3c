"""Small films made in the test, with known frames and times."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

DIGIT_BLOCK_PX = 16


def numbered(index: int, width: int = 96, height: int = 64) -> np.ndarray:
    """RGB picture whose top row of eight blocks is the frame's number in binary."""
    picture = np.full((height, width, 3), 96, np.uint8)
    for bit in range(6):
        value = 235 if index >> bit & 1 else 16
        picture[:DIGIT_BLOCK_PX, bit * DIGIT_BLOCK_PX : (bit + 1) * DIGIT_BLOCK_PX] = value
    return picture


def read_number(bgr: np.ndarray) -> int:
    """Read back what `numbered` drew."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    half = DIGIT_BLOCK_PX // 2
    return sum(int(grey[half, bit * DIGIT_BLOCK_PX + half] > 125) << bit for bit in range(6))


def write_film(
    path,
    pictures,
    pts=None,
    *,
    time_base=Fraction(1, 24),
    codec="libx264",
    pix_fmt="yuv420p",
    options=None,
    aspect=None,
    rotation=None,
    colour=None,
    container_format=None,
):
    """Encode RGB pictures at exact times; `pts` are in units of `time_base`."""
    pts = range(len(pictures)) if pts is None else pts
    with av.open(str(path), "w", format=container_format) as out:
        stream = out.add_stream(codec, rate=round(1 / time_base) if time_base > 1 / 99 else 24)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        stream.time_base = time_base
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if colour:
            stream.codec_context.colorspace, stream.codec_context.color_trc = colour
        stream.codec_context.options = options or {}
        if rotation:
            stream.set_display_rotation(rotation)
        for picture, at in zip(pictures, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = at, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def film_tools():
    """`write_film`, `numbered` and `read_number`."""

    class Tools:
        write = staticmethod(write_film)
        numbered = staticmethod(numbered)
        read_number = staticmethod(read_number)

    return Tools
