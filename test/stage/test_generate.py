"""Stage generate and `bunny generate` on adapters with random weights of an untrained tiny base."""

import json
from pathlib import Path

import numpy as np
import plain_row
import polars as pl
import pytest
from PIL import Image

from bunny.core import file_hash, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.generation import provenance, request
from bunny.stage.generate import Generate
from bunny.table import store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

DRAWN = {"prompts": ("{trigger} on a beach", "a red bear"), "seeds": (1, 2), "num_steps": 2}
STEPS = (5, 10)


@pytest.fixture(scope="module")
def loras(tiny_base_folder, tmp_path_factory):
    """The tiny base and the files of two LoRAs of it."""
    from bunny.training import base

    loaded = base.load_base(str(tiny_base_folder), device="cpu")
    folder = tmp_path_factory.mktemp("lora")
    return loaded, [_write_lora(loaded, folder / f"{seed}", seed) for seed in STEPS]


def _write_lora(base, folder: Path, seed: int) -> Path:
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = base.family.denoiser
    torch.manual_seed(seed)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v", "conv1"]))
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            weight.data = 0.3 * torch.randn(weight.shape)
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(unet),
        weight_name="adapter.safetensors",
        **_collate_lora_metadata({"unet": unet}),
    )
    unet.unload_lora()
    unet.requires_grad_(False)
    return folder / "adapter.safetensors"


@pytest.fixture
def film(labelled_film, loras, tmp_path, monkeypatch):
    """A film whose fine-tune left two checkpoints, and two held-out pictures."""
    monkeypatch.chdir(tmp_path)  # the project's folder, which has the checkpoints
    base, files = loras
    checkpoint = workspace.from_film_dir(labelled_film).checkpoint
    rows = [_adapter_row(checkpoint, file, step) for file, step in zip(files, STEPS, strict=True)]
    run = plain_row.training_run("bunny", rows[1], base_model=base.name, base_hash=base.hash)
    held_out = [_dataset_row(i) for i in range(2)]
    tables = {"adapter": rows, "training_run": [run], "dataset": held_out}
    for name, content in tables.items():
        store.write(labelled_film / "table", name, store.from_rows(name, content))
    return labelled_film


def _adapter_row(checkpoint: Path, file: Path, step: int) -> dict:

    target = checkpoint / "bunny" / ("adapter.safetensors" if step == 10 else "step5.safetensors")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read_bytes())
    name = target.relative_to(checkpoint).as_posix()
    key = {"run_id": "r", "step": step, "character": "bunny", "is_last": step == 10}
    return {**key, "file": name, "hash": file_hash.hash_file(target)}


def _dataset_row(index: int) -> dict:
    return plain_row.picture("bunny", 32, image_id=f"i{index}", file=f"frame/{index:08d}.png")


def make(film_dir, loras, **generation) -> Generate:
    models = {"base_model": loras[0].name}
    config = Config(models=models, generation={**DRAWN, **generation})
    return Generate(config, film_dir, film_dir)


def read(film_dir):
    return store.read(film_dir / "table", "picture")


def pixels(film_dir, row):
    return np.asarray(Image.open(film_dir / row["file"]), np.int16)


def test_each_prompt_and_seed_with_and_without_the_last_adapter(film, loras):
    result = make(film, loras).execute()
    table = read(film)
    assert (result.status, result.rows, result.failed) == ("done", 8, 0)
    assert "stage evaluate has not chosen a checkpoint, so the last one is used" in result.note
    assert "similarity to held-out pictures" in result.note
    assert table["adapter_hash"].is_null().sum() == 4
    assert set(table["prompt"]) == {"bunny character on a beach", "a red bear"}
    assert table["similarity"].is_not_null().all()
    worn = table.filter(pl.col("adapter_file").is_not_null())
    assert set(worn.select("step", "strength", "scheduler").iter_rows()) == {
        (10, 1.0, "DDIMScheduler")
    }
    with Image.open(film / "picture" / "bunny" / "grid.png") as grid:
        assert grid.size == (150 + 4 * 36 + 4, 2 * 36 + 4 + 2 * 16)
    assert make(film, loras).execute().status == "skipped"
    _provenance_is_in_the_pictures(film, table)
    _adapter_changes_the_picture(film, table)
    _lost_picture_is_drawn_again_the_same(film, loras, table)


