"""Parts shared by all families: VAE encoding, prompt encoding, diffusers pipelines."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bunny.core.error import UserError
from bunny.training.family import folder as family_folder
from bunny.training.family import noise
from bunny.training.family.contract import LAYOUTS

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

ENCODE_BATCH = 8  # pictures at once
PIPELINE_KINDS = ("text2img", "img2img")
CLIP_TARGETS: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class LoadedFamily:
    """A loaded base: its parts on one device, frozen; see `contract.Family`.

    Parts that a caller moved to another device come back when they are needed.

    Parameters
    ----------
    source : diffusers pipeline
        The parts as they were loaded; the VAE in 32 bits.
    model : str
        As the settings name the base.
    dtype : torch.dtype
        Of the frozen weights.
    """

    name: str
    denoiser_key: str
    is_flow = False  # trained by flow matching
    trainable_text: tuple[str, ...] = ("text_encoder",)

    def __init__(
        self, source: Any, model: str, folder: Path, device: str, dtype: torch.dtype
    ) -> None:
        self.source, self.model, self.folder = source, model, folder
        self.device, self.dtype = device, dtype
        self.layout = LAYOUTS[self.name]
        self.denoiser = getattr(source, self.denoiser_key)
        self.vae = source.vae
        self.scheduler = source.scheduler
        self.text_encoders = {
            part: getattr(source, part)
            for part in self.layout.weights
            if part.startswith("text_encoder") and getattr(source, part) is not None
        }
        self.noise = noise.from_scheduler(source.scheduler, model)
        self.vae_scale = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.size_step_px = self.vae_scale
        self.text_targets = dict.fromkeys(self.trainable_text, CLIP_TARGETS)
        self._drawing_vae: Any = None
        for part in (self.denoiser, self.vae, *self.text_encoders.values()):
            part.requires_grad_(False).eval().to(device)
        self._check()

    @property
    def resolution_px(self) -> int:
        """Side of the square pictures that the base was made for."""
        return int(self.denoiser.config.sample_size) * self.vae_scale

    @property
    def has_safety_checker(self) -> bool:
        """Whether the base comes with a safety checker that `pipeline` can be asked for."""
        is_known = "safety_checker" in self.layout.unused
        return is_known and (self.folder / "safety_checker" / "config.json").exists()

    def encode_pictures(self, pictures: np.ndarray) -> torch.Tensor:
        """Latent means, shifted and scaled as the denoiser knows them.

        Parameters
        ----------
        pictures : np.ndarray, shape (n, H, W, 3), uint8
            RGB; sides are multiples of `size_step_px`.

        Returns
        -------
        torch.Tensor, shape (n, c, h, w), float32
            On `device`.
        """
        import torch

        self.vae.to(self.device)
        latents = []
        with torch.no_grad():
            for start in range(0, len(pictures), ENCODE_BATCH):
                batch = np.ascontiguousarray(pictures[start : start + ENCODE_BATCH])
                pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
                latents.append(self.vae.encode(pixels.to(self.device)).latent_dist.mean)
        shift, scale = self._latent_scale()
        return (torch.cat(latents) - shift) * scale

    def pipeline(
        self, *, kind: str = "text2img", has_safety_checker: bool = False
    ) -> DiffusionPipeline:
        """The parts as diffusers' own pipeline that shows no bar of its own.

        Parameters
        ----------
        kind : str
            ``text2img`` or ``img2img``.
        has_safety_checker : bool
            Load the safety checker that the base comes with; it blackens what it objects to.

        Raises
        ------
        UserError
            If a safety checker is asked for and the base has none.
        """
        import diffusers

        if kind not in PIPELINE_KINDS:
            raise ValueError(f"expected one of {PIPELINE_KINDS}, got {kind!r}")
        name = self.layout.pipeline if kind == "text2img" else self.layout.img2img
        for part in (self.denoiser, *self.text_encoders.values()):
            part.to(self.device)
        parts = {part: getattr(self.source, part) for part in self.layout.parts()}
        parts |= {"vae": self._vae_to_draw_with(), **self._extra(has_safety_checker)}
        pipeline = getattr(diffusers, name)(**parts)
        pipeline.default_sample_size = self.resolution_px // self.vae_scale  # Flux always says 1024
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _extra(self, has_safety_checker: bool) -> dict[str, Any]:
        """Further arguments of the pipeline."""
        if has_safety_checker:
            raise UserError(
                f"base model {self.model}: it has no safety checker; set "
                "generation.has_safety_checker to false or choose a base model that has one"
            )
        return {}

    def _check(self) -> None:
        """Refuse what has the family's parts but another task or another kind of noise."""
        if isinstance(self.noise, noise.FlowMatchingNoise) != self.is_flow:
            wanted = "a flow-matching" if self.is_flow else "a DDPM-like"
            raise UserError(
                f"base model {self.model}: expected {wanted} scheduler, found "
                f"{type(self.scheduler).__name__}; download the base model again"
            )
        given, wanted = int(self.denoiser.config.in_channels), self._channels()
        if given != wanted:
            raise UserError(
                f"base model {self.model}: expected a denoiser with {wanted} input channels, found "
                f"{given}; choose a text-to-image model, not an inpainting model"
            )

    def _channels(self) -> int:
        """Channels that the denoiser should take."""
        return int(self.vae.config.latent_channels)

    def _latent_scale(self) -> tuple[Any, Any]:
        """What is taken off the latents, and what they are multiplied with."""
        import torch

        config = self.vae.config
        shift, scale = config.get("shift_factor") or 0.0, config.scaling_factor
        if not config.get("latents_mean") or not config.get("latents_std"):
            return shift, scale
        mean, std = (
            torch.tensor(config[name], device=self.device).view(1, -1, 1, 1)
            for name in ("latents_mean", "latents_std")
        )
        return mean, scale / std

    def _vae_to_draw_with(self) -> Any:
        """The VAE in the precision of the denoiser; encoding keeps its own in 32 bits."""
        import torch

        if self.dtype == torch.float32:
            return self.vae.to(self.device)
        if self._drawing_vae is None or self._drawing_vae.dtype != self.dtype:
            self._drawing_vae = copy.deepcopy(self.vae).to(self.dtype)
        return self._drawing_vae.to(self.device)

    def _prompt(self, captions: Sequence[str], has_grad: bool, **options: Any) -> tuple[Any, ...]:
        """The pipeline's own `encode_prompt` of captions."""
        import torch

        for part in self.text_encoders.values():
            part.to(self.device)
        with torch.set_grad_enabled(has_grad):
            return self.source.encode_prompt(
                list(captions), **options, device=self.device, num_images_per_prompt=1
            )


def present_endings(denoiser: torch.nn.Module, endings: Sequence[str]) -> tuple[str, ...]:
    """Select the endings that the name of a module of the denoiser has, so that all are adapted."""
    modules = find_modules(denoiser, endings)
    return tuple(t for t in endings if any(name.endswith(f".{t}") for name in modules))


def find_modules(denoiser: torch.nn.Module, endings: Sequence[str]) -> tuple[str, ...]:
    """Find the full names of modules below the outermost ones that end in one of `endings`."""
    dotted = tuple(f".{ending}" for ending in endings)
    return tuple(name for name, _module in denoiser.named_modules() if name.endswith(dotted))


def fetch_safety_checker(model: str, folder: Path) -> Path:
    """Find the safety checker of a base model; weights of a hub model are downloaded first."""
    has_weights = any((folder / "safety_checker").glob("*.safetensors"))
    is_hub = family_folder.is_on_hub(model)
    return (
        family_folder.fetch(model, family_folder.SAFETY) if is_hub and not has_weights else folder
    )
