"""What a fine-tune is measured by: fixed-noise losses, what the adapter changes, when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bunny.training import lora
from bunny.training import loss as training_loss
from bunny.training.family.contract import Family
from bunny.training.latent_batch import Deck
from bunny.training.settings import Step

TIMES = 4  # noise levels at which each picture is looked at

WordsOf = Callable[[Sequence[str]], Any]


def fixed_loss(family: Family, decks: Sequence[Deck], words: WordsOf, seed: int) -> float | None:
    """Mean loss over pictures of several sizes, with the same noise and times at every call.

    Parameters
    ----------
    family : Family
    decks : sequence of Deck
    words : callable
        Conditioning of captions.
    seed : int

    Returns
    -------
    float or None
        None without a picture, or when the loss is no number.
    """
    if not decks:
        return None
    total = 0.0
    for deck in decks:
        captions = [e.caption for e in deck.examples]
        total += len(deck) * training_loss.fixed(
            family,
            deck.latents,
            lambda rows, own=captions: words([own[i] for i in rows]),
            num_times=TIMES,
            seed=seed,
            emphasis=deck.emphasis,
        )
    loss = total / sum(map(len, decks))
    return loss if math.isfinite(loss) else None


def output_change(
    family: Family, parts: lora.Parts, deck: Deck, words: WordsOf, seed: int
) -> tuple[float, float]:
    """How much the adapter changes what the denoiser says of a fixed batch.

    Parameters
    ----------
    family : Family
    parts : mapping
        That carry the adapter.
    deck : Deck
        One forward pass, with and without, at half of the noise.
    words : callable
    seed : int

    Returns
    -------
    change, size : float
        Mean absolute difference with and without the adapter, and mean absolute output without.
    """
    import torch

    latents = deck.latents[: training_loss.FIXED_BATCH]
    captions = [e.caption for e in deck.examples[: len(latents)]]
    noise = training_loss.gaussian(latents.shape, seed).to(latents.device)
    times = torch.as_tensor(family.noise.spread(1)[0]).expand(len(latents)).to(latents.device)
    noisy = family.noise.add(latents, noise, times)

    def drawn() -> Any:
        return family.predict(noisy, times, words(captions)).float()

    with torch.no_grad():
        adapted = drawn()
        with lora.switched_off(parts):
            plain = drawn()
    return float((adapted - plain).abs().mean()), float(plain.abs().mean())


def is_over(curve: Sequence[Step], patience: int) -> bool:
    """Whether the last `patience` held-out losses are no better than the best before them.

    Examples
    --------
    >>> points = [Step(step=i, loss=1.0, held_out_loss=v, learning_rate=1.0)
    ...           for i, v in enumerate([0.9, 0.8, 0.85, 0.8])]
    >>> is_over(points, 2), is_over(points, 3)
    (True, False)
    """
    values = [s.held_out_loss for s in curve if s.held_out_loss is not None]
    if not 0 < patience < len(values):
        return False
    return min(values[-patience:]) >= min(values[:-patience])
