"""CLIP and SigLIP embeddings of sentences and pictures, from a folder or the hub."""

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

    @property
    def logit_scale(self) -> float:
        """The learned factor on cosines before a softmax over sentences."""
        return float(self.net.logit_scale.detach().exp())

    def embed_text(self, sentences: Sequence[str]) -> np.ndarray:
        """Vectors of sentences, (n, d) float32, unit length."""
        padding = True if self._has_projection else "max_length"  # as SigLIP was trained
        ready = self.processor(
            return_tensors="pt", text=list(sentences), padding=padding, truncation=True
        )
        return self._run(self.net.text_model, "text_projection", ready)

    def embed_picture(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors of pictures (height, width, 3) uint8 BGR; (n, d) float32, unit length."""
        config = self.net.config
        size = config.projection_dim if self._has_projection else config.vision_config.hidden_size
        found = [np.empty((0, size), np.float32)]
        for start in range(0, len(pictures), BATCH):
            own = [np.ascontiguousarray(p[:, :, ::-1]) for p in pictures[start : start + BATCH]]
            ready = self.processor(return_tensors="pt", images=own)
            found.append(self._run(self.net.vision_model, "visual_projection", ready))
        return np.concatenate(found)

    @property
    def _has_projection(self) -> bool:
        """CLIP's towers end in a projection, SigLIP's do not."""
        return hasattr(self.net, "visual_projection")

    def _run(self, tower: Any, projection: str, ready: Any) -> np.ndarray:
        import torch

        with torch.inference_mode():
            out = tower(**ready.to(self.net.device)).pooler_output
            if self._has_projection:
                out = getattr(self.net, projection)(out)
            return torch.nn.functional.normalize(out.float(), dim=-1).cpu().numpy()


def load(model: str, *, setting: str, otherwise: str, device: str = "cpu") -> ClipEncoder:
    """Load a CLIP.

    Parameters
    ----------
    model : str
        A folder as `save_pretrained` writes it, or a hub id.
    setting, otherwise : str
        Key of the setting that names it and what else may be done with that, for an error.

    Raises
    ------
    UserError
        If it cannot be loaded.
    """
    import transformers

    try:
        kind = transformers.AutoConfig.from_pretrained(model).model_type
        net_class, processor_class, options = _classes(kind)
        loaded = cast(Any, net_class.from_pretrained(model, use_safetensors=True))
        net = loaded.eval().to(device)
        processor = cast(Any, processor_class.from_pretrained(model, **options))
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{setting} {model}: expected a folder or hub id of a CLIP model, could not load "
            f"it ({reason}); choose another model, or {otherwise}"
        ) from error
    return ClipEncoder(net=net, processor=processor)


def _classes(kind: str) -> tuple[Any, Any, dict[str, Any]]:
    """Model and processor classes of a kind of model; refuses one that is neither."""
    import transformers

    if kind in ("siglip", "siglip2"):
        return transformers.AutoModel, transformers.AutoProcessor, {}
    if kind != "clip":
        raise ValueError(f"it is a {kind}")
    return transformers.CLIPModel, transformers.CLIPProcessor, {"use_fast": False}
