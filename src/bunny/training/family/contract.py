"""Model families: the interface of a loaded base, and the folders each consists of.

A family is one object a base: its parts, how pictures and words become tensors, what the denoiser
predicts, and diffusers' own pipeline of it. Nothing outside this package names an architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

PromptEmbeds = Mapping[
    str, "torch.Tensor"
]  # tensors whose first axis is the caption, e.g. hidden, pooled

MODEL, DIFFUSION = "model", "diffusion_pytorch_model"  # stems of weights by transformers, diffusers


class Noise(Protocol):
    """Noise schedule and prediction target of a denoiser."""

    def times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Random training times, shape (count,), on the CPU."""
        ...

    def spread(self, count: int) -> list[int] | list[float]:
        """`count` times, evenly from little to much noise: for the held-out loss."""
        ...

    def add(self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Noisy latents, shape as `latents`."""
        ...

    def target(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        """Training target of the denoiser, shape as `latents`."""
        ...

    def weight(self, times: torch.Tensor, min_snr_gamma: float) -> torch.Tensor:
        """Weight of each picture's loss, shape (count,); 1 everywhere for gamma 0."""
        ...


class Family(Protocol):
    """A loaded base; frozen, in evaluation mode, on `device`."""

    name: str  # sd, sdxl, sd3, flux
    source: Any  # diffusers' pipeline as it was loaded, with its tokenizers
    denoiser: Any  # the UNet or transformer
    denoiser_key: str  # unet or transformer, as diffusers' LoRA files name it
    text_encoders: dict[
        str, torch.nn.Module
    ]  # text_encoder, text_encoder_2, ... in the pipeline's order
    trainable_text: tuple[str, ...]  # those of them that LoRA files know (CLIP, never T5)
    text_targets: dict[str, tuple[str, ...]]  # by trainable encoder: modules that a LoRA adapts
    vae: Any  # in 32 bits, whatever the precision of the other parts
    scheduler: Any  # the sampler that the base names
    noise: Noise
    device: str
    dtype: torch.dtype  # of the frozen weights
    resolution_px: int  # side of the square pictures that the base was made for
    has_safety_checker: bool  # comes with one that `pipeline` can be asked for
    size_step_px: int  # sides of pictures are multiples of it
    attention_targets: tuple[str, ...]  # module names that a LoRA adapts
    other_targets: tuple[str, ...]  # further ones: convolutions, feed-forward layers

    def encode_pictures(self, pictures: np.ndarray) -> torch.Tensor:
        """Scaled latent means (n, c, h, w), float32, of RGB uint8 pictures (n, H, W, 3)."""
        ...

    def encode_words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Conditioning of captions, as the base's own pipeline makes it.

        Parameters
        ----------
        captions : sequence of str
            n of them.
        has_grad : bool
            Keep the gradients of a text encoder that is trained.

        Returns
        -------
        PromptEmbeds
            ``hidden``, shape (n, tokens, width), and where the architecture has one ``pooled``,
            shape (n, pooled width), in the precision of the base.
        """
        ...

    def predict(
        self, noisy: torch.Tensor, times: torch.Tensor, words: PromptEmbeds
    ) -> torch.Tensor:
        """Prediction of the denoiser for noisy latents, shape as `noisy`."""
        ...

    def pipeline(
        self, *, kind: str = "text2img", has_safety_checker: bool = False
    ) -> DiffusionPipeline:
        """The parts as diffusers' own pipeline (or ``img2img``), without a bar of its own."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelLayout:
    """The parts of one family and the pipelines that draw with them."""

    title: str  # as a sentence names it
    pipeline: str  # diffusers' class; model_index.json names it
    img2img: str
    weights: dict[str, str]  # folder -> stem of its weight files
    configs: tuple[str, ...]  # folders without weights
    optional: frozenset[str] = frozenset()  # folders that a model may lack: SD3 without T5
    unused: tuple[str, ...] = ("feature_extractor", "image_encoder")  # parts that are not loaded

    def parts(self) -> tuple[str, ...]:
        """All folders that are loaded."""
        return (*self.weights, *self.configs)


TWO_ENCODERS = {"text_encoder": MODEL, "text_encoder_2": MODEL}
LAYOUTS = {
    "sd": ModelLayout(
        title="Stable Diffusion 1.x or 2.x",
        pipeline="StableDiffusionPipeline",
        img2img="StableDiffusionImg2ImgPipeline",
        weights={"unet": DIFFUSION, "vae": DIFFUSION, "text_encoder": MODEL},
        configs=("tokenizer", "scheduler"),
        unused=("safety_checker", "feature_extractor", "image_encoder"),
    ),
    "sdxl": ModelLayout(
        title="Stable Diffusion XL",
        pipeline="StableDiffusionXLPipeline",
        img2img="StableDiffusionXLImg2ImgPipeline",
        weights={"unet": DIFFUSION, "vae": DIFFUSION, **TWO_ENCODERS},
        configs=("tokenizer", "tokenizer_2", "scheduler"),
    ),
    "sd3": ModelLayout(
        title="Stable Diffusion 3",
        pipeline="StableDiffusion3Pipeline",
        img2img="StableDiffusion3Img2ImgPipeline",
        weights={
            "transformer": DIFFUSION,
            "vae": DIFFUSION,
            **TWO_ENCODERS,
            "text_encoder_3": MODEL,
        },
        configs=("tokenizer", "tokenizer_2", "tokenizer_3", "scheduler"),
        optional=frozenset({"text_encoder_3", "tokenizer_3"}),
    ),
    "flux": ModelLayout(
        title="Flux",
        pipeline="FluxPipeline",
        img2img="FluxImg2ImgPipeline",
        weights={"transformer": DIFFUSION, "vae": DIFFUSION, **TWO_ENCODERS},
        configs=("tokenizer", "tokenizer_2", "scheduler"),
    ),
}
ALL_PARTS = tuple(sorted({part for layout in LAYOUTS.values() for part in layout.parts()}))
