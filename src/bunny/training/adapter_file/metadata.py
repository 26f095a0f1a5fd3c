"""Adapter metadata: our header texts, and sd-scripts' and ModelSpec's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import bunny
from bunny.training.adapter_file.layer import ComponentLayers, LoraLayer

MADE_BY = "Diffusion Bunny"
# As sd-scripts names them: library/sai_model_spec.py, sdxl_model_util.py, networks/lora_*.py.
ARCHITECTURE = {
    "sd1": "stable-diffusion-v1/lora",
    "sd2": "stable-diffusion-v2-512/lora",
    "sd2_v": "stable-diffusion-v2-768-v/lora",
    "sdxl": "stable-diffusion-xl-v1-base/lora",
    "sd3": "stable-diffusion-3/lora",
    "flux": "flux-1/lora",
}
VERSION = {
    "sd1": "sd_v1",
    "sd2": "sd_v2",
    "sdxl": "sdxl_base_v1-0",
    "sd3": "sd3",
    "flux": "flux1",
}
IMPLEMENTATION = {
    "sdxl": "https://github.com/Stability-AI/generative-models",
    "flux": "https://github.com/black-forest-labs/flux",
}
MODULE = {"sd3": "networks.lora_sd3", "flux": "networks.lora_flux"}
SD2_WIDTH = 1024  # of its text encoder (OpenCLIP ViT-H); 768 in 1.x
SPEC = "1.0.1"  # of modelspec, https://github.com/Stability-AI/ModelSpec
HASHES = ("modelspec.hash_sha256", "sshs_model_hash")  # `file.write_file` fills them in
MAX_TAGS = 500  # of the table of words; more would swell the header


def own_texts(parts: ComponentLayers, family: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Our texts: those given, and what the weights say.

    Parameters
    ----------
    parts : dict
    family : str
    metadata : mapping
        E.g. trigger, subject, base_model, base_hash, base_licence, set_hash, step, sample_prompts
        (a list becomes JSON) and `rights.to_metadata`; None is left out.

    Returns
    -------
    dict
        Strings; ``rank`` and ``alpha`` are given ones, else those of most layers.
    """
    rank, alpha = common_rank(parts)
    is_dora = any(layer.magnitude is not None for layer in _all(parts))
    said = {
        "rank": rank,
        "alpha": alpha,
        **metadata,
        "family": family,
        "adapter": "dora" if is_dora else "lora",
        "components": ", ".join(sorted(parts)),
        "made_by": f"{MADE_BY} {bunny.__version__}",
    }
    return {key: _text(value) for key, value in said.items() if value is not None}


def kohya_texts(
    parts: ComponentLayers, family: str, own: Mapping[str, str], captions: Sequence[str] = ()
) -> dict[str, str]:
    """Texts that sd-scripts, ComfyUI, A1111 and model managers show or decide by.

    Parameters
    ----------
    parts : dict
    family : str
    own : mapping
        From `own_texts`.
    captions : sequence of str
        Of the training set; their words between commas are counted in ``ss_tag_frequency``.

    Returns
    -------
    dict
        Keys ``ss_...`` of sd-scripts and ``modelspec...`` of the SAI model specification.
    """
    rank, alpha = common_rank(parts)
    version, kind = version_of(parts, family), _prediction(own)
    is_v = kind == "v" and family == "sd"
    subject = own.get("subject") or own.get("trigger") or "character"
    said = {
        "ss_network_module": MODULE.get(family, "networks.lora"),
        "ss_network_dim": rank,
        "ss_network_alpha": alpha,
        "ss_base_model_version": VERSION.get(version, version) + ("_v" if is_v else ""),
        "ss_v2": version == "sd2",
        "ss_output_name": subject.replace(" ", "_"),
        "ss_sd_model_name": own.get("base_model"),
        "ss_sd_model_hash": own.get("base_hash"),
        "ss_steps": own.get("step"),
        "ss_num_train_images": len(captions) or None,
        "ss_tag_frequency": json.dumps({subject: count_tags(captions)}) if captions else None,
        "ss_network_args": _network_args(parts),
        **_modelspec(f"{version}_v" if is_v and version == "sd2" else version, own, subject),
        **dict.fromkeys(HASHES, ""),
    }
    if own.get("adapter") == "dora":
        said["ss_network_module"] = "lycoris.kohya"
    return {key: _text(value) for key, value in said.items() if value is not None}


