"""LoRA and DoRA layers as matrices, from and to peft's and diffusers' names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError

if TYPE_CHECKING:
    import torch

REGEX = set("*+?[(|\\$")  # a pattern with one of these is more than a name
DOWN, UP, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


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


def from_peft(state: Mapping[str, Any], config: Any) -> Layers:
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


def to_peft(layers: Layers, *, is_text: bool = False) -> dict[str, Any]:
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
    state: dict[str, Any] = {}
    for name, layer in sorted(layers.items()):
        state[name + DOWN] = layer.down
        state[name + UP] = _scaled(layer.up, layer.scale)
        if layer.magnitude is not None:
            end = MAGNITUDE + ".weight" if is_text else MAGNITUDE
            state[name + end] = _as_peft_magnitude(layer, layer.magnitude)
    return state


def to_diffusers(parts: ComponentLayers) -> dict[str, Any]:
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


def _layer_of(state: Mapping[str, Any], module: str, config: Any) -> LoraLayer:
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


def _alpha(config: Any, module: str, rank: int) -> float:
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
