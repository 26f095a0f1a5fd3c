"""Drawing styles of the sample world: flat shapes, outlined cels, pencil on paper.

A style is a pen that puts the same strokes on the picture in another way, a build that changes the
figures' proportions, and what is done to the background and to the finished picture. Background
and figures are drawn apart, as in drawn film: a plate, and cels that lie over it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import skia

from bunny.demo import world
from sample import draw_character, draw_place
from sample import render as sample_render
from sample.pen import INK, LINE, Colour, Pen, SpeciesLook, darker, look_of, mix

STYLE_NAMES = ("flat", "cel", "sketch")
NUM_VARIANTS = 3
WHITE: Colour = (255, 255, 255)
PAPER: Colour = (243, 239, 229)
# One entry a variant: what all flat colours lean to; how thick a cel's outlines are; what a
# sketch is drawn with. Only the last sketch has colours.
TINT: tuple[Colour, ...] = ((236, 196, 150), (120, 150, 190), (150, 170, 130))
THICKNESS = (1.3, 1.7, 2.2)
GRAPHITE: tuple[Colour, ...] = ((62, 62, 66), (92, 62, 44), (58, 60, 78))
COLOURED_SKETCH = 2
LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709


@dataclass(frozen=True, kw_only=True)
class Style:
    """One way of drawing; `sample` is the sample film's own."""

    name: str
    variant: int = 0

    def __post_init__(self):
        if self.name not in ("sample", *STYLE_NAMES) or self.variant not in range(NUM_VARIANTS):
            raise ValueError(
                f"expected a style of sample, {', '.join(STYLE_NAMES)} and a variant from 0 to "
                f"{NUM_VARIANTS - 1}, found {self.name!r} and {self.variant}"
            )

    @property
    def is_grey(self) -> bool:
        """Whether colours differ by their lightness alone."""
        return self.name == "sketch" and self.variant != COLOURED_SKETCH


def render(
    style: Style, scene: world.Scene, width_px: int, height_px: int, drawing: int = 0
) -> np.ndarray:
    """Draw a scene in a style: the plate, the figures over it, and what the style does last.

    Parameters
    ----------
    style : Style
    scene : world.Scene
    width_px, height_px : int
    drawing : int
        Number of the drawing; lines of a sketch differ from one to the next.

    Returns
    -------
    np.ndarray, shape (height_px, width_px, 3), uint8, RGB
    """
    picture = plate(style, scene, width_px, height_px)
    layers = [shadow_layer(style, scene, width_px, height_px)]
    for actor in sample_render.drawing_order(scene):
        layers.append(figure_layer(style, scene, actor, width_px, height_px, drawing))
    return finish(style, compose(picture, layers), drawing)


def plate(style: Style, scene: world.Scene, width_px: int, height_px: int) -> np.ndarray:
    """Draw the background of a scene, shape (height_px, width_px, 3), uint8, RGB."""
    surface, pixels = _surface(width_px, height_px)
    ink = Pen(surface.getCanvas())
    if style.name != "cel":
        ink = _pen(style, surface.getCanvas(), drawing=0, is_figure=False)
    view = draw_place.SceneView(camera=scene.camera, width_px=width_px, height_px=height_px)
    light = "day" if style.name == "sketch" else scene.light
    painter = draw_place.Painter(ink, view, dataclasses.replace(scene, light=light))
    painter.draw_behind()
    painter.draw_before()
    picture = np.ascontiguousarray(pixels[:, :, :3])
    return _painted(picture, scene.seed) if style.name == "cel" else picture


def figure_layer(
    style: Style,
    scene: world.Scene,
    actor: world.Actor,
    width_px: int,
    height_px: int,
    drawing: int = 0,
) -> np.ndarray:
    """Draw one figure, without its shadow, on a transparent picture.

    Returns
    -------
    np.ndarray, shape (height_px, width_px, 4), uint8
        RGB premultiplied by the opacity in the last channel, in the light of the hour.
    """
    surface, pixels = _surface(width_px, height_px)
    ink = _pen(style, surface.getCanvas(), drawing, is_figure=True)
    view = draw_place.SceneView(camera=scene.camera, width_px=width_px, height_px=height_px)
    with view.layer(ink, 1.0):
        draw_character.draw_actor(ink, actor, style_look(style, actor.character))
    if style.name != "sketch" and scene.light != "day":
        grade = np.array([*draw_place.GRADE[scene.light], 255]) / 255
        pixels[:] = (pixels * grade).astype(np.uint8)
    return pixels


def shadow_layer(style: Style, scene: world.Scene, width_px: int, height_px: int) -> np.ndarray:
    """Draw the shadows that all figures throw on the ground; form as `figure_layer`."""
    surface, pixels = _surface(width_px, height_px)
    ink = _pen(style, surface.getCanvas(), drawing=0, is_figure=True)
    view = draw_place.SceneView(camera=scene.camera, width_px=width_px, height_px=height_px)
    with view.layer(ink, 1.0):
        for actor in scene.actors:
            draw_character.draw_shadow(ink, actor)
    return pixels


