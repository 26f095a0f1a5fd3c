"""Clips of a few frames for tests: each frame's red is its number."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, frames: int = 33, fps: int = 16, size: tuple[int, int] = (128, 96)):
    """An H.264 clip of constant rate; frame n has the red value 4 * (n % 60)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 40, np.uint8)
            picture[..., 0] = 4 * (number % 60)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
