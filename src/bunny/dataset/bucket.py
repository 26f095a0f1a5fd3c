"""Aspect-ratio buckets: the sizes that training pictures are written in."""

from __future__ import annotations

import math
from collections.abc import Sequence

Size = tuple[int, int]  # width, height, pixels
MIN_SHARE, MAX_SHARE = 0.5, 2.0  # of the resolution: shortest and longest side of a bucket


def sizes(resolution_px: int, step_px: int) -> list[Size]:
    """Buckets of at most the area of the resolution's square.

    Parameters
    ----------
    resolution_px : int
        Side of the square.
    step_px : int
        Sides are multiples of it; larger than half the resolution only the square is left.

    Returns
    -------
    list of (width, height)
        Sorted; from half to twice the resolution a side, the square among them.

    Notes
    -----
    The rule of NovelAI's aspect-ratio bucketing (2022) and of kohya's `make_bucket_resolutions`.

    Examples
    --------
    >>> sizes(256, 64)
    [(128, 512), (192, 320), (256, 256), (320, 192), (512, 128)]
    """
    least = max(step_px, math.ceil(MIN_SHARE * resolution_px / step_px) * step_px)
    most = int(MAX_SHARE * resolution_px)
    found = {(resolution_px, resolution_px)}
    for width in range(least, most + 1, step_px):
        height = min(most, resolution_px**2 // width // step_px * step_px)
        if height >= least:
            found |= {(width, height), (height, width)}
    return sorted(_tallest(found, resolution_px))


def nearest(width: float, height: float, choices: Sequence[Size]) -> Size:
    """The bucket whose aspect is nearest to that of a window; the larger one of equals.

    Examples
    --------
    >>> nearest(1.0, 1.9, [(128, 512), (192, 320), (256, 256)])
    (192, 320)
    """
    wanted = math.log(width / height)
    return min(choices, key=lambda s: (abs(math.log(s[0] / s[1]) - wanted), -s[0] * s[1], s))


def _tallest(found: set[Size], resolution_px: int) -> set[Size]:
    """Of buckets of one width the tallest, and of one height the widest."""
    square = (resolution_px, resolution_px)
    return {
        (w, h)
        for w, h in found
        if (w, h) == square
        or (h == max(b for a, b in found if a == w) and w == max(a for a, b in found if b == h))
    }
