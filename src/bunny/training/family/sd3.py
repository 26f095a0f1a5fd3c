"""Stable Diffusion 3 and 3.5: a transformer of words and picture, trained by flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bunny.training.family import flux, pipeline, sd
from bunny.training.family.contract import PromptEmbeds

if TYPE_CHECKING:
    import torch

ATTENTION = (*flux.ATTENTION, *(f"attn2.{part}" for part in sd.ATTENTION))
OTHER = flux.JOINT
TOKENS = 256  # of the T5; the pipeline's default


class StableDiffusion3(pipeline.LoadedFamily):
    """Stable Diffusion 3 or 3.5, with or without its T5."""

    name = "sd3"
    denoiser_key = "transformer"
    is_flow = True
    trainable_text = ("text_encoder", "text_encoder_2")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.size_step_px = self.vae_scale * int(self.denoiser.config.patch_size)
        self.attention_targets = living_modules(self.denoiser, ATTENTION)
        self.other_targets = living_modules(self.denoiser, OTHER)

    def encode_words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Text embeddings of the two CLIPs and the T5, one after the other, see `Family`."""
        hidden, _, pooled, _ = self._prompt(
            captions,
            has_grad,
            prompt_2=None,
            prompt_3=None,
            do_classifier_free_guidance=False,
            max_sequence_length=TOKENS,
        )
        return {"hidden": hidden, "pooled": pooled}

    def predict(
        self, noisy: torch.Tensor, times: torch.Tensor, words: PromptEmbeds
    ) -> torch.Tensor:
        """Prediction of the transformer for noisy latents (n, c, h, w), same shape, float32."""
        drawn = self.denoiser(
            hidden_states=noisy.to(self.dtype),
            timestep=times.to(noisy.device) * self.noise.num_times,
            encoder_hidden_states=words["hidden"].to(self.dtype),
            pooled_projections=words["pooled"].to(self.dtype),
        )
        return drawn.sample.float()


def living_modules(denoiser: Any, endings: Sequence[str]) -> tuple[str, ...]:
    """Find full names of the target modules, except the last block's query of the words.

    Nothing reads what that block makes of the words, so a LoRA there would never learn.
    """
    dead = f"transformer_blocks.{denoiser.config.num_layers - 1}.attn.add_q_proj"
    return tuple(n for n in pipeline.find_modules(denoiser, endings) if n != dead)
