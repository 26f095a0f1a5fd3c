"""Picture grids with titled rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny.core import image_file, safe_path
from bunny.generation import provenance
from bunny.generation.plan import GridColumn
from bunny.generation.request import GenerationRequest

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

HEAD_PX, LINE_PX, GAP_PX, FONT_PX = 16, 14, 4, 11
LABEL_PX = 150  # width of the words beside the rows
SIDE_MAX_PX = 8192  # larger grids are shrunk
PAPER, INK, EMPTY = "#FFFFFF", "#2B2B28", "#E4E4DF"


@dataclass(frozen=True, kw_only=True)
class PictureGrid:
    """Pictures in rows, and the texts around them."""

    rows: Sequence[Sequence[Image.Image | None]]  # None leaves the place empty
    titles: Sequence[str]  # one a column, e.g. the seed
    row_titles: Sequence[str] = ()  # one a row, e.g. the prompt; at the left, wrapped
    groups: Sequence[str] = ()  # one a column, above the titles; equal neighbours share theirs


def arrange(
    pictures: Mapping[tuple[int, str], Image.Image],
    drawings: Sequence[GenerationRequest],
    columns: Sequence[GridColumn],
) -> PictureGrid:
    """Arrange drawings: a row for each prompt and start, a column for each model and seed.

    Parameters
    ----------
    pictures : mapping
        By index of the drawing and key of the column.
    """
    seeds = list(dict.fromkeys(d.seed for d in drawings))
    lines = list(dict.fromkeys(_row_title(d) for d in drawings))
    place = {(_row_title(d), d.seed): index for index, d in enumerate(drawings)}
    at = [(column, seed) for column in columns for seed in seeds]
    return PictureGrid(
        rows=[[pictures.get((place.get((t, s), -1), c.key)) for c, s in at] for t in lines],
        titles=[f"seed {seed}" for _column, seed in at],
        row_titles=lines,
        groups=[column.title for column, _seed in at],
    )


def _row_title(drawing: GenerationRequest) -> str:
    """Words beside a row of the grid: what all its pictures share but seed and model."""
    start = drawing.start
    if start is None:
        return drawing.prompt
    return f"{drawing.prompt}, from {start.frame_id or start.path.name}"


def draw_grid(grid: PictureGrid) -> Image.Image:
    """Lay pictures out in rows under one title a column.

    Returns
    -------
    PIL.Image.Image
        RGB on white; at most 8192 px a side, larger ones are shrunk.

    Raises
    ------
    ValueError
        If there is no picture at all.
    """
    from PIL import Image, ImageDraw

    rows, titles, row_titles = grid.rows, grid.titles, grid.row_titles
    sizes = [p.size for row in rows for p in row if p is not None]
    if not sizes:
        raise ValueError("expected at least one picture for the grid, found none")
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    left, top = (LABEL_PX if row_titles else 0), HEAD_PX * (2 if grid.groups else 1)
    step_x, step_y = width + GAP_PX, height + GAP_PX
    shape = (left + len(titles) * step_x + GAP_PX, top + len(rows) * step_y + GAP_PX)
    canvas = Image.new("RGB", shape, PAPER)
    pen = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        _text(pen, title, (left + GAP_PX + column * step_x, top - HEAD_PX + 2), width, 1)
    for column, span, group in _spans(grid.groups):
        _text(pen, group, (left + GAP_PX + column * step_x, 2), span * step_x - GAP_PX, 1)
    for y, row in enumerate(rows):
        corner = top + GAP_PX + y * step_y
        if row_titles:
            _text(pen, row_titles[y], (GAP_PX, corner), LABEL_PX - GAP_PX, height // LINE_PX)
        for x, picture in enumerate(row):
            at = (left + GAP_PX + x * step_x, corner)
            if picture is not None:
                canvas.paste(picture, at)
            else:
                pen.rectangle((*at, at[0] + width - 1, at[1] + height - 1), fill=EMPTY)
    if max(shape) > SIDE_MAX_PX:
        canvas.thumbnail((SIDE_MAX_PX, SIDE_MAX_PX))
    return canvas


def _spans(groups: Sequence[str]) -> list[tuple[int, int, str]]:
    """First column, number of columns and name of each run of equal neighbours."""
    found: list[tuple[int, int, str]] = []
    for column, name in enumerate(groups):
        if found and found[-1][2] == name:
            first, span, _ = found[-1]
            found[-1] = (first, span + 1, name)
        else:
            found.append((column, 1, name))
    return found


def _text(
    pen: ImageDraw.ImageDraw, text: str, at: tuple[int, int], width_px: int, max_lines: int
) -> None:
    """Write words into a column, broken between them; what does not fit ends in dots."""
    font = _font()
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and pen.textlength(longer, font=font) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > max(1, max_lines):
        lines = [*lines[: max(1, max_lines) - 1], f"{lines[max(1, max_lines) - 1]} ..."]
    for number, line in enumerate(lines):
        while pen.textlength(line, font=font) > width_px and len(line) > 4:
            line = f"{line[:-4]}..."
        pen.text((at[0], at[1] + number * LINE_PX), line, fill=INK, font=font)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: it has most of the world's alphabets."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), FONT_PX)


def write_grid(
    root: Path,
    path: Path,
    files: Mapping[tuple[int, str], str | None],
    drawings: Sequence[GenerationRequest],
    columns: Sequence[GridColumn],
    facts: Mapping[str, Any],
) -> None:
    """Lay pictures out: a row for each prompt, a column for each model and seed.

    Parameters
    ----------
    root : Path
        What `files` are relative to.
    path : Path
        The grid's PNG; not written where no picture could be drawn.
    files : mapping
        By index of the drawing and key of the column; None where there is no picture.
    drawings, columns
        As they were drawn.
    facts : mapping
        Written into the PNG.
    """
    pictures = {}
    for place, file in files.items():
        if file is not None:
            with image_file.open_picture(safe_path.join(root, file)) as picture:
                pictures[place] = picture.convert("RGB")
    if pictures:
        provenance.save_png(path, draw_grid(arrange(pictures, drawings, columns)), facts)
