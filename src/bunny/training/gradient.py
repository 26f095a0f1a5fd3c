"""Gradients of one batch: which pictures, which noise, which words, and how each counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bunny.training import loss as training_loss
from bunny.training import setup
from bunny.training.family.contract import Family
from bunny.training.latent_batch import Batch
from bunny.training.optimizer_step import Stepper
from bunny.training.settings import LoraSettings
from bunny.training.training_data import Material, Pile


class Learner:
    """Adds the gradients of batches to the adapter's.

    Parameters
    ----------
    family : Family
        That carries the adapter.
    material : Material
    settings : LoraSettings
    stepper : Stepper
    """

    def __init__(
        self, family: Family, material: Material, settings: LoraSettings, stepper: Stepper
    ) -> None:
        self.family, self.material = family, material
        self.settings, self.stepper = settings, stepper

    def learn(self, index: int) -> Any:
        """Gradients of one batch and of its class pictures; gives its loss, detached."""
        import torch

        rng = np.random.default_rng([self.settings.seed, index])
        batches = [(self._deal(self.material.subject, index, rng), 1.0)]
        if self.material.prior:
            batches.append(
                (self._deal(self.material.prior, index, rng), self.settings.class_weight)
            )
        torch.manual_seed(int(rng.integers(2**62)))  # of dropout, where a base has it
        total: Any = 0.0
        for group in setup.join(batches):
            loss = self._loss(*group, rng) / self.settings.gradient_accumulation
            self.stepper.backward(loss)
            total = total + loss.detach()
        return total

    def _deal(self, pile: Pile, index: int, rng: np.random.Generator) -> Batch:
        """The pictures of one batch."""
        size, chosen = pile.order.batch(index)
        flips = rng.random(len(chosen)) < self.settings.flip_share
        is_dropped = rng.random(len(chosen)) < self.settings.caption_dropout
        return pile.decks[size].batch(chosen, flips, is_dropped)

    def _loss(self, batch: Batch, shares: np.ndarray, rng: np.random.Generator) -> Any:
        """Weighted loss of pictures of one size at random noise and times."""
        import torch

        latents = batch.latents
        seeds = rng.integers(2**62, size=2)
        noise = training_loss.gaussian(latents.shape, int(seeds[0]), self.settings.noise_offset)
        generator = torch.Generator().manual_seed(int(seeds[1]))
        losses = training_loss.losses(
            self.family,
            latents,
            self.words(batch.captions, has_grad=True),
            noise.to(latents.device),
            self.family.noise.times(len(latents), generator),
            emphasis=batch.emphasis,
            min_snr_gamma=self.settings.min_snr_gamma,
        )
        return (losses * torch.as_tensor(shares, dtype=losses.dtype).to(losses.device)).sum()

    def words(self, captions: Sequence[str], *, has_grad: bool = False) -> Any:
        """Conditioning of captions: cached, or by the text encoders as they are now."""
        if self.material.phrases is not None:
            return self.material.phrases.of(captions)
        texts = list(dict.fromkeys(captions))
        words = self.family.encode_words(texts, has_grad=has_grad)
        rows = [texts.index(c) for c in captions]
        return {name: w[rows] for name, w in words.items()}
