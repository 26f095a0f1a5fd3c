"""Adapter files written for diffusers, kohya's tools and ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.training.adapter_file import kohya, safetensors_file
from bunny.training.adapter_file import layer as layers_of
from bunny.training.adapter_file.layer import ComponentLayers, Layers, UnetShape

FORMS = ("diffusers", "kohya", "comfy")
PEFT_TEXT = "lora_adapter_metadata"  # where diffusers keeps peft's settings
COMFY_TEXT = "dora_scale_for"  # says that DoRA's lengths suit ComfyUI's formula alone

States = Mapping[str, tuple[Mapping[str, Any], Any]]  # component: (peft state dict, LoraConfig)


def write_diffusers(path: Path, states: States, family: str, metadata: Mapping[str, Any]) -> str:
    """Write an adapter that ``pipeline.load_lora_weights(path)`` of its family loads.

    Each layer's scale (alpha / rank) is in its ``lora_B``, and rank and alpha are the same: so it
    comes out as strong in readers that know of no alpha (old diffusers, ComfyUI) as in others.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``.
    states : mapping
        ``unet`` or ``transformer``, ``text_encoder``, ``text_encoder_2`` to the state dict of
        ``get_peft_model_state_dict`` and its ``LoraConfig``; LoRA or DoRA.
    family : str
        ``sd``, ``sdxl``, ``sd3`` or ``flux``.
    metadata : mapping
        See `safetensors_file.own_texts`.

    Returns
    -------
    str
        SHA-256 of the file: the same states and metadata give the same bytes.

    Raises
    ------
    UserError
        If weights are no numbers, no LoRA or DoRA, or there are none.
    """
    return write_parts(path, layers_of_states(states), family, "diffusers", metadata)


def write_parts(
    path: Path,
    parts: ComponentLayers,
    family: str,
    form: str,
    metadata: Mapping[str, Any],
    *,
    shape: UnetShape | None = None,
    captions: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
) -> str:
    """Write layers, e.g. those of `read.read`, in one of `FORMS`.

    Parameters
    ----------
    path, family, metadata
        As `write_diffusers`.
    parts : dict
        Layers by component and module.
    form : str
        ``diffusers``; ``kohya`` for sd-scripts, ComfyUI and A1111, alpha kept as trained;
        ``comfy``: the form that ComfyUI reads best, see `kohya`.
    shape : UnetShape, optional
        Of an SDXL-like UNet that is not SDXL's own, see `layer.shape_of`.
    captions : sequence of str
        Of the training set, for the table of words that model managers show.
    base : mapping, optional
        Component to module; needed for a DoRA in the form ``comfy``.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    UserError
        As `write_diffusers`, for an unknown form and for layers that the original model lacks.
    """
    if form not in FORMS:
        raise UserError(f"--format: expected one of {', '.join(FORMS)}, got {form}")
    parts = {component: layers for component, layers in parts.items() if layers}
    layers_of.check_finite(parts)
    texts = safetensors_file.own_texts(parts, family, metadata)
    if form == "diffusers":
        tensors = layers_of.to_diffusers(parts)
        return safetensors_file.write_file(path, tensors, {**texts, PEFT_TEXT: _peft_text(parts)})
    is_comfy = form == "comfy"
    tensors = kohya.to_kohya(parts, family, shape=shape, is_comfy=is_comfy, base=base)
    said = safetensors_file.kohya_texts(parts, family, texts, captions)
    if is_comfy and texts["adapter"] == "dora":
        said[COMFY_TEXT] = "comfy"
    return safetensors_file.write_file(path, tensors, {**texts, **said})


def layers_of_states(states: States) -> ComponentLayers:
    """Layers of peft's state dicts; text models' names begin with ``text_model.``.

    transformers 5 left that word out of CLIPTextModel; files and other readers still have it.
    """
    parts: ComponentLayers = {}
    for component, (state, config) in states.items():
        layers = layers_of.from_peft(state, config)
        is_text = component.startswith("text_encoder")
        parts[component] = {_text_name(n) if is_text else n: la for n, la in layers.items()}
    return parts


def _text_name(own: str) -> str:
    """A text model's module with the word in front."""
    starts = ("text_model.", "text_projection")
    return own if own.startswith(starts) else f"text_model.{own}"


def _peft_text(parts: ComponentLayers) -> str:
    """Peft's settings as diffusers reads them, keys by component, in order."""
    said: dict[str, Any] = {}
    for component, layers in sorted(parts.items()):
        settings = _peft_settings(component, layers)
        said |= {f"{component}.{key}": value for key, value in settings.items()}
    return json.dumps(said, sort_keys=True)


def _peft_settings(component: str, layers: Layers) -> dict[str, Any]:
    """Settings of a LoraConfig that takes these layers, alpha the same as rank."""
    rank = safetensors_file.common_rank({component: layers})[0]
    is_text = component.startswith("text_encoder")
    # `^` marks a whole name; text models' names may begin with a word more.
    start = "" if is_text else "^"
    names = {own: own.removeprefix("text_model.") if is_text else own for own in layers}
    others = {f"{start}{names[n]}": la.rank for n, la in layers.items() if la.rank != rank}
    return {
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": sorted(names.values()),
        "use_dora": any(la.magnitude is not None for la in layers.values()),
        "lora_bias": False,
    }