def _provenance_is_in_the_pictures(film, table):
    for row in table.to_dicts():
        facts = provenance.read_provenance(film / row["file"])
        for key in ("prompt", "seed", "num_steps", "guidance_scale", "adapter_hash", "base_model"):
            assert facts[key] == row[key]
        assert (facts["film_id"], facts["run_id"]) == (film.name, "r")


def _adapter_changes_the_picture(film, table):
    by_model = {
        (r["prompt"], r["seed"], r["adapter_hash"] is None): pixels(film, r)
        for r in table.to_dicts()
    }
    for prompt, seed, is_base in by_model:
        if is_base:
            off = by_model[prompt, seed, True] - by_model[prompt, seed, False]
            assert np.abs(off).max() > 10


def _lost_picture_is_drawn_again_the_same(film, loras, table):
    lost = film / table["file"][0]
    before = lost.read_bytes()
    lost.unlink()
    assert make(film, loras).execute().status == "done"
    assert lost.read_bytes() == before
    assert read(film).equals(table)


def test_grid_of_checkpoints_strengths_and_frames(film, loras):
    wanted = {
        "checkpoints": "all",
        "strengths": (0.5, 1.0),
        "prompts": ("a red bear",),
        "seeds": (1,),
        "init_frames": ("film-00000000", "film-00000002"),
        "init_strength": 0.5,
        "num_steps": 4,
        "scheduler": "euler",
        "width": 40,
        "height": 24,
        "negative_prompt": "blurred",
        "has_safety_checker": True,
    }
    result = make(film, loras, **wanted).execute()
    table = read(film)
    assert result.rows == 2 * (1 + 2 * 2)
    assert result.note.count("no safety checker") == 1
    worn = table.drop_nulls("step")
    assert set(worn.select("step", "strength").iter_rows()) == {
        (step, strength) for step in STEPS for strength in (0.5, 1.0)
    }
    assert set(table["init_frame"]) == set(wanted["init_frames"])
    assert set(table.select("width_px", "height_px", "init_strength").iter_rows()) == {
        (40, 24, 0.5)
    }
    assert set(table["negative_prompt"]) == {"blurred"}
    assert table["scheduler"].unique().to_list() == ["EulerDiscreteScheduler"]
    assert table["is_flagged"].is_null().all()  # nobody looked
    shots = [pixels(film, row) for row in worn.filter(pl.col("step") == 5).to_dicts()]
    assert all(shot.shape == (24, 40, 3) for shot in shots)
    assert all((one != two).any() for i, one in enumerate(shots) for two in shots[:i])
    with Image.open(film / "picture" / "bunny" / "grid.png") as grid:
        assert grid.size == (150 + 5 * 44 + 4, 2 * 28 + 4 + 2 * 16)
    before = {f: (film / f).stat().st_mtime_ns for f in table["file"]}
    make(film, loras, **{**wanted, "strengths": (0.5, 1.0, 2.0)}).execute()
    assert read(film).height == 2 * (1 + 2 * 3)
    assert all((film / f).stat().st_mtime_ns == at for f, at in before.items())  # not drawn again


def test_the_evaluation_chooses_the_checkpoint(film, loras):
    key = {"run_id": "r", "character": "bunny", "step": 5, "prompt_set": "choose", "about": ""}
    row = {**key, "metric": "chosen", "value": 5.0, "n": 1}
    stage = make(film, loras, seeds=(1,))
    assert "evaluation" not in stage.reads
    store.write(film / "table", "evaluation", store.from_rows("evaluation", [row]))
    result = make(film, loras, seeds=(1,)).execute()
    assert read(film)["step"].drop_nulls().unique().to_list() == [5]
    assert "so the last" not in result.note
    assert "evaluation" not in make(film, loras, checkpoints="last").reads


def test_blend_is_in_every_adapter_picture_and_in_the_table(film, loras):
    other = str(loras[1][0])
    make(film, loras, seeds=(1,), blend=(f"{other}:0.5", "bunny:1.0")).execute()
    table = read(film)
    base, worn = (table.filter(pl.col("step").is_null() == is_base) for is_base in (True, False))
    assert base["blend"].is_null().all()
    for text in worn["blend"]:
        (one,) = json.loads(text)  # bunny itself is drawn anyway, and not twice
        assert one["strength"] == 0.5
    plain = {r["picture_id"]: pixels(film, r) for r in worn.to_dicts()}
    make(film, loras, seeds=(1,)).execute()
    for row in read(film).drop_nulls("step").to_dicts():
        assert (pixels(film, row) != plain[row["picture_id"]]).any()


