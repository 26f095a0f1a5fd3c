"""Small films of noise."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def encode(path: Path, seconds: float, seed: int = 0) -> Path:
    """A film of noise, 24 frames a second."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 255, (96, 160, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(round(24 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    return path