def version_of(parts: ComponentLayers, family: str) -> str:
    """Family, and of ``sd`` which one: ``sd2`` where the text that it reads is 1024 wide."""
    if family != "sd":
        return family
    widths = {
        int(layer.down.shape[1])
        for own, layer in parts.get("unet", {}).items()
        if own.endswith(("attn2.to_k", "attn2.to_v"))
    }
    return "sd2" if widths == {SD2_WIDTH} else "sd1"


def common_rank(parts: ComponentLayers) -> tuple[int, float]:
    """Rank and alpha of most layers."""
    pairs = Counter((layer.rank, layer.alpha) for layer in _all(parts))
    return pairs.most_common(1)[0][0] if pairs else (0, 0.0)


def count_tags(captions: Sequence[str]) -> dict[str, int]:
    """Count the comma-separated tags in captions, the most frequent first.

    Examples
    --------
    >>> count_tags(["bun character, snow", "bun character"])
    {'bun character': 2, 'snow': 1}
    """
    counts = Counter(tag.strip() for text in captions for tag in text.split(",") if tag.strip())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ordered[:MAX_TAGS])


def _modelspec(version: str, own: Mapping[str, str], subject: str) -> dict[str, Any]:
    """The model specification's keys; what is not known is left out."""
    trigger = own.get("trigger")
    side = own.get("resolution_px")
    return {
        "modelspec.sai_model_spec": SPEC,
        "modelspec.architecture": ARCHITECTURE.get(version, f"{version}/lora"),
        "modelspec.implementation": IMPLEMENTATION.get(version, "diffusers"),
        "modelspec.title": own.get("title") or subject,
        "modelspec.resolution": f"{side}x{side}" if side else None,
        "modelspec.description": own.get("rights_film"),
        "modelspec.author": own.get("author"),
        "modelspec.date": own.get("date"),
        "modelspec.license": _licence(own),
        "modelspec.trigger_phrase": trigger,
        "modelspec.usage_hint": f"Use {subject!r} in the prompt" if trigger else None,
        "modelspec.prediction_type": _prediction(own),
        "modelspec.implementation_version": own.get("made_by"),
    }


def _prediction(own: Mapping[str, str]) -> str | None:
    """What the base predicts as the specification names it: ``epsilon`` or ``v``."""
    kind = own.get("prediction_type", "")
    return {"v_prediction": "v", "v": "v", "epsilon": "epsilon"}.get(kind)


def _licence(own: Mapping[str, str]) -> str | None:
    """Licence of the adapter where one is given, else of what it was made from."""
    if own.get("licence"):
        return own["licence"]
    sources = {"film": own.get("rights_film"), "base model": own.get("rights_base_model")}
    return "; ".join(f"{k}: {v}" for k, v in sources.items() if v) or None


def _network_args(parts: ComponentLayers) -> str | None:
    """Rank and alpha of 3x3 convolutions, and what makes it a DoRA, as sd-scripts notes them."""
    said: dict[str, str] = {}
    spatial = [la for la in _all(parts) if la.down.ndim == 4 and la.down.shape[-1] > 1]
    if spatial:
        said |= {"conv_dim": str(spatial[0].rank), "conv_alpha": str(spatial[0].alpha)}
    if any(layer.magnitude is not None for layer in _all(parts)):
        said |= {"algo": "lora", "dora_wd": "True", "wd_on_output": "True"}
    return json.dumps(said) if said else None


def _all(parts: ComponentLayers) -> list[LoraLayer]:
    """Layers of all components."""
    return [layer for layers in parts.values() for layer in layers.values()]


def _text(value: Any) -> str:
    """A value as a header takes it."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
