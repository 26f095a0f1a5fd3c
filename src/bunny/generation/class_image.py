"""Class pictures (prior preservation), drawn by the base before it is trained."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from bunny.core import image_file
from bunny.dataset.crop_caption import CaptionWords
from bunny.dataset.image_folder import CLASS, TrainingExample
from bunny.training.base import Base
from bunny.training.distributed import ProcessGroup

logger = logging.getLogger(__name__)

FOLDER = "class"
STEPS, GUIDANCE = 20, 5.0  # of the sampler


def prompts(captions: Sequence[str], words: CaptionWords) -> list[str]:
    """Captions that speak of the class alone, each once, in order.

    Parameters
    ----------
    captions : sequence of str
        Of the character's pictures.

    Examples
    --------
    >>> words = CaptionWords(trigger="bun", class_word="rabbit")
    >>> prompts(["bun rabbit, day", "bun rabbit, day"], words)
    ['rabbit, day']
    """
    found = dict.fromkeys(words.unnamed(text) for text in captions)
    return list(found) or [words.class_word or "somebody"]


def common_size(pictures: Sequence[np.ndarray]) -> tuple[int, int]:
    """Width and height that most pictures have; the larger of equals."""
    counts = Counter((p.shape[1], p.shape[0]) for p in pictures)
    return max(counts, key=lambda size: (counts[size], size[0] * size[1], size))


def draw(
    base: Base, texts: Sequence[str], folder: Path, size: tuple[int, int], number: int, seed: int
) -> list[TrainingExample]:
    """Draw class pictures, or those of them that a killed run left undone.

    Parameters
    ----------
    base : Base
        Without an adapter.
    texts : sequence of str
        Prompts, taken in turn; they become the captions.
    folder : Path
        Of the run; pictures lie in ``class/<key>/``.
    size : tuple of int
        Width and height, pixels.
    seed : int
        Picture i has seed + i.

    Returns
    -------
    list of TrainingExample
        Role ``class``; fewer than `number` where the base drew no numbers.
    """
    from bunny.generation import request, sampler

    key = _key([base.hash, list(texts), list(size), seed])
    target = folder / FOLDER / key
    wanted = [
        request.GenerationRequest(
            prompt=texts[i % len(texts)],
            seed=seed + i,
            num_steps=STEPS,
            guidance_scale=GUIDANCE,
            width_px=size[0],
            height_px=size[1],
        )
        for i in range(number)
    ]
    processes = ProcessGroup(base.device)
    if processes.is_first:
        _drop_others(target)
        batches = sampler.split_batches(wanted, sampler.BATCH_SIZE)
        # Whole batches again: a picture's last bits depend on its place in the batch.
        pending = [b for b in batches if not all(_path(target, i).is_file() for i in b)]
        for made in chain.from_iterable(sampler.generate_batches(base, wanted, pending)):
            if made.picture is None:
                logger.warning("class picture %d: %s", made.index, made.error)
            else:
                made.save(_path(target, made.index), {})
    processes.wait()
    pictures = [image_file.read(_path(target, i)) for i in range(number)]
    return [
        TrainingExample(
            picture=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), caption=drawing.prompt, role=CLASS
        )
        for picture, drawing in zip(pictures, wanted, strict=True)
        if picture is not None
    ]


def _path(folder: Path, index: int) -> Path:
    return folder / f"{index:04d}.png"


def _drop_others(target: Path) -> None:
    """Forget class pictures of other prompts or another base."""
    if target.parent.is_dir():
        for path in target.parent.iterdir():
            if path != target:
                shutil.rmtree(path, ignore_errors=True)


def _key(facts: list) -> str:
    """Hash of all that the pictures depend on, but their number."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
