"""Outdoor places, each from far layers to near."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sample.pen import Colour, blob, box, curve, darker, lighter, mix, oval, polygon

if TYPE_CHECKING:
    from sample.draw_place import Painter

HORIZON = 0.64
BARK: Colour = (120, 80, 56)


def _ground(
    p: Painter, top: Colour, bottom: Colour, y: float = HORIZON, depth: float = 0.95
) -> None:
    """Lay the ground from the horizon down."""
    with p.layer(depth) as ink:
        ink.fade(box(-9, y, 9, y + 0.5), top, bottom)
        ink.flat(box(-9, y + 0.499, 9, 6), bottom)


def _hills(
    p: Painter, depth: float, y: float, height: float, colour: Colour, count: int = 7
) -> None:
    """Draw a row of round hills."""
    with p.layer(depth) as ink:
        for x in p.spread(count, 2.4):
            rise = height * float(p.rng.uniform(0.6, 1.0))
            ink.fade(oval(x, y + 0.25, 0.62, 0.25 + rise), lighter(colour, 0.15), colour)
        ink.flat(box(-9, y + 0.1, 9, 6), colour)


def _round_tree(p: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A trunk with a leafy ball."""
    ink = p.ink
    ink.flat(box(x - 0.05 * size, y - 0.5 * size, x + 0.05 * size, y), BARK)
    for dx, dy, r in ((-0.2, -0.55, 0.24), (0.2, -0.55, 0.24), (0, -0.75, 0.3)):
        ink.soft(oval(x + dx * size, y + dy * size, r * size, r * size), colour)


def _fir(p: Painter, x: float, y: float, size: float, colour: Colour, snow: bool = False) -> None:
    """A fir of three tiers, with snow on them if asked."""
    ink = p.ink
    ink.flat(box(x - 0.05 * size, y - 0.2 * size, x + 0.05 * size, y), darker(BARK, 0.2))
    for tier in range(3):
        base, half = y - (0.12 + 0.26 * tier) * size, (0.34 - 0.08 * tier) * size
        top = base - 0.42 * size
        ink.fade(
            polygon([(x - half, base), (x, top), (x + half, base)]),
            lighter(colour, 0.12),
            darker(colour, 0.12),
        )
        if snow:
            ink.flat(
                polygon(
                    [
                        (x - half * 0.52, base - 0.2 * size),
                        (x, top),
                        (x + half * 0.52, base - 0.2 * size),
                        (x, base - 0.14 * size),
                    ]
                ),
                (250, 252, 255),
            )


def _peaks(p: Painter, depth: float, y: float, height: float, colour: Colour, count: int) -> None:
    """A range of sharp peaks with snow on top."""
    with p.layer(depth) as ink:
        for x in p.spread(count, 2.2):
            rise = height * float(p.rng.uniform(0.7, 1.0))
            half = rise * float(p.rng.uniform(0.75, 0.95))
            ink.fade(
                polygon([(x - half, y), (x, y - rise), (x + half, y)]),
                colour,
                lighter(colour, 0.35),
            )
            ink.flat(
                polygon([(x, y - rise), (x + half, y), (x + half * 0.2, y)]),
                darker(colour, 0.25),
                0.55,
            )
            cap = 0.34
            ink.flat(
                polygon(
                    [
                        (x, y - rise),
                        (x + half * cap, y - rise * (1 - cap)),
                        (x + half * 0.12, y - rise * 0.74),
                        (x, y - rise * 0.6),
                        (x - half * 0.14, y - rise * 0.74),
                        (x - half * cap, y - rise * (1 - cap)),
                    ]
                ),
                (250, 252, 255),
            )
        ink.flat(box(-9, y - 0.005, 9, 6), lighter(colour, 0.35))


def draw_meadow(p: Painter) -> None:
    """Green hills, round trees, flowers in the grass."""
    _hills(p, 0.3, 0.6, 0.16, (132, 196, 152), 6)
    _hills(p, 0.5, 0.62, 0.09, (112, 186, 104), 7)
    with p.layer(0.7):
        for x in p.spread(7, 2.2):
            _round_tree(p, x, 0.665, float(p.rng.uniform(0.2, 0.32)), (72, 150, 76))
    _ground(p, (138, 204, 92), (84, 160, 66))
    with p.layer(0.97) as ink:
        for x in p.spread(34, 2.0, 1.0):
            y = HORIZON + 0.05 + 0.62 * float(p.rng.random()) ** 1.3
            size, kind = 0.008 + 0.028 * (y - HORIZON), int(p.rng.integers(4))
            if not p.is_seen(x, 0.1, 0.97):
                continue
            petal = ((255, 255, 255), (250, 214, 70), (240, 120, 150), (170, 120, 220))[kind]
            ink.stroke(curve((x, y), (x, y), (x, y - 2.4 * size)), (62, 130, 54), size * 0.45)
            for k in range(5):
                a = k * 2 * math.pi / 5
                ink.flat(
                    oval(
                        x + size * math.cos(a),
                        y - 2.6 * size + size * math.sin(a),
                        size * 0.72,
                        size * 0.72,
                    ),
                    petal,
                )
            ink.flat(oval(x, y - 2.6 * size, size * 0.6, size * 0.6), (250, 180, 50))