def test_what_cannot_be_drawn_is_refused_before_anything_is(film, loras, tmp_path):
    for wrong, words in (
        ({"blend": ("nobody:0.5",)}, r"blend nobody: expected .* with an adapter \(bunny\)"),
        ({"blend": ("bunny:much",)}, "expected <file or character>:<strength"),
        ({"init_frames": ("f9",)}, r"frame f9: expected the frame_id .* e\.g\. film-00000000"),
        ({"width": 33}, "width 33: expected a multiple of 8"),
        ({"scheduler": "flow_euler"}, "expected one that fits"),
    ):
        with pytest.raises(UserError, match=words):
            make(film, loras, **wrong).execute()
    assert not (film / "picture").exists()
    from toy import model

    model.save_tiny(tmp_path / "other", seed=8)
    config = Config(models={"base_model": str(tmp_path / "other")}, generation=DRAWN)
    with pytest.raises(UserError, match="run stage finetune again"):
        Generate(config, film, film).execute()


def test_no_fine_tune_nothing_drawn(labelled_film, loras):
    for name in ("dataset", "training_run", "adapter"):
        store.write(labelled_film / "table", name, store.from_rows(name, []))
    result = make(labelled_film, loras).execute()
    assert (result.status, result.rows) == ("done", 0)
    assert "no finished fine-tune" in result.note


@pytest.fixture
def command(film, loras, bunny):
    """`bunny generate` on the film; gives exit code, the JSON object, standard error."""
    data = film.parents[1]

    def call(*arguments):
        base = ["--set", f"models.base_model={loras[0].name}", "--set", "generation.num_steps=3"]
        code, out, err = bunny("generate", "--data-dir", data, "--json", *base, *arguments)
        return code, json.loads(out.splitlines()[-1]) if out.strip() else {}, err

    return call


