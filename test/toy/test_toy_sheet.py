import numpy as np
import polars as pl
import pytest
from toy import model, prompt_sheet

from bunny.demo import judge_prompt, world


def test_prompts_are_sixty_four_different_ones_in_the_bases_words():
    prompts = prompt_sheet.prompts()
    assert len(set(prompts)) == 64
    known = set(model.WORDS)
    for prompt in prompts:
        assert set(prompt.replace(",", " ").replace("-", " ").split()) <= known, prompt
        assert "rabbit" not in prompt


def test_prompts_ask_for_all_there_is():
    asked = [judge_prompt.parse(prompt) for prompt in prompt_sheet.prompts()]
    for name, words in (
        ("species", world.BASE_SPECIES),
        ("colour", world.COLOURS),
        ("place", world.PLACES),
        ("size", world.SHOT_SIZES),
        ("light", world.LIGHTS),
    ):
        said = [one[name] for one in asked]
        assert {len(words) for words in said} == {1}
        counts = [said.count((word,)) for word in words]
        assert min(counts) >= 5, name
        assert max(counts) <= 2 * 64 / len(words), name
    assert sum("garment" in one for one in asked) == 32


def test_prompts_handed_out_are_a_copy():
    prompt_sheet.prompts().clear()
    assert len(prompt_sheet.prompts()) == 64


def test_sheet_shows_pictures_and_marks(look):
    red = np.zeros((9, 128, 128, 3), dtype=np.uint8)
    red[..., 0] = 255
    rows = [
        {"picture": 0, "attribute": "species", "said": "fox", "found": "fox", "is_right": True},
        {"picture": 8, "attribute": "species", "said": "fox", "found": "bear", "is_right": False},
    ]
    marks = pl.DataFrame([{"probability": 0.5, **row} for row in rows])
    sheet = prompt_sheet.draw_sheet(red, ["a fox"] * 9, marks)
    pixels = np.asarray(sheet)
    assert sheet.size == (8 * 168, 2 * 216)
    assert (pixels[50, 80] == (255, 0, 0)).all()  # first picture
    assert (pixels[216 + 50, 80] == (255, 0, 0)).all()  # ninth, second row
    assert (pixels[216 + 50, 168 + 80] == 255).all()  # paper
    colours = [
        set(map(tuple, part.reshape(-1, 3))) for part in (pixels[168:216, :168], pixels[384:])
    ]
    assert prompt_sheet.RIGHT_RGB in colours[0]
    assert prompt_sheet.WRONG_RGB not in colours[0]
    assert prompt_sheet.WRONG_RGB in colours[1]
    look("sheet-toy", sheet)


def test_sheet_without_marks_and_one_picture():
    sheet = prompt_sheet.draw_sheet(np.zeros((1, 64, 64, 3), dtype=np.uint8), ["a fox " * 40])
    assert sheet.size == (8 * 168, 216)


def test_a_prompt_for_each_picture_is_asked_for():
    with pytest.raises(ValueError, match="expected one prompt a picture, found 1 for 2"):
        prompt_sheet.draw_sheet(np.zeros((2, 64, 64, 3), dtype=np.uint8), ["a fox"])
