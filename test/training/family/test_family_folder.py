"""Folders of each family: told apart, whole or refused, halves, shards, the hub's listing."""

import json
import shutil

import numpy as np
import pytest

from bunny.core.config import DatasetConfig, ModelsConfig
from bunny.core.error import UserError
from bunny.training import base
from bunny.training.family import folder as files
from bunny.training.family.contract import LAYOUTS

CAPTIONS = ["a red bear in the snow", ""]


@pytest.fixture
def copy_of(family_folder, tmp_path):
    """Gives a copy of a family's folder that may be spoiled."""
    return lambda name: shutil.copytree(family_folder(name), tmp_path / name)


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(folder, **options):
    with pytest.raises(UserError) as caught:
        base.load_base(str(folder), "cpu", **options)
    return str(caught.value)


def test_wanted_family_and_precision_are_held_to(family_folder):
    said = refusal(family_folder("sd"), family="sdxl")
    assert "expected the family sdxl (models.family), found sd; set models.family to auto" in said
    said = refusal(family_folder("sd"), precision="int8")
    assert "models.precision: expected one of auto, fp32, bf16, fp16, got int8" in said


def test_auto_precision_is_32_bits_on_a_cpu(family_folder):
    import torch

    loaded = base.load_base(str(family_folder("sd")), "cpu", precision="auto")
    assert loaded.family.dtype == torch.float32


@pytest.mark.parametrize("name", LAYOUTS)
def test_hash_covers_every_part(family_folder, copy_of, name):
    folder = copy_of(name)
    before = files.hash_folder(folder)
    assert before == files.hash_folder(family_folder(name))
    seen = {before}
    for part in LAYOUTS[name].parts():
        path = sorted((folder / part).glob("*.json"))[0]
        path.write_text(path.read_text() + " ")
        seen.add(files.hash_folder(folder))
    assert len(seen) == 1 + len(LAYOUTS[name].parts())


@pytest.mark.parametrize("part", ["transformer", "text_encoder_2", "tokenizer_2"])
def test_missing_parts_of_flux_are_named(copy_of, part):
    folder = copy_of("flux")
    shutil.rmtree(folder / part)
    assert f"folder {part} not found in" in refusal(folder)


def test_spoiled_folders_give_one_sentence(copy_of):
    folder = copy_of("sdxl")
    weights = folder / "text_encoder_2" / "model.safetensors"
    weights.write_bytes(b"not weights")
    assert "could not load the Stable Diffusion XL folder" in refusal(folder)
    weights.rename(weights.with_name("pytorch_model.bin"))
    assert "found pytorch_model.bin, a pickle file, which can execute code" in refusal(folder)
    edit_json(folder / "model_index.json", text_encoder=[None, None])
    shutil.copy(folder / "text_encoder" / "model.safetensors", weights)
    assert "expected model_index.json to name text_encoder, found none" in refusal(folder)
    (folder / "model_index.json").write_text("{")
    assert "model_index.json is not valid JSON" in refusal(folder)
    (folder / "model_index.json").unlink()
    assert "model_index.json not found in" in refusal(folder)


def test_denoiser_of_another_task_is_refused(copy_of):
    from toy import tiny_model

    folder = copy_of("sd")
    tiny_model.make_unet(in_channels=9).save_pretrained(folder / "unet")
    said = refusal(folder)
    assert (
        "expected a denoiser with 4 input channels, found 9; choose a text-to-image model"
    ) in said


def test_other_noise_is_refused(copy_of):
    folder, other = copy_of("sd3"), copy_of("sd")
    shutil.copytree(other / "scheduler", folder / "scheduler", dirs_exist_ok=True)
    edit_json(folder / "model_index.json", scheduler=["diffusers", "DDIMScheduler"])
    assert "expected a flow-matching scheduler, found DDIMScheduler" in refusal(folder)


def test_sd3_may_come_without_its_t5(copy_of, family_folder):
    import torch

    folder, whole = copy_of("sd3"), base.load_base(str(family_folder("sd3")), "cpu").family
    shutil.rmtree(folder / "text_encoder_3")
    shutil.rmtree(folder / "tokenizer_3")
    family = base.load_base(str(folder), "cpu").family
    assert list(family.text_encoders) == ["text_encoder", "text_encoder_2"]
    hidden, full = (f.encode_words(CAPTIONS)["hidden"] for f in (family, whole))
    assert hidden.shape == full.shape == (2, 40 + 256, 32)
    assert not hidden[:, 40:].any() and full[:, 40:].any()
    assert torch.equal(hidden[:, :40], full[:, :40])
    drawn = family.pipeline()(CAPTIONS[0], num_inference_steps=1, output_type="np").images
    assert np.isfinite(drawn).all()


