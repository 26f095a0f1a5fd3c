"""Untrained models of a few thousand weights, in the folders that settings name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

CLIP_WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "c</w>"]
CLIP_TOKENS_MAX = 8


def save_all(folder: Path) -> None:
    """Write ``sd`` (32 px, a safety checker that flags every picture), ``sd64`` and ``clip``."""
    from toy import tiny_model

    tiny_model.save(folder / "sd", "sd", seed=5)
    shutil.copytree(folder / "sd", folder / "sd64")
    unet = folder / "sd64" / "unet" / "config.json"  # the weights fit any size
    unet.write_text(json.dumps({**json.loads(unet.read_text()), "sample_size": 8}))
    save_checker(folder / "sd", threshold=-9.0)
    save_clip(folder / "clip")


def save_clip(folder: Path) -> None:
    """Write an untrained CLIP that knows `CLIP_WORDS`, saved as the hub's are."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(CLIP_WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    files = str(folder / "vocab.json"), str(folder / "merges.txt")
    tokenizer = CLIPTokenizer(*files, model_max_length=CLIP_TOKENS_MAX)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2}
    torch.manual_seed(0)
    words = {
        **small,
        "vocab_size": len(CLIP_WORDS),
        "max_position_embeddings": CLIP_TOKENS_MAX,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    seen = {**small, "image_size": 32, "patch_size": 16}
    config = CLIPConfig(text_config=words, vision_config=seen, projection_dim=8)
    size = {"height": 32, "width": 32}
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)


def save_checker(folder: Path, *, threshold: float) -> None:
    """Give a base a safety checker; it flags a picture whose cosines are above the threshold."""
    import torch
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
        "projection_dim": 8,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=small, projection_dim=8))
    with torch.no_grad():
        for name in ("concept_embeds", "special_care_embeds"):
            getattr(checker, name).normal_()
            getattr(checker, f"{name}_weights").fill_(threshold)
    checker.save_pretrained(folder / "safety_checker")
    sides = {"height": 32, "width": 32}
    extractor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=sides)
    extractor.save_pretrained(folder / "feature_extractor")
