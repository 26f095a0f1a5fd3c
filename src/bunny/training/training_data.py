"""All that a fine-tune looks at, encoded: what it learns from and what it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bunny.training import latent_batch
from bunny.training.base import Base
from bunny.training.batch_order import Order
from bunny.training.latent_batch import Deck, Phrases
from bunny.training.latent_cache import Cache
from bunny.training.settings import CLASS, Example, LoraSettings

HELD_OUT_MAX = 24  # pictures; each costs `measure.TIMES` forward passes an evaluation
PROBE_MAX = 8  # training pictures looked at alike, to tell learning from noise


@dataclass(frozen=True, kw_only=True)
class Pile:
    """Decks that are dealt from together, one size a batch."""

    decks: Sequence[Deck]
    order: Order


@dataclass(frozen=True, kw_only=True)
class Material:
    """Encoded pictures and words."""

    subject: Pile
    prior: Pile | None  # class pictures
    held_out: Sequence[Deck]
    probe: Sequence[Deck]
    phrases: Phrases | None  # None: captions are encoded anew each step


def make(
    base: Base,
    train: Sequence[Example],
    held_out: Sequence[Example],
    settings: LoraSettings,
    num_batches: int,
    cache: Cache,
) -> Material:
    """Encode what a fine-tune looks at, or read it from the cache.

    Parameters
    ----------
    base : Base
    train, held_out : sequence of Example
        `train` has class pictures too, by their role.
    settings : LoraSettings
    num_batches : int
        Of all steps and processes.
    cache : Cache
    """
    subject = [e for e in train if e.role != CLASS]
    prior = [e for e in train if e.role == CLASS] if settings.class_weight > 0 else []
    has_flips = settings.flip_share > 0

    def decks(examples: Sequence[Example], flips: bool) -> list[Deck]:
        return [
            latent_batch.make(
                base,
                group,
                has_flips=flips,
                background_weight=settings.background_weight,
                cache=cache,
            )
            for group in latent_batch.by_size(examples)
        ]

    def pile(examples: Sequence[Example], salt: int) -> Pile:
        made = decks(examples, has_flips)
        repeats = [[e.repeats for e in d.examples] for d in made]
        order = Order(repeats, settings.batch_size, num_batches, settings.seed + salt)
        return Pile(decks=made, order=order)

    captions = [e.caption for e in (*train, *held_out)]
    phrases = None
    if not settings.trains_text_encoder:
        phrases = latent_batch.make_phrases(base, captions, cache)
    return Material(
        subject=pile(subject, 0),
        prior=pile(prior, 1) if prior else None,
        held_out=decks(thin(held_out, HELD_OUT_MAX), False),
        probe=decks(thin(subject, PROBE_MAX), False),
        phrases=phrases,
    )


def thin(examples: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly from first to last.

    Examples
    --------
    >>> thin([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    if len(examples) <= most:
        return list(examples)
    return [examples[i * len(examples) // most] for i in range(most)]
