"""Fetch a base from the model hub or its local cache: configuration first, then what is needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bunny.core.error import UserError
from bunny.training.family.layout import Layout

HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
CONFIGS = ("*.json", "*/*.json", "*/*.txt", "*/*.model", "README.md")
SAFETY = ("safety_checker/model.safetensors", "safety_checker/*.json", "feature_extractor/*.json")


def patterns(layout: Layout, *, is_half: bool = False) -> list[str]:
    """Files of a family's weights: whole or in shards, of the plain kind or the variant fp16."""
    ends = (".fp16.safetensors", ".fp16-*-of-*.safetensors", "-*-of-?????.fp16.safetensors")
    ends = ends if is_half else (".safetensors", "-*-of-?????.safetensors")
    return [f"{part}/{stem}{end}" for part, stem in layout.weights.items() for end in ends]


def fetch_weights(model: str, layout: Layout) -> Path:
    """Fetch the weights; as 16 bits where the hub has nothing else.

    Raises
    ------
    UserError
        If neither the hub nor the cache has it.
    """
    folder = fetch(model, [*CONFIGS, *patterns(layout)])
    has_all = all(
        any((folder / part).glob(f"{stem}*.safetensors"))
        for part, stem in layout.weights.items()
        if part not in layout.optional or (folder / part).is_dir()
    )
    return folder if has_all else fetch(model, [*CONFIGS, *patterns(layout, is_half=True)])


def fetch(model: str, allowed: Sequence[str]) -> Path:
    """Get the files of a hub model that match a pattern, or their copies in the local cache.

    Raises
    ------
    UserError
        If neither the hub nor the cache has it.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(allowed)))
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"base model {model}: expected the hub or its local cache to have it, got "
            f"{type(error).__name__} ({reason}); check the name and the network, give a local "
            "folder, or set models.base_model to toy"
        ) from error
