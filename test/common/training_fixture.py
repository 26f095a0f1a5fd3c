"""A tiny untrained base of Stable Diffusion's classes, and tables of films that were never made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bunny.core import file_hash
from bunny.table import store


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """32x32 pictures, 4x4 latents, a few thousand weights."""
    from toy import model

    folder = tmp_path_factory.mktemp("tiny") / "base"
    model.save_tiny(folder, seed=7)
    return folder


@pytest.fixture
def tiny_base(tiny_folder):
    """The tiny base, loaded."""
    from bunny.training import base

    return base.load_base(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory) -> Callable[[str], Path]:
    """Gives the folder of a tiny untrained model of a family: sd, sdxl, sd3, flux."""
    root = tmp_path_factory.mktemp("family")

    def make(name: str) -> Path:
        from toy import tiny_model

        if not (root / name).exists():
            tiny_model.save(root / name, name, seed=5)
        return root / name

    return make


@pytest.fixture
def make_adapter(tiny_base, tmp_path):
    """Writes a LoRA of the tiny base with random weights; gives it as `generate.Adapter`."""
    return lambda seed=3, **options: _write_lora(tiny_base, tmp_path / f"lora{seed}", seed, options)


@pytest.fixture
def tiny_adapter(make_adapter):
    """One such LoRA: its file and the adapter."""
    made = make_adapter()
    return made.path, made


def _write_lora(base, folder: Path, seed: int, options: dict):
    """A LoRA with diffusers' and peft's own functions; `scale` of its B, `use_dora`."""
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from bunny.generation import request

    unet, scale = base.family.denoiser, options.pop("scale", 0.3)
    torch.manual_seed(seed)
    targets = ["to_q", "to_k", "to_v", "to_out.0", "conv1"]
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets, **options))
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            weight.data = scale * torch.randn(weight.shape)
    state = {name: w.detach().clone() for name, w in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=state,
        weight_name="adapter.safetensors",
        **_collate_lora_metadata({"unet": unet}),
    )
    unet.delete_adapters("default")
    unet.unload_lora()
    unet.requires_grad_(False)
    path = folder / "adapter.safetensors"
    return request.WeightedAdapter(path=path, hash=file_hash.hash_file(path))


@pytest.fixture
def film_tables() -> Callable[[list[dict]], dict[str, pl.DataFrame]]:
    """Builds the tables that a set is chosen from: one 640x360 frame a subject by default."""
    return _tables


def _tables(subjects: list[dict]) -> dict[str, pl.DataFrame]:
    """Tables of subjects; see `_rows` for the keys that each may have."""
    names = ("frame", "extra_frame", "quality", "measure", "face", "label", "caption", "cluster")
    rows: dict[str, dict] = {name: {} for name in names}
    for index, subject in enumerate(subjects):
        for name, key, row in _rows(index, subject):
            rows[name][key] = row
    tables = {name: store.from_rows(name, found.values()) for name, found in rows.items()}
    others = ("embedding", "drawn_face", "region", "figure")
    return tables | {name: store.from_rows(name, []) for name in others}


def _rows(i: int, s: dict):
    """Rows of one subject: table, key, row."""
    frame_id, shot = s.get("frame_id", f"f{i:05d}"), s["shot"]
    is_face = s.get("type", "region") == "face"
    subject_id = f"{frame_id}-{'f' if is_face else 'r'}{i}"
    sides = ("x0_px", "y0_px", "x1_px", "y1_px")
    box = dict(zip(sides, s.get("box", (100, 80, 200, 280)), strict=True))
    frame = {
        "frame_id": frame_id,
        "film_id": "film",
        "shot_index": shot,
        "frame_index": s.get("index", i),
        "pts": i,
        "time_base_num": 1,
        "time_base_den": 24,
        "timestamp_s": i / 24,
        "width_px": 640,
        "height_px": 360,
    }
    if s.get("extra"):
        yield "extra_frame", frame_id, {**frame, "reason": "extra"}
    else:
        file = {"file": f"frame/{frame_id}.png", "reason": "keyframe"}
        yield "frame", frame_id, {**frame, **file}
        phash = {"phash": s.get("phash", (i * 0x9E3779B97F4A7C15) % 2**64)}
        reason = s.get("filter", "kept")
        decided = {"is_kept": reason == "kept", "reason": reason}
        numbers = {"frame_id": frame_id, "brightness": s.get("light", 0.4), **phash}
        yield "quality", frame_id, {**numbers, **decided}
        if "signature" in s:
            measured = {"signature": np.asarray(s["signature"]), "contrast": 0.2}
            yield "measure", frame_id, {**numbers, **measured}
    place = {"frame_id": frame_id, "shot_index": shot}
    if is_face:
        face = {
            "face_id": subject_id,
            "detector": "yunet",
            "score": 0.9,
            "landmark": np.zeros(10),
            "yaw": s.get("yaw", 0.0),
            "size_px": box["y1_px"] - box["y0_px"],
            "sharpness": s.get("sharpness", 100.0),
            "embedding": s.get("vector", np.eye(4)[i % 4]),
        }
        yield "face", subject_id, {**place, **box, **face}
    label = {
        "subject_id": subject_id,
        "subject_type": "face" if is_face else "region",
        "character": s.get("who", "bunny"),
        "margin": s.get("margin", 0.2),
        "confidence": s.get("confidence", 0.9),
        "source": "reference",
    }
    yield "label", subject_id, {**place, **box, **label}
    if "text" in s:
        words = {"version": 1, "text": s["text"], "provider": "tags", "status": "done"}
        yield "caption", frame_id, {"frame_id": frame_id, **words}
    if "place" in s:
        scene = {"cluster_id": s["place"], "scene_id": s["place"], "is_noise": False}
        yield (
            "cluster",
            frame_id,
            {"item_id": frame_id, "level": "scene", "shot_index": shot, **scene},
        )
