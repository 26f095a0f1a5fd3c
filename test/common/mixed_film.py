"""A small film with cuts of many strengths, fades, dissolves, a flash, stills and pans."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

SIZE = (96, 64)  # width, height
# (kind of what begins the shot, frames of it alone, how much of its picture is its own)
SHOTS = (
    ("cut", 40, 1.0),
    ("cut", 30, 0.12),
    ("cut", 12, 0.5),
    ("cut", 5, 1.0),
    ("cut", 60, 0.8),
    ("dissolve", 50, 1.0),
    ("dissolve", 60, 0.25),
    ("fade", 45, 1.0),
    ("cut", 7, 0.3),
    ("cut", 90, 1.0),
    ("dissolve", 40, 0.5),
    ("cut", 130, 0.2),
    ("fade", 50, 0.6),
    ("cut", 80, 0.07),
    ("dim", 30, 0.09),
    ("dim", 30, 0.06),
    ("dim", 30, 0.06),
    ("part", 40, 1.0),
)
MIX, DARK = 14, 8  # frames of a dissolve, and of a fall or a rise


def pictures() -> Iterator[np.ndarray]:
    """Frames, uint8 RGB."""
    before: list[np.ndarray] = []
    wide = np.zeros((SIZE[1], 3 * SIZE[0], 3), np.float32)
    for number, (kind, length, share) in enumerate(SHOTS):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 255, (8, 24, 3), np.uint8)
        own = cv2.resize(coarse, (3 * SIZE[0], SIZE[1]), interpolation=cv2.INTER_CUBIC)
        mixed = (1 - share) * wide + share * own.astype(np.float32)
        if kind == "dim":
            mixed = 110 + share * own.astype(np.float32)
        if kind == "part":  # a third of the picture changes
            mixed[20:] = wide[20:]
        wide = mixed
        shot = [_cut_out(wide, index, number, rng) for index in range(length)]
        if number == 4:
            shot[25] = np.full_like(shot[25], 250)  # a flash
        for k in range(MIX if kind == "dissolve" else 0):
            part = (k + 0.5) / MIX
            yield _shown((1 - part) * before[-1] + part * shot[0])
        for k in range(2 * DARK if kind == "fade" else 0):
            yield _shown((before[-1] if k < DARK else shot[0]) * abs(k + 0.5 - DARK) / DARK)
        yield from (_shown(picture) for picture in shot)
        before = shot


def write(path: Path, gap: int = 24) -> Path:
    """Write the film with a keyframe every `gap` frames."""
    with av.open(str(path), "w") as out:
        options = {"g": str(gap), "sc_threshold": "0", "crf": "16"}
        stream = out.add_stream("libx264", rate=24, options=options)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 500 + 41 * index, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _cut_out(wide: np.ndarray, index: int, number: int, rng) -> np.ndarray:
    """What a camera shows that drifts in every second shot, with grain."""
    x = min(index * (number % 3), 2 * SIZE[0])
    picture = wide[:, x : x + SIZE[0]]
    return picture + rng.normal(0, 2, picture.shape)


def _shown(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.clip(0, 255).astype(np.uint8))
