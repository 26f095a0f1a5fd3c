"""Stable Diffusion 1.x and 2.x: a UNet and one CLIP text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from bunny.core.error import UserError
from bunny.training.family import pipeline
from bunny.training.family.contract import PromptEmbeds

if TYPE_CHECKING:
    import torch

SMALL_LATENT_PX = 32  # up to here plain attention trains a third faster on a CPU than the fused one
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
OTHER = ("conv1", "conv2", "conv_shortcut", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")


class StableDiffusion(pipeline.LoadedFamily):
    """Stable Diffusion 1.x or 2.x, and what is shaped like it (the toy)."""

    name = "sd"
    denoiser_key = "unet"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attention_targets = pipeline.present_endings(self.denoiser, ATTENTION)
        self.other_targets = pipeline.present_endings(self.denoiser, OTHER)
        if self.device == "cpu" and int(self.denoiser.config.sample_size) <= SMALL_LATENT_PX:
            from diffusers.models.attention_processor import AttnProcessor

            self.denoiser.set_attn_processor(AttnProcessor())

    def encode_words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Text embeddings, no pooled one, see `Family`."""
        hidden, _ = self._prompt(captions, has_grad, do_classifier_free_guidance=False)
        return {"hidden": hidden}

    def predict(
        self, noisy: torch.Tensor, times: torch.Tensor, words: PromptEmbeds
    ) -> torch.Tensor:
        """Prediction of the UNet for noisy latents (n, c, h, w), same shape, float32."""
        drawn = self.denoiser(
            noisy.to(self.dtype),
            times.to(noisy.device),
            encoder_hidden_states=words["hidden"].to(self.dtype),
        )
        return drawn.sample.float()

    def _extra(self, has_safety_checker: bool) -> dict[str, Any]:
        """The safety checker with its preprocessing, or none."""
        none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        if not has_safety_checker:
            return none
        if not self.has_safety_checker:
            return super()._extra(has_safety_checker)
        return self._safety_parts() | {"requires_safety_checker": True}

    def _safety_parts(self) -> dict[str, Any]:
        """Load the checker; of a hub model its weights come only now."""
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from transformers import CLIPImageProcessor

        folder = pipeline.fetch_safety_checker(self.model, self.folder)
        try:
            checker = StableDiffusionSafetyChecker.from_pretrained(
                folder / "safety_checker", use_safetensors=True, dtype=self.dtype
            )
            extractor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor")
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"base model {self.model}: could not load safety_checker and feature_extractor "
                f"from safetensors ({' '.join(str(error).split())[:160]}); set "
                "generation.has_safety_checker to false or download the base model again"
            ) from error
        cast(Any, checker).requires_grad_(False).eval().to(self.device)
        return {"safety_checker": checker, "feature_extractor": extractor}
