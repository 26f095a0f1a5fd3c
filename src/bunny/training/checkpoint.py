"""Checkpoints of a fine-tune, written whole or not at all, and the adapter's file."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

KEPT = 2  # checkpoints


def key_of(facts: dict[str, Any], pictures: Sequence[np.ndarray], captions: Sequence[str]) -> str:
    """Hash of all that a run depends on; a checkpoint of another key is never taken up."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for picture, caption in zip(pictures, captions, strict=True):
        digest.update(np.ascontiguousarray(picture).tobytes())
        digest.update(caption.encode() + b"\0")
    return digest.hexdigest()


def save(folder: Path, step: int, key: str, state: dict[str, Any]) -> Path:
    """Write ``checkpoint-<step>`` under a temporary name, rename it, drop all but the last two."""
    import torch

    target = folder / f"checkpoint-{step:06d}"
    temporary = folder / f".checkpoint-{step:06d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    torch.save({**state, "key": key}, temporary / "state.pt")
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
    for old in sorted(folder.glob("checkpoint-*"))[:-KEPT]:
        shutil.rmtree(old)
    return target


def load_newest(folder: Path, key: str) -> dict[str, Any] | None:
    """State of the newest readable checkpoint of `key`; those of other keys are removed."""
    import torch

    for path in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            state = torch.load(path / "state.pt", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            logger.warning("%s cannot be read (%s); an older one is taken", path.name, error)
            continue
        if state.get("key") == key:
            return state
        shutil.rmtree(path)
    return None


def lora_state(unet: Any) -> dict[str, Any]:
    """The adapter's weights by peft's names, copied."""
    from peft.utils import get_peft_model_state_dict

    return {name: w.detach().clone() for name, w in get_peft_model_state_dict(unet).items()}


def set_lora_state(unet: Any, state: dict[str, Any]) -> None:
    """Put saved weights into the adapter that the UNet carries."""
    from peft.utils import set_peft_model_state_dict

    set_peft_model_state_dict(unet, state)


def save_adapter(unet: Any, path: Path, metadata: dict[str, str]) -> None:
    """Write the adapter as diffusers' LoRA safetensors with `metadata` in its header.

    It loads with ``pipeline.load_lora_weights(path)`` in any diffusers of this base's shape.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.training_utils import _collate_lora_metadata

    temporary = path.with_name(f".{path.stem}.tmp.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    StableDiffusionPipeline.save_lora_weights(
        path.parent,
        unet_lora_layers=lora_state(unet),
        weight_name=temporary.name,
        safe_serialization=True,
        **_collate_lora_metadata({"unet": unet}),
    )
    _rewrite_header(temporary, metadata)
    temporary.replace(path)


def read_metadata(path: Path) -> dict[str, str]:
    """Texts in an adapter's header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def b_sizes(unet: Any) -> dict[str, float]:
    """Norm of each LoRA's B matrix; it starts at 0, so 0 means that the layer learned nothing."""
    return {
        name: float(weight.norm()) for name, weight in lora_state(unet).items() if "lora_B" in name
    }


def _rewrite_header(path: Path, metadata: dict[str, str]) -> None:
    """Add `metadata` and put the header in order: safetensors writes it in another each time.

    The format is 8 bytes of length, a JSON header padded with spaces, then the tensors.
    """
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    texts = {**header.get("__metadata__", {}), **metadata}
    for name, text in texts.items():
        if name == "lora_adapter_metadata":
            facts = json.loads(text)
            facts = {k: sorted(v) if k.endswith("target_modules") else v for k, v in facts.items()}
            texts[name] = json.dumps(facts, sort_keys=True)
    tensors = {k: header[k] for k in sorted(header) if k != "__metadata__"}
    new = json.dumps({"__metadata__": dict(sorted(texts.items())), **tensors}).encode()
    new += b" " * (-len(new) % 8)
    path.write_bytes(len(new).to_bytes(8, "little") + new + data[8 + length :])


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
