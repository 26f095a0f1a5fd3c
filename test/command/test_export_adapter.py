"""`bunny export adapter` on the workspace of a film, through the command line."""

import json

import plain_row
import pytest

from bunny.core import file_hash, workspace
from bunny.table import store
from bunny.training.adapter_file import safetensors_file, write
from bunny.training.adapter_file.layer import LoraLayer

OWN = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
STEM = f"lora_unet_{OWN.replace('.', '_')}"


def _layers(seed: int, *, is_dora: bool = False) -> dict:
    import torch

    generator = torch.Generator().manual_seed(seed)
    matrices = {
        "down": torch.randn(2, 8, generator=generator),
        "up": torch.randn(8, 2, generator=generator),
    }
    return {OWN: LoraLayer(**matrices, alpha=2.0, magnitude=torch.ones(8) if is_dora else None)}


def _keep(space, step: int, *, character="anna", is_dora=False, is_last=False) -> dict:
    """A checkpoint as stage finetune writes it; gives its row."""
    name = f"{character}/step-{step:06d}.safetensors"
    texts = {"trigger": "anna", "subject": "anna woman", "rights_note": "consent not given"}
    parts = {"unet": _layers(step, is_dora=is_dora)}
    digest = write.write_parts(space.checkpoint / name, parts, "sd", texts)
    place = {"run_id": f"run-{character}", "step": step, "character": character, "file": name}
    return {**place, "hash": digest, "held_out_loss": None, "is_last": is_last}


@pytest.fixture
def space(tmp_path):
    """The workspace of a film with two checkpoints of anna."""
    film = tmp_path / "My Film.mp4"
    film.write_bytes(b"a film")
    space = workspace.create(tmp_path, "data", film, None)
    rows = [_keep(space, 10), _keep(space, 20, is_last=True)]
    store.write(space.table, "adapter", store.from_rows("adapter", rows))
    return space


def test_without_an_evaluation_the_last_is_written_for_kohya(bunny, space, tmp_path):
    code, out, err = bunny("export", "adapter", "--format", "kohya", "--output", "a.safetensors")
    assert (code, err) == (0, "")
    assert "anna as kohya: LoRA of rank 2, 1 layers (unet), step 20" in out
    assert "stage evaluate has not chosen a checkpoint, so the last one is used" in out
    assert "rights: consent not given" in out
    tensors = safetensors_file.read_tensors(tmp_path / "a.safetensors")
    assert set(tensors) == {f"{STEM}.{k}" for k in ("lora_down.weight", "lora_up.weight", "alpha")}
    assert bool((tensors[f"{STEM}.lora_up.weight"] == _layers(20)[OWN].up).all())
    texts = safetensors_file.read_texts(tmp_path / "a.safetensors")
    expected = {
        "ss_network_dim": "2",
        "step": "20",
        "modelspec.title": "anna",
        "modelspec.trigger_phrase": "anna",
        "modelspec.license": None,
    }
    assert {key: texts.get(key) for key in expected} == expected
    assert str(tmp_path) not in json.dumps(texts)


def test_the_chosen_step_is_written_where_there_is_one(bunny, space):
    row = {
        "run_id": "run-anna",
        "character": "anna",
        "step": 10,
        "prompt_set": "choose",
        "metric": "chosen",
        "about": "",
        "value": 10.0,
        "n": 4,
    }
    store.write(space.table, "evaluation", store.from_rows("evaluation", [row]))
    code, out, _ = bunny("export", "adapter", "--json")
    said = json.loads(out)
    assert code == 0 and (said["step"], said["format"], said["notes"][:1]) == (
        10,
        "diffusers",
        ["rights: consent not given"],
    )
    place = space.root / "export" / "adapter" / "anna-diffusers.safetensors"
    assert said["output"] == str(place) and said["hash"] == file_hash.hash_file(place)
    found = safetensors_file.read_tensors(place)[f"unet.{OWN}.lora_B.weight"]
    assert bool((found == _layers(10)[OWN].up).all())


def test_a_step_may_be_named_and_an_export_renewed(bunny, space, tmp_path):
    for step in (10, 20):
        code, out, _ = bunny("export", "adapter", "--step", step, "--output", "a.safetensors")
        assert code == 0 and f"step {step}" in out
    assert safetensors_file.read_texts(tmp_path / "a.safetensors")["step"] == "20"


