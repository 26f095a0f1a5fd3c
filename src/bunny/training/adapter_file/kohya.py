"""Kohya's tensor names, as sd-scripts, ComfyUI and A1111 read them, written and read.

A layer is ``<prefix><module with underscores>`` with ``.lora_down.weight``, ``.lora_up.weight``,
``.alpha`` and, of a DoRA, ``.dora_scale`` with one length an output, shape (out, 1). SDXL's UNet
goes by its original (LDM) names, SD3 and Flux by theirs with q, k and v joined (`fuse`).

The form ``comfy`` differs in two things that ComfyUI reads better: SD3 and Flux keep q, k and v
apart (``lora_transformer_...``), and DoRA's lengths suit its formula: ComfyUI divides by the length
of the *base's* rows (comfy/weight_adapter/base.py, weight_decompose), not of the changed ones as
DoRA defines, so they are multiplied by base over changed. That needs the base's weights.

diffusers' converters lack SDXL's original names, SD3's and Flux's joined layers, alpha and DoRA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bunny.core.error import UserError
from bunny.training.adapter_file import fused_layer, layer_name
from bunny.training.adapter_file.layer import ComponentLayers, Layers, LoraLayer, delta, row_length
from bunny.training.adapter_file.layer_name import UnetShape

DOWN, UP, ALPHA, DORA = "lora_down.weight", "lora_up.weight", "alpha", "dora_scale"
TENSORS = (DOWN, UP, ALPHA, DORA)
TEXT_PREFIX = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
ONE_TEXT_PREFIX = {"text_encoder": "lora_te_"}  # of a family with one text encoder
PREFIXES = {  # to read: longer ones first
    "lora_transformer_": "transformer",
    "lora_unet_": "unet",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te_": "text_encoder",
}
ORIGINAL_BLOCKS = {"double_blocks": "flux", "single_blocks": "flux", "joint_blocks": "sd3"}


def is_kohya(names: Iterable[str]) -> bool:
    """Whether names of tensors are kohya's."""
    return any(n.startswith("lora_") and n.endswith(f".{DOWN}") for n in names)


