"""Base models: loaded with diffusers on a device, in a precision, of any family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError
from bunny.training.family import folder as files
from bunny.training.family.contract import LAYOUTS, Family, ModelLayout
from bunny.training.family.folder import TOY, find_folder, hash_folder, read_card, read_licence

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline
    from transformers import PreTrainedTokenizerBase


AUTO_PRECISION = "auto"
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}

LOAD_ERRORS = (  # what diffusers and transformers raise at files that are damaged or do not fit
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    AttributeError,
    ImportError,
)


@dataclass(frozen=True, kw_only=True)
class Base:
    """A loaded base model and where it came from."""

    name: str  # as the settings name it
    hash: str
    licence: str | None
    is_toy: bool
    device: str
    resolution_px: int
    family: Family

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The first text encoder's tokenizer."""
        return self.family.source.tokenizer

    @property
    def scheduler(self) -> Any:
        """The sampler that the folder names."""
        return self.family.scheduler


def load_base(
    model: str, device: str | None = None, *, family: str = "auto", precision: str = "fp32"
) -> Base:
    """Load a base of Stable Diffusion 1.x, 2.x, XL, 3 or Flux.

    Parameters
    ----------
    model : str
        ``toy``, a local folder as `save_pretrained` writes it, or a hub id ``owner/name``.
    device : str, optional
        Default: ``cuda`` when there is one, else ``cpu``.
    family : str
        ``auto``, or what the folder must be: ``sd``, ``sdxl``, ``sd3``, ``flux``.
    precision : str
        Of the frozen weights: ``fp32``, ``bf16``, ``fp16``, or ``auto``, which is bf16 where a
        GPU has it, else fp32. The VAE that encodes pictures stays in 32 bits.

    Raises
    ------
    UserError
        If the folder is no such model, holds pickled weights only, or the hub cannot be reached.
    """
    import torch

    _quiet()
    folder = find_folder(model)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    loaded = _load_family(folder, model, device, family=family, precision=precision)
    return Base(
        name=model,
        hash=hash_folder(folder),
        licence=read_licence(folder),
        is_toy=read_card(folder).get("format") == TOY,
        device=device,
        resolution_px=loaded.resolution_px,
        family=loaded,
    )


def _quiet() -> None:
    """Let diffusers and transformers speak of errors only: they advise on parts we do not use."""
    import transformers
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _has_bf16(device: str) -> bool:
    """Whether a device is a GPU with bf16 in hardware; few CPUs are faster in 16 bits."""
    import torch

    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def _resolve_precision(precision: str, device: str) -> str:
    """Name what ``auto`` stands for: bf16 where `_has_bf16`, else fp32; others as they are."""
    if precision == AUTO_PRECISION:
        return "bf16" if _has_bf16(device) else "fp32"
    if precision not in DTYPES:
        known = ", ".join((AUTO_PRECISION, *DTYPES))
        raise UserError(f"models.precision: expected one of {known}, got {precision}")
    return precision


def dtype_of(precision: str, device: str) -> torch.dtype:
    """torch's type of a precision, see `_resolve_precision`."""
    import torch

    return getattr(torch, DTYPES[_resolve_precision(precision, device)])


def choose_precision(precision: str, device: str) -> str:
    """Choose the precision to train in: fp32, bf16 or fp16.

    Parameters
    ----------
    precision : str
        ``auto`` or one of these, see `_resolve_precision`.

    Raises
    ------
    UserError
        If there is no such precision or the device cannot compute so.
    """
    is_gpu = device.startswith("cuda")
    if precision == "bf16" and is_gpu and not _has_bf16(device):
        raise UserError("models.precision: this GPU does not support bf16; use fp16 or fp32")
    return _resolve_precision(precision, device)


def _load_family(
    folder: Path, model: str, device: str, *, family: str = files.AUTO, precision: str = "fp32"
) -> Family:
    """Load all parts of a base, frozen, in evaluation mode.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it.
    model : str
        As the settings name the base.
    family : str
        ``auto``, or what it must be: sd, sdxl, sd3, flux.
    precision : str
        Of the frozen weights, see `choose_precision`.

    Raises
    ------
    UserError
        If the folder is no whole base of a family that we know.
    """
    name = files.check_folder(folder, model, family)
    dtype = dtype_of(precision, device)
    source = _read_pipeline(folder, model, LAYOUTS[name], dtype)
    return _class_of(name)(source, model, folder, device, dtype)


def _class_of(name: str) -> Callable[..., Family]:
    """The class of a family."""
    from bunny.training.family import flux, sd, sd3, sdxl

    return {
        "sd": sd.StableDiffusion,
        "sdxl": sdxl.StableDiffusionXL,
        "sd3": sd3.StableDiffusion3,
        "flux": flux.Flux,
    }[name]


def _read_pipeline(
    folder: Path, model: str, layout: ModelLayout, dtype: torch.dtype
) -> DiffusionPipeline:
    """The folder as diffusers' own pipeline, its VAE in 32 bits."""
    import diffusers
    import torch
    from safetensors import SafetensorError

    missing = [part for part in layout.optional if not (folder / part).is_dir()]
    skipped = dict.fromkeys((*layout.unused, *missing))
    try:
        source = getattr(diffusers, layout.pipeline).from_pretrained(
            folder,
            dtype={"default": dtype, "vae": torch.float32},
            use_safetensors=True,
            variant="fp16" if files.is_half_only(folder, layout) else None,
            **skipped,
        )
    except (*LOAD_ERRORS, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"base model {model}: could not load the {layout.title} folder "
            f"({reason}); it may be incomplete, download it again"
        ) from error
    for part in layout.parts():
        if getattr(source, part, None) is None and part not in layout.optional:
            raise UserError(
                f"base model {model}: expected model_index.json to name {part}, found "
                "none; use a folder written by save_pretrained"
            )
    return source
