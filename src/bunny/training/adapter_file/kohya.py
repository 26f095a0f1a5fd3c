"""Kohya's tensor names, as sd-scripts, ComfyUI and A1111 read them, written and read.

A layer is ``<prefix><module with underscores>`` with ``.lora_down.weight``, ``.lora_up.weight``,
``.alpha`` and, of a DoRA, ``.dora_scale`` with one length an output, shape (out, 1). SDXL's UNet
goes by its original (LDM) names, SD3 and Flux by theirs with q, k and v joined (`fuse`).

The form ``comfy`` differs in two things that ComfyUI reads better: SD3 and Flux keep q, k and v
apart (``lora_transformer_...``), and DoRA's lengths suit its formula: ComfyUI divides by the length
of the *base's* rows (comfy/weight_adapter/base.py, weight_decompose), not of the changed ones as
DoRA defines, so they are multiplied by base over changed. That needs the base's weights.

Joined q, k and v each keep a block of their own in the matrices (zeros elsewhere), so nothing is
lost: rank and alpha grow alike. Facts from kohya-ss/sd-scripts, networks/convert_flux_lora.py.

diffusers' converters lack SDXL's original names, SD3's and Flux's joined layers, alpha and DoRA.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError
from bunny.training.adapter_file import layer as lora_layer
from bunny.training.adapter_file.layer import (
    ComponentLayers,
    Layers,
    LoraLayer,
    UnetShape,
    delta,
    row_length,
)

if TYPE_CHECKING:
    import torch

Modules = Mapping[str, "torch.nn.Module"]
QKV = ("to_q", "to_k", "to_v")
ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")
WHOLE = -1  # instead of the number of a part
# Of one block: diffusers' layer -> (original layer, which part of it).
FLUX_DOUBLE = {
    **{f"attn.{w}": ("img_attn.qkv", i) for i, w in enumerate(QKV)},
    **{f"attn.{w}": ("txt_attn.qkv", i) for i, w in enumerate(ADDED)},
    "attn.to_out.0": ("img_attn.proj", WHOLE),
    "attn.to_add_out": ("txt_attn.proj", WHOLE),
    "ff.net.0.proj": ("img_mlp.0", WHOLE),
    "ff.net.2": ("img_mlp.2", WHOLE),
    "ff_context.net.0.proj": ("txt_mlp.0", WHOLE),
    "ff_context.net.2": ("txt_mlp.2", WHOLE),
    "norm1.linear": ("img_mod.lin", WHOLE),
    "norm1_context.linear": ("txt_mod.lin", WHOLE),
}
FLUX_SINGLE = {
    **{f"attn.{w}": ("linear1", i) for i, w in enumerate(QKV)},
    "proj_mlp": ("linear1", len(QKV)),
    "proj_out": ("linear2", WHOLE),
    "norm.linear": ("modulation.lin", WHOLE),
}
SD3_JOINT = {
    **{f"attn.{w}": ("x_block.attn.qkv", i) for i, w in enumerate(QKV)},
    **{f"attn2.{w}": ("x_block.attn2.qkv", i) for i, w in enumerate(QKV)},
    **{f"attn.{w}": ("context_block.attn.qkv", i) for i, w in enumerate(ADDED)},
    "attn.to_out.0": ("x_block.attn.proj", WHOLE),
    "attn2.to_out.0": ("x_block.attn2.proj", WHOLE),
    "attn.to_add_out": ("context_block.attn.proj", WHOLE),
    "ff.net.0.proj": ("x_block.mlp.fc1", WHOLE),
    "ff.net.2": ("x_block.mlp.fc2", WHOLE),
    "ff_context.net.0.proj": ("context_block.mlp.fc1", WHOLE),
    "ff_context.net.2": ("context_block.mlp.fc2", WHOLE),
}
ORIGINAL_NAMES = {
    "flux": {
        "transformer_blocks": ("double_blocks", FLUX_DOUBLE),
        "single_transformer_blocks": ("single_blocks", FLUX_SINGLE),
    },
    "sd3": {"transformer_blocks": ("joint_blocks", SD3_JOINT)},
}
BLOCK_NAME = re.compile(r"(\w+)\.(\d+)\.(.+)")
MLP_RATIO = 4  # of Flux's single blocks, FluxSingleTransformerBlock's default
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


def join(layers: Layers, family: str) -> Layers:
    """Layers by the original model's names.

    Parameters
    ----------
    layers : dict
        By diffusers' names, e.g. ``transformer_blocks.0.attn.to_q``.
    family : str
        ``sd3`` or ``flux``.

    Raises
    ------
    UserError
        If the original model has no such layer, or a DoRA adapts some parts of a joined one only.
    """
    joined: Layers = {}
    groups: dict[str, dict[int, LoraLayer]] = {}
    for own, layer in layers.items():
        place, part = _original(own, family)
        if part == WHOLE:
            joined[place] = layer
        else:
            groups.setdefault(place, {})[part] = layer
    for place, parts in groups.items():
        joined[place] = _join_parts(place, parts, 4 if place.endswith("linear1") else 3)
    return joined


def split(layers: Layers, family: str) -> Layers:
    """The other way; names that are diffusers' already stay.

    A joined layer without blocks of zeros (trained as one) gives every part all of `down`.
    """
    parted: Layers = {}
    for place, layer in layers.items():
        parted |= _parts_by_name(place, layer, ORIGINAL_NAMES[family])
    return parted


def _parts_by_name(place: str, layer: LoraLayer, blocks: Mapping[str, Any]) -> Layers:
    """The diffusers layers of one original layer."""
    found = BLOCK_NAME.fullmatch(place)
    for own, (original, inner) in blocks.items():
        if not found or found[1] != original:
            continue
        words = [word for word, (inner_name, _) in inner.items() if inner_name == found[3]]
        if not words:
            raise lora_layer.unknown_layer(place)
        is_whole = inner[words[0]][1] == WHOLE
        parts = [layer] if is_whole else _split_parts(layer, len(words))
        named = zip(words, parts, strict=True)  # words are in the order of the parts
        return {f"{own}.{found[2]}.{word}": part for word, part in named if part is not None}
    return {place: layer}


def _original(own: str, family: str) -> tuple[str, int]:
    """Original name of a module, and which part of it the module is."""
    found = BLOCK_NAME.fullmatch(own)
    block = ORIGINAL_NAMES[family].get(found[1]) if found else None
    if found is None or block is None or found[3] not in block[1]:
        raise lora_layer.unknown_layer(own)
    inner, part = block[1][found[3]]
    return f"{block[0]}.{found[2]}.{inner}", part


def _join_parts(place: str, parts: Mapping[int, LoraLayer], count: int) -> LoraLayer:
    """One layer with a block a part; parts that are not adapted get zeros."""
    import torch

    known = next(iter(parts.values()))
    rank, width = max(p.rank for p in parts.values()), known.down.shape[1]
    rows = _rows(parts, count, width)
    is_dora = any(p.magnitude is not None for p in parts.values())
    if is_dora and len(parts) < count:
        raise UserError(
            f"adapter: expected a DoRA for all parts of {place}, found {len(parts)} "
            f"of {count}; use the format diffusers or comfy"
        )
    scales = {p.scale for p in parts.values()}
    scale = scales.pop() if len(scales) == 1 else 1.0
    dtype = known.up.dtype if scale == known.scale else torch.float32
    down = torch.zeros(rank * count, width, dtype=known.down.dtype)
    up = torch.zeros(sum(rows), rank * count, dtype=dtype)
    for index, part in parts.items():
        column, row = index * rank, sum(rows[:index])
        down[column : column + part.rank] = part.down
        scaled = part.up if part.scale == scale else part.up.float() * (part.scale / scale)
        up[row : row + rows[index], column : column + part.rank] = scaled
    ordered = [m for i in sorted(parts) if (m := parts[i].magnitude) is not None]
    magnitude = torch.cat(ordered) if is_dora else None
    return LoraLayer(down=down, up=up, alpha=scale * rank * count, magnitude=magnitude)


def _rows(parts: Mapping[int, LoraLayer], count: int, width: int) -> list[int]:
    """Outputs of each part, of those that are not adapted too."""
    if count == 3:
        return [next(iter(parts.values())).up.shape[0]] * 3
    mlp = parts[3].up.shape[0] if 3 in parts else MLP_RATIO * width
    return [width, width, width, mlp]


def _split_parts(layer: LoraLayer, count: int) -> list[LoraLayer | None]:
    """Parts of a joined layer; None for one that is all padding."""
    import torch

    out, width = layer.up.shape[0], layer.down.shape[1]
    rows = [out // 3] * 3 if count == 3 else [width] * 3 + [out - 3 * width]
    ups = torch.split(layer.up, rows)
    magnitudes = [None] * count if layer.magnitude is None else layer.magnitude.split(rows)
    rank, rest = divmod(layer.rank, count)
    blocks = [slice(i * rank, (i + 1) * rank) for i in range(count)]
    if rest or any(_outside(up, block) for up, block in zip(ups, blocks, strict=True)):
        return [
            LoraLayer(down=layer.down, up=up, alpha=layer.alpha, magnitude=m)
            for up, m in zip(ups, magnitudes, strict=True)
        ]
    parts = [
        LoraLayer(down=layer.down[block], up=up[:, block], alpha=layer.scale * rank, magnitude=m)
        for up, block, m in zip(ups, blocks, magnitudes, strict=True)
    ]
    return [p if p.magnitude is not None or bool(p.down.any()) else None for p in parts]


def _outside(up: torch.Tensor, block: slice) -> bool:
    """Whether a part's rows have anything outside of its own block."""
    return bool(up[:, : block.start].any() or up[:, block.stop :].any())


