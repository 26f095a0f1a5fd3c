"""Latents and encoded captions: batches, buckets of one size, and their cache on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.caption import trigger
from bunny.core import atomic
from bunny.dataset.image_folder import TrainingExample
from bunny.training.base import Base

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

Tensors = dict[str, "torch.Tensor"]

VERSION = 1  # raise when the same pictures give other latents or words
ENCODE_BATCH = 8  # captions at once, and small pictures
ENCODE_PIXELS = 512 * 512  # at once: more would need more memory than the training itself
ON_DEVICE_MAX = 256 << 20  # bytes; longer lists of embeddings stay in the machine's memory
FULL_MASK_MEAN = 0.999  # mean of a mask from which it says nothing: all is subject


class LatentCache:
    """A folder of safetensors files; a rerun on the same pictures starts at once.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.used: set[str] = set()

    def get(
        self,
        kind: str,
        facts: Sequence[object],
        arrays: Sequence[np.ndarray],
        encode: Callable[[], Tensors],
    ) -> Tensors:
        """Tensors of these facts and arrays; else made, and put down whole or not at all.

        Parameters
        ----------
        kind : str
            Begins the file's name.
        facts : sequence
            Plain values.
        encode : callable
            Makes the tensors.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if self.folder is None:
            return _in_order(encode())
        path = self.folder / f"{kind}-{_key(facts, arrays)}.safetensors"
        self.used.add(path.name)
        if path.is_file():
            try:
                return load_file(path)
            except (SafetensorError, OSError) as error:
                logger.warning("%s cannot be read (%s); computing it again", path.name, error)
        made = _in_order(encode())
        self._put(path, made)
        return made

    def drop_others(self) -> None:
        """Forget files that nobody asked for since this was opened."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name not in self.used:
                path.unlink(missing_ok=True)

    def _put(self, path: Path, made: Tensors) -> None:
        """Write a file under another name, then rename it."""
        from safetensors.torch import save_file

        tensors = {name: w.cpu() for name, w in made.items()}
        atomic.write_file(path, lambda temporary: save_file(tensors, temporary))


def _in_order(made: Tensors) -> Tensors:
    """Tensors laid out as a file would give them: another layout gives other last bits."""
    return {name: tensor.contiguous() for name, tensor in made.items()}