def compose(picture: np.ndarray, layers: Iterable[np.ndarray]) -> np.ndarray:
    """Lay premultiplied layers over a picture, the first lowest; RGB uint8 of the same size."""
    picture = picture.copy()
    for layer in layers:
        rows, columns = np.flatnonzero(layer[..., 3].any(1)), np.flatnonzero(layer[..., 3].any(0))
        if not rows.size:
            continue
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        over, under = layer[part], picture[part].astype(np.uint16)
        left = 255 - over[..., 3:].astype(np.uint16)
        picture[part] = np.minimum(over[..., :3] + (under * left + 127) // 255, 255)
    return picture


def finish(style: Style, picture: np.ndarray, drawing: int = 0) -> np.ndarray:
    """Add what lies over a whole picture: paper under pencil, a film's grain over cels."""
    height, width = picture.shape[:2]
    if style.name == "sketch":
        return (picture * _paper(height, width)).astype(np.uint8)
    if style.name == "cel":
        grain = _grain(height, width)[drawing % 4]
        return np.clip(picture.astype(np.int16) + grain, 0, 255).astype(np.uint8)
    return picture


def style_look(style: Style, character: world.Character) -> SpeciesLook:
    """Give the parts of a character with the proportions of a style."""
    look = look_of(character.species, character.colour)
    girth, head_x, head_y = {
        "sample": (1.0, 1.0, 1.0),
        "flat": (1.2, 0.94, 0.92),
        "cel": (0.82, 1.16, 1.1),
        "sketch": (0.92, 0.98, 1.14),
    }[style.name]
    return dataclasses.replace(
        look,
        girth=look.girth * girth,
        head_rx=look.head_rx * head_x,
        head_ry=look.head_ry * head_y,
    )


def luma(colour: Colour) -> float:
    """Lightness of a colour, 0 to 255 (ITU-R BT.709)."""
    return float(sum(part * weight for part, weight in zip(colour, LUMA, strict=True)))


class FlatPen(Pen):
    """Flat colours that lean to one tint; no outlines, no gradients, no white of the eye."""

    def __init__(self, canvas: skia.Canvas, tint: Colour, is_figure: bool):
        super().__init__(canvas)
        self.tint, self.is_figure = tint, is_figure

    def _tone(self, colour: Colour) -> Colour:
        """Lean a colour to the tint and leave few levels of it."""
        share = 0.14 if self.is_figure else 0.42
        return tuple(round(part / 12) * 12 for part in mix(colour, self.tint, share))

    def flat(self, path, colour, alpha=1.0) -> None:
        """Fill with the toned colour; figures have no pure white, so eyes become dots."""
        if not (self.is_figure and tuple(colour) == WHITE):
            super().flat(path, self._tone(colour), alpha)

    def soft(self, path, colour, depth=0.22, line=0.0) -> None:
        """Fill with one toned colour."""
        super().flat(path, self._tone(colour))

    def fade(self, path, top, bottom) -> None:
        """Fill with three flat bands."""
        rect = path.getBounds()
        with self.inside(path):
            for i in range(3):
                band = skia.Rect.MakeLTRB(
                    rect.left(), rect.top() + rect.height() * i / 3, rect.right(), rect.bottom()
                )
                shape = skia.Path()
                shape.addRect(band)
                super().flat(shape, self._tone(mix(top, bottom, i / 2)))

    def stroke(self, path, colour, width, alpha=1.0) -> None:
        """Draw a line unless it is a figure's outline."""
        if not (self.is_figure and math.isclose(width, LINE)):
            super().stroke(path, self._tone(colour), width, alpha)

    def limb(self, path, colour, width, line) -> None:
        """Draw a thick stroke a little darker than the body, so that it stands out from it."""
        super().stroke(path, self._tone(darker(colour, 0.16)), width + line)

    def _radial(self, x, y, radius, colour, alpha, mode) -> None:
        paint = skia.Paint(AntiAlias=True, Color=skia.ColorSetA(_argb(colour), int(90 * alpha)))
        self.canvas.drawCircle(x, y, radius * 0.62, paint)


class CelPen(Pen):
    """Thick dark outlines; every body in two flat tones, the darker one away from the light."""

    def __init__(self, canvas: skia.Canvas, thickness: float):
        super().__init__(canvas)
        self.thickness = thickness

    def soft(self, path, colour, depth=0.22, line=0.0) -> None:
        """Fill with two tones and go round with a dark line."""
        rect = path.getBounds()
        vivid = _vivid(colour)
        super().flat(path, darker(vivid, 0.34))
        with self.inside(path), self.at(-0.12 * rect.width(), -0.1 * rect.height()):
            super().flat(path, vivid)
        if line:
            super().stroke(path, (22, 16, 26), line * self.thickness)

    def flat(self, path, colour, alpha=1.0) -> None:
        """Fill with a purer colour."""
        super().flat(path, _vivid(colour), alpha)

    def stroke(self, path, colour, width, alpha=1.0) -> None:
        """Draw a line; outlines are thick and dark."""
        is_outline = math.isclose(width, LINE)
        super().stroke(
            path,
            (22, 16, 26) if is_outline else _vivid(colour),
            width * (self.thickness if is_outline else 1.0),
            alpha,
        )

    def limb(self, path, colour, width, line) -> None:
        """Draw a thick stroke in two tones with a dark edge."""
        vivid = _vivid(colour)
        super().stroke(path, (22, 16, 26), width + 2 * line * self.thickness)
        super().stroke(path, darker(vivid, 0.34), width)
        with self.at(-0.14 * width, -0.1 * width):
            super().stroke(path, vivid, width * 0.68)

    def _radial(self, x, y, radius, colour, alpha, mode) -> None:
        paint = skia.Paint(AntiAlias=True, Color=skia.ColorSetA(_argb(colour), int(110 * alpha)))
        self.canvas.drawCircle(x, y, radius * 0.6, paint)


class SketchPen(Pen):
    """Two wobbling pencil lines round everything, hatching where it is dark; paper shows through.

    Parameters
    ----------
    graphite : colour of the lines
    is_coloured : whether fills keep a pale colour; else they are grey
    seed : int
        Lines of another seed wobble otherwise.
    is_figure : bool
        Backgrounds are drawn fainter.
    """

    def __init__(
        self, canvas: skia.Canvas, graphite: Colour, *, is_coloured: bool, seed: int, is_figure
    ):
        super().__init__(canvas)
        self.graphite, self.is_coloured, self.is_figure = graphite, is_coloured, is_figure
        self.rng = np.random.default_rng(seed)
        self.strength = 1.0 if is_figure else 0.5

    def flat(self, path, colour, alpha=1.0) -> None:
        """Fill with the tone that the colour has on paper; faint fills are left out."""
        if alpha > 0.5:
            self._fill(path, colour)

    def soft(self, path, colour, depth=0.22, line=0.0) -> None:
        """Fill, hatch, and go round twice."""
        self._fill(path, colour)
        self._hatch(path, colour)
        if line or not self.is_figure:
            self._line(path)

    def fade(self, path, top, bottom) -> None:
        """Fill with the middle tone and hatch."""
        self._fill(path, mix(top, bottom, 0.5))
        self._hatch(path, mix(top, bottom, 0.7))

    def stroke(self, path, colour, width, alpha=1.0) -> None:
        """Draw thin lines twice with a pencil, thick ones as a flat band."""
        pixels = width * self._scale()
        if pixels > 5 and not math.isclose(width, LINE):
            super().stroke(path, self._tone(colour), width)
        else:
            self._line(path, min(2.2, max(1.0, 0.7 * pixels)))

    def limb(self, path, colour, width, line) -> None:
        """Draw a thick stroke with a wobbling edge."""
        edge, wobble = 1.5 / self._scale(), self._wobble()
        self._draw(path, self.graphite, width + 2 * edge, 0.9 * self.strength, wobble)
        self._draw(path, self._tone(colour), width, 1.0, wobble)

    def _radial(self, x, y, radius, colour, alpha, mode) -> None:
        if mode == skia.BlendMode.kSrcOver:
            spot = skia.Path()
            spot.addCircle(x, y, radius * 0.6)
            with self.inside(spot):
                self._hatch(spot, (120, 120, 120))

    def _tone(self, colour: Colour) -> Colour:
        """Give what a colour becomes on paper."""
        if tuple(colour) == INK:
            return mix(self.graphite, PAPER, 0.1)
        if self.is_coloured:
            return mix(PAPER, colour, 0.62 * self.strength)
        light = (luma(colour) / 255) ** 1.2
        return mix(PAPER, self.graphite, 0.85 * (1 - light) * self.strength)

    def _fill(self, path, colour: Colour) -> None:
        """Cover a shape with its tone."""
        super().flat(path, self._tone(colour))

    def _hatch(self, path, colour: Colour) -> None:
        """Draw slanting lines into a shape, the closer the darker its colour."""
        light = luma(colour) / 255
        scale, rect = self._scale(), path.getBounds()
        if light > 0.82 or rect.width() * scale < 6:
            return
        step = (4.0 + 9.0 * light) / scale
        lines, reach = skia.Path(), rect.height()
        right = min(rect.right(), rect.left() + 1600 / scale)
        for x in np.arange(rect.left() - reach, right, step):
            shift = float(self.rng.normal(0, 0.18)) * step
            lines.moveTo(x + shift, rect.bottom())
            lines.lineTo(x + reach + shift, rect.top())
        shade = darker(colour, 0.25) if self.is_coloured else self.graphite
        with self.inside(path):
            self._draw(lines, shade, 1.1 / scale, 0.4 * self.strength, self._wobble(0.6))

    def _line(self, path, width_px: float = 1.5) -> None:
        """Go round a shape twice."""
        for alpha in (0.85, 0.5):
            width = width_px * float(self.rng.uniform(0.7, 1.1)) / self._scale()
            self._draw(path, self.graphite, width, alpha * self.strength, self._wobble())

    def _draw(self, path, colour: Colour, width: float, alpha: float, effect) -> None:
        """Draw one line through a path effect."""
        paint = skia.Paint(
            AntiAlias=True,
            Color=skia.ColorSetA(_argb(colour), round(255 * alpha)),
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=width,
            StrokeCap=skia.Paint.kRound_Cap,
            StrokeJoin=skia.Paint.kRound_Join,
            PathEffect=effect,
        )
        self.canvas.drawPath(path, paint)

    def _wobble(self, pixels: float = 1.2):
        """A path effect that bends lines by about so many pixels, each time otherwise."""
        scale = self._scale()
        bend = skia.DiscretePathEffect.Make(
            11 / scale, pixels / scale, int(self.rng.integers(2**31))
        )
        return skia.PathEffect.MakeCompose(skia.CornerPathEffect.Make(9 / scale), bend)

    def _scale(self) -> float:
        """Pixels to one local unit."""
        return max(1e-6, self.canvas.getTotalMatrix().mapRadius(1.0))


def _pen(style: Style, canvas: skia.Canvas, drawing: int, is_figure: bool) -> Pen:
    """The pen of a style."""
    if style.name == "flat":
        return FlatPen(canvas, TINT[style.variant], is_figure)
    if style.name == "cel":
        return CelPen(canvas, THICKNESS[style.variant])
    if style.name == "sketch":
        return SketchPen(
            canvas,
            GRAPHITE[style.variant],
            is_coloured=style.variant == COLOURED_SKETCH,
            seed=drawing,
            is_figure=is_figure,
        )
    return Pen(canvas)


def _surface(width_px: int, height_px: int) -> tuple[skia.Surface, np.ndarray]:
    """A surface, to be kept while drawing, and its RGBA pixels, transparent and premultiplied."""
    pixels = np.zeros((height_px, width_px, 4), dtype=np.uint8)
    surface = skia.Surface(
        pixels, colorType=skia.kRGBA_8888_ColorType, alphaType=skia.kPremul_AlphaType
    )
    return surface, pixels


def _argb(colour: Colour) -> int:
    """A colour, opaque, as skia wants it."""
    return skia.ColorSetRGB(*(max(0, min(255, round(part))) for part in colour))


def _vivid(colour: Colour) -> Colour:
    """Paint is purer than light: move a colour away from its grey."""
    grey = luma(colour)
    return tuple(min(255.0, max(0.0, grey + 1.25 * (part - grey))) for part in colour)


def _painted(picture: np.ndarray, seed: int) -> np.ndarray:
    """Make a picture look brushed: uneven edges, few tones, strokes in one direction."""
    height, width = picture.shape[:2]
    rng = np.random.default_rng([seed, 11])
    shake = [cv2.GaussianBlur(rng.normal(0, 12, (height, width)), (0, 0), 3.5) for _ in range(2)]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    picture = cv2.remap(
        picture,
        (x + shake[0]).astype(np.float32),
        (y + shake[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    for _ in range(2):
        picture = cv2.bilateralFilter(picture, 9, 40, 5)
    brush = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 9, sigmaY=1.2)
    brush += 0.7 * cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 14)
    brush = 1 + 0.05 * (brush / brush.std())
    soft = picture.astype(np.float64) * 0.86 + 0.14 * np.array([214, 200, 186])
    return np.clip(soft * brush[..., None], 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _paper(height: int, width: int) -> np.ndarray:
    """Factor by which paper darkens each pixel, shape (height, width, 1)."""
    rng = np.random.default_rng(3)
    fine = rng.normal(0, 1, (height, width))
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 2.0)
    grain = 0.02 * fine + 0.025 * coarse / coarse.std()
    return np.clip(0.985 + grain, 0.85, 1.0)[..., None]


@lru_cache(maxsize=4)
def _grain(height: int, width: int) -> np.ndarray:
    """Four pictures of film grain, shape (4, height, width, 1), in grey levels."""
    rng = np.random.default_rng(4)
    return np.round(rng.normal(0, 2.5, (4, height, width, 1))).astype(np.int16)