def test_no_words_are_zeros_in_sdxl_where_it_wants_them(copy_of):
    folder = copy_of("sdxl")
    family = base.load_base(str(folder), "cpu").family
    words = family.encode_words(CAPTIONS)
    assert not words["hidden"][1].any() and not words["pooled"][1].any()
    assert words["hidden"][0].any() and words["pooled"][0].any()
    pipe = family.pipeline()
    unsaid = pipe.encode_prompt(CAPTIONS[0], device="cpu", do_classifier_free_guidance=True)
    assert (words["hidden"][1] == unsaid[1][0]).all() and (words["pooled"][1] == unsaid[3][0]).all()
    edit_json(folder / "model_index.json", force_zeros_for_empty_prompt=False)
    assert base.load_base(str(folder), "cpu").family.encode_words([""])["hidden"].any()


def test_latents_are_normalised_by_mean_and_deviation(copy_of):
    import torch

    folder = copy_of("sdxl")
    pictures = np.full((1, 32, 32, 3), 90, np.uint8)
    plain = base.load_base(str(folder), "cpu").family.encode_pictures(pictures) / 0.13025
    mean, std = [1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 4.0, 4.0]
    edit_json(folder / "vae" / "config.json", latents_mean=mean, latents_std=std)
    normal = base.load_base(str(folder), "cpu").family.encode_pictures(pictures)
    assert torch.allclose(normal[0, 2], (plain[0, 2] - 3) / 4 * 0.13025, atol=1e-5)


def test_halves_and_shards_are_loaded(copy_of, family_folder):
    import torch
    from diffusers import FluxTransformer2DModel
    from transformers import T5EncoderModel

    whole, folder = base.load_base(str(family_folder("flux")), "cpu").family, copy_of("flux")
    for part, kind in (("transformer", FluxTransformer2DModel), ("text_encoder_2", T5EncoderModel)):
        model = kind.from_pretrained(folder / part)
        shutil.rmtree(folder / part)
        model.save_pretrained(folder / part, max_shard_size="10KB")
        assert len(list((folder / part).glob("*-of-*.safetensors"))) > 1
    for part in ("vae", "text_encoder"):
        weights = next((folder / part).glob("*.safetensors"))
        weights.rename(weights.with_suffix(f".fp16{weights.suffix}"))
    family = base.load_base(str(folder), "cpu").family
    for part in ("denoiser", "vae"):
        pairs = zip(
            getattr(family, part).parameters(), getattr(whole, part).parameters(), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs), part
    words, expected = (f.encode_words(CAPTIONS) for f in (family, whole))
    assert all(torch.equal(words[key], expected[key]) for key in expected)


def test_safety_checker_only_where_there_is_one_and_it_is_asked_for(copy_of):
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    folder = copy_of("sd")
    family = base.load_base(str(folder), "cpu").family
    assert family.pipeline().safety_checker is None
    with pytest.raises(UserError, match="it has no safety checker"):
        family.pipeline(has_safety_checker=True)
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    vision |= {"num_hidden_layers": 1, "image_size": 32, "patch_size": 16, "projection_dim": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=8))
    checker.save_pretrained(folder / "safety_checker")
    CLIPImageProcessor(size=32, crop_size=32).save_pretrained(folder / "feature_extractor")
    family = base.load_base(str(folder), "cpu").family
    assert family.has_safety_checker
    assert family.pipeline().safety_checker is None
    for kind, start in (("text2img", {}), ("img2img", {"image": np.zeros((1, 32, 32, 3))})):
        pipe = family.pipeline(kind=kind, has_safety_checker=True)
        drawn = pipe(CAPTIONS[0], num_inference_steps=2, **start)
        assert len(drawn.nsfw_content_detected) == 1
    (folder / "safety_checker" / "model.safetensors").rename(
        folder / "safety_checker" / "model.bin"
    )
    with pytest.raises(
        UserError, match=("could not load safety_checker and feature_extractor from safet")
    ):
        family.pipeline(has_safety_checker=True)


def test_safety_checker_of_other_families_is_refused(family_folder):
    family = base.load_base(str(family_folder("sdxl")), "cpu").family
    with pytest.raises(UserError, match="it has no safety checker"):
        family.pipeline(has_safety_checker=True)


def test_licence_of_a_model_card(copy_of):
    from bunny.training.family import folder as files

    folder = copy_of("sd")
    assert files.read_licence(folder) is None
    (folder / "README.md").write_text("---\nlicense: openrail++\n---\n# A model\n")
    assert files.read_licence(folder) == "openrail++"
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: flux-1-dev\n---\n")
    assert files.read_licence(folder) == "flux-1-dev"


