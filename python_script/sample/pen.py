"""Pen and palette of the sample world: colours, shading, outlines, smooth shapes (skia)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import skia

Colour = tuple[float, float, float]
Point = tuple[float, float]

INK: Colour = (58, 42, 52)

LINE = 0.016  # width of outlines over a character's height
PALETTE: dict[str, Colour] = {
    "red": (216, 66, 56),
    "orange": (240, 136, 42),
    "yellow": (248, 206, 64),
    "green": (96, 172, 78),
    "blue": (72, 126, 214),
    "purple": (148, 96, 190),
    "pink": (244, 148, 178),
    "brown": (150, 100, 64),
    "grey": (152, 156, 166),
    "white": (246, 242, 234),
    "teal": (22, 158, 160),
}


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` 0 gives the first, 1 the second."""
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """Blend towards a warm white."""
    return mix(colour, (255, 250, 240), share)


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """Blend towards a cool dark."""
    return mix(colour, (40, 24, 48), share)


@lru_cache(maxsize=4096)
def to_argb(colour: Colour, alpha: float = 1.0) -> int:
    """Pack a colour (0-255 each) and an opacity (0-1) the way skia wants it."""
    red, green, blue = (max(0, min(255, round(part))) for part in colour)
    return skia.ColorSetARGB(max(0, min(255, round(alpha * 255))), red, green, blue)


def oval(x: float, y: float, rx: float, ry: float) -> skia.Path:
    """Ellipse around (x, y)."""
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


def box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> skia.Path:
    """Rectangle with rounded corners."""
    path = skia.Path()
    path.addRoundRect(skia.Rect.MakeLTRB(x0, y0, x1, y1), radius, radius)
    return path


def polygon(points: Sequence[Point]) -> skia.Path:
    """Closed straight-edged shape."""
    path = skia.Path()
    path.addPoly([skia.Point(*point) for point in points], True)
    return path


def blob(points: Sequence[Point], tension: float = 1.0) -> skia.Path:
    """Closed smooth shape through the points (Catmull-Rom spline as cubic Bezier pieces)."""
    path = skia.Path()
    path.moveTo(*points[0])
    count, sixth = len(points), tension / 6
    for i in range(count):
        before, here = points[i - 1], points[i]
        after, beyond = points[(i + 1) % count], points[(i + 2) % count]
        path.cubicTo(
            here[0] + (after[0] - before[0]) * sixth,
            here[1] + (after[1] - before[1]) * sixth,
            after[0] - (beyond[0] - here[0]) * sixth,
            after[1] - (beyond[1] - here[1]) * sixth,
            *after,
        )
    path.close()
    return path


def curve(start: Point, control: Point, end: Point) -> skia.Path:
    """Open quadratic curve."""
    path = skia.Path()
    path.moveTo(*start)
    path.quadTo(*control, *end)
    return path