def test_own_pictures_leave_the_stage_alone_and_can_be_drawn_again(command, film, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# mine\n\na red bear\n{trigger} in the snow\n", encoding="utf-8")
    own = ["--prompts", prompts, "--prompt", "an owl", "--seed", 4, "--count", 2]
    more = ["--strength", 0, "--strength", 0.7, "--scheduler", "euler_a", "--size", "40x32"]
    code, made, _err = command(*own, *more, "--negative", "blurred", "--guidance", 3)
    assert code == 0
    files = [Path(file) for file in made["files"]]
    assert len(set(files)) == 3 * 2 * 2
    assert not (film / "table" / "picture.parquet").exists()
    own = film / "picture" / "own"
    assert {file.parent for file in files} == {own}
    lines = [json.loads(line) for line in (own / "index.jsonl").read_text().splitlines()]
    assert {line["file"] for line in lines} == {file.name for file in files}
    assert {line["seed"] for line in lines} == {4, 5}
    assert {line["prompt"] for line in lines} == {
        "an owl",
        "a red bear",
        "bunny character in the snow",
    }
    assert sum(not line["adapters"] for line in lines) == 6
    assert (own / "grid.png").exists()
    _drawn_again(command, [f for f, line in zip(files, lines, strict=True) if line["adapters"]][3])
    _refused_without_its_adapter(command, film, files[-1])


def test_a_picture_is_drawn_again_by_what_lies_in_the_folder_that_is_set(
    command, film, bunny, loras
):
    code, made, _err = command("--prompt", "an owl", "--strength", 0.7)
    assert code == 0
    data = film.parents[1]
    moved = data.rename(data.with_name("elsewhere"))
    data.with_name("checkpoint").rename(moved / "checkpoint")
    picture = moved / Path(made["files"][-1]).relative_to(data)
    base = ["--set", f"models.base_model={loras[0].name}"]
    line = ("generate", "--data-dir", "elsewhere", "--json", *base, "--again", picture)
    code, out, err = bunny(*line)
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["facts"]["is_same"]


def _drawn_again(command, picture):
    code, made, _err = command("--again", picture)
    assert (code, made["facts"]["is_same"]) == (0, True)
    assert made["notes"] == ["identical, bit for bit"]
    again = picture.with_name(f"{picture.stem}-again.png")
    assert (np.asarray(Image.open(again)) == np.asarray(Image.open(picture))).all()
    facts = provenance.read_provenance(again)
    same = {**facts, "batch_index": None}
    assert same == {**provenance.read_provenance(picture), "batch_index": None}


def _refused_without_its_adapter(command, film, picture):
    folder = workspace.from_film_dir(film).checkpoint / "bunny"
    (folder / "adapter.safetensors").rename(folder / "kept")
    code, _made, err = command("--again", picture)
    assert code == 2
    assert "expected the one that generated this picture" in err
    (folder / "kept").rename(folder / "moved.safetensors")
    code, made, _err = command("--again", picture, "--adapter", folder / "moved.safetensors")
    assert (code, made["facts"]["is_same"]) == (0, True)


def test_a_drawing_from_a_frame_is_drawn_again_while_the_frame_is_there(command, film):
    _code, made, _err = command("--prompt", "a", "--frame", "film-00000003", "--init-strength", 0.7)
    picture = Path(made["files"][0])
    assert provenance.read_provenance(picture)["init_frame"] == "film-00000003"
    assert command("--again", picture)[1]["facts"]["is_same"]
    (film / "frame" / "00000003.png").unlink()
    code, _made, err = command("--again", picture)
    assert (code, "give it with --frame" in err) == (2, True)


def test_wrong_options_are_one_sentence(command, tmp_path):
    for arguments, words in (
        (("--size", "40"), "size 40: expected <width>x<height>"),
        (("--strength", 9), "--strength 9: expected a number from 0 to 4"),
        (("--checkpoint", "best"), "expected chosen, last, all or a step"),
        (("--checkpoint", 7), "expected the step of a saved adapter (5, 10)"),
        (("--character", "anna"), "expected a character with an adapter (bunny)"),
        (("--prompts", tmp_path / "no.txt"), "expected a text file with one prompt per line"),
        (("--frame", "nowhere.png"), "expected the frame_id"),
        (("--scheduler", "magic"), "scheduler magic: expected one that fits"),
        (("--again", tmp_path / "no.png"), "expected a picture to generate again"),
    ):
        code, _made, err = command(*arguments)
        assert (code, words in err) == (2, True), err


def test_own_pictures_are_drawn_as_the_settings_say(command):
    """The tiny base has no safety checker; of two pictures of a prompt each is a batch."""
    wanted = ("models.precision=bf16", "generation.batch_size=1")
    checked = ("--set", "generation.has_safety_checker=true")
    chosen = [word for one in wanted for word in ("--set", one)]
    code, made, _err = command("--prompt", "an owl", "--count", 2, *chosen, *checked)
    facts = [provenance.read_provenance(Path(file)) for file in made["files"]]
    assert (code, len(facts)) == (0, 2)
    assert [(one["batch_size"], one["dtype"]) for one in facts] == [(1, "bfloat16")] * 2
    assert {one["safety_checker"] for one in facts} == {request.CHECKER_NONE}
    assert f"safety checker: {request.CHECKER_NONE}" in made["notes"]


def test_a_base_of_another_family_than_is_set_is_refused(command):
    code, _made, err = command("--prompt", "an owl", "--set", "models.family=flux")
    assert code == 2 and "expected the family flux (models.family), found sd" in err


def test_steps_another_adapter_and_a_folder_of_ones_own(command, film, tmp_path):
    plain = ("--prompt", "an owl", "--seed", "4", "--steps", "1", "--output", tmp_path / "mine")
    other = workspace.from_film_dir(film).checkpoint / "bunny" / "step5.safetensors"
    pixels = []
    for more in ((), ("--blend", f"{other}:0.5")):
        code, made, _err = command(*plain, *more)
        (picture,) = map(Path, made["files"])
        assert (code, picture.parent) == (0, tmp_path / "mine")
        facts = provenance.read_provenance(picture)
        assert facts["num_steps"] == 1  # of --set there are 3
        assert [one["strength"] for one in facts["adapters"]] == [1.0, *([0.5] if more else [])]
        pixels.append(np.asarray(Image.open(picture)))
    assert (pixels[0] != pixels[1]).any()
    assert not (film / "picture").exists()