def _key(facts: Sequence[object], arrays: Sequence[np.ndarray]) -> str:
    """Hash of all that encoded things depend on."""
    digest = hashlib.sha256(repr(list(facts)).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


@dataclass(frozen=True, kw_only=True)
class LatentBatch:
    """Inputs of one forward pass."""

    latents: torch.Tensor  # (n, c, h, w), float32
    captions: list[str]  # "" where it was dropped
    emphasis: torch.Tensor | None  # (n, 1, h, w), mean 1 over each picture; None: all alike


@dataclass(frozen=True, kw_only=True)
class LatentBucket:
    """Pictures of one size, on the base's device."""

    examples: Sequence[TrainingExample]
    latents: torch.Tensor
    flipped: torch.Tensor | None  # of the mirrored pictures
    emphasis: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def has_variants(self) -> bool:
        """Whether a picture has several captions, of which one is drawn."""
        return any(example.variants for example in self.examples)

    def batch(
        self,
        chosen: np.ndarray,
        flips: np.ndarray,
        is_dropped: np.ndarray,
        draws: np.ndarray | None = None,
    ) -> LatentBatch:
        """The chosen pictures, some mirrored, some without their caption.

        Parameters
        ----------
        chosen : np.ndarray, shape (n,), int
        flips, is_dropped : np.ndarray, shape (n,), bool
        draws : np.ndarray, shape (n,), float, optional
            In [0, 1): which of several captions by their shares; None: the one that stands first.
        """
        import torch

        rows = torch.as_tensor(chosen, device=self.latents.device)
        latents = self.latents[rows]
        emphasis = None if self.emphasis is None else self.emphasis[rows]
        if flips.any() and self.flipped is not None:
            turned = torch.as_tensor(flips, device=latents.device)[:, None, None, None]
            latents = torch.where(turned, self.flipped[rows], latents)
            if emphasis is not None:
                emphasis = torch.where(turned, emphasis.flip(-1), emphasis)
        drawn = np.zeros(len(chosen)) if draws is None else draws
        captions = [
            "" if dropped else draw_caption(self.examples[int(i)], draw, is_mirrored=bool(turned))
            for i, dropped, draw, turned in zip(chosen, is_dropped, drawn, flips, strict=True)
        ]
        return LatentBatch(latents=latents, captions=captions, emphasis=emphasis)


def draw_caption(example: TrainingExample, draw: float, *, is_mirrored: bool = False) -> str:
    """One of a picture's captions by their shares.

    Parameters
    ----------
    draw : float
        In [0, 1).
    is_mirrored : bool
        Whether left and right change places.
    """
    text, end = example.caption, 0.0
    for one in example.variants:
        text, end = one.text, end + one.share
        if draw < end:
            break
    return trigger.mirror_sides(text) if is_mirrored else text


def every_caption(example: TrainingExample, *, has_flips: bool) -> list[str]:
    """All captions that `draw_caption` may give, and the picture's own."""
    texts = [example.caption, *(one.text for one in example.variants)]
    return texts + ([trigger.mirror_sides(text) for text in texts] if has_flips else [])


class EncodedCaptions:
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

    def __init__(self, rows: dict[str, int], words: Tensors, device: str) -> None:
        self.rows, self.words, self.device = rows, words, device

    def of(self, captions: Sequence[str]) -> Tensors:
        """Words of captions, in order."""
        import torch

        rows = torch.tensor([self.rows[c] for c in captions])
        return {k: w[rows.to(w.device)].to(self.device) for k, w in self.words.items()}


def group_by_size(examples: Iterable[TrainingExample]) -> list[list[TrainingExample]]:
    """Group examples whose pictures have one size, in order of first appearance; none is lost."""
    groups: dict[tuple[int, ...], list[TrainingExample]] = {}
    for example in examples:
        groups.setdefault(example.picture.shape[:2], []).append(example)
    return list(groups.values())


def encode_bucket(
    base: Base,
    examples: Sequence[TrainingExample],
    *,
    has_flips: bool = False,
    background_weight: float = 1.0,
    cache: LatentCache | None = None,
) -> LatentBucket:
    """Encode pictures of one size, or read them from the cache.

    Parameters
    ----------
    examples : sequence of TrainingExample
        Sides are multiples of the family's `size_step_px`.
    has_flips : bool
        Encode the mirrored pictures too.
    background_weight : float
        Weight of what lies outside the masks, in [0, 1]; 1 leaves masks out.
    cache : LatentCache, optional
        Where latents are read and written.
    """
    pictures = np.stack([e.picture for e in examples])
    facts = [VERSION, base.hash, base.family.name, pictures.shape]

    def encode() -> Tensors:
        found = {"latents": _encode(base, pictures)}
        if has_flips:
            found["flipped"] = _encode(base, pictures[:, :, ::-1])
        return found

    cache = cache or LatentCache(None)
    found = cache.get("latents", [*facts, has_flips], [pictures], encode)
    found = {k: w.to(base.device) for k, w in found.items()}
    return LatentBucket(
        examples=examples,
        latents=found["latents"],
        flipped=found.get("flipped"),
        emphasis=mask_weight(examples, found["latents"], background_weight),
    )


def encode_captions(
    base: Base, captions: Iterable[str], cache: LatentCache | None = None
) -> EncodedCaptions:
    """Encode captions and the empty one, or read them from the cache; each once."""
    import torch

    texts = list(dict.fromkeys(["", *captions]))

    def encode() -> Tensors:
        with torch.no_grad():
            parts = [
                base.family.encode_words(texts[i : i + ENCODE_BATCH])
                for i in range(0, len(texts), ENCODE_BATCH)
            ]
        return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}

    facts = [VERSION, base.hash, base.family.name, str(base.family.dtype), texts]
    words = (cache or LatentCache(None)).get("words", facts, [], encode)
    size = sum(w.numel() * w.element_size() for w in words.values())
    place = base.device if size <= ON_DEVICE_MAX else "cpu"
    rows = {text: row for row, text in enumerate(texts)}
    return EncodedCaptions(rows, {k: w.to(place) for k, w in words.items()}, base.device)


def mask_weight(
    examples: Sequence[TrainingExample], latents: torch.Tensor, background_weight: float
) -> torch.Tensor | None:
    """Weight of each place of the latent grid, from the masks averaged down to it.

    Parameters
    ----------
    examples : sequence of TrainingExample
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
    height, width = latents.shape[-2:]
    grids = []
    for example in examples:
        mask = example.mask if example.mask is not None else np.full(example.picture.shape[:2], 255)
        share = torch.from_numpy(mask.astype(np.float32) / 255)[None, None]
        grid = functional.adaptive_avg_pool2d(share, (height, width))
        grid = background_weight + (1 - background_weight) * grid
        mean = float(grid.mean())
        grids.append(grid / mean if 0 < mean < FULL_MASK_MEAN else torch.ones_like(grid))
    return torch.cat(grids).to(latents.device)


def _encode(base: Base, pictures: np.ndarray) -> torch.Tensor:
    """Latents of pictures of one size, a few at once."""
    import torch

    count = max(1, min(ENCODE_BATCH, ENCODE_PIXELS // (pictures.shape[1] * pictures.shape[2])))
    with torch.no_grad():
        parts = [
            base.family.encode_pictures(np.ascontiguousarray(pictures[i : i + count]))
            for i in range(0, len(pictures), count)
        ]
    return torch.cat(parts).float()
