"""Places of the sample world: sky, layers behind the actors, light of the hour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import skia

from sample import draw_indoor, draw_outdoor
from sample.pen import Colour, Pen, box, curve, oval, to_argb

if TYPE_CHECKING:
    from bunny.demo.world import Scene

SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((88, 168, 238), (214, 240, 252)),
    "dusk": ((112, 84, 158), (254, 182, 120)),
    "night": ((20, 26, 74), (66, 78, 148)),
}
GRADE: dict[str, Colour] = {
    "day": (255, 255, 255),
    "dusk": (255, 220, 202),
    "night": (152, 164, 226),
}
DRAWING = {
    "meadow": draw_outdoor.draw_meadow,
    "forest": draw_outdoor.draw_forest,
    "snow": draw_outdoor.draw_snow,
    "camp": draw_outdoor.draw_camp,
    "beach": draw_outdoor.draw_beach,
    "desert": draw_outdoor.draw_desert,
    "mountain": draw_outdoor.draw_mountain,
    "street": draw_indoor.draw_street,
    "kitchen": draw_indoor.draw_kitchen,
    "bedroom": draw_indoor.draw_bedroom,
    "studio": draw_indoor.draw_studio,
}


@dataclass(frozen=True, kw_only=True)
class SceneView:
    """How world positions become pixels; farther layers move and grow less."""

    camera: tuple[float, float, float]
    width_px: int
    height_px: int

    def zoom(self, depth: float) -> float:
        """Magnification of a layer; `depth` 1 is where the actors stand, 0 infinitely far."""
        return 1 + (self.camera[2] - 1) * depth

    @contextmanager
    def layer(self, ink: Pen, depth: float) -> Iterator[Pen]:
        """Draw inside in the world's units at a depth."""
        scale = self.height_px * self.zoom(depth)
        with ink.at(self.width_px / 2, self.height_px / 2, scale):
            ink.canvas.translate(-self.camera[0] * depth, -0.5 - (self.camera[1] - 0.5) * depth)
            yield ink


class Painter:
    """One place being painted: the pen, the view, the hour and a seeded generator."""

    def __init__(self, ink: Pen, view: SceneView, scene: Scene):
        self.ink, self.view = ink, view
        self.light, self.time_s, self.seed = scene.light, scene.time_s, scene.seed
        self.rng = np.random.default_rng(scene.seed)
        self.glows: list[tuple[float, float, float, float, Colour, float]] = []
        self.place = scene.place

    def draw_behind(self) -> None:
        """Draw all that lies behind the actors and open the light of the hour."""
        self.draw_sky()
        grade = skia.ColorFilters.Blend(to_argb(GRADE[self.light]), skia.BlendMode.kModulate)
        self.ink.canvas.saveLayer(None, skia.Paint(ColorFilter=grade))
        DRAWING[self.place](self)

    def draw_before(self) -> None:
        """Close the light of the hour and add what glows."""
        self.ink.canvas.restore()
        for depth, x, y, radius, colour, alpha in self.glows:
            with self.layer(depth):
                self.ink.glow(x, y, radius, colour, alpha)

    def layer(self, depth: float) -> AbstractContextManager[Pen]:
        """Draw inside at a depth."""
        return self.view.layer(self.ink, depth)

    def spread(self, count: int, reach: float = 2.2, jitter: float = 0.8) -> np.ndarray:
        """Give x positions from -reach to reach, one a slot, shaken within its slot."""
        slot = 2 * reach / count
        middle = -reach + slot * (np.arange(count) + 0.5)
        return middle + self.rng.uniform(-0.5, 0.5, count) * slot * jitter

    def is_seen(self, x: float, half: float, depth: float) -> bool:
        """Tell whether something at x of this half width can be in the picture."""
        reach = self.view.width_px / self.view.height_px / 2 / self.view.zoom(depth)
        return abs(x - self.view.camera[0] * depth) <= reach + half

    def add_glow(
        self, depth: float, x: float, y: float, radius: float, colour: Colour, alpha: float
    ) -> None:
        """Remember a light to be added over everything."""
        self.glows.append((depth, x, y, radius, colour, alpha))

    def draw_sky(self) -> None:
        """Fill the picture with the sky: stars and a moon, or clouds and a sun."""
        width, height = self.view.width_px, self.view.height_px
        self.ink.fade(box(0, -0.2 * height, width, 0.85 * height), *SKY[self.light])
        self.ink.flat(box(0, 0.85 * height - 1, width, height), SKY[self.light][1])
        sky = np.random.default_rng([self.seed, 7])
        sun_x = float(sky.uniform(0.25, 0.6)) * (1 if sky.random() < 0.5 else -1)
        with self.layer(0.12):
            if self.light == "night":
                for x, y, size in zip(
                    sky.uniform(-1.3, 1.3, 70),
                    sky.uniform(-0.3, 0.6, 70),
                    sky.uniform(0.002, 0.006, 70),
                    strict=True,
                ):
                    self.ink.flat(oval(x, y, size, size), (255, 250, 220), 0.9)
                self.ink.glow(sun_x, 0.16, 0.3, (150, 170, 230), 0.6)
                self.ink.flat(oval(sun_x, 0.16, 0.075, 0.075), (252, 246, 214))
                self.ink.flat(oval(sun_x + 0.022, 0.15, 0.016, 0.016), (232, 222, 186))
                self.ink.flat(oval(sun_x - 0.025, 0.18, 0.022, 0.022), (232, 222, 186))
            else:
                y = 0.16 if self.light == "day" else 0.46
                core = (255, 240, 170) if self.light == "day" else (255, 150, 84)
                self.ink.glow(sun_x, y, 0.34, core, 0.7)
                self.ink.flat(oval(sun_x, y, 0.075, 0.075), core)
        self._draw_clouds(sky)

    def _draw_clouds(self, sky: np.random.Generator) -> None:
        """Let a few clouds drift."""
        colour = {"day": (255,) * 3, "dusk": (252, 196, 186), "night": (64, 74, 134)}[self.light]
        with self.layer(0.2):
            for slot in range(5):
                x = -1.6 + 0.75 * slot + float(sky.uniform(-0.2, 0.2)) + 0.006 * self.time_s
                y, size = float(sky.uniform(0.02, 0.34)), float(sky.uniform(0.05, 0.085))
                for dx, dy, r in (
                    (0, 0, 1),
                    (-1.1, 0.25, 0.7),
                    (1.1, 0.2, 0.75),
                    (0.4, -0.35, 0.8),
                ):
                    self.ink.flat(
                        oval(x + dx * size, y + dy * size, 1.25 * r * size, 0.8 * r * size),
                        colour,
                        0.92,
                    )

    def line(self, start, end, colour: Colour, width: float) -> None:
        """Draw a straight line."""
        self.ink.stroke(curve(start, start, end), colour, width)
