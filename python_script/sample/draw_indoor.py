"""Built places: kitchen, bedroom, street, and the plain studio."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from sample.pen import Colour, blob, box, curve, darker, lighter, oval, polygon

if TYPE_CHECKING:
    from sample.draw_place import Painter

STUDIO: tuple[Colour, ...] = (
    (244, 206, 120),
    (164, 206, 236),
    (186, 220, 168),
    (240, 186, 190),
    (206, 190, 232),
    (232, 228, 220),
)
SKY_IN_WINDOW: dict[str, tuple[Colour, Colour]] = {
    "day": ((130, 196, 244), (226, 244, 252)),
    "dusk": ((150, 110, 180), (255, 190, 120)),
    "night": ((52, 60, 128), (96, 112, 190)),
}


def _window(p: Painter, x: float, y: float, half: float, tall: float, frame: Colour) -> None:
    """A window with a cross, showing the hour."""
    ink = p.ink
    ink.flat(box(x - half - 0.03, y - 0.03, x + half + 0.03, y + tall + 0.03, 0.01), frame)
    ink.fade(box(x - half, y, x + half, y + tall), *SKY_IN_WINDOW[p.light])
    if p.light == "night":
        ink.flat(oval(x + half * 0.5, y + tall * 0.3, 0.03, 0.03), (255, 250, 220))
    else:
        ink.flat(oval(x - half * 0.3, y + tall * 0.75, half * 0.5, tall * 0.12), (255,) * 3, 0.9)
    ink.flat(box(x - 0.008, y, x + 0.008, y + tall), frame)
    ink.flat(box(x - half, y + tall * 0.48, x + half, y + tall * 0.48 + 0.016), frame)


def draw_kitchen(p: Painter) -> None:
    """Yellow wall, tiles, window, shelf with jars, cupboards, stove, chequered floor."""
    with p.layer(0.8) as ink:
        ink.fade(box(-9, -4, 9, 0.75), (254, 236, 176), (250, 218, 146))
        ink.flat(box(-9, 0.36, 9, 0.56), (232, 244, 240))
        for x in np.arange(-2.4, 2.41, 0.1):
            p.line((x, 0.36), (x, 0.56), (176, 206, 204), 0.004)
        p.line((-9, 0.46), (9, 0.46), (176, 206, 204), 0.004)
        _window(p, 0.05, -0.02, 0.22, 0.32, (255, 252, 244))
        for shelf in (-0.72, 0.8):
            ink.flat(box(shelf - 0.32, 0.2, shelf + 0.32, 0.23), (168, 112, 70))
            for k in range(5):
                jar = (
                    (214, 84, 70),
                    (96, 164, 196),
                    (120, 180, 96),
                    (240, 190, 70),
                    (190, 130, 190),
                )
                size = float(p.rng.uniform(0.035, 0.05))
                x = shelf - 0.24 + 0.12 * k
                ink.soft(
                    box(x - size, 0.2 - size * 2.4, x + size, 0.2, 0.012), jar[(k + p.seed) % 5]
                )
                ink.flat(
                    box(x - size * 0.8, 0.2 - size * 2.9, x + size * 0.8, 0.2 - size * 2.3),
                    (250, 246, 236),
                )
    with p.layer(0.88) as ink:
        ink.flat(box(-9, 0.52, 9, 0.555), (150, 96, 62))
        ink.fade(box(-9, 0.555, 9, 0.78), (104, 176, 168), (84, 152, 148))
        for x in np.arange(-2.1, 2.2, 0.3):
            ink.stroke(box(x + 0.02, 0.575, x + 0.28, 0.755, 0.01), (62, 124, 122), 0.007)
            ink.flat(oval(x + 0.25, 0.65, 0.012, 0.012), (250, 224, 150))
        ink.soft(box(0.42, 0.5, 0.78, 0.78, 0.01), (226, 228, 232))
        ink.flat(box(0.47, 0.6, 0.73, 0.74, 0.015), (66, 70, 84))
        for k in range(4):
            ink.flat(oval(0.48 + 0.08 * k, 0.555, 0.014, 0.014), (90, 94, 106))
        ink.soft(box(0.5, 0.42, 0.68, 0.5, 0.02), (214, 78, 66))
        p.line((0.68, 0.45), (0.77, 0.43), (90, 60, 50), 0.016)
    _checkers(p, 0.76, (246, 238, 224), (206, 138, 104))
    if p.light != "day":
        p.add_glow(0.8, 0.05, 0.1, 0.9, (255, 206, 130), 0.5 if p.light == "night" else 0.25)


def _checkers(p: Painter, y: float, first: Colour, second: Colour) -> None:
    """A chequered floor in perspective."""
    with p.layer(0.97) as ink:
        ink.flat(box(-9, y, 9, 6), first)
        rows = (y, y + 0.035, y + 0.085, y + 0.155, y + 0.25, y + 0.38, y + 0.56, y + 0.8, y + 1.1)
        for row, (top, bottom) in enumerate(itertools.pairwise(rows)):
            near, far = 0.16 * (1 + 2.2 * (bottom - y)), 0.16 * (1 + 2.2 * (top - y))
            for k in range(-12 + row % 2, 12, 2):
                ink.flat(
                    polygon(
                        [
                            (k * far, top),
                            ((k + 1) * far, top),
                            ((k + 1) * near, bottom),
                            (k * near, bottom),
                        ]
                    ),
                    second,
                )


def draw_bedroom(p: Painter) -> None:
    """Blue wallpaper with stars, a window with curtains, a bed, a lamp, a rug."""
    with p.layer(0.8) as ink:
        ink.fade(box(-9, -4, 9, 0.75), (128, 128, 206), (168, 160, 222))
        for i, x in enumerate(np.arange(-2.2, 2.3, 0.22)):
            for k in range(5):
                y = -0.35 + 0.22 * k + 0.11 * (i % 2)
                ink.flat(
                    polygon(
                        [
                            (x, y - 0.022),
                            (x + 0.008, y - 0.008),
                            (x + 0.022, y),
                            (x + 0.008, y + 0.008),
                            (x, y + 0.022),
                            (x - 0.008, y + 0.008),
                            (x - 0.022, y),
                            (x - 0.008, y - 0.008),
                        ]
                    ),
                    (240, 222, 150),
                )
        ink.flat(box(-9, 0.7, 9, 0.76), (250, 244, 236))
        _window(p, -0.42, 0.04, 0.18, 0.36, (250, 244, 236))
        for side in (-1, 1):
            drape = blob(
                [
                    (-0.42 + side * 0.1, -0.01),
                    (-0.42 + side * 0.3, -0.01),
                    (-0.42 + side * 0.27, 0.46),
                    (-0.42 + side * 0.2, 0.46),
                    (-0.42 + side * 0.2, 0.2),
                ],
                0.5,
            )
            ink.soft(drape, (236, 120, 130))
    with p.layer(0.9) as ink:
        ink.soft(box(0.2, 0.34, 0.3, 0.78, 0.03), (152, 100, 66))
        ink.soft(box(1.12, 0.46, 1.2, 0.78, 0.03), (152, 100, 66))
        ink.soft(box(0.24, 0.52, 1.18, 0.74, 0.05), (250, 246, 240))
        ink.soft(box(0.5, 0.5, 1.18, 0.76, 0.05), (92, 166, 176))
        for k in range(4):
            ink.flat(oval(0.6 + 0.15 * k, 0.58 + 0.06 * (k % 2), 0.025, 0.025), (244, 206, 90))
        ink.soft(oval(0.38, 0.5, 0.1, 0.055), (255, 252, 248))
        ink.soft(box(-1.0, 0.56, -0.76, 0.78, 0.02), (152, 100, 66))
        p.line((-0.88, 0.56), (-0.88, 0.42), (230, 200, 120), 0.02)
        ink.soft(
            polygon([(-0.98, 0.44), (-0.93, 0.3), (-0.83, 0.3), (-0.78, 0.44)]), (250, 214, 120)
        )
    with p.layer(0.97) as ink:
        ink.fade(box(-9, 0.76, 9, 1.4), (206, 152, 104), (178, 120, 78))
        ink.flat(box(-9, 1.39, 9, 6), (178, 120, 78))
        for y in (0.79, 0.84, 0.91, 1.0, 1.12, 1.28):
            p.line((-9, y), (9, y), (160, 104, 68), 0.005)
        ink.soft(oval(0.0, 0.93, 0.62, 0.1), (214, 96, 110))
        ink.stroke(oval(0.0, 0.93, 0.54, 0.082), (252, 226, 190), 0.012)
    strength = {"day": 0.2, "dusk": 0.45, "night": 0.75}[p.light]
    p.add_glow(0.9, -0.88, 0.38, 0.7, (255, 200, 110), strength)


def draw_street(p: Painter) -> None:
    """Coloured house fronts with windows, a shop, lamp posts, pavement and road."""
    with p.layer(0.35) as ink:
        for x in p.spread(12, 2.2, 0.3):
            top = float(p.rng.uniform(0.02, 0.28))
            ink.flat(box(x - 0.17, top, x + 0.17, 0.8), (150, 166, 196))
    fronts: tuple[Colour, ...] = (
        (206, 104, 84),
        (232, 196, 130),
        (130, 168, 186),
        (188, 132, 150),
        (150, 180, 140),
    )
    lit = {"day": (176, 214, 232), "dusk": (255, 224, 150), "night": (255, 236, 160)}[p.light]
    with p.layer(0.75) as ink:
        for i, x in enumerate(np.arange(-2.2, 2.3, 0.44)):
            colour, top = fronts[(i + p.seed) % 5], float(p.rng.uniform(-0.12, 0.16))
            ink.fade(box(x - 0.218, top, x + 0.218, 0.72), colour, darker(colour, 0.15))
            ink.flat(box(x - 0.226, top - 0.03, x + 0.226, top + 0.012), darker(colour, 0.4))
            for row in range(4):
                for k in (-1, 0, 1):
                    y = top + 0.06 + 0.13 * row
                    if y < 0.42:
                        ink.flat(
                            box(x + 0.13 * k - 0.036, y, x + 0.13 * k + 0.036, y + 0.085, 0.006),
                            lit,
                        )
            awning = fronts[(i + 2 + p.seed) % 5]
            ink.flat(box(x - 0.17, 0.54, x + 0.03, 0.72), lighter(lit, 0.2))
            ink.flat(box(x + 0.07, 0.54, x + 0.17, 0.72), darker(awning, 0.5))
            for k in range(6):
                stripe = awning if k % 2 else (252, 248, 240)
                ink.flat(
                    box(x - 0.19 + 0.064 * k, 0.48, x - 0.126 + 0.064 * k, 0.545, 0.01), stripe
                )
    with p.layer(0.95) as ink:
        ink.fade(box(-9, 0.7, 9, 0.98), (206, 200, 194), (176, 172, 172))
        for x in np.arange(-2.4, 2.41, 0.16):
            p.line((x, 0.7), (x * 1.25, 0.98), (156, 152, 152), 0.004)
        ink.flat(box(-9, 0.98, 9, 1.01), (226, 222, 214))
        ink.flat(box(-9, 1.01, 9, 6), (92, 94, 106))
    for x in (-0.66, 0.84):
        with p.layer(0.92) as ink:
            p.line((x, 0.76), (x, 0.2), (58, 62, 74), 0.02)
            ink.flat(box(x - 0.035, 0.13, x + 0.035, 0.21, 0.02), (255, 240, 190))
            ink.flat(polygon([(x - 0.05, 0.14), (x, 0.09), (x + 0.05, 0.14)]), (58, 62, 74))
        if p.light != "day":
            p.add_glow(0.92, x, 0.17, 0.5, (255, 214, 130), 0.8 if p.light == "night" else 0.4)


def draw_studio(p: Painter) -> None:
    """One plain colour, a little lighter in the middle."""
    colour = STUDIO[p.seed % len(STUDIO)]
    with p.layer(0.1) as ink:
        ink.flat(box(-9, -6, 9, 6), colour)
        ink.blush(0, 0.45, 0.8, lighter(colour, 0.5), 0.8)
    with p.layer(0.95) as ink:
        ink.fade(box(-9, 0.7, 9, 1.4), darker(colour, 0.08), darker(colour, 0.02))
        ink.flat(box(-9, 1.39, 9, 6), darker(colour, 0.02))
        ink.stroke(curve((-9, 0.7), (0, 0.7), (9, 0.7)), darker(colour, 0.12), 0.004)
