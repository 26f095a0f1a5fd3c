"""CLIP embeddings of sentences and pictures, from a folder or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from bunny.core.error import UserError

BATCH = 32
SCALE = 2.5  # CLIPScore is 2.5 * max(cosine of sentence and picture, 0) (Hessel et al. 2021)


@dataclass(frozen=True, kw_only=True)
class ClipEncoder:
    """A loaded model."""

    net: Any
    processor: Any

    def embed_text(self, sentences: Sequence[str]) -> np.ndarray:
        """Vectors of sentences, (n, d) float32, unit length."""
        return self._run("text_embeds", text=list(sentences), padding=True, truncation=True)

    def embed_picture(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of pictures (height, width, 3) uint8 BGR; (n, d) float32, unit length."""
        found = [np.empty((0, self.net.config.projection_dim), np.float32)]
        for start in range(0, len(pictures), BATCH):
            own = [np.ascontiguousarray(p[:, :, ::-1]) for p in pictures[start : start + BATCH]]
            found.append(self._run("image_embeds", images=own))
        return np.concatenate(found)

    def _run(self, wanted: str, **inputs: Any) -> np.ndarray:
        import torch

        ready = self.processor(return_tensors="pt", **inputs)
        with torch.inference_mode():
            if wanted == "text_embeds":
                out = self.net.text_projection(self.net.text_model(**ready).pooler_output)
            else:
                out = self.net.visual_projection(self.net.vision_model(**ready).pooler_output)
            return torch.nn.functional.normalize(out.float(), dim=-1).numpy()


def load(model: str, *, setting: str, otherwise: str, device: str = "cpu") -> ClipEncoder:
    """Load a CLIP.

    Parameters
    ----------
    model : str
        A folder as `save_pretrained` writes it, or a hub id.
    setting, otherwise : str
        Key of the setting that names it and what else may be done with that, for an error.
    device : str

    Raises
    ------
    UserError
        If it cannot be loaded.
    """
    from transformers import CLIPModel, CLIPProcessor

    try:
        loaded = cast(Any, CLIPModel.from_pretrained(model, use_safetensors=True))
        net = loaded.eval().to(device)
        processor = cast(Any, CLIPProcessor.from_pretrained(model, use_fast=False))
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{setting} {model}: expected a folder or hub id of a CLIP model, could not load "
            f"it ({reason}); choose another model, or {otherwise}"
        ) from error
    return ClipEncoder(net=net, processor=processor)
