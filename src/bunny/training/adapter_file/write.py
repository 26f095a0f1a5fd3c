"""Adapter files written for diffusers, kohya's tools and ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.core.error import UserError
from bunny.training.adapter_file import kohya, safetensors_file
from bunny.training.adapter_file import layer as layers_of
from bunny.training.adapter_file.layer import ComponentLayers, Layers, UnetShape

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

FORMS = ("diffusers", "kohya", "comfy")
PEFT_TEXT = "lora_adapter_metadata"  # where diffusers keeps peft's settings
COMFY_TEXT = "dora_scale_for"  # says that DoRA's lengths suit ComfyUI's formula alone

States = Mapping[
    str, "tuple[Mapping[str, torch.Tensor], LoraConfig]"
]  # component: (peft state dict, LoraConfig)


@dataclass(frozen=True, kw_only=True)
class AdapterForm:
    """One of `FORMS`, and what the forms of other tools need besides the layers."""

    # kohya: for sd-scripts, ComfyUI and A1111, alpha kept as trained; comfy: see module `kohya`.
    name: str = "diffusers"
    shape: UnetShape | None = None  # of an SDXL-like UNet that is not SDXL's own
    captions: Sequence[str] = ()  # of the training set; model managers show their words
    base: kohya.Modules | None = None  # component to module, for a DoRA in the form comfy


DIFFUSERS = AdapterForm()


def write_diffusers(path: Path, states: States, family: str, metadata: Mapping[str, object]) -> str:
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
    return write_parts(path, layers_of_states(states), family, metadata)


def write_parts(
    path: Path,
    parts: ComponentLayers,
    family: str,
    metadata: Mapping[str, object],
    form: AdapterForm = DIFFUSERS,
) -> str:
    """Write layers, e.g. those of `read.read`, in the form of a tool.

    Parameters
    ----------
    path, family, metadata
        As `write_diffusers`.
    parts : dict
        Layers by component and module.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    UserError
        As `write_diffusers`, for an unknown form and for layers that the original model lacks.
    """
    if form.name not in FORMS:
        raise UserError(f"--format: expected one of {', '.join(FORMS)}, got {form.name}")
    parts = {component: layers for component, layers in parts.items() if layers}
    layers_of.check_finite(parts)
    texts = safetensors_file.own_texts(parts, family, metadata)
    if form.name == "diffusers":
        tensors = layers_of.to_diffusers(parts)
        return safetensors_file.write_file(path, tensors, {**texts, PEFT_TEXT: _peft_text(parts)})
    is_comfy = form.name == "comfy"
    tensors = kohya.to_kohya(parts, family, shape=form.shape, is_comfy=is_comfy, base=form.base)
    said = safetensors_file.kohya_texts(parts, family, texts, form.captions)
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
    said: dict[str, object] = {}
    for component, layers in sorted(parts.items()):
        settings = _peft_settings(component, layers)
        said |= {f"{component}.{key}": value for key, value in settings.items()}
    return json.dumps(said, sort_keys=True)


def _peft_settings(component: str, layers: Layers) -> dict[str, object]:
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
