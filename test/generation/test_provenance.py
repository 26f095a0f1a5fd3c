"""Samplers, what stands in a PNG, drawing it again, and the grid."""

import json
import re
import shutil
from dataclasses import replace

import drawn_base
import numpy as np
import pytest
from PIL import Image

from bunny.core.error import UserError
from bunny.generation import provenance, reproduce, sampler, scheduler
from bunny.generation.grid import PictureGrid, draw_grid
from bunny.generation.request import GenerationRequest
from bunny.training.base import load_base

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]
DIFFUSION = ("base", *scheduler.DIFFUSION)


def picture_of(base, drawing, adapters=None):
    return next(sampler.generate(base, [drawing], adapters))


@pytest.mark.parametrize("name", DIFFUSION)
def test_each_sampler_draws_and_starts_where_there_is_no_signal_left(tiny_base, name):
    made = scheduler.make(tiny_base, name)
    own = tiny_base.scheduler.alphas_cumprod
    assert float(made.alphas_cumprod[-1]) <= 2**-23  # the rescaled schedule, which ends in noise
    assert np.allclose(made.alphas_cumprod[:-1], own[:-1], rtol=1e-2, atol=1e-7)
    assert made.config.timestep_spacing == "trailing"
    made.set_timesteps(8)
    assert float(made.timesteps[0]) == pytest.approx(999, abs=1)
    drawn = picture_of(
        tiny_base, GenerationRequest(prompt="a bear", seed=1, num_steps=8, scheduler=name)
    )
    assert drawn.error is None
    assert 1 < np.asarray(drawn.picture).std() < 120


def test_samplers_that_do_without_noise_agree_with_many_steps(tiny_base):
    def drawn(name):
        wanted = GenerationRequest(
            prompt="a bear", seed=1, num_steps=60, guidance_scale=1.0, scheduler=name
        )
        return np.asarray(picture_of(tiny_base, wanted).picture, np.float64)

    exact = drawn("base")
    for name in ("ddim", "euler", "heun", "dpmpp_2m", "unipc"):
        assert np.abs(drawn(name) - exact).mean() < 8, name


def test_sampler_that_does_not_fit_names_those_that_do(tiny_base):
    with pytest.raises(UserError, match=r"flow_euler: .* family sd \(base, ddim, ddpm, euler"):
        picture_of(tiny_base, GenerationRequest(prompt="a", seed=1, scheduler="flow_euler"))
    with pytest.raises(UserError, match="at most 50 steps, got 51"):
        picture_of(tiny_base, GenerationRequest(prompt="a", seed=1, scheduler="lcm", num_steps=51))


def test_hash_of_a_sampler_is_that_of_its_settings(tiny_base):
    one, two = (scheduler.make(tiny_base, name) for name in ("base", "ddim"))
    assert scheduler.config_hash(one) == scheduler.config_hash(two)
    other = type(one).from_config(one.config, steps_offset=0)
    assert scheduler.config_hash(one) != scheduler.config_hash(other)


@pytest.fixture
def saved(tiny_base, tiny_adapter, tmp_path):
    """A picture in the third place of a batch of four, and where it lies."""
    wanted = [
        GenerationRequest(prompt=p, seed=7, num_steps=3) for p in ("a", "b", "a “red” bear", "d")
    ]
    wanted = [replace(drawing, negative_prompt="blurred") for drawing in wanted]
    worn = replace(tiny_adapter[1], strength=0.8)
    drawn = next(sampler.generate_batches(tiny_base, wanted, [[0, 1, 2, 3]], worn))[2]
    drawn.save(tmp_path / "drawn.png", {})
    return tmp_path / "drawn.png", drawn.provenance