def draw_forest(p: Painter) -> None:
    """Trunks in the haze, a leafy roof, ferns and mushrooms."""
    with p.layer(0.3) as ink:
        ink.fade(box(-9, -3, 9, 0.7), (70, 128, 78), (186, 216, 150))
    for depth, count, width, tone in (
        (0.4, 13, 0.035, 0.55),
        (0.6, 10, 0.05, 0.3),
        (0.82, 7, 0.075, 0.0),
    ):
        bark = mix(darker(BARK, 0.15), (160, 196, 140), tone)
        with p.layer(depth) as ink:
            for x in p.spread(count, 2.0):
                w = width * float(p.rng.uniform(0.8, 1.3))
                ink.flat(
                    polygon(
                        [
                            (x - w * 0.8, -2),
                            (x + w * 0.8, -2),
                            (x + w, 0.6),
                            (x + w * 1.5, 0.7),
                            (x - w * 1.5, 0.7),
                            (x - w, 0.6),
                        ]
                    ),
                    bark,
                )
                if depth > 0.5:
                    ink.flat(box(x + w * 0.2, -2, x + w * 0.75, 0.62), darker(bark, 0.22))
        leaf = mix((48, 112, 58), (150, 200, 130), tone)
        with p.layer(depth) as ink:
            for x in p.spread(12, 2.3):
                y = float(p.rng.uniform(-0.12, 0.06)) - 0.04 * (1 - tone)
                ink.soft(oval(x, y, 0.27, 0.16), leaf, depth=0.18)
            ink.flat(box(-9, -3, 9, -0.1), leaf)
    _ground(p, (112, 142, 70), (88, 92, 52), 0.66)
    with p.layer(0.97) as ink:
        for x in p.spread(16, 2.0, 1.0):
            y, kind = 0.7 + 0.5 * float(p.rng.random()), float(p.rng.random())
            size = 0.02 + 0.05 * (y - 0.62)
            if not p.is_seen(x, 0.2, 0.97):
                continue
            if kind < 0.5:
                ink.flat(
                    box(x - size * 0.35, y - size, x + size * 0.35, y, size * 0.2), (250, 240, 222)
                )
                cap = blob([(x - size, y - size), (x, y - 2.1 * size), (x + size, y - size)], 0.9)
                ink.soft(cap, (208, 60, 52))
                ink.flat(oval(x - 0.3 * size, y - 1.4 * size, 0.2 * size, 0.16 * size), (255,) * 3)
                ink.flat(
                    oval(x + 0.35 * size, y - 1.25 * size, 0.15 * size, 0.12 * size), (255,) * 3
                )
            else:
                for k in range(-2, 3):
                    tip = (x + k * size, y - (2.6 - 0.5 * abs(k)) * size)
                    ink.stroke(
                        curve((x, y), (x + 0.3 * k * size, y - 1.6 * size), tip),
                        (54, 120, 56),
                        size * 0.4,
                    )


def draw_snow(p: Painter) -> None:
    """White hills, snowy firs, falling flakes."""
    if p.light == "day":
        with p.layer(0.15) as ink:
            ink.fade(box(-9, -3, 9, 1), (150, 186, 222), (226, 236, 246))
    _hills(p, 0.35, 0.6, 0.16, (206, 222, 240), 6)
    with p.layer(0.55):
        for x in p.spread(11, 2.2):
            _fir(p, x, 0.65, float(p.rng.uniform(0.22, 0.36)), (92, 138, 128), snow=True)
    with p.layer(0.8):
        for x in p.spread(5, 2.2, 0.6):
            _fir(p, x, 0.7, float(p.rng.uniform(0.42, 0.6)), (52, 112, 98), snow=True)
    _ground(p, (250, 252, 255), (206, 222, 244), 0.66)
    with p.layer(0.97) as ink:
        for x in p.spread(9, 2.2):
            y = 0.72 + 0.4 * float(p.rng.random())
            ink.flat(oval(x, y, 0.16, 0.02), (190, 208, 238), 0.8)
    with p.layer(0.9) as ink:
        for x in p.spread(60, 1.8, 1.0):
            y = (float(p.rng.random()) * 1.6 + 0.09 * p.time_s) % 1.6 - 0.3
            size = float(p.rng.uniform(0.004, 0.009))
            ink.flat(oval(x + 0.02 * math.sin(p.time_s + 9 * x), y, size, size), (255,) * 3, 0.9)


