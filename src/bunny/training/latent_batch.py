"""Training pictures as the loop sees them: latents, captions and weights, computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bunny.training.base import Base
from bunny.training.latent_cache import Cache
from bunny.training.settings import Example

VERSION = 1  # raise when the same pictures give other latents or words
ENCODE_BATCH = 8  # captions at once, and small pictures
ENCODE_PIXELS = 512 * 512  # at once: more would need more memory than the training itself
ON_DEVICE_MAX = 256 << 20  # bytes; longer lists of embeddings stay in the machine's memory
CLEAR = 0.999  # mean of a mask from which it says nothing: all is subject


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one forward pass takes."""

    latents: Any  # (n, c, h, w), float32
    captions: list[str]  # "" where it was dropped
    emphasis: Any | None  # (n, 1, h, w), mean 1 over each picture; None: all alike


@dataclass(frozen=True, kw_only=True)
class Deck:
    """Pictures of one size, on the base's device."""

    examples: Sequence[Example]
    latents: Any
    flipped: Any | None  # of the mirrored pictures
    emphasis: Any | None

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, chosen: np.ndarray, flips: np.ndarray, is_dropped: np.ndarray) -> Batch:
        """The chosen pictures, some mirrored, some without their caption.

        Parameters
        ----------
        chosen : np.ndarray, shape (n,), int
        flips, is_dropped : np.ndarray, shape (n,), bool
        """
        import torch

        rows = torch.as_tensor(chosen, device=self.latents.device)
        latents = self.latents[rows]
        emphasis = None if self.emphasis is None else self.emphasis[rows]
        if flips.any():
            turned = torch.as_tensor(flips, device=latents.device)[:, None, None, None]
            latents = torch.where(turned, self.flipped[rows], latents)
            if emphasis is not None:
                emphasis = torch.where(turned, emphasis.flip(-1), emphasis)
        captions = [
            "" if dropped else self.examples[int(i)].caption
            for i, dropped in zip(chosen, is_dropped, strict=True)
        ]
        return Batch(latents=latents, captions=captions, emphasis=emphasis)


class Phrases:
    """Conditioning of captions, each encoded once.

    Parameters
    ----------
    rows : dict
        Row of each caption.
    words : mapping of str to torch.Tensor
        First axis is the row.
    device : str
        That `of` gives them on.
    """

    def __init__(self, rows: dict[str, int], words: dict[str, Any], device: str) -> None:
        self.rows, self.words, self.device = rows, words, device

    def of(self, captions: Sequence[str]) -> dict[str, Any]:
        """Words of captions, in order."""
        import torch

        rows = torch.tensor([self.rows[c] for c in captions])
        return {k: w[rows.to(w.device)].to(self.device) for k, w in self.words.items()}


def by_size(examples: Iterable[Example]) -> list[list[Example]]:
    """Group examples whose pictures have one size, in order of first appearance; none is lost."""
    groups: dict[tuple[int, ...], list[Example]] = {}
    for example in examples:
        groups.setdefault(example.picture.shape[:2], []).append(example)
    return list(groups.values())


def make(
    base: Base,
    examples: Sequence[Example],
    *,
    has_flips: bool = False,
    background_weight: float = 1.0,
    cache: Cache | None = None,
) -> Deck:
    """Encode pictures of one size, or read them from the cache.

    Parameters
    ----------
    base : Base
    examples : sequence of Example
        Sides are multiples of the family's `size_step_px`.
    has_flips : bool
        Encode the mirrored pictures too.
    background_weight : float
        Weight of what lies outside the masks, in [0, 1]; 1 leaves masks out.
    cache : Cache, optional
        Where latents are read and written.
    """
    pictures = np.stack([e.picture for e in examples])
    facts = [VERSION, base.hash, base.family.name, pictures.shape]

    def encode() -> dict[str, Any]:
        found = {"latents": _encode(base, pictures)}
        if has_flips:
            found["flipped"] = _encode(base, pictures[:, :, ::-1])
        return found

    cache = cache or Cache(None)
    found = cache.get("latents", [*facts, has_flips], [pictures], encode)
    found = {k: w.to(base.device) for k, w in found.items()}
    return Deck(
        examples=examples,
        latents=found["latents"],
        flipped=found.get("flipped"),
        emphasis=emphasis_of(examples, found["latents"], background_weight),
    )


def make_phrases(base: Base, captions: Iterable[str], cache: Cache | None = None) -> Phrases:
    """Encode captions and the empty one, or read them from the cache; each once."""
    import torch

    texts = list(dict.fromkeys(["", *captions]))

    def encode() -> dict[str, Any]:
        with torch.no_grad():
            parts = [
                base.family.encode_words(texts[i : i + ENCODE_BATCH])
                for i in range(0, len(texts), ENCODE_BATCH)
            ]
        return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}

    facts = [VERSION, base.hash, base.family.name, str(base.family.dtype), texts]
    words = (cache or Cache(None)).get("words", facts, [], encode)
    size = sum(w.numel() * w.element_size() for w in words.values())
    place = base.device if size <= ON_DEVICE_MAX else "cpu"
    rows = {text: row for row, text in enumerate(texts)}
    return Phrases(rows, {k: w.to(place) for k, w in words.items()}, base.device)


def emphasis_of(examples: Sequence[Example], latents: Any, background_weight: float) -> Any | None:
    """How much each place of the latent grid counts, from the masks averaged down to it.

    Parameters
    ----------
    examples : sequence of Example
        Those without a mask count everywhere alike.
    latents : torch.Tensor, shape (n, c, h, w)
    background_weight : float
        In [0, 1].

    Returns
    -------
    torch.Tensor, shape (n, 1, h, w), float32, or None
        Mean 1 over each picture, so that small subjects do not weigh less; None when no mask
        changes anything.
    """
    import torch
    from torch.nn import functional

    if background_weight >= 1 or all(e.mask is None for e in examples):
        return None
    grids = []
    for example in examples:
        mask = example.mask if example.mask is not None else np.full(example.picture.shape[:2], 255)
        share = torch.from_numpy(mask.astype(np.float32) / 255)[None, None]
        grid = functional.adaptive_avg_pool2d(share, latents.shape[-2:])
        grid = background_weight + (1 - background_weight) * grid
        mean = float(grid.mean())
        grids.append(grid / mean if 0 < mean < CLEAR else torch.ones_like(grid))
    return torch.cat(grids).to(latents.device)


def _encode(base: Base, pictures: np.ndarray) -> Any:
    """Latents of pictures of one size, a few at once."""
    import torch

    count = max(1, min(ENCODE_BATCH, ENCODE_PIXELS // (pictures.shape[1] * pictures.shape[2])))
    with torch.no_grad():
        parts = [
            base.family.encode_pictures(np.ascontiguousarray(pictures[i : i + count]))
            for i in range(0, len(pictures), count)
        ]
    return torch.cat(parts).float()
