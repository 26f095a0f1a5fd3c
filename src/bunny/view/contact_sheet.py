"""Contact sheets: tiles drawn side by side with their words; a missing file is a grey tile."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bunny.core import image_file
from bunny.view.tile import Tile

logger = logging.getLogger(__name__)

TONE = {"good": "#0072B2", "bad": "#D55E00", "plain": "#B9B9B2", "": "#FFFFFF"}
MISSING, PAPER, INK, FAINT = "#C9C9C4", "#FFFFFF", "#2B2B28", "#6B6B66"
GAP_PX = 10
LINE_PX = 15
FONT_PX = 12
BOX_MARGIN = 0.35  # share of the box's larger side added around it
MAX_NOTE_LINES = 3
MAX_HEADING_PX = 1600


def sheet(tiles: Sequence[Tile], columns: int = 6, width_px: int = 160) -> Image.Image:
    """Draw tiles in rows.

    Parameters
    ----------
    tiles : sequence of Tile
        In reading order; none gives a sheet that says so.
    columns : int
        Tiles in a row, at least 1.
    width_px : int
        Width of one tile; its picture is at most this wide and three quarters as high.

    Returns
    -------
    PIL.Image.Image
        RGB on white.
    """
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    if not tiles:
        return _words("no pictures to show")
    rows = [list(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return _stack([_row(row, columns, width_px) for row in rows])


def rows(named: Mapping[str, Sequence[Tile]], columns: int = 6, width_px: int = 150) -> Image.Image:
    """Draw one titled block of tiles for each name, e.g. each scene or prompt."""
    if not named:
        return _words("no pictures to show")
    parts: list[Image.Image] = []
    for name, tiles in named.items():
        parts += [_words(name, is_strong=True), sheet(tiles, columns, width_px)]
    return _stack(parts)


def thumbnail(tile: Tile, size: tuple[int, int]) -> Image.Image:
    """Picture of a tile, cut to its box and shrunk to fit `size`; grey when it cannot be read."""
    if tile.file is None:
        return Image.new("RGB", size, MISSING)
    try:
        with image_file.open_picture(tile.file) as image:
            if tile.box is None:
                scale = 2 * min(size[0] / image.width, size[1] / image.height)
                image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
            picture = image.convert("RGB")
    except OSError as error:
        logger.debug("picture could not be read for the gallery: %s", error)
        return Image.new("RGB", size, MISSING)
    if tile.box is not None:
        picture = _cut(picture, tile.box)
    if picture.width > size[0] or picture.height > size[1]:
        picture.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        return picture
    return ImageOps.contain(picture, size, Image.Resampling.LANCZOS)


def data_uri(image: Image.Image) -> str:
    """JPEG of a picture as a URI that stands inside HTML."""
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(image)).decode()


def to_jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """A picture as the bytes of a JPEG file."""
    with io.BytesIO() as stream:
        image.save(stream, format="JPEG", quality=quality, optimize=True)
        return stream.getvalue()


def to_png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    with io.BytesIO() as stream:
        image.save(stream, format="PNG", optimize=True)
        return stream.getvalue()


def wrap(text: str, width_px: int, font: ImageFont.FreeTypeFont, max_lines: int) -> list[str]:
    """Break text into lines of at most `width_px`; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    for word in " ".join(text.split()).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], lines[max_lines - 1] + " …"]
    return [_fit(line, width_px, font) for line in lines]


def _fit(line: str, width_px: int, font: ImageFont.FreeTypeFont) -> str:
    """Make a text one line, shortened where it is too wide by itself."""
    line = " ".join(line.split())[:width_px]  # a letter is at least a pixel wide
    if font.getlength(line) <= width_px:
        return line
    while line and font.getlength(line + "…") > width_px:
        line = line[:-1]
    return line + "…"


def _row(tiles: list[Tile], columns: int, width_px: int) -> Image.Image:
    height_px = width_px * 3 // 4
    pictures = [thumbnail(tile, (width_px, height_px)) for tile in tiles]
    top = max(p.height for p in pictures)
    notes = [wrap(t.note, width_px, _font(), MAX_NOTE_LINES) if t.note else [] for t in tiles]
    lines = max(bool(t.title) + len(n) for t, n in zip(tiles, notes, strict=True))
    size = (columns * (width_px + GAP_PX) + GAP_PX, top + lines * LINE_PX + GAP_PX + 6)
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (tile, picture, note) in enumerate(zip(tiles, pictures, notes, strict=True)):
        x = GAP_PX + i * (width_px + GAP_PX)
        canvas.paste(picture, (x, top - picture.height))
        draw.rectangle((x, top, x + picture.width - 1, top + 2), fill=TONE[tile.tone])
        y = top + 5
        if tile.title:
            draw.text((x, y), _fit(tile.title, width_px, _font(True)), INK, font=_font(True))
            y += LINE_PX
        for line in note:
            draw.text((x, y), line, FAINT, font=_font())
            y += LINE_PX
    return canvas


def _cut(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Cut out a box with its margin, inside the picture."""
    x0, y0, x1, y1 = box
    margin = BOX_MARGIN * max(x1 - x0, y1 - y0)
    left, top = max(0, round(x0 - margin)), max(0, round(y0 - margin))
    right = max(left + 1, min(picture.width, round(x1 + margin)))
    bottom = max(top + 1, min(picture.height, round(y1 + margin)))
    return picture.crop((left, top, right, bottom))


def _words(text: str, *, is_strong: bool = False) -> Image.Image:
    font = _font(is_strong)
    text = _fit(text, MAX_HEADING_PX, font)
    width = max(240, round(font.getlength(text)) + 2 * GAP_PX)
    canvas = Image.new("RGB", (width, LINE_PX + GAP_PX + 4), PAPER)
    ImageDraw.Draw(canvas).text((GAP_PX, GAP_PX), text, INK if is_strong else FAINT, font=font)
    return canvas


def _stack(parts: Sequence[Image.Image]) -> Image.Image:
    canvas = Image.new(
        "RGB", (max(p.width for p in parts), sum(p.height for p in parts) + GAP_PX), PAPER
    )
    y = GAP_PX // 2
    for part in parts:
        canvas.paste(part, (0, y))
        y += part.height
    return canvas


@lru_cache(maxsize=2)
def _font(is_strong: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: it has most of the world's alphabets."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if is_strong else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), FONT_PX)
