"""The denoising loss, on latents and text embeddings that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bunny.training.base import Base

if TYPE_CHECKING:
    from bunny.training.lora import Example

SNR_CAP = 5.0  # min-SNR weighting, Hang et al. 2023
ENCODE_BATCH = 8


class LatentCache:
    """Latents and text embeddings of a set of pictures, on the base's device.

    Parameters
    ----------
    latents, flipped : torch.Tensor, shape (n, 4, h, w)
        Scaled; `flipped` of the mirrored pictures, or None.
    words : torch.Tensor, shape (n, tokens, width)
    empty : torch.Tensor, shape (tokens, width)
        Embedding of the empty caption.
    """

    def __init__(self, latents: Any, flipped: Any, words: Any, empty: Any) -> None:
        self.latents, self.flipped, self.words, self.empty = latents, flipped, words, empty

    def __len__(self) -> int:
        return len(self.latents)

    def batch(self, chosen: np.ndarray, flips: np.ndarray, is_dropped: np.ndarray) -> tuple:
        """Latents and words of the chosen pictures, some mirrored, some without their caption."""
        import torch

        picked = [
            (self.flipped if flip and self.flipped is not None else self.latents)[int(i)]
            for i, flip in zip(chosen, flips, strict=True)
        ]
        words = [
            self.empty if dropped else self.words[int(i)]
            for i, dropped in zip(chosen, is_dropped, strict=True)
        ]
        return torch.stack(picked), torch.stack(words)


def cache(base: Base, examples: Sequence[Example], *, has_flips: bool) -> LatentCache:
    """Encode pictures and captions once.

    Parameters
    ----------
    base : Base
    examples : sequence of Example
        Pictures of one size, a multiple of the base's latent scale.
    has_flips : bool
        Encode the mirrored pictures too.
    """
    import torch

    empty = encode_words(base, [""])[0]
    if not examples:
        return LatentCache(torch.empty(0), None, torch.empty(0), empty)
    pictures = np.stack([e.picture for e in examples])
    words = encode_words(base, [e.caption for e in examples])
    flipped = encode_pictures(base, pictures[:, :, ::-1]) if has_flips else None
    return LatentCache(encode_pictures(base, pictures), flipped, words, empty)


def encode_pictures(base: Base, pictures: np.ndarray) -> Any:
    """Scaled latent means of RGB uint8 pictures (n, h, w, 3)."""
    import torch

    latents = []
    with torch.no_grad():
        for start in range(0, len(pictures), ENCODE_BATCH):
            batch = np.ascontiguousarray(pictures[start : start + ENCODE_BATCH])
            pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
            latents.append(base.vae.encode(pixels.to(base.device)).latent_dist.mean)
    return torch.cat(latents) * base.vae.config.scaling_factor


def encode_words(base: Base, captions: Sequence[str]) -> Any:
    """Text embeddings (n, tokens, width) as StableDiffusionPipeline makes them."""
    import torch

    tokens = base.tokenizer(
        list(captions),
        padding="max_length",
        max_length=base.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    with torch.no_grad():
        return base.text_encoder(tokens.to(base.device))[0]


def noise_schedule(scheduler: Any) -> Any:
    """The base's noise schedule as a DDPM scheduler, whatever sampler the folder names."""
    from diffusers import DDPMScheduler

    return DDPMScheduler.from_config(scheduler.config)


def loss(base: Base, schedule: Any, latents: Any, words: Any, generator: Any) -> Any:
    """Min-SNR-weighted loss of one batch at random times and noise.

    Notes
    -----
    The weight is min(SNR, 5) / SNR of the noise prediction and min(SNR, 5) / (SNR + 1) of the
    velocity; the latter is raised by 1 / (SNR + 1), so that pure noise keeps a say where the
    schedule ends in it (zero terminal SNR).
    """
    import torch

    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    count = schedule.config.num_train_timesteps
    times = torch.randint(0, count, (len(latents),), generator=generator).to(latents.device)
    per_picture = _squared_error(base, schedule, latents, words, noise, times)
    return (per_picture * _weight(schedule, times)).mean()


def fixed_loss(
    base: Base, schedule: Any, held_out: LatentCache, num_times: int, seed: int
) -> float:
    """Unweighted loss at evenly spread times with noise that depends on `seed` alone."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(held_out.latents.shape, generator=generator).to(held_out.latents.device)
    count = schedule.config.num_train_timesteps
    total = 0.0
    with torch.no_grad():
        for index in range(num_times):
            time = int(count * (index + 0.5) / num_times)
            times = torch.full((len(held_out),), time, device=held_out.latents.device)
            errors = _squared_error(base, schedule, held_out.latents, held_out.words, noise, times)
            total += float(errors.mean())
    return total / num_times


def _squared_error(
    base: Base, schedule: Any, latents: Any, words: Any, noise: Any, times: Any
) -> Any:
    """Mean squared error a picture of what the UNet predicts."""
    noisy = schedule.add_noise(latents, noise, times)
    kind = schedule.config.prediction_type
    target = schedule.get_velocity(latents, noise, times) if kind == "v_prediction" else noise
    drawn = base.unet(noisy, times, encoder_hidden_states=words).sample
    return (drawn.float() - target.float()).pow(2).mean(dim=(1, 2, 3))


def _weight(schedule: Any, times: Any) -> Any:
    """Weight of each picture's loss, see `loss`."""
    alpha = schedule.alphas_cumprod.to(times.device)[times]
    snr = alpha / (1 - alpha)
    capped = snr.clamp(max=SNR_CAP)
    if schedule.config.prediction_type == "v_prediction":
        return (capped + 1) / (snr + 1)
    return capped / snr.clamp(min=1e-8)
