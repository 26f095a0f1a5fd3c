"""Colours of what is seen around the subjects of a window, from the colour cells of its frame.

A cell is named only where people agree on its colour, and a colour is said only where enough of the
background has it. Names were checked against two collections of colours named by people
(`test_background.py`), whole statements against pictures labelled by eye
(`test_background_material.py`).
"""

from collections.abc import Iterable, Sequence

import numpy as np

from bunny.quality.colour_cell import SIDE
from bunny.table.box import Box

# Hue angles in CIELAB in degrees, ranges of chroma and L*; angles may go past 0.
HUE = {
    "red": ((25, 42), (40, 200), (25, 58)),
    "orange": ((46, 72), (57, 200), (56, 100)),
    "brown": ((44, 92), (18, 58), (14, 46)),
    "yellow": ((80, 105), (30, 200), (72, 100)),
    "green": ((118, 152), (20, 200), (20, 100)),
    "blue-green": ((165, 205), (18, 200), (20, 100)),
    "blue": ((222, 304), (18, 200), (20, 100)),
    "purple": ((312, 325), (25, 200), (0, 85)),
    "pink": ((342, 20), (24, 200), (57, 90)),
}
NEUTRAL = {"black": (8, (0, 12)), "grey": (6, (45, 75)), "white": (12, (86, 100))}  # chroma, L*
SHADED = ("green", "blue", "purple", "pink")  # a light red is pink, a dark orange brown
LIGHT_FROM, DARK_UP_TO = 72.0, 33.0  # L*
DARK_BELOW = 38.0  # L*, of a zone without a colour of its own
MIN_CELLS = 6  # of a zone; in fewer the figure's edges are a large part
ZONE = 0.4  # of the window's height, at its top and at its bottom
ZONE_SHARE, WHOLE_SHARE = 0.6, 0.7  # of a zone, and of a background, that a colour has
TRACE = (0.04, 0.25)  # share of a background that has a colour beside its main ones
MAX_TRACES = 2
BEHIND = "against a background that is"
EDGE = 0.5  # cells around a box that show a part of it


def background_words(cells: Sequence[int] | None, window: Box, subjects: Iterable[Box]) -> str:
    """Background in words, e.g. ``against a background that is light blue above and green below``.

    Parameters
    ----------
    cells : sequence of int, length `SIDE` * `SIDE` * 3
        Column `colour_cells` of a frame; None: not measured.
    window : tuple
        x0, y0, x1, y1 in shares of the frame.
    subjects : iterable of tuple
        Boxes of figures, in shares of the frame; they may reach over its edge.

    Returns
    -------
    str
        Empty where no colour is sure.
    """
    if cells is None:
        return ""
    lab, height = _background(cells, window, subjects)
    top, bottom = (lab[zone] for zone in (height < ZONE, height > 1 - ZONE))
    above, below, whole = _main(top, ZONE_SHARE), _main(bottom, ZONE_SHARE), _main(lab, WHOLE_SHARE)
    if whole and above in (whole, "") and below in (whole, ""):
        said, main = f"against {_article(whole)} background", {whole}
    elif above and below and above != below:
        said, main = f"{BEHIND} {above} above and {below} below", {above, below}
    elif above != below:
        side = "above" if above else "below"
        said, main = f"{BEHIND} {above or below} {side}", {above or below}
    else:
        return ""
    traces = _traces(lab, {name.split()[-1] for name in main})
    return " with some ".join(filter(None, (said, " and ".join(traces))))


def _background(
    cells: Sequence[int], window: Box, subjects: Iterable[Box]
) -> tuple[np.ndarray, np.ndarray]:
    """Colours outside the subjects, (n, 3) CIELAB, and how far down in the window they are."""
    middle = (np.arange(SIDE) + 0.5) / SIDE
    x, y = np.meshgrid(middle, middle)
    keep = _inside(x, y, window, 0.0)
    for box in subjects:
        keep &= ~_inside(x, y, box, EDGE / SIDE)
    lab = np.asarray(cells, np.float32).reshape(SIDE, SIDE, 3)[keep]
    lab = (lab - (0, 128, 128)) * (100 / 255, 1, 1)
    return lab, (y[keep] - window[1]) / (window[3] - window[1])


def _main(lab: np.ndarray, least: float) -> str:
    """The colour of at least a share of some cells, with its shade; empty: none has it."""
    if len(lab) < MIN_CELLS:
        return ""
    for name, is_it in _named(lab).items():
        if is_it.mean() >= least:
            light = float(np.median(lab[is_it, 0]))
            shade = "light" if light >= LIGHT_FROM else "dark" if light <= DARK_UP_TO else ""
            return f"{shade if name in SHADED else ''} {name}".strip()
    return "dark" if (lab[:, 0] < DARK_BELOW).mean() >= least else ""


def _traces(lab: np.ndarray, main: set[str]) -> list[str]:
    """Further colours of a background, the most frequent first."""
    share = {n: float(is_it.mean()) for n, is_it in _named(lab).items() if n in HUE}
    found = [n for n, s in share.items() if TRACE[0] <= s <= TRACE[1] and n not in main]
    return sorted(found, key=lambda name: -share[name])[:MAX_TRACES]


def _named(lab: np.ndarray) -> dict[str, np.ndarray]:
    """Of each colour, which cells people would call so; no cell is of two."""
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    found = {}
    for name, ((first, last), colourful, lights) in HUE.items():
        is_hue = (hue - first) % 360 <= (last - first) % 360
        found[name] = is_hue & _within(chroma, colourful) & _within(light, lights)
    for name, (most, lights) in NEUTRAL.items():
        found[name] = (chroma < most) & _within(light, lights)
    return found


def _within(value: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (value >= limits[0]) & (value <= limits[1])


def _inside(x: np.ndarray, y: np.ndarray, box: Box, margin: float) -> np.ndarray:
    x0, y0, x1, y1 = box
    across = (x > x0 - margin) & (x < x1 + margin)
    return across & (y > y0 - margin) & (y < y1 + margin)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
