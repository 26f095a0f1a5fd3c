"""Prompt agreement of generated pictures: CLIPScore, or the toy world's own judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from bunny.caption import clip

AgreementMeasure = Callable[[Sequence[np.ndarray], Sequence[str]], np.ndarray]
BATCH = 16
SMALLEST_PX = 64  # shorter side that the toy world's judge reads


def load_clip(model: str, device: str = "cpu") -> AgreementMeasure:
    """Load CLIP as a measure of agreement.

    Parameters
    ----------
    model : str
        A folder as `save_pretrained` writes it, or a hub id.

    Returns
    -------
    callable
        Takes BGR uint8 pictures and a prompt each; gives CLIPScore (n,) float64, from 0 up to 2.5,
        for photographs usually 0.5 to 0.9.

    Raises
    ------
    UserError
        If it cannot be loaded.
    """
    import torch

    encoder = clip.load(
        model, setting="evaluation.text_model", otherwise="leave it empty", device=device
    )

    def agree(pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> np.ndarray:
        found = [np.empty(0)]
        for start in range(0, len(pictures), BATCH):
            chunk = [np.ascontiguousarray(p[:, :, ::-1]) for p in pictures[start : start + BATCH]]
            words = list(prompts[start : start + BATCH])
            inputs = encoder.processor(
                text=words, images=chunk, return_tensors="pt", padding=True, truncation=True
            )
            with torch.inference_mode():
                out = encoder.net(**inputs.to(device))
            one = torch.nn.functional.normalize(out.image_embeds.float(), dim=-1)
            two = torch.nn.functional.normalize(out.text_embeds.float(), dim=-1)
            cosine = (one * two).sum(dim=-1).cpu().numpy().astype(float)
            found.append(clip.SCALE * np.maximum(cosine, 0))
        return np.concatenate(found)

    return agree


def load_toy() -> AgreementMeasure:
    """Load the toy world's judge: share of the prompt's attributes that it finds right, in [0, 1].

    Raises
    ------
    UserError
        If the judge or its weights are not there.
    """
    from bunny.demo import judge as demo_judge

    judge = demo_judge.ToyJudge.load()

    def agree(pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> np.ndarray:
        if not len(pictures):
            return np.empty(0)
        rgb = np.stack([_enlarged(p)[:, :, ::-1] for p in pictures])
        return np.asarray(judge.agreement(rgb, list(prompts)), float)

    return agree


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture at least as large as the toy world's judge reads."""
    factor = SMALLEST_PX / min(picture.shape[:2])
    if factor <= 1:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
