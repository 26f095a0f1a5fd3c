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
    "brown": ((44, 92), (18, 52), (14, 56)),
    "yellow": ((80, 105), (30, 200), (72, 100)),
    "green": ((118, 152), (20, 200), (15, 100)),
    "blue-green": ((165, 205), (18, 200), (20, 100)),
    "blue": ((222, 304), (18, 200), (10, 100)),
    "purple": ((312, 325), (25, 200), (0, 85)),
    "pink": ((342, 20), (24, 200), (57, 90)),
}
NEUTRAL = {"grey": (6, (28, 85)), "white": (12, (86, 100))}  # chroma, L*
# L* up to which a colour is called dark, and from which light; a light red would be pink.
SHADE = dict.fromkeys(("green", "blue", "purple", "pink"), (33.0, 72.0)) | {"grey": (37.0, 67.0)}
DARK_BELOW = 25.0  # L*, of a zone without a colour of its own
MIN_CELLS = 6  # cells that a zone needs; in fewer, the figure's edges are a large part
ZONE = 0.4  # share of the window's height, at its top and at its bottom
ZONE_SHARE = 0.6  # minimum share of a zone that a colour covers
WHOLE_SHARE = 0.7  # minimum share of a background that a colour covers
TRACE = (0.015, 0.25)  # share of a background that has a colour beside its main ones
TRACE_CELLS = 4  # the fewest of it
MIN_BROWN = 0.08  # minimum for a trace: cells on edges mix warm colours with dark ones to brown
PART, MAX_NAMES = 0.12, 3  # least share of one of several colours
ONE_SIDE = 0.85  # minimum share of a colour's cells, and of like ones, in one half of the window
LIKE_HUE, LIKE_CHROMA = 15, 10  # degrees past a colour's own hues, and least chroma
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
    lab, x, y = _background(cells, window, subjects)
    above, below = (_main(lab[zone], ZONE_SHARE) for zone in (y < ZONE, y > 1 - ZONE))
    whole = _main(lab, WHOLE_SHARE)
    if whole and above in (whole, "") and below in (whole, ""):
        said, main = f"against {_article(whole)} background", {whole}
    elif above and below and above != below:
        said, main = f"{BEHIND} {above} above and {below} below", {above, below}
    elif above != below:
        side = "above" if above else "below"
        said, main = f"{BEHIND} {above or below} {side}", {above or below}
    else:
        several = [name for name, is_it in _by_share(lab) if is_it.mean() >= PART][:MAX_NAMES]
        return f"against a background with {_listed(several)}" if several else ""
    traces = _traces(lab, x, {name.split()[-1] for name in main})
    return " with some ".join(filter(None, (said, _listed(traces))))


def _background(
    cells: Sequence[int], window: Box, subjects: Iterable[Box]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours outside the subjects, (n, 3) CIELAB, and where in the window they are, in [0, 1]."""
    middle = (np.arange(SIDE) + 0.5) / SIDE
    x, y = np.meshgrid(middle, middle)
    keep = _inside(x, y, window, 0.0)
    for box in subjects:
        keep &= ~_inside(x, y, box, EDGE / SIDE)
    lab = np.asarray(cells, np.float32).reshape(SIDE, SIDE, 3)[keep]
    lab = (lab - (0, 128, 128)) * (100 / 255, 1, 1)
    across = (x[keep] - window[0]) / (window[2] - window[0])
    return lab, across, (y[keep] - window[1]) / (window[3] - window[1])


def _main(lab: np.ndarray, least: float) -> str:
    """The colour of at least a share of some cells, with its shade; empty: none has it."""
    if len(lab) < MIN_CELLS:
        return ""
    for name, is_it in name_cells(lab).items():
        if is_it.mean() >= least:
            dark, light = SHADE.get(name, (0.0, np.inf))
            middle = float(np.median(lab[is_it, 0]))
            shade = "light " if middle >= light else "dark " if middle <= dark else ""
            return f"{shade}{name}"
    return "dark" if (lab[:, 0] < DARK_BELOW).mean() >= least else ""


def _traces(lab: np.ndarray, x: np.ndarray, main: set[str]) -> list[str]:
    """Further colours of a background and their side, the most frequent first."""
    found = []
    for name, is_it in _by_share(lab):
        least = MIN_BROWN if name == "brown" else TRACE[0]
        is_trace = least <= is_it.mean() <= TRACE[1] and is_it.sum() >= TRACE_CELLS
        if is_trace and name in HUE and name not in main:
            left = float((x[_is_like(lab, name)] < 0.5).mean())
            side = "left" if left >= ONE_SIDE else "right" if left <= 1 - ONE_SIDE else ""
            found.append(f"{name} on the {side}" if side else name)
    return found[: MAX_NAMES - 1]


def _by_share(lab: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Colours with their cells, the most frequent first."""
    found = ((name, is_it) for name, is_it in name_cells(lab).items() if is_it.any())
    return sorted(found, key=lambda item: -item[1].mean())


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    *first, last = names or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def name_cells(lab: np.ndarray) -> dict[str, np.ndarray]:
    """Cells that people would call by each colour; no cell has two colours."""
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    found = {}
    for name, ((first, last), colourful, lights) in HUE.items():
        is_hue = (hue - first) % 360 <= (last - first) % 360
        found[name] = is_hue & _within(chroma, colourful) & _within(light, lights)
    for name, (most, lights) in NEUTRAL.items():
        found[name] = (chroma < most) & _within(light, lights)
    return found


def _is_like(lab: np.ndarray, name: str) -> np.ndarray:
    """Which cells may be of a colour, in another's eyes."""
    (first, last), _, _ = HUE[name]
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    is_near = (hue - first + LIKE_HUE) % 360 <= (last - first) % 360 + 2 * LIKE_HUE
    return is_near & (np.hypot(lab[:, 1], lab[:, 2]) >= LIKE_CHROMA)


def _within(value: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (value >= limits[0]) & (value <= limits[1])


def _inside(x: np.ndarray, y: np.ndarray, box: Box, margin: float) -> np.ndarray:
    x0, y0, x1, y1 = box
    across = (x > x0 - margin) & (x < x1 + margin)
    return across & (y > y0 - margin) & (y < y1 + margin)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
