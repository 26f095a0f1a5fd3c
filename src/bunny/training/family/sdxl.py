"""Stable Diffusion XL: a UNet that is also told the pooled words and the picture's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bunny.training.family import pipeline, sd
from bunny.training.family.contract import PromptEmbeds

if TYPE_CHECKING:
    import torch


class StableDiffusionXL(pipeline.LoadedFamily):
    """Stable Diffusion XL, without its refiner."""

    name = "sdxl"
    denoiser_key = "unet"
    trainable_text = ("text_encoder", "text_encoder_2")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attention_targets = pipeline.present_endings(self.denoiser, sd.ATTENTION)
        self.other_targets = pipeline.present_endings(self.denoiser, sd.OTHER)
        self.text_targets["text_encoder"] = self._living(self.text_encoders["text_encoder"])
        config = self.source.config
        self.is_empty_zero = bool(config.get("force_zeros_for_empty_prompt", True))

    def encode_words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Text embeddings of both encoders, see `Family`.

        An empty caption gives zeros where the base wants that (`force_zeros_for_empty_prompt`):
        so the pipeline guides away from "no words", and so caption dropout must train it.
        """
        import torch

        hidden, _, pooled, _ = self._prompt(captions, has_grad, do_classifier_free_guidance=False)
        if self.is_empty_zero:
            is_said = torch.tensor([bool(c) for c in captions], device=hidden.device)
            hidden, pooled = hidden * is_said.view(-1, 1, 1), pooled * is_said.view(-1, 1)
        return {"hidden": hidden, "pooled": pooled}

    def predict(
        self, noisy: torch.Tensor, times: torch.Tensor, words: PromptEmbeds
    ) -> torch.Tensor:
        """Prediction of the UNet for noisy latents (n, c, h, w), same shape, float32.

        It is told that the picture was never larger nor cut (Podell et al. 2023, section 2.2), as
        the pipeline tells it by default.
        """
        import torch

        height, width = (side * self.vae_scale for side in noisy.shape[-2:])
        size = torch.tensor([[height, width, 0, 0, height, width]], device=noisy.device)
        drawn = self.denoiser(
            noisy.to(self.dtype),
            times.to(noisy.device),
            encoder_hidden_states=words["hidden"].to(self.dtype),
            added_cond_kwargs={
                "text_embeds": words["pooled"].to(self.dtype),
                "time_ids": size.expand(len(noisy), -1).to(self.dtype),
            },
        )
        return drawn.sample.float()

    def _extra(self, has_safety_checker: bool) -> dict[str, Any]:
        """Keep the rule for empty prompts; no invisible watermark of an optional package."""
        extra = super()._extra(has_safety_checker)
        return extra | {
            "force_zeros_for_empty_prompt": self.is_empty_zero,
            "add_watermarker": False,
        }

    def _living(self, encoder: Any) -> tuple[str, ...]:
        """Modules of the first encoder but its last layer, whose output nobody reads."""
        last = encoder.config.num_hidden_layers - 1
        return tuple(
            name
            for name, _module in encoder.named_modules()
            if name.endswith(tuple(f".{t}" for t in pipeline.CLIP_TARGETS))
            and f".layers.{last}." not in name
        )
