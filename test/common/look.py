"""Pictures of figures and pages beside those that were looked at and found right.

A picture is kept small: shrunk by `SHRINK`, its colours rounded. What is drawn may lie a few pixels
beside where it lay, for letters fall a little differently on another machine; light is compared
apart from colour, which letters do not have. `pytest TEST --renew-looks` writes what is drawn now
in place of what was kept; look at it before it is committed.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "view" / "baseline"
SHRINK = 2
NUM_LEVELS = 32
MAX_BYTES = 30_000
NEAR_PX = 2  # of the kept picture
MOST_LIGHT = 15  # of 255; the rounding of colours makes 3
MOST_COLOUR = 14  # the rounding makes 8


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two pictures of one size are apart where they are most so, of 255."""

    light: float
    colour: float
    picture: Image.Image  # grey, the darker the further apart

    def is_alike(self) -> bool:
        """Whether only letters fell a little differently."""
        return self.light <= MOST_LIGHT and self.colour <= MOST_COLOUR

    def words(self) -> str:
        """What is too far apart, and how far."""
        found = {"light": (self.light, MOST_LIGHT), "colour": (self.colour, MOST_COLOUR)}
        return ", ".join(
            f"{name} differs by {value:.0f} (at most {most})"
            for name, (value, most) in found.items()
            if value > most
        )


def compare(one: Image.Image, other: Image.Image) -> Difference:
    """Compare pictures of one size; what has nothing like it nearby in the other is unlike."""
    first, second = _planes(one), _planes(other)
    apart = np.maximum(_unlike(first, second), _unlike(second, first))
    light, colour = apart[..., 0], apart[..., 1:].max(axis=-1)
    shown = np.maximum(light / MOST_LIGHT, colour / MOST_COLOUR).clip(0, 1)
    picture = Image.fromarray((255 - 255 * shown).astype(np.uint8))
    return Difference(light=float(light.max()), colour=float(colour.max()), picture=picture)


def _planes(image: Image.Image) -> np.ndarray:
    """Luma and two differences of colour; float32, shape (height, width, 3)."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.float32), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([luma, red - green, blue - green], axis=-1)


def _unlike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far each value lies outside of the other's values within `NEAR_PX`; shape as given."""
    near = np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1), np.uint8)
    above, below = one - cv2.dilate(other, near), cv2.erode(other, near) - one
    return cv2.blur(np.maximum(above, below).clip(0), (3, 3))


@dataclass(frozen=True, kw_only=True)
class Look:
    """Compares pictures with those in `FOLDER`, or renews them."""

    scratch: Path  # where a failure leaves its pictures
    is_renewed: bool

    def __call__(self, name: str, picture: bytes | Image.Image, shrink: int = SHRINK) -> None:
        """Fail unless a picture looks as the kept one of that name."""
        if isinstance(picture, bytes):
            picture = Image.open(io.BytesIO(picture))
        actual, kept = picture.convert("RGB").reduce(shrink), FOLDER / f"{name}.png"
        if self.is_renewed:
            _write(kept, actual)
            return
        if not kept.exists():
            pytest.fail(f"{kept}: expected a kept picture, found none; {RENEW}")
        expected = Image.open(kept).convert("RGB")
        if actual.size != expected.size:
            self._fail(name, actual, expected, f"{actual.size} pixels, kept {expected.size}")
        found = compare(actual, expected)
        if not found.is_alike():
            self._fail(name, actual, expected, found.words(), found.picture)

    def _fail(self, name, actual, expected, words, difference=None) -> None:
        parts = {"actual": actual, "expected": expected, "difference": difference}
        places = []
        for part, image in parts.items():
            if image is not None:
                path = self.scratch / f"{name}-{part}.png"
                image.save(path)
                places.append(f"{part} {path}")
        pytest.fail(f"{name}: {words}; {', '.join(places)}; where the new look is right: {RENEW}")


RENEW = "pytest TEST --renew-looks"
STILL = "*, *::before, *::after { animation: none !important; transition: none !important; }"


def page_style() -> str:
    """Style that makes a page alike on any machine: matplotlib's own letters, nothing moving."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = [
        f"@font-face {{ font-family: Kept; font-weight: {weight}; src: url(data:font/ttf;base64,"
        f"{base64.b64encode((folder / name).read_bytes()).decode()}); }}"
        for weight, name in ((400, "DejaVuSans.ttf"), (700, "DejaVuSans-Bold.ttf"))
    ]
    return "\n".join([*faces, "* { font-family: Kept !important; }", STILL])


def _write(path: Path, image: Image.Image) -> None:
    """Keep a picture in colours that are rounded to `NUM_LEVELS` a channel.

    Raises
    ------
    ValueError
        If it is larger than `MAX_BYTES`.
    """
    level = np.round(np.asarray(image) / 255 * (NUM_LEVELS - 1))
    rounded = np.round(level * 255 / (NUM_LEVELS - 1)).astype(np.uint8)
    stream = io.BytesIO()
    _with_palette(rounded).save(stream, format="png", optimize=True)
    if len(stream.getvalue()) > MAX_BYTES:
        raise ValueError(f"{path}: expected at most {MAX_BYTES} bytes, got {stream.tell()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """The same picture, with a palette where it has few enough colours."""
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) > 256:
        return Image.fromarray(pixels)
    found = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
    found.putpalette(colours.tobytes())
    return found
