"""Letterbox and pillarbox bars: the box of the picture inside them, over a shot.

Bars are dark, flat, alike on opposite sides, and end in a straight edge; that last tells them from
the dark of a night scene and from the black around a title. A frame that cannot tell has no vote.
What is picture within one stored picture is another rule: `quality.luma.content_box`.
"""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from bunny.video.probe import FilmInfo, shown_size

DARK_LEVEL = 40  # black is 16 or 0 as stored; above 40 it is grey
FLAT_LEVELS = 10  # noise of a bar about its own level
MAX_BAR_SHARE = 0.4  # of a side; 9:16 inside 16:9 has bars of 0.34
ALIKE_SHARE = 0.01  # of a side: opposite bars differ by less
STRAIGHT_SHARE = 1 / 3  # of a bar's edge at which the picture is brighter than the bar
BOXED_STRAIGHT_SHARE = 0.75  # the same with bars on four sides, which a title looks like
BOXED_FILLED_SHARE = 0.6  # of what lies within four bars that is brighter than they are
SOFT_PX = 2  # width of a blurred edge
SOFT_RATIO = 0.8  # an edge line this much less bright than those after it is a blurred one
NUM_SAMPLES = 64  # lines across which each bar is looked at

Box = tuple[int, int, int, int]


def content_vote(luma: np.ndarray) -> Box | None:
    """Box of what is no bar in one frame: its vote, for `merge_boxes`.

    Parameters
    ----------
    luma : np.ndarray, shape (height, width), uint8
        As stored, of limited or full range; a view will do, a few lines of it are read.

    Returns
    -------
    (x0, y0, x1, y1) or None
        Half-open, in pixels. An axis that cannot be told has its ends swapped (x0 = width, x1 = 0):
        `merge_boxes` makes it what other frames say, or else the whole. None when neither can be
        told.
    """
    height, width = luma.shape
    rows, columns = _spread(height), _spread(width)
    across, down = _find_ends(luma[rows].T), _find_ends(luma[:, columns])
    if across is None and down is None:
        return None
    if across != (0, width) and down != (0, height) and not _is_boxed(luma, across, down):
        return None
    (x0, x1), (y0, y1) = across or (width, 0), down or (height, 0)
    return x0, y0, x1, y1


def merge_boxes(boxes: Iterable[Box | None]) -> Box | None:
    """Smallest box around all that are known; None when none is.

    Parameters
    ----------
    boxes : iterable of (x0, y0, x1, y1) or None
        From `content_vote` of the same film's frames, or from this function.
    """
    known = [box for box in boxes if box is not None]
    if not known:
        return None
    x0, y0 = min(b[0] for b in known), min(b[1] for b in known)
    x1, y1 = max(b[2] for b in known), max(b[3] for b in known)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def shown_box(box: Box, info: FilmInfo) -> Box:
    """Turn a box in stored pixels into one on the picture as shown.

    Parameters
    ----------
    box : (x0, y0, x1, y1)
        Half-open, from `merge_boxes`.
    info : FilmInfo
        Says how the picture is scaled, mirrored and turned, in that order.

    Returns
    -------
    (x0, y0, x1, y1)
        Half-open, within the picture, at least one pixel; where a bar ends inside a pixel, that
        pixel is left out.
    """
    if info.decoder == "pictures":  # which have sizes of their own and are upright
        return box
    stored = info.stored_width_px, info.stored_height_px
    width, height = shown_size(*stored, info.sample_aspect, 0)
    x0, x1 = _scaled(box[0], box[2], Fraction(width, stored[0]), width)
    y0, y1 = _scaled(box[1], box[3], Fraction(height, stored[1]), height)
    if info.is_mirrored:
        x0, x1 = width - x1, width - x0
    for _ in range(info.rotation_deg // 90 % 4):  # a quarter turn counter-clockwise each
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        width, height = height, width
    return x0, y0, x1, y1


def _spread(size: int) -> slice:
    """Indices spread over a side, away from its ends."""
    step = max(1, size // NUM_SAMPLES)
    return slice(step // 2, None, step)


def _find_ends(lines: np.ndarray) -> tuple[int, int] | None:
    """Where the picture begins and ends along the first axis; None when it cannot be told."""
    size = lines.shape[0]
    if not (_num_dark(lines[:1]) and _num_dark(lines[-1:])):
        return 0, size
    most = int(size * MAX_BAR_SHARE)
    first, last = _num_dark(lines[:most]), _num_dark(lines[::-1][:most])
    if abs(_level(lines[0]) - _level(lines[-1])) > FLAT_LEVELS or min(first, last) >= most:
        return None
    is_alike = abs(first - last) <= max(2, ALIKE_SHARE * size)
    edges = [(lines, first), (lines[::-1], last)]
    if is_alike and all(_straightness(*edge) >= STRAIGHT_SHARE for edge in edges):
        return first + _num_soft(lines, first), size - last - _num_soft(lines[::-1], last)
    side, least = min(edges, key=lambda edge: edge[1])
    if not is_alike and _straightness(side, least) >= STRAIGHT_SHARE:
        least += _num_soft(side, least)  # the picture's own dark goes on from the other bar
        return least, size - least
    return None


def _level(line: np.ndarray) -> float:
    return float(np.median(line))


def _num_dark(lines: np.ndarray) -> int:
    """How many lines, from the first on, are dark, flat and alike."""
    level = _level(lines[0]) if len(lines) else 255
    if level > DARK_LEVEL:
        return 0
    is_bright = (lines > level + FLAT_LEVELS).any(axis=1)
    return int(is_bright.argmax()) if is_bright.any() else len(lines)


def _straightness(lines: np.ndarray, edge: int) -> float:
    """Share of a bar's edge, after its blur, that is brighter than the bar."""
    after = lines[edge : edge + SOFT_PX + 1].max(axis=0)
    return float((after > _level(lines[0]) + FLAT_LEVELS).mean())


def _num_soft(lines: np.ndarray, edge: int) -> int:
    """How many lines from the edge on are a blend of bar and picture."""
    rise = lines[edge : edge + SOFT_PX + 2].mean(axis=1) - _level(lines[0])
    if len(rise) < SOFT_PX + 2:
        return 0
    soft = [k for k in range(SOFT_PX) if rise[k] < SOFT_RATIO * rise[SOFT_PX:].mean()]
    return soft[-1] + 1 if soft else 0


def _is_boxed(luma: np.ndarray, across, down) -> bool:
    """Whether what lies amid dark on four sides is a picture: full to its edges, unlike a title."""
    (x0, x1), (y0, y1) = across or (0, luma.shape[1]), down or (0, luma.shape[0])
    is_bright = luma[y0:y1, x0:x1][:: _spread(y1 - y0).step, :: _spread(x1 - x0).step] > (
        int(luma[0, 0]) + FLAT_LEVELS
    )
    border = [is_bright[:, i] for i in (0, -1) if across] + [is_bright[i] for i in (0, -1) if down]
    is_straight = all(line.mean() >= BOXED_STRAIGHT_SHARE for line in border)
    return is_straight and bool(is_bright.mean() >= BOXED_FILLED_SHARE)


def _scaled(start: int, end: int, ratio: Fraction, most: int) -> tuple[int, int]:
    """Both ends of a side scaled, inward to whole pixels."""
    start, end = -(-start * ratio.numerator // ratio.denominator), int(end * ratio)
    start = min(start, most - 1)
    return start, max(start + 1, min(end, most))
