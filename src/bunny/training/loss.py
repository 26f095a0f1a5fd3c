"""Denoising loss: of one batch with its gradients, and at fixed noise; early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bunny.training import lora
from bunny.training.family.contract import Family
from bunny.training.latent_batch import LatentBatch, LatentBucket
from bunny.training.optimizer import AdapterOptimizer
from bunny.training.settings import Step, TrainingSettings
from bunny.training.training_data import OrderedBuckets, TrainingData

FIXED_BATCH = 8  # pictures at once where nothing is learned

FIXED_TIMESTEPS = 4  # noise levels at which each picture is looked at

EncodeCaptions = Callable[[Sequence[str]], "PromptEmbeds"]

if TYPE_CHECKING:
    import torch

    from bunny.training.family.contract import Family, PromptEmbeds


def denoising_loss(
    family: Family,
    latents: torch.Tensor,
    words: PromptEmbeds,
    noise: torch.Tensor,
    times: torch.Tensor,
    *,
    emphasis: torch.Tensor | None = None,
    min_snr_gamma: float = 0.0,
) -> torch.Tensor:
    """Weighted squared error of what the denoiser says of each picture.

    Parameters
    ----------
    latents, noise : torch.Tensor, shape (n, c, h, w), float32
        On the family's device.
    words : mapping
        Conditioning of each picture.
    times : torch.Tensor, shape (n,)
        As the family's noise gives them.
    emphasis : torch.Tensor, shape (n, 1, h, w), optional
        Mean 1 over each picture, see `latent_batch.mask_weight`.
    min_snr_gamma : float
        Hang et al. 2023, "Efficient diffusion training via min-SNR weighting"; 0: none.

    Returns
    -------
    torch.Tensor, shape (n,), float32
    """
    times = times.to(latents.device)
    noisy = family.noise.add(latents, noise, times)
    target = family.noise.target(latents, noise, times)
    dtype = next(family.denoiser.parameters()).dtype
    words = {k: w.to(dtype) if w.is_floating_point() else w for k, w in words.items()}
    drawn = family.predict(noisy.to(dtype), times, words)
    errors = (drawn.float() - target.float()).square()
    if emphasis is not None:
        errors = errors * emphasis
    weight = family.noise.weight(times, min_snr_gamma).to(errors.device)
    return errors.mean(dim=(1, 2, 3)) * weight


def fixed_noise_loss(
    family: Family,
    latents: torch.Tensor,
    words: Callable[[Sequence[int]], PromptEmbeds],
    *,
    num_times: int,
    seed: int,
    emphasis: torch.Tensor | None = None,
) -> float:
    """Unweighted loss at evenly spread times, with noise that depends on `seed` alone.

    Parameters
    ----------
    latents : torch.Tensor, shape (n, c, h, w), float32
    words : callable
        Gives the conditioning of some of the pictures.
    num_times : int
        Forward passes a picture.
    emphasis : torch.Tensor, shape (n, 1, h, w), optional

    Returns
    -------
    float
        Mean over pictures and times.
    """
    import torch

    noise = gaussian_noise(latents.shape, seed).to(latents.device)
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(latents), FIXED_BATCH):
            rows = range(start, min(start + FIXED_BATCH, len(latents)))
            part = slice(rows.start, rows.stop)
            known = words(rows)
            for time in family.noise.spread(num_times):
                total += float(
                    denoising_loss(
                        family,
                        latents[part],
                        known,
                        noise[part],
                        torch.as_tensor(time).expand(len(rows)),
                        emphasis=None if emphasis is None else emphasis[part],
                    ).sum()
                )
    return total / (num_times * len(latents))


def gaussian_noise(shape: Sequence[int], seed: int, offset: float = 0.0) -> torch.Tensor:
    """Noise that depends on the seed alone, made on the CPU.

    Parameters
    ----------
    shape : sequence of int
        (n, c, h, w).
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


def _join_batches(
    batches: Sequence[tuple[LatentBatch, float]],
) -> list[tuple[LatentBatch, np.ndarray]]:
    """Batches of one size as one forward pass."""
    import torch

    groups: dict[tuple[int, ...], list[tuple[LatentBatch, float]]] = {}
    for batch, weight in batches:
        groups.setdefault(tuple(batch.latents.shape[1:]), []).append((batch, weight))
    joined = []
    for group in groups.values():
        own = [batch for batch, _ in group]
        shares = [np.full(len(b.latents), w / len(b.latents)) for b, w in group]
        emphasis = None
        if any(b.emphasis is not None for b in own):
            emphasis = torch.cat([_mask_weight(b) for b in own])
        batch = LatentBatch(
            latents=torch.cat([b.latents for b in own]),
            captions=[c for b in own for c in b.captions],
            emphasis=emphasis,
        )
        joined.append((batch, np.concatenate(shares)))
    return joined


def _mask_weight(batch: LatentBatch) -> torch.Tensor:
    """How much each place counts; everywhere alike where there is no mask."""
    import torch

    if batch.emphasis is not None:
        return batch.emphasis
    return torch.ones_like(batch.latents[:, :1])


