"""LoRA and DoRA layers as matrices, and the names that diffusers, peft and kohya give them.

Names of the original models, which kohya's files use, are facts read from kohya-ss/sd-scripts
(networks/lora*.py, networks/convert_flux_lora.py), ComfyUI (comfy/lora.py, comfy/utils.py) and
diffusers (loaders/lora_conversion_utils.py); no code of theirs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

# Words of module names that have an underscore themselves.
COMPOUND = """
adaLN_modulation add_embedding add_k_proj add_q_proj add_v_proj class_embedding
context_block context_embedder conv_in conv_out conv_shortcut double_blocks down_blocks
emb_layers ff_context guidance_embedder guidance_in img_attn img_in img_mlp img_mod
in_layer in_layers input_blocks joint_blocks k_proj label_emb linear_1 linear_2 mid_block
middle_block norm1_context norm_out out_layer out_layers out_proj output_blocks pos_embed
position_embedding proj_in proj_mlp proj_out q_proj self_attn single_blocks
single_transformer_blocks skip_connection text_embedder text_model text_projection
time_emb_proj time_embed time_embedding time_in time_text_embed timestep_embedder
to_add_out to_k to_out to_q to_v token_embedding transformer_blocks txt_attn txt_in
txt_mlp txt_mod up_blocks v_proj vector_in x_block x_embedder
"""
LONGEST_FIRST = "|".join(sorted(COMPOUND.split(), key=len, reverse=True))
TOKEN = re.compile(f"(?:{LONGEST_FIRST}|[^_]+)(?=_|$)")
RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)")
MIDDLE = re.compile(r"mid_block\.(\w+)\.(\d+)\.(.+)")
LDM_SIDE = re.compile(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.+)")
LDM_MIDDLE = re.compile(r"middle_block\.(\d+)\.(.+)")
REGEX = set("*+?[(|\\$")  # a pattern with one of these is more than a name
DOWN, UP, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


@dataclass(frozen=True, kw_only=True)
class UnetShape:
    """Shape of a UNet that its original block numbers depend on; the default is SDXL's."""

    layers_per_block: int = 2
    has_up_attention: tuple[bool, ...] = (True, True, False)


def shape_of(config: Mapping[str, Any]) -> UnetShape:
    """Shape from a UNet2DConditionModel's configuration.

    Raises
    ------
    UserError
        If its blocks have different numbers of layers, for which there are no original names.
    """
    layers = config["layers_per_block"]
    if not isinstance(layers, int):
        raise UserError(
            "adapter: expected a UNet with a single layers_per_block, found "
            f"{layers}; use the format diffusers for this adapter"
        )
    has = tuple("Attn" in kind for kind in config["up_block_types"])
    return UnetShape(layers_per_block=layers, has_up_attention=has)


def to_underscores(name: str) -> str:
    """A module's name as kohya's files write it: dots become underscores."""
    return name.replace(".", "_")


def from_underscores(name: str) -> str:
    """The module's name behind a flat one, by the words that module names are made of.

    Examples
    --------
    >>> from_underscores("down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0")
    'down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0'
    """
    return ".".join(TOKEN.findall(name))


def to_ldm(name: str, shape: UnetShape) -> str:
    """A diffusers UNet module by its name in the original (LDM) UNet.

    Parameters
    ----------
    name : str
        E.g. ``down_blocks.1.attentions.0.proj_in``.

    Raises
    ------
    UserError
        If the original model has no such module.

    Examples
    --------
    >>> to_ldm("down_blocks.1.attentions.0.proj_in", UnetShape())
    'input_blocks.4.1.proj_in'
    >>> to_ldm("up_blocks.0.upsamplers.0.conv", UnetShape())
    'output_blocks.2.2.conv'
    """
    if name in ENDS:
        return ENDS[name]
    if found := MIDDLE.fullmatch(name):
        kind, index, rest = found[1], int(found[2]), found[3]
        if kind == "attentions":
            return f"middle_block.1.{rest}"
        return f"middle_block.{2 * index}.{_resnet(rest, name)}"
    found = BLOCK.fullmatch(name)
    if not found:
        raise unknown_layer(name)
    side, kind, rest = found[1], found[3], found[5]
    block, index, run = int(found[2]), int(found[4]), shape.layers_per_block + 1
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * run}.0.op"
    if kind == "upsamplers":
        after = 2 if shape.has_up_attention[block] else 1
        return f"output_blocks.{(block + 1) * run - 1}.{after}.conv"
    first = 1 if side == "down" else 0  # the first input block is conv_in
    place = f"{'input' if first else 'output'}_blocks.{first + block * run + index}"
    return f"{place}.1.{rest}" if kind == "attentions" else f"{place}.0.{_resnet(rest, name)}"