def draw_camp(p: Painter) -> None:
    """Dark firs, a tent, a fire with sparks."""
    _hills(p, 0.3, 0.6, 0.2, (78, 104, 110), 5)
    for depth, y, size, colour in (
        (0.5, 0.64, 0.34, (62, 98, 84)),
        (0.72, 0.67, 0.5, (42, 78, 66)),
    ):
        with p.layer(depth):
            for x in p.spread(10, 2.1):
                _fir(p, x, y, size * float(p.rng.uniform(0.8, 1.2)), colour)
    _ground(p, (132, 126, 82), (98, 88, 62), 0.66)
    with p.layer(0.92) as ink:
        x, y = -0.56, 0.76
        ink.fade(
            polygon([(x - 0.3, y), (x, y - 0.4), (x + 0.3, y)]), (244, 150, 60), (220, 100, 50)
        )
        ink.flat(polygon([(x + 0.3, y), (x, y - 0.4), (x + 0.42, y - 0.05)]), (180, 76, 48))
        ink.flat(polygon([(x - 0.1, y), (x - 0.01, y - 0.3), (x + 0.09, y)]), (90, 46, 44))
        p.line((x, y - 0.4), (x, y - 0.43), (90, 60, 40), 0.012)
    with p.layer(0.96) as ink:
        x, y = 0.5, 0.8
        flicker = 1 + 0.12 * math.sin(9 * p.time_s) + 0.06 * math.sin(23 * p.time_s)
        for k in range(-3, 4):
            ink.soft(
                oval(x + 0.05 * k, y + 0.015 * (3 - abs(k)) * 0.6, 0.032, 0.022), (140, 134, 130)
            )
        for turn in (-24, 24):
            with ink.turned(turn, x, y):
                ink.soft(box(x - 0.14, y - 0.022, x + 0.14, y + 0.018, 0.015), BARK)
        for half, tall, colour in (
            (0.09, 0.26, (240, 96, 40)),
            (0.06, 0.18, (250, 170, 50)),
            (0.033, 0.1, (255, 240, 170)),
        ):
            tall *= flicker
            ink.flat(
                blob(
                    [
                        (x - half, y - 0.04),
                        (x - half * 0.5, y - tall * 0.55),
                        (x + 0.01, y - tall),
                        (x + half * 0.55, y - tall * 0.5),
                        (x + half, y - 0.04),
                        (x, y),
                    ]
                ),
                colour,
            )
    strength = {"day": 0.25, "dusk": 0.5, "night": 0.62}[p.light]
    p.add_glow(0.96, 0.5, 0.72, 0.75 * flicker, (255, 150, 60), strength)


def draw_beach(p: Painter) -> None:
    """The sea with waves and a sail, sand, a parasol and a palm."""
    with p.layer(0.25) as ink:
        ink.fade(box(-9, 0.5, 9, 0.8), (40, 124, 190), (82, 190, 212))
        for x in p.spread(3, 1.2):
            ink.flat(polygon([(x, 0.505), (x, 0.43), (x + 0.045, 0.5)]), (255,) * 3)
            ink.flat(
                polygon(
                    [(x - 0.03, 0.505), (x + 0.045, 0.505), (x + 0.03, 0.52), (x - 0.02, 0.52)]
                ),
                (190, 70, 60),
            )
    with p.layer(0.6) as ink:
        ink.fade(box(-9, 0.575, 9, 0.8), (62, 168, 208), (150, 224, 224))
        for row, y in enumerate((0.585, 0.61, 0.635)):
            for x in p.spread(16, 2.4):
                x += 0.03 * math.sin(1.3 * p.time_s + row)
                ink.stroke(
                    curve((x - 0.05, y), (x, y - 0.012), (x + 0.05, y)), (236, 250, 252), 0.006
                )
    _ground(p, (250, 228, 168), (232, 196, 124), 0.67)
    with p.layer(0.95) as ink:
        foam = 0.012 * math.sin(1.1 * p.time_s)
        ink.flat(box(-9, 0.655 + foam, 9, 0.682 + foam, 0.01), (248, 254, 255), 0.9)
        for x in p.spread(12, 2.2):
            y = 0.74 + 0.4 * float(p.rng.random())
            ink.soft(oval(x, y, 0.014, 0.01), (250, 196, 190))
        x, y = 0.62, 0.77
        p.line((x, y), (x - 0.04, y - 0.5), (240, 236, 226), 0.018)
        with ink.turned(-5, x - 0.04, y - 0.5):
            for k in range(6):
                left = x - 0.04 - 0.3 + 0.1 * k
                roof = curve((left, y - 0.4), (left + 0.05, y - 0.38), (left + 0.1, y - 0.4))
                roof.lineTo(x - 0.04, y - 0.6)
                roof.close()
                ink.flat(roof, ((226, 70, 62), (255, 250, 240))[k % 2])
    with p.layer(0.85) as ink:
        _palm(p, -0.72, 0.72)


