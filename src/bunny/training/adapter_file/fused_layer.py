"""Fused q, k, v layers of SD3 and Flux, joined from diffusers' layers and split again.

Joined, each part keeps a block of its own in the matrices (zeros elsewhere), so nothing is lost:
rank and alpha grow alike. Facts from kohya-ss/sd-scripts, networks/convert_flux_lora.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError
from bunny.training.adapter_file import layer_name as adapter_file_layer_name
from bunny.training.adapter_file.layer import Layers, LoraLayer

if TYPE_CHECKING:
    import torch

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
        words = [word for word, (layer_name, _) in inner.items() if layer_name == found[3]]
        if not words:
            raise adapter_file_layer_name.unknown_layer(place)
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
        raise adapter_file_layer_name.unknown_layer(own)
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