def from_ldm(name: str, shape: UnetShape) -> str:
    """The other way; names that are diffusers' already stay.

    Examples
    --------
    >>> from_ldm("output_blocks.2.2.conv", UnetShape())
    'up_blocks.0.upsamplers.0.conv'
    """
    ends = {ldm: own for own, ldm in ENDS.items()}
    inner = {ldm: own for own, ldm in RESNET.items()}
    if name in ends:
        return ends[name]
    if found := LDM_MIDDLE.fullmatch(name):
        number, rest = int(found[1]), found[2]
        where = "attentions.0" if number == 1 else f"resnets.{number // 2}"
        return f"mid_block.{where}.{inner.get(rest, rest)}"
    found = LDM_SIDE.fullmatch(name)
    if not found:
        return name
    way, number, sub, rest = found[1], int(found[2]), found[3], found[4]
    is_down = way == "input"
    block, index = divmod(number - is_down, shape.layers_per_block + 1)
    if rest == "op":
        return f"down_blocks.{block}.downsamplers.0.conv"
    if rest == "conv":
        return f"up_blocks.{block}.upsamplers.0.conv"
    kind = "resnets" if sub == "0" else "attentions"
    return f"{'down' if is_down else 'up'}_blocks.{block}.{kind}.{index}.{inner.get(rest, rest)}"


def _resnet(inner: str, name: str) -> str:
    """A resnet's layer in the original model."""
    if inner not in RESNET:
        raise unknown_layer(name)
    return RESNET[inner]


def unknown_layer(name: str) -> UserError:
    """The error for a module that the original model does not name."""
    return UserError(
        f"adapter: {name} has no name in the original model's naming scheme; use the "
        "format diffusers for this adapter"
    )


@dataclass(frozen=True, kw_only=True)
class LoraLayer:
    """A low-rank change of one weight: ``up @ down * alpha / rank``, as LoRA defines it.

    With a magnitude it is DoRA: each output's row of the changed weight gets that length.
    """

    down: torch.Tensor  # (rank, in) or (rank, in, kernel_h, kernel_w)
    up: torch.Tensor  # (out, rank) or (out, rank, 1, 1)
    alpha: float
    magnitude: torch.Tensor | None = None  # (out,)

    @property
    def rank(self) -> int:
        """Length of the inner axis."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """Scale of the product of the matrices."""
        return self.alpha / self.rank


Layers = dict[str, LoraLayer]  # by the module's name in diffusers
ComponentLayers = dict[
    str, Layers
]  # by component: unet or transformer, text_encoder, text_encoder_2


def from_peft(state: Mapping[str, torch.Tensor], config: LoraConfig) -> Layers:
    """Layers of a peft state dict.

    Parameters
    ----------
    state : mapping
        As ``get_peft_model_state_dict`` gives it: tensors by ``<module>.lora_A.weight`` and so on.
    config : peft.LoraConfig or None
        Alpha and its patterns; None: alpha is each layer's rank. `use_rslora` is folded into alpha
        (Kalajdzievski 2023: the scale is alpha / sqrt(rank)).

    Raises
    ------
    UserError
        If a tensor is no part of a LoRA or DoRA.
    """
    state = {name.removeprefix("base_model.model."): tensor for name, tensor in state.items()}
    modules = sorted(name.removesuffix(DOWN) for name in state if name.endswith(DOWN))
    known = {m + end for m in modules for end in (DOWN, UP, MAGNITUDE, MAGNITUDE + ".weight")}
    for name in sorted(state):
        if name not in known:
            raise UserError(
                f"adapter: expected LoRA or DoRA matrices, found {name}; biases and "
                "other kinds of adapter are not supported"
            )
    return {m: _layer_of(state, m, config) for m in modules}


def to_peft(layers: Layers, *, is_text: bool = False) -> dict[str, torch.Tensor]:
    """State dict in peft's names with ``alpha == rank`` in every layer.

    The scale goes into `up`, so that readers that know of no alpha get the same change.

    Parameters
    ----------
    layers : dict
        By module name.
    is_text : bool
        Of a text encoder: transformers 5 passes over magnitudes whose names do not end in
        ``.weight``, peft and diffusers write them so.

    Returns
    -------
    dict
        Tensors by ``<module>.lora_A.weight``, ``.lora_B.weight``, ``.lora_magnitude_vector``.
    """
    state: dict[str, torch.Tensor] = {}
    for name, layer in sorted(layers.items()):
        state[name + DOWN] = layer.down
        state[name + UP] = _scaled(layer.up, layer.scale)
        if layer.magnitude is not None:
            end = MAGNITUDE + ".weight" if is_text else MAGNITUDE
            state[name + end] = _as_peft_magnitude(layer, layer.magnitude)
    return state


def to_diffusers(parts: ComponentLayers) -> dict[str, torch.Tensor]:
    """Tensors of all components in diffusers' names, alpha the same as rank.

    Returns
    -------
    dict
        torch.Tensor by ``<component>.<module>.lora_A.weight`` and so on, see `to_peft`.
    """
    return {
        f"{component}.{own}": tensor
        for component, layers in sorted(parts.items())
        for own, tensor in to_peft(layers, is_text=component.startswith("text_encoder")).items()
    }


def delta(layer: LoraLayer) -> torch.Tensor:
    """Change of the weight before DoRA's magnitude: ``up @ down * alpha / rank``, float32.

    Returns
    -------
    torch.Tensor
        Shape (out, in) or (out, in, kernel_h, kernel_w).
    """
    product = layer.up.float().flatten(1) @ layer.down.float().flatten(1)
    return product.reshape(layer.up.shape[0], *layer.down.shape[1:]) * layer.scale


def row_length(weight: torch.Tensor) -> torch.Tensor:
    """Euclidean length of each output's weights, shape (out,)."""
    return weight.float().flatten(1).norm(dim=1)