def _palm(p: Painter, x: float, y: float) -> None:
    """A leaning palm."""
    ink = p.ink
    ink.stroke(curve((x, y), (x + 0.03, y - 0.3), (x + 0.12, y - 0.5)), (164, 118, 74), 0.04)
    sway = 0.01 * math.sin(p.time_s)
    for dx, dy in (
        (-0.3, -0.02),
        (-0.24, -0.16),
        (-0.06, -0.22),
        (0.16, -0.18),
        (0.26, -0.04),
        (0.2, 0.1),
    ):
        tip = (x + 0.12 + dx + sway, y - 0.48 + dy)
        leaf = curve((x + 0.12, y - 0.5), (x + 0.12 + dx * 0.5, y - 0.62 + dy * 0.6), tip)
        leaf.quadTo(x + 0.12 + dx * 0.5, y - 0.5 + dy * 0.5, x + 0.12, y - 0.5)
        ink.fade(leaf, (84, 172, 84), (44, 128, 70))


def draw_desert(p: Painter) -> None:
    """Red table mountains, dunes and cacti."""
    with p.layer(0.15) as ink:
        if p.light == "day":
            ink.fade(box(-9, 0.0, 9, 0.7), (180, 216, 236), (252, 220, 166))
    with p.layer(0.35) as ink:
        for x in p.spread(4, 1.9):
            w, top = float(p.rng.uniform(0.16, 0.26)), float(p.rng.uniform(0.34, 0.46))
            ink.fade(
                polygon(
                    [
                        (x - w * 1.3, 0.66),
                        (x - w, top + 0.03),
                        (x - w * 0.9, top),
                        (x + w * 0.9, top),
                        (x + w, top + 0.04),
                        (x + w * 1.35, 0.66),
                    ]
                ),
                (206, 104, 70),
                (226, 140, 88),
            )
            ink.flat(box(x - w, top + 0.07, x + w, top + 0.095), (176, 82, 60), 0.7)
    _hills(p, 0.6, 0.63, 0.06, (236, 176, 104), 5)
    _ground(p, (246, 198, 120), (222, 158, 86), 0.66)
    with p.layer(0.9):
        for x in p.spread(4, 1.9, 0.6):
            _cactus(p, x, 0.73, float(p.rng.uniform(0.26, 0.4)))
    with p.layer(0.97) as ink:
        for x in p.spread(8, 2.2):
            y = 0.74 + 0.4 * float(p.rng.random())
            ink.soft(oval(x, y, 0.03, 0.016), (178, 126, 88))


def _cactus(p: Painter, x: float, y: float, size: float) -> None:
    """A cactus with two arms."""
    green, ink = (76, 146, 84), p.ink
    for side, height in ((-1, 0.45), (1, 0.6)):
        arm = curve(
            (x, y - height * size),
            (x + side * 0.3 * size, y - height * size),
            (x + side * 0.3 * size, y - (height + 0.3) * size),
        )
        ink.limb(arm, green, 0.13 * size, 0.006)
    ink.limb(curve((x, y), (x, y - 0.5 * size), (x, y - size)), green, 0.2 * size, 0.006)
    for dx in (-0.05, 0.04):
        p.line(
            (x + dx * size, y), (x + dx * size, y - 0.95 * size), lighter(green, 0.3), 0.02 * size
        )


def draw_mountain(p: Painter) -> None:
    """Snowy peaks, pines and grey rocks."""
    _peaks(p, 0.25, 0.62, 0.5, (112, 124, 160), 6)
    _peaks(p, 0.42, 0.64, 0.3, (96, 104, 134), 6)
    with p.layer(0.65):
        for x in p.spread(12, 2.1):
            _fir(p, x, 0.67, float(p.rng.uniform(0.14, 0.26)), (58, 110, 90))
    _ground(p, (164, 164, 150), (126, 122, 118), 0.66)
    with p.layer(0.97) as ink:
        for x in p.spread(11, 2.1):
            y, w = 0.7 + 0.4 * float(p.rng.random()), float(p.rng.uniform(0.04, 0.1))
            rock = blob(
                [(x - w, y), (x - w * 0.6, y - w * 0.7), (x + w * 0.3, y - w * 0.85), (x + w, y)],
                0.5,
            )
            ink.soft(rock, (150, 150, 158))
