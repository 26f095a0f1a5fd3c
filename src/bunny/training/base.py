"""The model that is fine-tuned: the toy, a folder or a hub id, of whatever family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bunny.training.family.contract import Family
from bunny.training.family.folder import (
    TOY,
    TOY_FOLDER,
    check_folder,
    embedded_card,
    find_folder,
    hash_base,
    hash_folder,
    read_card,
    read_licence,
)
from bunny.training.family.hub import HUB_ID

__all__ = [
    "HUB_ID",
    "TOY",
    "TOY_FOLDER",
    "Base",
    "check_folder",
    "embedded_card",
    "find_folder",
    "hash_base",
    "hash_folder",
    "load_base",
]


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
    def unet(self) -> Any:
        """The UNet or transformer."""
        return self.family.denoiser

    @property
    def vae(self) -> Any:
        """The autoencoder, in 32 bits."""
        return self.family.vae

    @property
    def text_encoder(self) -> Any:
        """The first text encoder."""
        return self.family.text_encoders["text_encoder"]

    @property
    def tokenizer(self) -> Any:
        """The first text encoder's tokenizer."""
        return self.family.source.tokenizer

    @property
    def scheduler(self) -> Any:
        """The sampler that the folder names."""
        return self.family.scheduler

    def pipeline(self, **options: Any) -> Any:
        """The parts as diffusers' own pipeline, see `common.Loaded.pipeline`."""
        return self.family.pipeline(**options)


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

    from bunny.training.family.load import load_family

    _quiet()
    folder = find_folder(model)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    loaded = load_family(folder, model, device, family=family, precision=precision)
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
    import diffusers
    import transformers

    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