def test_all_that_decides_a_picture_stands_in_it(saved, tiny_base, tiny_adapter):
    path, facts = saved
    read = provenance.read_provenance(path)
    assert read == json.loads(json.dumps(facts))
    assert (read["prompt"], read["negative_prompt"]) == ("a “red” bear", "blurred")
    assert (read["seed"], read["num_steps"], read["guidance_scale"]) == (7, 3, 5.0)
    assert (read["width_px"], read["height_px"], read["scheduler_class"]) == (
        32,
        32,
        "DDIMScheduler",
    )
    assert (read["base_hash"], read["base_licence"]) == (tiny_base.hash, "MIT")
    worn = {"file": "lora3/adapter.safetensors", "hash": tiny_adapter[1].hash, "strength": 0.8}
    assert read["adapters"] == [worn]
    assert read["safety_checker"] == "off"
    assert (read["batch_size"], read["batch_index"]) == (4, 2)
    assert {"torch", "diffusers", "device", "scheduler_hash", "num_threads"} <= read.keys()


def test_other_tools_read_the_parameters(saved):
    path, facts = saved
    with Image.open(path) as picture:
        text = picture.text["parameters"]
    prompt, negative, line = text.split("\n")
    assert prompt == "a “red” bear <lora:lora3:0.8>"
    assert negative == "Negative prompt: blurred"
    # how AUTOMATIC1111's web UI splits the last line
    found = dict(re.findall(r'\s*([\w ]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', line))
    assert found["Steps"] == "3"
    assert (found["Sampler"], found["CFG scale"], found["Seed"]) == ("DDIM", "5", "7")
    assert found["Size"] == "32x32"
    assert found["Model hash"] == facts["base_hash"][:10]
    assert found["Lora hashes"] == f'"lora3: {facts["adapters"][0]["hash"][:10]}"'


def test_drawn_again_from_its_png_alone_is_the_same_bit_for_bit(saved, tiny_base, tiny_adapter):
    path, _facts = saved
    facts = reproduce.read_reproducible(path)
    adapters = reproduce.find_adapters(facts, [tiny_adapter[0]])
    drawn = reproduce.draw_again(tiny_base, facts, reproduce.to_request(facts), adapters)
    with Image.open(path) as picture:
        assert (np.asarray(picture) == np.asarray(drawn.picture)).all()
    assert reproduce.differences(tiny_base, facts) == []


def test_other_versions_are_named(saved, tiny_base):
    facts = {**reproduce.read_reproducible(saved[0]), "torch": "1.0", "num_threads": 99}
    (words,) = reproduce.differences(tiny_base, facts)
    assert words.startswith("torch 1.0 -> ")


def test_missing_or_changed_base_and_adapter_are_refused(saved, tiny_base, tiny_adapter, tmp_path):
    facts = reproduce.read_reproducible(saved[0])
    with pytest.raises(
        UserError, match=r"expected the one that generated this picture .* found none"
    ):
        reproduce.find_adapters(facts, [])
    other = tmp_path / "lora3x" / "lora3" / "adapter.safetensors"
    other.parent.mkdir(parents=True)
    other.write_bytes(tiny_adapter[0].read_bytes() + b" ")
    with pytest.raises(UserError, match="has changed since"):
        reproduce.find_adapters(facts, [other])
    with pytest.raises(UserError, match="restore the original base model"):
        reproduce.check_base(tiny_base, {**facts, "base_hash": "0" * 64})
    with pytest.raises(UserError, match="install the diffusers version that the picture names"):
        reproduce.check_base(tiny_base, {**facts, "scheduler_hash": "0" * 64})


def test_lost_or_changed_start_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    facts = dict.fromkeys(reproduce.NEEDED, 1) | {"init_hash": "0" * 64, "init_strength": 0.5}
    with pytest.raises(UserError, match=r"found none; give it with --frame"):
        reproduce.to_request(facts)
    with pytest.raises(UserError, match=r"found another; give it with --frame"):
        reproduce.to_request(facts, tmp_path / "a.png")


def test_a_picture_that_names_a_model_of_a_hub_has_none_downloaded(saved):
    facts = {**reproduce.read_reproducible(saved[0]), "base_model": "somebody/model"}
    with pytest.raises(UserError, match=r"--set models\.base_model=somebody/model to download it"):
        reproduce.load_base(facts, "another/model")


