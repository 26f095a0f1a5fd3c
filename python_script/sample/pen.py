"""How the sample world puts ink on a picture: colours, soft shading, outlines, smooth shapes.

Imports skia, so only what draws the sample imports this module; the product at run time does not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import skia

Colour = tuple[float, float, float]
Point = tuple[float, float]

INK: Colour = (58, 42, 52)


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