def mean_fixed_noise_loss(
    family: Family, buckets: Sequence[LatentBucket], words: EncodeCaptions, seed: int
) -> float | None:
    """Mean loss over pictures of several sizes, with the same noise and times at every call.

    Parameters
    ----------
    words : callable
        Conditioning of captions.

    Returns
    -------
    float or None
        None without a picture, or when the loss is no number.
    """
    if not buckets:
        return None
    total = 0.0
    for bucket in buckets:
        captions = [e.caption for e in bucket.examples]
        total += len(bucket) * fixed_noise_loss(
            family,
            bucket.latents,
            lambda rows, own=captions: words([own[i] for i in rows]),
            num_times=FIXED_TIMESTEPS,
            seed=seed,
            emphasis=bucket.emphasis,
        )
    loss = total / sum(map(len, buckets))
    return loss if math.isfinite(loss) else None


def output_change(
    family: Family, parts: lora.Components, bucket: LatentBucket, words: EncodeCaptions, seed: int
) -> tuple[float, float]:
    """Relative change that the adapter makes to the denoiser's output on a fixed batch.

    Parameters
    ----------
    parts : mapping
        That carry the adapter.
    bucket : LatentBucket
        One forward pass, with and without, at half of the noise.

    Returns
    -------
    change, size : float
        Mean absolute difference with and without the adapter, and mean absolute output without.
    """
    import torch

    latents = bucket.latents[:FIXED_BATCH]
    captions = [e.caption for e in bucket.examples[: len(latents)]]
    noise = gaussian_noise(latents.shape, seed).to(latents.device)
    times = torch.as_tensor(family.noise.spread(1)[0]).expand(len(latents)).to(latents.device)
    noisy = family.noise.add(latents, noise, times)

    def drawn() -> torch.Tensor:
        return family.predict(noisy, times, words(captions)).float()

    with torch.no_grad():
        adapted = drawn()
        with lora.disabled(parts):
            plain = drawn()
    return float((adapted - plain).abs().mean()), float(plain.abs().mean())


def should_stop_early(curve: Sequence[Step], patience: int) -> bool:
    """Whether the last `patience` held-out losses are no better than the best before them.

    Examples
    --------
    >>> points = [Step(step=i, loss=1.0, held_out_loss=v, learning_rate=1.0)
    ...           for i, v in enumerate([0.9, 0.8, 0.85, 0.8])]
    >>> should_stop_early(points, 2), should_stop_early(points, 3)
    (True, False)
    """
    values = [s.held_out_loss for s in curve if s.held_out_loss is not None]
    if not 0 < patience < len(values):
        return False
    return min(values[-patience:]) >= min(values[:-patience])


class GradientStep:
    """Adds the gradients of batches to the adapter's.

    Parameters
    ----------
    family : Family
        That carries the adapter.
    """

    def __init__(
        self,
        family: Family,
        data: TrainingData,
        settings: TrainingSettings,
        optimizer: AdapterOptimizer,
    ) -> None:
        self.family, self.data = family, data
        self.models, self.seed = settings.models, settings.seed
        self.optimizer = optimizer

    def accumulate(self, index: int) -> torch.Tensor:
        """Gradients of one batch and of its class pictures; gives its loss, detached."""
        import torch

        rng = np.random.default_rng([self.seed, index])
        batches = [(self._batch(self.data.subject, index, rng), 1.0)]
        if self.data.prior:
            batches.append((self._batch(self.data.prior, index, rng), self.models.class_weight))
        torch.manual_seed(int(rng.integers(2**62)))  # of dropout, where a base has it
        total: Any = 0.0
        for group in _join_batches(batches):
            loss = self._loss(*group, rng) / self.models.gradient_accumulation
            self.optimizer.backward(loss)
            total = total + loss.detach()
        return total

    def _batch(self, source: OrderedBuckets, index: int, rng: np.random.Generator) -> LatentBatch:
        """The pictures of one batch."""
        size, chosen = source.order.batch(index)
        flips = rng.random(len(chosen)) < self.models.flip_share
        is_dropped = rng.random(len(chosen)) < self.models.caption_dropout
        bucket = source.buckets[size]
        draws = rng.random(len(chosen)) if bucket.has_variants else None
        return bucket.batch(chosen, flips, is_dropped, draws)

    def _loss(
        self, batch: LatentBatch, shares: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """Weighted loss of pictures of one size at random noise and times."""
        import torch

        latents = batch.latents
        seeds = rng.integers(2**62, size=2)
        noise = gaussian_noise(latents.shape, int(seeds[0]), self.models.noise_offset)
        generator = torch.Generator().manual_seed(int(seeds[1]))
        losses = denoising_loss(
            self.family,
            latents,
            self.words(batch.captions, has_grad=True),
            noise.to(latents.device),
            self.family.noise.times(len(latents), generator),
            emphasis=batch.emphasis,
            min_snr_gamma=self.models.min_snr_gamma,
        )
        return (losses * torch.as_tensor(shares, dtype=losses.dtype).to(losses.device)).sum()

    def words(self, captions: Sequence[str], *, has_grad: bool = False) -> PromptEmbeds:
        """Conditioning of captions: cached, or by the text encoders as they are now."""
        if self.data.phrases is not None:
            return self.data.phrases.of(captions)
        texts = list(dict.fromkeys(captions))
        words = self.family.encode_words(texts, has_grad=has_grad)
        rows = [texts.index(c) for c in captions]
        return {name: w[rows] for name, w in words.items()}
