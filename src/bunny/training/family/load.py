"""Load a checked folder as the family that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.training import precision as precisions
from bunny.training.family import folder as files
from bunny.training.family.contract import Family
from bunny.training.family.layout import LAYOUTS, Layout

BROKEN = (  # what diffusers and transformers raise at files that are damaged or do not fit
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    AttributeError,
    ImportError,
)


def load_family(
    folder: Path, model: str, device: str, *, family: str = files.AUTO, precision: str = "fp32"
) -> Family:
    """Load all parts of a base, frozen, in evaluation mode.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it.
    model : str
        As the settings name the base.
    device : str
    family : str
        ``auto``, or what it must be: sd, sdxl, sd3, flux.
    precision : str
        Of the frozen weights, see `precision.resolve`.

    Raises
    ------
    UserError
        If the folder is no whole base of a family that we know.
    """
    name = files.check_folder(folder, model, family)
    dtype = precisions.dtype_of(precision, device)
    source = _read(folder, model, LAYOUTS[name], dtype)
    return _class_of(name)(source, model, folder, device, dtype)


def _class_of(name: str) -> Any:
    """The class of a family."""
    from bunny.training.family import flux, sd, sd3, sdxl

    return {
        "sd": sd.StableDiffusion,
        "sdxl": sdxl.StableDiffusionXL,
        "sd3": sd3.StableDiffusion3,
        "flux": flux.Flux,
    }[name]


def _read(folder: Path, model: str, layout: Layout, dtype: Any) -> Any:
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
    except (*BROKEN, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"base model {model}: expected a whole {layout.title} folder, could not load it "
            f"({reason}); get the folder again"
        ) from error
    for part in layout.parts():
        if getattr(source, part, None) is None and part not in layout.optional:
            raise UserError(
                f"base model {model}: expected model_index.json to name {part}, found none; "
                "give a folder as save_pretrained writes it"
            )
    return source
