"""Write the title and the end credits over a picture."""

import numpy as np
import skia

from sample.pen import INK, Colour, to_argb

TITLE = "Clover's Long Day"
SUBTITLE = "a very small film"
CREDITS = (
    ("Clover the bunny", "as herself"),
    ("Bruno the bear", "as the friend"),
    ("Ember the fox", "as the guide"),
    ("Pip the penguin", "as the cook"),
    ("Bolt the robot", "as a stranger"),
    ("", ""),
    ("Archive photographs", "scikit-image"),
    ("Eileen Collins", "NASA"),
    ("Chelsea", "S. van der Walt"),
    ("Falcon 9", "SpaceX"),
    ("Coffee", "R. Michetti"),
    ("", ""),
    ("The end", ""),
)


def draw_card(picture: np.ndarray, kind: str, along: float) -> np.ndarray:
    """Write on a copy of a picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8, RGB
    kind : {"title", "credits"}
    along : float
        How far the shot has run, in [0, 1]; credits scroll with it.

    Raises
    ------
    RuntimeError
        If this machine has no typeface at all.
    """
    if skia.FontMgr().countFamilies() == 0:
        raise RuntimeError("expected a typeface on this machine, found none; install one")
    height, width = picture.shape[:2]
    pixels = np.dstack([picture, np.full((height, width), 255, np.uint8)])
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    canvas = surface.getCanvas()
    if kind == "title":
        _write(canvas, TITLE, width * 0.39, height * 0.42, height * 0.115, INK, 0.5)
        _write(canvas, SUBTITLE, width * 0.39, height * 0.53, height * 0.055, (110, 80, 96), 0.5)
    else:
        _roll(canvas, width, height, along)
    del surface
    return np.ascontiguousarray(pixels[:, :, :3])


def _roll(canvas: skia.Canvas, width: int, height: int, along: float) -> None:
    """Scroll the credits upwards."""
    step = height * 0.085
    top = height * 0.62 - along * len(CREDITS) * step
    for row, (left, right) in enumerate(CREDITS):
        y = top + row * step
        if not right:
            _write(canvas, left, width * 0.5, y, height * 0.07, (255, 244, 214), 0.5)
            continue
        _write(canvas, left, width * 0.48, y, height * 0.05, (255, 244, 214), 1.0)
        _write(canvas, right, width * 0.52, y, height * 0.05, (206, 214, 250), 0.0)


def _write(
    canvas: skia.Canvas, text: str, x: float, y: float, size: float, colour: Colour, align: float
) -> None:
    """Write one line; `align` 0 starts at x, 0.5 is centred on it, 1 ends there."""
    font = skia.Font(skia.Typeface("DejaVu Sans", skia.FontStyle.Bold()), size)
    font.setSubpixel(True)
    paint = skia.Paint(AntiAlias=True, Color=to_argb(colour))
    canvas.drawString(text, x - align * font.measureText(text), y, font, paint)
