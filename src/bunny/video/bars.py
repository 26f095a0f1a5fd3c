"""Letterbox and pillarbox bars: where the picture lies inside them, over a shot."""

from collections.abc import Iterable

import numpy as np

from bunny.video.probe import FilmInfo

Box = tuple[int, int, int, int]


def find_bars(luma: np.ndarray) -> Box | None:
    """Box of what is no bar, in stored pixels; None when it cannot be told."""
    return None


def merge(boxes: Iterable[Box | None]) -> Box | None:
    """Smallest box around all that are known; None when none is."""
    known = [b for b in boxes if b is not None]
    if not known:
        return None
    return (
        min(b[0] for b in known),
        min(b[1] for b in known),
        max(b[2] for b in known),
        max(b[3] for b in known),
    )


def shown_box(box: Box, info: FilmInfo) -> Box:
    """Turn a box in stored pixels into one on the picture as shown."""
    return box