def check_finite(parts: ComponentLayers) -> None:
    """Refuse weights that are no numbers.

    Raises
    ------
    UserError
        Naming the first such layer.
    """
    for component, layers in parts.items():
        for name, layer in layers.items():
            tensors = (layer.down, layer.up, layer.magnitude)
            if not all(t is None or bool(t.isfinite().all()) for t in tensors):
                raise UserError(
                    f"adapter: expected finite numbers in {component}.{name}, found "
                    "NaN or infinity; train again with a lower models.learning_rate"
                )


def _layer_of(state: Mapping[str, torch.Tensor], module: str, config: LoraConfig) -> LoraLayer:
    """One module's matrices with its alpha."""
    if module + UP not in state:
        raise UserError(f"adapter: {module}{UP} is missing; the file is incomplete")
    down = state[module + DOWN]
    magnitude = state.get(module + MAGNITUDE, state.get(module + MAGNITUDE + ".weight"))
    return LoraLayer(
        down=down,
        up=state[module + UP],
        alpha=_alpha(config, module, int(down.shape[0])),
        magnitude=None if magnitude is None else magnitude.flatten(),
    )


def _alpha(config: LoraConfig, module: str, rank: int) -> float:
    """Alpha of a module by peft's rules; without settings it is the rank."""
    if config is None:
        return float(rank)
    alpha = _patterned(config.alpha_pattern or {}, module, config.lora_alpha)
    return float(alpha) * (math.sqrt(rank) if config.use_rslora else 1.0)


def _patterned(pattern: Mapping[str, Any], module: str, default: Any) -> Any:
    """What peft's `get_pattern_key` finds, whole names first: it compiles a pattern each time."""
    from peft.utils.other import get_pattern_key

    for key in (f"^{module}", module):
        if key in pattern:
            return pattern[key]
    loose = [k for k in pattern if not k.startswith("^") or set(k) & REGEX]
    return pattern.get(get_pattern_key(loose, module), default) if loose else default


def _scaled(tensor: torch.Tensor, scale: float) -> torch.Tensor:
    """Tensor times a scale; in float32 where half precision would round."""
    if scale == 1.0:
        return tensor
    is_exact = math.frexp(scale)[0] == 0.5  # a power of two
    return (tensor if is_exact else tensor.float()) * scale


def _as_peft_magnitude(layer: LoraLayer, magnitude: torch.Tensor) -> torch.Tensor:
    """Magnitude in the shape that peft keeps: (out,), of a convolution (1, out, 1, 1)."""
    ones = [1] * (layer.down.ndim - 2)
    return magnitude.reshape(1, -1, *ones) if ones else magnitude.flatten()
