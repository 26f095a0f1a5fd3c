"""The explorer of notebook 09_generate: what is asked for, what is near it, one click draws."""

from types import SimpleNamespace

import polars as pl
import pytest
import yaml
from PIL import Image

from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.view.widget import generation
from bunny.view.widget.generation import GenerationData

START = {
    "prompts": "{trigger} in snow\n\n  a beach ",
    "lora_strength": 1.0,
    "guidance_scale": 5.0,
    "character": "bunny",
}


def drawn(name: str, strength: float | None, guidance: float, seed: int = 1) -> dict:
    return {
        "picture_id": name,
        "character": "bunny",
        "prompt": "p",
        "seed": seed,
        "strength": strength,
        "guidance_scale": guidance,
        "file": f"{name}.png",
        "adapter_file": None if strength is None else "bunny.safetensors",
    }


@pytest.fixture
def opened() -> GenerationData:
    """A base picture, three strengths of one seed, and one of another seed."""
    rows = [
        drawn("base", None, 5.0),
        drawn("weak", 0.4, 5.0),
        drawn("full", 1.0, 5.0),
        drawn("strict", 1.0, 11.0),
        drawn("other", 1.0, 8.0, seed=2),
    ]
    return GenerationData(
        subjects={"bunny": "sks bunny hare"},
        picture=pl.DataFrame(rows, infer_schema_length=None),
        pictures={row["picture_id"]: f"data:{row['picture_id']}" for row in rows},
        seeds=(1, 2, 3),
        negative_prompt="blur",
    )


def ids(opened, **values) -> list[tuple[str | None, str]]:
    found = generation.nearest(opened, START | values)
    return [(base and base["picture_id"], row["picture_id"]) for base, row in found]


def test_the_nearest_of_each_seed_stands_beside_its_base(opened):
    """Guidance 8 is 3/15 away from 5, strength 0.4 is 0.3 away from 1."""
    assert ids(opened) == [("base", "full"), (None, "other")]
    assert ids(opened, lora_strength=0.5) == [("base", "weak"), (None, "other")]
    assert ids(opened, guidance_scale=12.0) == [("base", "strict"), (None, "other")]
    assert ids(opened, character="nobody") == []


def test_the_page_says_how_the_base_reads_the_prompts(opened):
    page = generation.page(opened, START)
    assert "<li>sks bunny hare in snow</li><li>a beach</li>" in page
    assert "<b>prompts: 2</b> · seeds: 3" in page and "alone: 12" in page
    assert "data:full" in page and "data:weak" not in page


def test_what_has_no_effect_is_said(opened):
    assert (
        "</ol><p>prompt without {trigger}, so it does not ask for the character: a beach</p>"
        "<p><b>Pictures drawn so far" in generation.page(opened, START)
    )
    values = START | {"prompts": "", "lora_strength": 0.0, "guidance_scale": 1.0}
    assert (
        "<ol></ol><p>expected one prompt per line, found none</p>"
        "<p>a strength of 0 draws with the base model alone</p>"
        "<p>the negative prompt has no effect at a guidance of 1 or less</p>"
    ) in generation.page(opened, values)


def test_a_click_draws_with_the_values_and_shows_the_pictures(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    asked = []

    def draw(options):
        asked.append(options)
        return SimpleNamespace(files=[path], to_text=lambda: "1 picture in <a>")

    page = generation.draw_once(START, draw, dict)
    assert asked == [
        {
            "prompts": ["{trigger} in snow", "a beach"],
            "strengths": [1.0],
            "guidance_scale": 5.0,
            "character": "bunny",
        }
    ]
    assert "1 picture in &lt;a&gt;" in page and page.count("data:image/jpeg") == 1


def test_a_refusal_is_said():
    def draw(_options):
        raise UserError("expected <more>")

    assert generation.draw_once(START, draw, dict) == "<b>expected &lt;more&gt;</b>"


def test_without_a_fine_tune_it_says_which_stage_to_run(empty_space, settings):
    page = generation.explore_generation(empty_space, settings, is_interactive=False).data
    assert "run stage finetune" in page


@pytest.mark.parametrize(
    ("wanted", "strength"),
    [({"lora_strength": 0.7}, 0.7), ({"lora_strength": 0.7, "strengths": [0.4, 0.9]}, 0.4)],
)
def test_the_controls_begin_at_the_first_strength_that_is_set(shared_space, wanted, strength):
    box = generation.explore_generation(shared_space, Config(generation=wanted))
    assert box.children[0].children[1].value == strength


def test_a_move_draws_nothing_and_the_button_saves(space, settings, tmp_path):
    def draw(_options):
        raise AssertionError("a slider drew")

    box = generation.explore_generation(space, settings, draw=draw, root=tmp_path)
    panel, _shown = box.children
    prompts, strength, *_ = panel.children
    prompts.value, strength.value = "{trigger} at sea", 0.5
    assert "bunny character at sea" in panel.children[-1].value
    keep, _draw, message = panel.children[-2].children
    keep.click()
    saved = yaml.safe_load((tmp_path / "config" / f"local_{space.film_id}.yaml").read_text())
    assert saved["generation"] == {
        "prompts": ["{trigger} at sea"],
        "strengths": [],
        "lora_strength": 0.5,
        "guidance_scale": 5.0,
    }
    assert "saved to" in message.value