class Pen:
    """A canvas with the few strokes that every drawing here is made of."""

    def __init__(self, canvas: skia.Canvas):
        self.canvas = canvas

    @contextmanager
    def at(self, x: float, y: float, sx: float = 1.0, sy: float | None = None) -> Iterator["Pen"]:
        """Draw inside with the origin at (x, y) and the axes scaled."""
        self.canvas.save()
        self.canvas.translate(x, y)
        self.canvas.scale(sx, sx if sy is None else sy)
        try:
            yield self
        finally:
            self.canvas.restore()

    @contextmanager
    def turned(self, degrees: float, x: float, y: float) -> Iterator["Pen"]:
        """Draw inside turned clockwise about (x, y)."""
        self.canvas.save()
        self.canvas.rotate(degrees, x, y)
        try:
            yield self
        finally:
            self.canvas.restore()

    @contextmanager
    def inside(self, path: skia.Path) -> Iterator["Pen"]:
        """Draw inside clipped to the shape."""
        self.canvas.save()
        self.canvas.clipPath(path, True)
        try:
            yield self
        finally:
            self.canvas.restore()

    def flat(self, path: skia.Path, colour: Colour, alpha: float = 1.0) -> None:
        """Fill with one colour."""
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=to_argb(colour, alpha)))

    def soft(self, path: skia.Path, colour: Colour, depth: float = 0.22, line: float = 0.0) -> None:
        """Fill with a round gradient lit from the upper left; outline if `line` is above 0."""
        rect = path.getBounds()
        shader = skia.GradientShader.MakeRadial(
            skia.Point(rect.left() + rect.width() * 0.36, rect.top() + rect.height() * 0.28),
            max(rect.width(), rect.height()) * 0.82 + 1e-6,
            [
                to_argb(lighter(colour, depth * 1.1)),
                to_argb(colour),
                to_argb(darker(colour, depth * 1.3)),
            ],
            [0.0, 0.45, 1.0],
        )
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Shader=shader))
        if line:
            self.stroke(path, mix(darker(colour, 0.6), INK, 0.4), line)

    def fade(self, path: skia.Path, top: Colour, bottom: Colour) -> None:
        """Fill with an upright gradient from `top` to `bottom`."""
        rect = path.getBounds()
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(0, rect.top()), skia.Point(0, rect.bottom())],
            [to_argb(top), to_argb(bottom)],
        )
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Shader=shader))

    def stroke(self, path: skia.Path, colour: Colour, width: float, alpha: float = 1.0) -> None:
        """Draw the outline with round ends and joins."""
        self.canvas.drawPath(
            path,
            skia.Paint(
                AntiAlias=True,
                Color=to_argb(colour, alpha),
                Style=skia.Paint.kStroke_Style,
                StrokeWidth=width,
                StrokeCap=skia.Paint.kRound_Cap,
                StrokeJoin=skia.Paint.kRound_Join,
            ),
        )

    def limb(self, path: skia.Path, colour: Colour, width: float, line: float) -> None:
        """Draw a thick outlined stroke: an arm, a leg, a tail."""
        self.stroke(path, mix(darker(colour, 0.6), INK, 0.4), width + 2 * line)
        self.stroke(path, colour, width)

    def glow(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Add light that falls off to nothing at `radius`."""
        self._radial(x, y, radius, colour, alpha, skia.BlendMode.kScreen)

    def blush(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Lay on a colour that falls off to nothing at `radius`: cheeks, ground shadows, haze."""
        self._radial(x, y, radius, colour, alpha, skia.BlendMode.kSrcOver)

    def _radial(self, x, y, radius, colour, alpha, mode) -> None:
        """Draw one round spot fading out from its middle."""
        shader = skia.GradientShader.MakeRadial(
            skia.Point(x, y), radius, [to_argb(colour, alpha), to_argb(colour, 0.0)]
        )
        paint = skia.Paint(AntiAlias=True, Shader=shader, BlendMode=mode)
        self.canvas.drawCircle(x, y, radius, paint)


@dataclass(frozen=True, kw_only=True)
class SpeciesLook:
    """The parts of one species in one colour."""

    species: str
    fur: Colour
    belly: Colour | None = None
    inner: Colour = (250, 170, 180)  # of the ears
    foot: Colour | None = None
    tail: str = "none"
    legs: str = "paw"
    arms: str = "arm"
    girth: float = 1.0
    head_rx: float = 0.27
    head_ry: float = 0.245


def look_of(species: str, colour: str) -> SpeciesLook:
    """Give the parts of a species in a colour of `PALETTE`."""
    fur = PALETTE[colour]
    pale = lighter(fur, 0.62)
    parts: dict[str, dict] = {
        "bear": {"belly": pale, "tail": "stub", "girth": 1.18, "inner": lighter(fur, 0.45)},
        "fox": {
            "belly": (252, 246, 236),
            "tail": "bushy",
            "foot": darker(fur, 0.55),
            "girth": 0.9,
            "inner": (252, 240, 226),
        },
        "cat": {"belly": pale, "tail": "long", "girth": 0.92},
        "mouse": {"belly": pale, "tail": "thin", "girth": 0.84, "head_rx": 0.23, "head_ry": 0.22},
        "frog": {
            "belly": mix(pale, (250, 250, 190), 0.5),
            "girth": 1.02,
            "head_rx": 0.31,
            "head_ry": 0.205,
        },
        "penguin": {
            "belly": (252, 250, 246),
            "tail": "feather",
            "legs": "bird",
            "arms": "wing",
            "girth": 1.2,
        },
        "owl": {
            "belly": pale,
            "tail": "feather",
            "legs": "bird",
            "arms": "wing",
            "girth": 1.16,
            "head_rx": 0.29,
        },
        "pig": {
            "belly": lighter(fur, 0.35),
            "tail": "curl",
            "girth": 1.16,
            "foot": darker(fur, 0.35),
        },
        "robot": {"girth": 1.0, "foot": darker(fur, 0.35)},
        "elephant": {"belly": lighter(fur, 0.3), "tail": "thin", "girth": 1.2},
        "rabbit": {
            "belly": pale,
            "tail": "puff",
            "girth": 0.94,
            "head_rx": 0.245,
            "head_ry": 0.235,
        },
    }
    return SpeciesLook(species=species, fur=fur, **parts[species])