def test_picture_of_others_cannot_be_drawn_again(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("words")
    for name, reason in (
        ("a", "which lacks prompt"),
        ("b", "could not read"),
        ("c", "file not found"),
    ):
        with pytest.raises(UserError, match=reason):
            reproduce.read_reproducible(tmp_path / f"{name}.png")


def test_grid_has_a_place_for_each_picture_and_labels_for_rows_and_columns(look):
    red, blue = (Image.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    plain = PictureGrid(rows=[[red, None], [blue, red]], titles=["seed 1", "seed 2"])
    made = draw_grid(plain)
    assert made.size == (2 * 44 + 4, 16 + 2 * 34 + 4)
    assert made.getpixel((4 + 20, 16 + 4 + 15)) == (255, 0, 0)
    assert made.getpixel((4 + 20, 16 + 4 + 34 + 15)) == (0, 0, 255)
    assert made.getpixel((4 + 44 + 20, 16 + 4 + 15)) == (228, 228, 223)  # empty
    titles = ["a bear on a long and windy beach", "b"]
    labelled = draw_grid(replace(plain, row_titles=titles, groups=["step 100", "step 100"]))
    assert labelled.size == (made.width + 150, made.height + 16)
    words = np.asarray(labelled.convert("L"))
    assert words[36:66, :150].min() < 100  # beside the first row
    assert words[:16, 154:].min() < 100  # above the columns
    look("sheet-grid", labelled, shrink=1)


def test_large_grid_is_shrunk_and_an_empty_one_refused():
    wide = Image.new("RGB", (3000, 10))
    assert draw_grid(PictureGrid(rows=[[wide] * 3], titles=["a", "b", "c"])).width == 8192
    with pytest.raises(ValueError, match="at least one picture"):
        draw_grid(PictureGrid(rows=[[None]], titles=["a"]))


def test_provenance_is_read_back_and_other_pictures_have_none(tmp_path):
    provenance.save_png(tmp_path / "a.png", Image.new("RGB", (4, 4)), {"run_id": "x", "n": None})
    assert provenance.read_provenance(tmp_path / "a.png") == {"run_id": "x", "n": None}
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    assert provenance.read_provenance(tmp_path / "b.png") == {}


@pytest.fixture
def checked_base(tiny_folder, tmp_path):
    """The tiny base with a safety checker; gives a function of whether it objects to everything."""

    def make(is_strict):
        folder = tmp_path / f"strict-{is_strict}"
        shutil.copytree(tiny_folder, folder)
        drawn_base.save_checker(folder, threshold=-9.0 if is_strict else 9.0)
        return load_base(str(folder), device="cpu")

    return make


@pytest.mark.parametrize("is_strict", [True, False])
def test_flagged_pictures_are_errors_and_not_black_squares(checked_base, is_strict):
    base, wanted = (
        checked_base(is_strict),
        [GenerationRequest(prompt="a", seed=i, num_steps=2) for i in (1, 2)],
    )
    options = {"has_safety_checker": True}
    drawn = list(sampler.generate(base, wanted, **options))
    assert [d.is_flagged for d in drawn] == [is_strict] * 2
    assert [d.picture is None for d in drawn] == [is_strict] * 2
    assert drawn[0].error == (sampler.FLAGGED if is_strict else None)
    assert drawn[0].provenance["safety_checker"] == "on"
    unasked = list(sampler.generate(base, wanted))
    assert all(d.picture is not None for d in unasked)
    if not is_strict:
        assert (np.asarray(unasked[0].picture) == np.asarray(drawn[0].picture)).all()


def test_a_base_without_a_checker_says_so(tiny_base):
    wanted = GenerationRequest(prompt="a", seed=1)
    facts = provenance.provenance_of(tiny_base, wanted, has_safety_checker=True)
    assert facts["safety_checker"] == "not available for this base model"
    assert provenance.provenance_of(tiny_base, wanted)["safety_checker"] == "off"


def test_long_prompts_of_which_the_end_is_not_read(tiny_base):
    from bunny.generation import request

    most = tiny_base.tokenizer.model_max_length - 2
    fits, long = " ".join(["bear"] * most), " ".join(["bear"] * (most + 1))
    assert request.truncated_prompts(tiny_base, [fits, long, long, "a"]) == [long]
