"""Adapter files read: diffusers' or kohya's, checked, and fitted to a base."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError
from bunny.training.adapter_file import kohya, safetensors_file
from bunny.training.adapter_file import layer as layers_of
from bunny.training.adapter_file.layer import ComponentLayers, LoraLayer, UnetShape
from bunny.training.adapter_file.write import COMFY_TEXT, PEFT_TEXT

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    from bunny.training.family.contract import Family

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2")


@dataclass(frozen=True, kw_only=True)
class AdapterFile:
    """Contents of an adapter file."""

    path: Path
    kind: str  # diffusers or kohya
    family: str | None  # sd, sdxl, sd3, flux; None: nothing in the file says which
    parts: ComponentLayers
    rank: int  # of most layers
    alpha: float  # of most layers; diffusers' files of ours have the scale in the weights
    is_dora: bool
    texts: dict[str, str]

    @property
    def components(self) -> tuple[str, ...]:
        """Parts of a pipeline that it changes."""
        return tuple(sorted(self.parts))


def read(path: Path, *, shape: UnetShape | None = None) -> AdapterFile:
    """Read an adapter without running anything of it.

    Parameters
    ----------
    shape : UnetShape, optional
        Of an SDXL-like UNet that is not SDXL's own, for kohya's files of it.

    Raises
    ------
    UserError
        In one sentence: a pickle, a broken file, or no LoRA or DoRA.
    """
    path = Path(path)
    tensors = safetensors_file.read_tensors(path)
    texts = safetensors_file.read_texts(path)
    if texts.get(COMFY_TEXT):
        raise UserError(
            f"{path}: this DoRA was written for ComfyUI, which cannot be converted "
            "back; use the file in the format diffusers or kohya"
        )
    is_kohya = kohya.is_kohya(tensors)
    try:
        parts = kohya.from_kohya(tensors, shape=shape) if is_kohya else _diffusers(tensors, texts)
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix('adapter: ')}") from error
    rank, alpha = safetensors_file.common_rank(parts)
    return AdapterFile(
        path=path,
        kind="kohya" if is_kohya else "diffusers",
        family=texts.get("family") or _family(parts, tensors),
        parts=parts,
        rank=rank,
        alpha=alpha,
        is_dora=any(la.magnitude is not None for p in parts.values() for la in p.values()),
        texts=texts,
    )


def components_of(family: Family) -> dict[str, torch.nn.Module]:
    """Modules of a base that adapters may change, by diffusers' names.

    Parameters
    ----------
    family : Family
        See `family.contract`.

    Returns
    -------
    dict
        torch.nn.Module by ``unet`` or ``transformer`` and the text encoders that LoRA files know.
    """
    texts = {key: family.text_encoders[key] for key in family.trainable_text}
    return {family.denoiser_key: family.denoiser, **texts}


def check_fits(adapter: AdapterFile, components: kohya.Modules) -> None:
    """Refuse an adapter whose layers are not those of a base.

    Parameters
    ----------
    components : mapping
        Component to torch.nn.Module, see `components_of`.

    Raises
    ------
    UserError
        Naming the first layer, in order of names, that does not fit.
    """
    for component, layers in sorted(adapter.parts.items()):
        if component not in components:
            raise UserError(
                f"{adapter.path}: the adapter changes {component}, which this base "
                "model does not have; choose the base model it was trained on"
            )
        modules = dict(components[component].named_modules())
        for own, layer in sorted(layers.items()):
            problem = _misfit(layer, kohya.find_module(modules, own))
            if problem:
                raise UserError(
                    f"{adapter.path}: the adapter does not fit this base model: {component}.{own} "
                    f"{problem}; choose the base model it was trained on"
                )


def load_into(pipeline: DiffusionPipeline, adapter: AdapterFile, name: str) -> None:
    """Check that an adapter fits a pipeline, then load it under a name, whatever the file's kind.

    diffusers itself leaves DoRA out of kohya's files and does not know SD3's; this loads both.

    Parameters
    ----------
    pipeline : diffusers pipeline
        Of the adapter's family.
    name : str
        For `set_adapters`.

    Raises
    ------
    UserError
        If it does not fit.
    """
    modules = {c: getattr(pipeline, c, None) for c in COMPONENTS}
    check_fits(adapter, {c: m for c, m in modules.items() if m is not None})
    pipeline.load_lora_weights(layers_of.to_diffusers(adapter.parts), adapter_name=name)


def _diffusers(tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str]) -> ComponentLayers:
    """Layers by component of diffusers' names."""
    states: dict[str, dict[str, torch.Tensor]] = {}
    for full, tensor in tensors.items():
        component, _, rest = full.partition(".")
        if component not in COMPONENTS:
            raise UserError(
                f"expected an adapter for {', '.join(COMPONENTS)} or kohya's names, "
                f"found {full}; export it in diffusers or kohya format"
            )
        states.setdefault(component, {})[rest] = tensor
    said = _peft_said(texts)
    return {
        component: layers_of.from_peft(_peft_names(state), _config(component, said))
        for component, state in sorted(states.items())
    }


def _peft_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors by peft's names of today; older diffusers wrote others."""
    from diffusers.utils import state_dict_utils

    if any(".lora_linear_layer." in name for name in state):
        return state_dict_utils.convert_state_dict_to_peft(state)
    return state_dict_utils.convert_unet_state_dict_to_peft(state)


def _peft_said(texts: Mapping[str, str]) -> dict[str, Any]:
    """Peft's settings in the header; empty where there are none."""
    try:
        said = json.loads(texts.get(PEFT_TEXT, "{}"))
    except ValueError as error:
        raise UserError(
            f"expected JSON in {PEFT_TEXT}, could not parse it; download it again"
        ) from error
    return said if isinstance(said, dict) else {}


def _config(component: str, said: Mapping[str, Any]) -> Any:
    """Alpha of a component's layers; None where nothing is said of it."""
    start = f"{component}."
    own = {k.removeprefix(start): v for k, v in said.items() if k.startswith(start)}
    if own.get("lora_alpha") is None:
        return None
    return SimpleNamespace(
        lora_alpha=own["lora_alpha"],
        alpha_pattern=own.get("alpha_pattern"),
        use_rslora=bool(own.get("use_rslora")),
    )


def _family(parts: ComponentLayers, tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Family by the layers' names, where they decide."""
    if "transformer" in parts:
        names = list(parts["transformer"])
        if any(n.startswith("single_transformer_blocks.") for n in names):
            return "flux"
        stems = {n.removeprefix("lora_unet_").split("_blocks")[0] for n in tensors}
        return "flux" if "double" in stems else "sd3" if "joint" in stems else None
    if "unet" in parts:
        is_xl = "text_encoder_2" in parts or any("input_blocks" in n for n in tensors)
        return "sdxl" if is_xl else None
    return None


def _misfit(layer: LoraLayer, module: object) -> str:
    """Why a layer does not fit a module; empty if it does."""
    weight = getattr(module, "weight", None)
    if weight is None:
        return "is missing from it"
    shape = tuple(weight.shape)
    changed = (int(layer.up.shape[0]), *(int(s) for s in layer.down.shape[1:]))
    if changed != shape:
        return f"changes a weight of shape {changed}, but the base model's has shape {shape}"
    if int(layer.up.flatten(1).shape[1]) != layer.rank:
        return f"has {layer.rank} rows but {int(layer.up.flatten(1).shape[1])} columns of rank"
    if layer.magnitude is not None and layer.magnitude.numel() != shape[0]:
        return (
            f"has {layer.magnitude.numel()} DoRA magnitudes, but the base model's layer "
            f"has {shape[0]} outputs"
        )
    return ""
