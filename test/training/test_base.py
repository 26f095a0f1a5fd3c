"""What a base must be, and what is refused with one sentence."""

import json
import shutil

import pytest

from bunny.core.error import UserError
from bunny.training import base
from bunny.training.family import folder as family_folder


def test_load_reads_shape_licence_and_hash(tiny_base, tiny_folder):
    assert tiny_base.resolution_px == 32  # 4 latents of 8 pixels
    assert tiny_base.licence == "MIT"
    assert tiny_base.is_toy
    assert tiny_base.hash == family_folder.hash_base(str(tiny_folder))
    assert not any(p.requires_grad for p in tiny_base.family.denoiser.parameters())
    assert tiny_base.family.name == "sd"
    assert tiny_base.scheduler.config.prediction_type == "v_prediction"


def test_hash_changes_with_one_byte(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "base")
    before = family_folder.hash_folder(folder)
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**config, "sample_size": 8}))
    assert family_folder.hash_folder(folder) != before


def test_pickled_weights_are_refused(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "base")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(
        UserError, match=("a pickle file, which can execute code; save the model with")
    ):
        base.load_base(str(folder))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_missing_part_is_named(tiny_folder, tmp_path, part):
    folder = shutil.copytree(tiny_folder, tmp_path / "base")
    shutil.rmtree(folder / part)
    with pytest.raises(UserError, match=f"folder {part} not found in"):
        family_folder.check_folder(folder, "mine")


def test_damaged_weights_give_one_sentence(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "base")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match=r"could not load the Stable Diffusion 1\.x or 2\.x folder"):
        base.load_base(str(folder))


def test_other_kinds_and_names_are_refused(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "base")
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "KandinskyPipeline"))
    with pytest.raises(UserError, match=r"found KandinskyPipeline"):
        family_folder.check_folder(folder, "mine")
    single = tmp_path / "model.safetensors"
    single.write_bytes(b"")
    with pytest.raises(UserError, match="found a single file"):
        family_folder.find_folder(str(single))
    with pytest.raises(UserError, match="expected 'toy', a folder or a hub id"):
        family_folder.find_folder("./no/such/folder")


def test_unreachable_hub_gives_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"set models\.base_model to toy"):
        family_folder.find_folder("nobody-at-all/no-such-model")