def to_kohya(
    parts: ComponentLayers,
    family: str,
    *,
    shape: UnetShape | None = None,
    is_comfy: bool = False,
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Tensors of an adapter by kohya's names.

    Parameters
    ----------
    parts : dict
        Layers by component and diffusers' module name.
    family : str
        ``sd``, ``sdxl``, ``sd3`` or ``flux``.
    shape : UnetShape, optional
        Of an SDXL-like UNet that is not SDXL's own.
    is_comfy : bool
        The form that ComfyUI reads best, see above.
    base : mapping, optional
        Component to torch.nn.Module; needed for a DoRA in the form ``comfy`` only.

    Returns
    -------
    dict
        torch.Tensor by name.

    Raises
    ------
    UserError
        If the original model has no such layer, or a base is needed and not given.
    """
    texts = ONE_TEXT_PREFIX if family == "sd" else TEXT_PREFIX
    tensors: dict[str, Any] = {}
    for component, layers in parts.items():
        if is_comfy:
            layers = _for_comfy(layers, component, base)
        if component in texts:
            start, named = texts[component], layers
        elif component in ("unet", "transformer"):
            start, named = _denoiser(layers, family, shape or UnetShape(), is_comfy)
        else:
            raise UserError(
                "adapter: expected unet, transformer or CLIP text encoders, found "
                f"{component}, which no other tool reads"
            )
        for own, layer in named.items():
            tensors |= _tensors(start + layer_name.to_underscores(own), layer)
    return tensors


def from_kohya(tensors: Mapping[str, Any], *, shape: UnetShape | None = None) -> ComponentLayers:
    """Layers of kohya's tensors by diffusers' names.

    Parameters
    ----------
    tensors : mapping
        As `to_kohya` gives them, or as sd-scripts, OneTrainer or ComfyUI write them.
    shape : UnetShape, optional
        As in `to_kohya`.

    Raises
    ------
    UserError
        If a tensor is no part of a LoRA or DoRA over outputs.
    """
    groups: dict[str, dict[str, Any]] = {}
    for full, tensor in tensors.items():
        stem, _, kind = full.partition(".")
        if kind not in TENSORS:
            raise UserError(
                f"adapter: expected LoRA or DoRA matrices, found {full}; other kinds "
                "(LoHa, LoKr, Tucker) are not supported"
            )
        groups.setdefault(stem, {})[kind] = tensor
    found: ComponentLayers = {}
    for stem, group in sorted(groups.items()):
        component, own = _place(stem)
        found.setdefault(component, {})[own] = _layer(stem, group)
    return dict(_diffusers(key, layers, shape) for key, layers in found.items())


def _denoiser(layers: Layers, family: str, shape: UnetShape, is_comfy: bool) -> tuple[str, Layers]:
    """Prefix and names of a UNet's or transformer's layers."""
    if family == "sdxl":
        return "lora_unet_", {layer_name.to_ldm(own, shape): layer for own, layer in layers.items()}
    if family in fused_layer.ORIGINAL_NAMES:
        if is_comfy:
            return "lora_transformer_", layers
        return "lora_unet_", fused_layer.join(layers, family)
    return "lora_unet_", layers


def _tensors(stem: str, layer: LoraLayer) -> dict[str, Any]:
    """Tensors of one layer."""
    import torch

    tensors = {
        f"{stem}.{DOWN}": layer.down,
        f"{stem}.{UP}": layer.up,
        f"{stem}.{ALPHA}": torch.tensor(layer.alpha, dtype=torch.float32),
    }
    if layer.magnitude is not None:
        tensors[f"{stem}.{DORA}"] = layer.magnitude.reshape(-1, *[1] * (layer.down.ndim - 1))
    return tensors


def _for_comfy(layers: Layers, component: str, base: Mapping[str, Any] | None) -> Layers:
    """DoRA's lengths for ComfyUI's formula; LoRA as it is."""
    if all(layer.magnitude is None for layer in layers.values()):
        return layers
    if base is None or component not in base:
        raise UserError(
            f"adapter: writing a DoRA for ComfyUI needs the base model's {component}, "
            "found none; set models.base_model to the base model it was trained on, "
            "or use the format kohya"
        )
    suited: Layers = {}
    modules = dict(base[component].named_modules())
    for own, layer in layers.items():
        weight = find_module(modules, own).weight.detach().cpu().float()
        ratio = row_length(weight) / row_length(weight + delta(layer).cpu())
        magnitude = None if layer.magnitude is None else layer.magnitude.cpu().float() * ratio
        suited[own] = LoraLayer(
            down=layer.down, up=layer.up, alpha=layer.alpha, magnitude=magnitude
        )
    return suited


def find_module(modules: Mapping[str, Any], own: str) -> Any:
    """A module by name; CLIP text models have or have not ``text_model.`` in front.

    Parameters
    ----------
    modules : mapping
        ``dict(model.named_modules())``.
    own : str
        diffusers' name.

    Returns
    -------
    torch.nn.Module or None
        None if there is none; of a layer that carries a LoRA now, the layer beneath.
    """
    module = modules.get(own, modules.get(own.removeprefix("text_model.")))
    return getattr(module, "base_layer", module)


def _place(stem: str) -> tuple[str, str]:
    """Component and module of a stem; for SD3's and Flux' original names, family and module."""
    for prefix, component in PREFIXES.items():
        if stem.startswith(prefix):
            own = layer_name.from_underscores(stem.removeprefix(prefix))
            return ORIGINAL_BLOCKS.get(own.split(".")[0], component), own
    raise UserError(
        f"adapter: expected layers of a UNet, a transformer or CLIP, found {stem}; "
        "this adapter is not supported"
    )


def _layer(stem: str, group: Mapping[str, Any]) -> LoraLayer:
    """One layer of its tensors."""
    if DOWN not in group or UP not in group:
        raise UserError(f"adapter: {stem} is incomplete; download the file again")
    down, up, scale = group[DOWN], group[UP], group.get(DORA)
    if scale is not None and scale.shape[0] != up.shape[0]:
        raise UserError(
            f"adapter: expected a DoRA with one magnitude per output, {stem} has "
            "another number; train it with wd_on_output"
        )
    alpha = float(group[ALPHA]) if ALPHA in group else float(down.shape[0])
    magnitude = None if scale is None else scale.flatten()
    return LoraLayer(down=down, up=up, alpha=alpha, magnitude=magnitude)


def _diffusers(key: str, layers: Layers, shape: UnetShape | None) -> tuple[str, Layers]:
    """Component and layers by diffusers' names."""
    if key in fused_layer.ORIGINAL_NAMES:
        return "transformer", fused_layer.split(layers, key)
    if key == "unet":
        shape = shape or UnetShape()
        return key, {layer_name.from_ldm(own, shape): layer for own, layer in layers.items()}
    return key, layers