def is_kohya(names: Iterable[str]) -> bool:
    """Whether names of tensors are kohya's."""
    return any(n.startswith("lora_") and n.endswith(f".{DOWN}") for n in names)


def to_kohya(
    parts: ComponentLayers,
    family: str,
    *,
    shape: UnetShape | None = None,
    is_comfy: bool = False,
    base: Modules | None = None,
) -> dict[str, torch.Tensor]:
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
    tensors: dict[str, torch.Tensor] = {}
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
            tensors |= _tensors(start + lora_layer.to_underscores(own), layer)
    return tensors


def from_kohya(
    tensors: Mapping[str, torch.Tensor], *, shape: UnetShape | None = None
) -> ComponentLayers:
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
    groups: dict[str, dict[str, torch.Tensor]] = {}
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
        return "lora_unet_", {lora_layer.to_ldm(own, shape): layer for own, layer in layers.items()}
    if family in ORIGINAL_NAMES:
        if is_comfy:
            return "lora_transformer_", layers
        return "lora_unet_", join(layers, family)
    return "lora_unet_", layers


def _tensors(stem: str, layer: LoraLayer) -> dict[str, torch.Tensor]:
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


def _for_comfy(layers: Layers, component: str, base: Modules | None) -> Layers:
    """DoRA's lengths for ComfyUI's formula; LoRA as it is."""
    if all(layer.magnitude is None for layer in layers.values()):
        return layers
    if base is None or component not in base:
        raise UserError(
            f"adapter: writing a DoRA for ComfyUI needs the base model's {component}, found none; "
            "set models.base_model to the base model it was trained on, or use the format kohya"
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


def find_module(modules: Modules, own: str) -> Any:
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
            own = lora_layer.from_underscores(stem.removeprefix(prefix))
            return ORIGINAL_BLOCKS.get(own.split(".")[0], component), own
    raise UserError(
        f"adapter: expected layers of a UNet, a transformer or CLIP, found {stem}; "
        "this adapter is not supported"
    )


def _layer(stem: str, group: Mapping[str, torch.Tensor]) -> LoraLayer:
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
    if key in ORIGINAL_NAMES:
        return "transformer", split(layers, key)
    if key == "unet":
        shape = shape or UnetShape()
        return key, {lora_layer.from_ldm(own, shape): layer for own, layer in layers.items()}
    return key, layers
