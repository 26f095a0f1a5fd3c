"""Comparison with kept pictures: what it must notice, what it must bear."""

import look as kept_look
import numpy as np
import pytest
from PIL import Image, ImageDraw

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


def _figure(*, bars=(BLUE, ORANGE), has_line=True, shift=0, words="24 pictures, 18 kept"):
    """White paper, words, two bars and a thin dashed line."""
    image = Image.new("RGB", (400, 160), "white")
    draw = ImageDraw.Draw(image)
    draw.text((20 + shift, 8), words, fill=(43, 43, 40))
    for number, colour in enumerate(bars):
        draw.rectangle((60 + shift, 50 + 40 * number, 200 + 60 * number, 75 + 40 * number), colour)
    for y in range(30, 140, 8) if has_line else ():
        draw.line((300 + shift, y, 300 + shift, y + 4), fill=(43, 43, 40))
    return image


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Compare with a picture of `_figure` that was kept just now."""
    monkeypatch.setattr(kept_look, "FOLDER", tmp_path / "baseline")
    kept_look.Look(scratch=tmp_path, is_renewed=True)("figure", _figure())
    return kept_look.Look(scratch=tmp_path, is_renewed=False)


@pytest.mark.parametrize("change", [{}, {"shift": 2}, {"words": "24 pictures, 18 kepl"}])
def test_a_figure_that_lies_a_little_aside_is_alike(kept, change):
    kept("figure", _figure(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bars": (ORANGE, BLUE)}, "colour differs"),
        ({"bars": (BLUE, (0, 158, 115))}, "colour differs"),
        ({"bars": (BLUE,)}, "colour differs"),
        ({"has_line": False}, "light differs"),
        ({"words": ""}, "light differs"),
        ({"shift": 12}, "differs"),
    ],
)
def test_what_people_would_see_is_noticed(kept, tmp_path, change, words):
    with pytest.raises(pytest.fail.Exception) as caught:
        kept("figure", _figure(**change))
    said = str(caught.value)
    assert said.startswith("figure: ") and words in said and "--renew-looks" in said
    for part in ("actual", "expected", "difference"):
        path = tmp_path / f"figure-{part}.png"
        assert str(path) in said
        with Image.open(path) as image:
            assert image.size == (200, 80)
            darkest = np.asarray(image.convert("L")).min()
    assert darkest == 0  # of the difference


def test_another_size_and_a_picture_that_was_never_kept_are_said(kept):
    with pytest.raises(pytest.fail.Exception, match=r"\(200, 90\) pixels, kept \(200, 80\)"):
        kept("figure", _figure().resize((400, 180)))
    with pytest.raises(pytest.fail.Exception, match="expected a kept picture, found none"):
        kept("another", _figure())


def test_a_picture_too_large_to_keep_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_look, "FOLDER", tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    with pytest.raises(ValueError, match="expected at most 30000 bytes"):
        kept_look.Look(scratch=tmp_path, is_renewed=True)("noise", Image.fromarray(noise), shrink=1)
    assert not list(tmp_path.iterdir())