def test_a_run_without_the_table_of_checkpoints_is_found(bunny, space, tmp_path):
    row = store.read(space.table, "adapter").to_dicts()[1]
    store.write(space.table, "adapter", store.from_rows("adapter", []))
    run = plain_row.training_run("anna", row, num_images=1, num_held_out=0, num_steps=20)
    store.write(space.table, "training_run", store.from_rows("training_run", [run]))
    assert "step 20" in bunny("export", "adapter", "--step", "last")[1]


def test_a_dora_says_who_cannot_read_it(bunny, space, tmp_path):
    rows = [_keep(space, 30, is_dora=True, is_last=True)]
    store.write(space.table, "adapter", store.from_rows("adapter", rows))
    code, out, _ = bunny("export", "adapter", "--format", "kohya", "--output", "a.safetensors")
    assert code == 0 and "DoRA of rank 2" in out and "ignores the magnitudes" in out


def test_a_dora_for_comfy_is_fitted_to_the_base(bunny, space, tmp_path):
    import torch
    from toy import tiny_model

    from bunny.training import base

    tiny_model.save(tmp_path / "tiny", "sd")
    own = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    one = LoraLayer(
        down=torch.ones(1, 16), up=torch.ones(16, 1), alpha=1.0, magnitude=torch.ones(16)
    )
    place = space.checkpoint / "anna" / "step-000020.safetensors"
    digest = write.write_parts(place, {"unet": {own: one}}, "sd", {})
    rows = store.read(space.table, "adapter").to_dicts()[1:]
    store.write(space.table, "adapter", store.from_rows("adapter", [{**rows[0], "hash": digest}]))
    command = ["export", "adapter", "--format", "comfy", "--output", "a.safetensors"]
    code, out, err = bunny(*command, "--set", f"models.base_model={tmp_path / 'tiny'}")
    assert (code, err) == (0, "") and "correct in ComfyUI" in out
    unet = base.load_base(str(tmp_path / "tiny"), device="cpu").family.denoiser
    weight = unet.get_submodule(own).weight.detach()
    expected = weight.norm(dim=1) / (weight + 1).norm(dim=1)
    key = f"lora_unet_{own.replace('.', '_')}.dora_scale"
    found = safetensors_file.read_tensors(tmp_path / "a.safetensors")[key].flatten()
    assert float((found - expected).abs().max()) < 1e-6
    other = ["--set", f"models.base_model={tmp_path / 'tiny'}", "--set", "models.family=sdxl"]
    code, _, err = bunny(*command, *other)
    assert code == 2 and "expected the family sdxl (models.family), found sd" in err
    rows = [_keep(space, 30, is_dora=True, is_last=True)]  # of a layer that the base has not
    store.write(space.table, "adapter", store.from_rows("adapter", rows))
    code, _, err = bunny(*command, "--set", f"models.base_model={tmp_path / 'tiny'}")
    assert code == 2 and f"unet.{OWN} is missing from it" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "ckpt"], "--format: expected diffusers, kohya, comfy, got ckpt"),
        (["--step", "15"], "the step of a checkpoint (10, 20), got 15"),
        (["--step", "-1"], "got -1"),
        (["--character", "eve"], "expected a character with an adapter (anna), got eve"),
        (["--output", "data"], "expected an output file, got a folder"),
        (
            ["--output", "My Film.mp4"],
            "expected a new file or an earlier export, found another kind of file",
        ),
        (["--output", "a.ckpt"], "ending in .safetensors"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(bunny, space, tmp_path, arguments, words):
    code, _, err = bunny("export", "adapter", *arguments)
    assert code == 2 and words in err and len(err.splitlines()) == 1
    assert (tmp_path / "My Film.mp4").read_bytes() == b"a film"


def test_a_changed_or_missing_checkpoint_is_not_exported(bunny, space):
    path = space.checkpoint / "anna" / "step-000020.safetensors"
    path.write_bytes(path.read_bytes() + b"\0")
    assert "found a file with different content" in bunny("export", "adapter")[2]
    path.unlink()
    assert "found no such file" in bunny("export", "adapter")[2]


def test_a_film_without_a_fine_tune_says_so(bunny, space):
    store.write(space.table, "adapter", store.from_rows("adapter", []))
    code, _, err = bunny("export", "adapter")
    assert code == 2 and "expected a fine-tune, found none" in err