UNET, VAE, TEXT = (
    "unet/diffusion_pytorch_model",
    "vae/diffusion_pytorch_model",
    "text_encoder/model",
)
SD15 = [  # as the hub lists Stable Diffusion 1.5
    "model_index.json",
    "README.md",
    "v1-5-pruned.safetensors",
    "tokenizer/merges.txt",
    *(f"{UNET}.{end}" for end in ("bin", "safetensors", "fp16.safetensors", "non_ema.safetensors")),
    f"{VAE}.bin",
    f"{VAE}.fp16.safetensors",
    f"{VAE}.safetensors",
    "text_encoder/pytorch_model.bin",
    f"{TEXT}.safetensors",
    f"{TEXT}.fp16.safetensors",
    "safety_checker/model.safetensors",
]
FLUX = [
    "flux1-dev.safetensors",
    "ae.safetensors",
    "tokenizer_2/spiece.model",
    f"{VAE}.safetensors",
    *(f"transformer/diffusion_pytorch_model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)),
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "text_encoder_2/model-00001-of-00002.safetensors",
    f"{TEXT}.safetensors",
]
T5 = "text_encoder_3/model"
SD3 = [
    f"{T5}-00001-of-00002.safetensors",
    f"{T5}.fp16-00001-of-00002.safetensors",
    f"{T5}-00001-of-00002.fp16.safetensors",
    "text_encoders/t5xxl_fp16.safetensors",
]


@pytest.mark.parametrize(
    ("name", "listed", "unwanted"),
    [
        ("sd", SD15, {"bin", "fp16", "non_ema", "v1-5", "safety"}),
        ("flux", FLUX, {"flux1-dev", "ae.safe"}),
        ("sd3", SD3, {"fp16"}),
    ],
)
def test_only_what_is_needed_is_fetched(name, listed, unwanted):
    wanted = {path for path in listed if not any(word in path for word in unwanted)}
    assert fetched(name, listed) == wanted
    assert wanted


def test_halves_are_fetched_where_there_is_nothing_else():
    assert fetched("sd3", SD3, is_half=True) == set(SD3[1:3])


def fetched(name, listed, **options):
    from huggingface_hub.utils import filter_repo_objects

    allowed = [*files.CONFIGS, *files.weight_patterns(LAYOUTS[name], **options)]
    return set(filter_repo_objects(listed, allow_patterns=allowed))


@pytest.mark.parametrize(
    ("name", "unit", "real", "real_size"),
    [
        ("sd", 16, {"unet": {"sample_size": 64, "block_out_channels": [1] * 4}}, (512, 64)),
        ("sdxl", 16, {"unet": {"sample_size": 128, "block_out_channels": [1] * 3}}, (1024, 64)),
        ("sd3", 16, {"transformer": {"sample_size": 128}}, (1024, 64)),
        ("flux", 16, {"vae": {"sample_size": 1024}}, (1024, 64)),
    ],
)
def test_size_is_read_without_loading(copy_of, name, unit, real, real_size):
    folder = copy_of(name)
    assert files.read_size(folder, "mine") == (32, unit)
    for part, changes in real.items():
        edit_json(folder / part / "config.json", **changes)
    assert files.read_size(folder, "mine") == real_size
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(UserError, match=r"vae/config\.json of a .* folder, could not read them"):
        files.read_size(folder, "mine")


def test_model_in_the_hubs_cache_is_found_offline(family_folder, tmp_path, monkeypatch):
    import huggingface_hub.constants

    cached = tmp_path / "models--somebody--small"
    shutil.copytree(family_folder("sdxl"), cached / "snapshots" / "abc123")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc123")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert files.find_folder("somebody/small") == cached / "snapshots" / "abc123"


@pytest.mark.parametrize(
    ("models", "dataset", "buckets"),
    [
        ({"resolution": 48}, {"bucket_step_px": 16}, [(32, 64), (48, 48), (64, 32)]),
        ({}, {"bucket_step_px": 16}, [(16, 64), (32, 32), (64, 16)]),
        ({}, {"bucket_step_px": 64}, [(32, 32)]),
    ],
)
def test_pictures_are_read_at_the_resolution_and_in_the_buckets_that_are_set(
    tiny_folder, models, dataset, buckets
):
    """The base is of 32 px, and its sides are multiples of 16."""
    models = ModelsConfig(base_model=str(tiny_folder), **models)
    found = files.choose_read_size(models, DatasetConfig(max_upscale=3.0, **dataset))
    assert (list(found.buckets), found.max_upscale) == (buckets, 3.0)


def test_without_a_base_only_a_resolution_that_is_named_says_how_pictures_are_read():
    with pytest.raises(UserError, match="expected a base model, none is set"):
        files.choose_read_size(ModelsConfig(), DatasetConfig())
    assert (512, 512) in files.choose_read_size(ModelsConfig(), DatasetConfig(), 512).buckets
