"""The denoising loss of one batch, and the same at fixed noise and times to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bunny.training.family.contract import Family, Words

FIXED_BATCH = 8  # pictures at once where nothing is learned


def losses(
    family: Family,
    latents: Any,
    words: Words,
    noise: Any,
    times: Any,
    *,
    emphasis: Any | None = None,
    min_snr_gamma: float = 0.0,
) -> Any:
    """Weighted squared error of what the denoiser says of each picture.

    Parameters
    ----------
    family : Family
    latents, noise : torch.Tensor, shape (n, c, h, w), float32
        On the family's device.
    words : mapping
        Conditioning of each picture.
    times : torch.Tensor, shape (n,)
        As the family's noise gives them.
    emphasis : torch.Tensor, shape (n, 1, h, w), optional
        Mean 1 over each picture, see `deck.emphasis_of`.
    min_snr_gamma : float
        Hang et al. 2023, "Efficient diffusion training via min-SNR weighting"; 0: none.

    Returns
    -------
    torch.Tensor, shape (n,), float32
    """
    times = times.to(latents.device)
    noisy = family.noise.add(latents, noise, times)
    target = family.noise.target(latents, noise, times)
    dtype = _dtype_of(family.denoiser)
    words = {k: _lowered(w, dtype) for k, w in words.items()}
    drawn = family.predict(noisy.to(dtype), times, words)
    errors = (drawn.float() - target.float()).square()
    if emphasis is not None:
        errors = errors * emphasis
    weight = family.noise.weight(times, min_snr_gamma).to(errors.device)
    return errors.mean(dim=(1, 2, 3)) * weight


def fixed(
    family: Family,
    latents: Any,
    words: Callable[[Sequence[int]], Words],
    *,
    num_times: int,
    seed: int,
    emphasis: Any | None = None,
) -> float:
    """Unweighted loss at evenly spread times, with noise that depends on `seed` alone.

    Parameters
    ----------
    family : Family
    latents : torch.Tensor, shape (n, c, h, w), float32
    words : callable
        Gives the conditioning of some of the pictures.
    num_times : int
        Forward passes a picture.
    seed : int
    emphasis : torch.Tensor, shape (n, 1, h, w), optional

    Returns
    -------
    float
        Mean over pictures and times.
    """
    import torch

    noise = gaussian(latents.shape, seed).to(latents.device)
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(latents), FIXED_BATCH):
            rows = range(start, min(start + FIXED_BATCH, len(latents)))
            part = slice(rows.start, rows.stop)
            known = words(rows)
            for time in family.noise.spread(num_times):
                total += float(
                    losses(
                        family,
                        latents[part],
                        known,
                        noise[part],
                        torch.as_tensor(time).expand(len(rows)),
                        emphasis=None if emphasis is None else emphasis[part],
                    ).sum()
                )
    return total / (num_times * len(latents))


def gaussian(shape: Sequence[int], seed: int, offset: float = 0.0) -> Any:
    """Noise that depends on the seed alone, made on the CPU.

    Parameters
    ----------
    shape : sequence of int
        (n, c, h, w).
    seed : int
    offset : float
        Share of noise that is one value a channel: with it the model learns pictures darker and
        brighter than the average (N. Guttenberg 2023, "Diffusion with offset noise").

    Returns
    -------
    torch.Tensor, float32
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(tuple(shape), generator=generator)
    if offset:
        noise += offset * torch.randn((*shape[:2], 1, 1), generator=generator)
    return noise


def _dtype_of(module: Any) -> Any:
    """What a denoiser computes in: that of its first weight."""
    return next(module.parameters()).dtype


def _lowered(tensor: Any, dtype: Any) -> Any:
    """A tensor in the denoiser's precision; whole numbers stay."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
