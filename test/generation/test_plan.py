"""Which pictures a grid has, and what stands beside them."""

from pathlib import Path

import pytest
from PIL import Image

from bunny.core.config import GenerationConfig
from bunny.core.error import UserError
from bunny.generation import grid, plan
from bunny.generation.plan import Checkpoint
from bunny.generation.request import InitImage, WeightedAdapter


def checkpoint(step):
    adapter = WeightedAdapter(path=Path(f"bunny/step-{step:06d}.safetensors"), hash=str(step))
    return Checkpoint(step=step, adapter=adapter, file=f"bunny/{step}")


def test_base_then_steps_then_strengths():
    ink = WeightedAdapter(path=Path("lora/ink.safetensors"), hash="i", strength=0.5)
    made = plan.columns([checkpoint(200), checkpoint(100)], [1.0, 0.5, 1.0], [ink])
    assert [c.key for c in made] == ["base", "000100-x1", "000100-x0.5", "000200-x1", "000200-x0.5"]
    assert made[0].adapters == ()
    assert made[2].title == "step 100, strength 0.5 + ink 0.5"
    assert [(a.hash, a.strength) for a in made[4].adapters] == [("200", 0.5), ("i", 0.5)]
    assert made[4].adapters[1:] == (ink,)


def test_a_drawing_for_each_prompt_start_and_seed():
    starts = [
        InitImage(path=Path("a.png"), hash="1", frame_id="f1"),
        InitImage(path=Path("b"), hash="2"),
    ]
    settings = GenerationConfig(
        prompts=("x", "{trigger} y"), seeds=(1, 2), num_steps=7, guidance_scale=3.0
    )
    made = plan.requests(settings, "bun", starts)
    assert [(d.prompt, d.start.path.name, d.seed) for d in made[:4]] == [
        ("x", "a.png", 1),
        ("x", "a.png", 2),
        ("x", "b", 1),
        ("x", "b", 2),
    ]
    assert len(made) == 8
    assert {(d.num_steps, d.guidance_scale) for d in made} == {(7, 3.0)}
    assert {d.prompt for d in made} == {"x", "bun y"}
    assert [d.start for d in plan.requests(settings, "bun")] == [None] * 4
    assert grid.arrange({}, made[:4], []).row_titles == ["x, from f1", "x, from b"]


def test_table_has_each_picture_in_its_place():
    made = plan.requests(GenerationConfig(prompts=("x", "y"), seeds=(1, 2)), "")
    drawn_by = plan.columns([checkpoint(100)], [1.0])
    pictures = {(i, c.key): Image.new("RGB", (4, 4)) for i in range(4) for c in drawn_by}
    pictures.pop((3, "000100-x1"))
    table = grid.arrange(pictures, made, drawn_by)
    assert table.row_titles == ["x", "y"]
    assert table.titles == ["seed 1", "seed 2"] * 2
    assert table.groups == ["base model alone"] * 2 + ["step 100, strength 1"] * 2
    assert table.rows[0][2] is pictures[0, "000100-x1"]
    assert table.rows[1][1] is pictures[3, "base"]
    assert table.rows[1][3] is None


@pytest.mark.parametrize("text", ["anna:much", ":0.5", "anna:9", "anna:-1"])
def test_wrong_blends_are_refused(text):
    with pytest.raises(UserError, match="expected <file or character>:<strength from 0 to 4>"):
        plan.parse_blend(text)


def test_a_drive_letter_is_no_strength():
    assert plan.parse_blend(r"C:\lora\ink.safetensors:0.3") == (r"C:\lora\ink.safetensors", 0.3)
    assert plan.parse_blend(r"C:\lora\ink.safetensors") == (r"C:\lora\ink.safetensors", 1.0)


@pytest.mark.parametrize(
    "text", ["64", "x64", "64x", "0x64", "-8x8", "64x64x64", "axb", "64x16385", "9" * 5000 + "x8"]
)
def test_wrong_sizes_are_refused(text):
    with pytest.raises(UserError, match="expected <width>x<height>"):
        plan.parse_size(text)


def test_more_pictures_than_anybody_looks_at_are_not_planned():
    many = GenerationConfig(prompts=("a",) * 1000, seeds=tuple(range(101)))
    with pytest.raises(UserError, match=r"at most 100000 pictures .* got 101000;"):
        plan.requests(many, "anna")
