"""Sixty-four test prompts of the toy base, and the contact sheet of its pictures.

Each prompt names one figure's species and colour, a place, a framing and a light, half of them
clothes too. Every word is in the base's training; no prompt has a rabbit, for that is what users
train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from PIL import Image

COLUMNS = 8
CELL_PX = 160  # width of one picture on the sheet
LINE_PX = 12
NUM_LINES = 4  # three of the prompt, one of marks
FONT_PX = 10
MARGIN_PX = 4
DOT_PX = 7
RIGHT_RGB, WRONG_RGB, TEXT_RGB, PAPER_RGB = (30, 150, 60), (205, 40, 40), (30, 30, 30), (255,) * 3

PROMPTS = (
    "a yellow bear with a purple shirt on a beach, close-up, day",
    "a red fox with a blue hat in a city street, medium shot, day",
    "an orange cat with green overalls on a beach, close-up, night",
    "a green mouse in a desert, medium shot, night",
    "a red frog with a white scarf in a city street, wide shot, dusk",
    "a purple penguin in a forest, medium shot, night",
    "a blue owl with purple overalls in a city street, medium shot, day",
    "a pink pig with a red scarf in a bedroom, medium shot, night",
    "a pink robot in a bedroom, medium shot, day",
    "a white elephant in a meadow, medium shot, dusk",
    "a white bear in a kitchen, medium shot, dusk",
    "a blue fox in a kitchen, medium shot, night",
    "a grey cat in a forest, close-up, day",
    "a brown mouse with yellow overalls on a mountain, close-up, day",
    "a white frog at a camp fire, close-up, day",
    "a blue penguin at a camp fire, medium shot, day",
    "a purple owl on a plain background, medium shot, day",
    "a yellow pig at a camp fire, close-up, day",
    "a green robot with red overalls on a plain background, medium shot, day",
    "an orange elephant on a mountain, wide shot, day",
    "a brown bear in a city street, wide shot, day",
    "an orange fox in a forest, close-up, dusk",
    "a purple cat on a mountain, close-up, dusk",
    "a pink mouse with a yellow shirt in a bedroom, close-up, day",
    "a grey frog on a beach, close-up, dusk",
    "a red penguin with a green scarf in a kitchen, close-up, day",
    "a yellow owl with a white bow in a meadow, medium shot, night",
    "a green pig in a bedroom, medium shot, day",
    "a white robot with purple overalls on a beach, medium shot, dusk",
    "a red elephant on a beach, wide shot, day",
    "a blue bear with green overalls in a desert, wide shot, dusk",
    "a yellow fox with red overalls at a camp fire, medium shot, day",
    "a white cat with a green hat in a forest, medium shot, day",
    "a purple mouse in a forest, medium shot, day",
    "a grey frog with a green hat in the snow, medium shot, day",
    "a yellow penguin in a city street, close-up, day",
    "a pink owl in a meadow, medium shot, day",
    "a brown pig with a red bow in the snow, medium shot, dusk",
    "a yellow robot with a white hat in the snow, medium shot, day",
    "a red elephant with a green shirt on a beach, close-up, day",
    "a red bear with a yellow scarf on a mountain, wide shot, day",
    "a blue fox with a purple hat on a plain background, wide shot, dusk",
    "a blue cat in the snow, medium shot, dusk",
    "a pink mouse with a yellow bow in a desert, close-up, dusk",
    "a purple frog with a red shirt in a meadow, medium shot, night",
    "a brown penguin on a plain background, close-up, day",
    "an orange owl in a bedroom, medium shot, day",
    "a pink pig in a forest, medium shot, day",
    "a grey robot with a red bow at a camp fire, wide shot, day",
    "a green elephant in a desert, medium shot, day",
    "an orange bear in the snow, wide shot, day",
    "a grey fox with a blue scarf at a camp fire, medium shot, day",
    "a brown cat with a yellow bow in a desert, medium shot, day",
    "a grey mouse on a plain background, medium shot, night",
    "a yellow frog in a city street, close-up, day",
    "a white penguin with a yellow scarf on a mountain, close-up, day",
    "a brown owl with a blue shirt in a desert, close-up, night",
    "a green pig on a mountain, close-up, night",
    "an orange robot with a purple hat in the snow, medium shot, night",
    "a red elephant with a white scarf in a kitchen, close-up, dusk",
    "an orange bear with purple overalls in a meadow, wide shot, day",
    "a green fox in a kitchen, wide shot, day",
    "a purple cat with a blue scarf in a meadow, medium shot, night",
    "a green mouse in a kitchen, close-up, day",
)


def prompts() -> list[str]:
    """Give the prompts, always the same and in the same order."""
    return list(PROMPTS)


def draw_sheet(
    pictures: np.ndarray, prompts: Sequence[str], marks: pl.DataFrame | None = None
) -> Image.Image:
    """Lay pictures out eight a row, each over its prompt and its marks.

    Parameters
    ----------
    pictures : np.ndarray, shape (n, height, width, 3), uint8
        RGB, squares.
    prompts : sequence of str
        One a picture.
    marks : pl.DataFrame, optional
        Table of `toy_judge.Judge.details`: a dot for each row, green where right and red where
        wrong, and beside them in red what is found in place of what was asked for.

    Returns
    -------
    PIL.Image.Image
        RGB, 8 x 168 pixels wide.

    Raises
    ------
    ValueError
        If the numbers of pictures and prompts differ.
    """
    from PIL import Image, ImageDraw, ImageFont

    if len(pictures) != len(prompts):
        raise ValueError(
            f"expected one prompt a picture, found {len(prompts)} for {len(pictures)} pictures"
        )
    rows = max(1, -(-len(pictures) // COLUMNS))
    width, height = CELL_PX + 2 * MARGIN_PX, CELL_PX + NUM_LINES * LINE_PX + 2 * MARGIN_PX
    canvas = Image.new("RGB", (COLUMNS * width, rows * height), PAPER_RGB)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=FONT_PX)
    for index, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x = index % COLUMNS * width + MARGIN_PX
        y = index // COLUMNS * height + MARGIN_PX
        scaled = Image.fromarray(picture).resize((CELL_PX, CELL_PX), Image.Resampling.BICUBIC)
        canvas.paste(scaled, (x, y))
        lines = _wrap(prompt, font)[: NUM_LINES - 1]
        for number, line in enumerate(lines):
            pen.text((x, y + CELL_PX + number * LINE_PX), line, TEXT_RGB, font)
        if marks is not None:
            place = (x, y + CELL_PX + (NUM_LINES - 1) * LINE_PX)
            _draw_marks(pen, place, marks.filter(pl.col("picture") == index), font)
    return canvas


def _wrap(text: str, font: Any) -> list[str]:
    """Break a text into lines that fit a cell."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > CELL_PX and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw_marks(pen: Any, place: tuple[int, int], rows: pl.DataFrame, font: Any) -> None:
    """A dot a row, then what was found where it is wrong."""
    x, y = place
    for is_right in rows["is_right"]:
        box = (x, y + 3, x + DOT_PX - 1, y + 2 + DOT_PX)
        pen.ellipse(box, fill=RIGHT_RGB if is_right else WRONG_RGB)
        x += DOT_PX + 2
    wrong = rows.filter(~pl.col("is_right"))["found"].to_list()
    if wrong:
        pen.text((x + 3, y), ", ".join(wrong)[:24], WRONG_RGB, font)
