"""Flux.1: a transformer over packed latents, told times and guidance, trained by flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bunny.training.family import pipeline, sd
from bunny.training.family.contract import PromptEmbeds

if TYPE_CHECKING:
    import torch

ADDED = ("to_add_out", "add_q_proj", "add_k_proj", "add_v_proj")  # attention of the words
ATTENTION = tuple(f"attn.{part}" for part in (*sd.ATTENTION, *ADDED))
JOINT = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2")
OTHER = (*JOINT, "proj_mlp", "proj_out")  # these of the blocks that words and picture share
PACK = 2  # latents a side that make one token
TOKENS = 512  # of the T5; the pipeline's default
GUIDANCE = 1.0  # diffusers' README of Flux DreamBooth: train the distilled model with 1


class Flux(pipeline.LoadedFamily):
    """Flux.1 dev, schnell and what is shaped like them."""

    name = "flux"
    denoiser_key = "transformer"
    is_flow = True
    trainable_text = ("text_encoder",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.size_step_px = self.vae_scale * PACK
        self.attention_targets = pipeline.find_modules(self.denoiser, ATTENTION)
        self.other_targets = pipeline.find_modules(self.denoiser, OTHER)

    @property
    def resolution_px(self) -> int:
        """Side of the pictures that the VAE was made for (1024); the transformer has none."""
        return int(self.vae.config.sample_size)

    def encode_words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Text embeddings of the T5 and the pooled one of CLIP, see `Family`."""
        hidden, pooled, _ = self._prompt(captions, has_grad, max_sequence_length=TOKENS)
        return {"hidden": hidden, "pooled": pooled}

    def predict(
        self, noisy: torch.Tensor, times: torch.Tensor, words: PromptEmbeds
    ) -> torch.Tensor:
        """Prediction of the transformer for noisy latents (n, c, h, w), same shape, float32."""
        import torch

        count, channels, height, width = noisy.shape
        ways = type(self.source)
        packed = ways._pack_latents(noisy.to(self.dtype), count, channels, height, width)
        device = noisy.device
        has_guidance = self.denoiser.config.guidance_embeds
        drawn = self.denoiser(
            hidden_states=packed,
            timestep=times.to(device),  # the transformer multiplies by 1000 itself
            guidance=torch.full((count,), GUIDANCE, device=device) if has_guidance else None,
            encoder_hidden_states=words["hidden"].to(self.dtype),
            pooled_projections=words["pooled"].to(self.dtype),
            txt_ids=torch.zeros(words["hidden"].shape[1], 3, device=device, dtype=self.dtype),
            img_ids=ways._prepare_latent_image_ids(
                count, height // PACK, width // PACK, device, self.dtype
            ),
        ).sample
        sides = (height * self.vae_scale, width * self.vae_scale)
        return ways._unpack_latents(drawn, *sides, self.vae_scale).float()

    def _channels(self) -> int:
        """A token packs PACK x PACK latents."""
        return super()._channels() * PACK**2
