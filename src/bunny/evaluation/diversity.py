"""Diversity of pictures of one prompt, and drift of prompts without the character."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from bunny.dataset import vendi as dataset_vendi


def pairwise(vector: np.ndarray, prompts: Sequence[Hashable]) -> dict[Hashable, float]:
    """Mean distance between the drawings of each prompt.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        One a drawing, none of length 0.
    prompts : sequence
        Of each drawing.

    Returns
    -------
    dict
        Prompt to mean of 1 minus cosine over pairs of its drawings, in [0, 2]; 0 when all seeds
        give the same picture. Prompts with one drawing are left out.
    """
    unit = dataset_vendi.unit_rows(vector)
    found = {}
    for prompt in dict.fromkeys(prompts):
        rows = unit[[p == prompt for p in prompts]]
        if len(rows) > 1:
            upper = np.triu_indices(len(rows), 1)
            found[prompt] = float(1 - (rows @ rows.T)[upper].mean())
    return found


def vendi(vector: np.ndarray, prompts: Sequence[Hashable]) -> dict[Hashable, float]:
    """Vendi score of the drawings of each prompt, over their number: in (0, 1], 1 all different.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
    prompts : sequence
        Of each drawing.

    Notes
    -----
    `spread.vendi_score`; relative to the number so that prompts with more seeds compare.
    """
    found = {}
    for prompt in dict.fromkeys(prompts):
        rows = vector[[p == prompt for p in prompts]]
        if len(rows) > 1:
            found[prompt] = dataset_vendi.vendi_score(rows) / len(rows)
    return found


def drift(
    before: Mapping[tuple[Hashable, Hashable], np.ndarray],
    after: Mapping[tuple[Hashable, Hashable], np.ndarray],
) -> dict[tuple[Hashable, Hashable], float]:
    """Change that an adapter makes to drawings of prompts that do not name its character.

    Parameters
    ----------
    before, after : mapping of (prompt, seed) to np.ndarray, shape (d,)
        Vectors of the base's drawings and of those with the adapter.

    Returns
    -------
    dict
        (prompt, seed) to the distance between the two, relative to the mean distance between two
        seeds of the base on one prompt: 0 is unmoved, 1 as different as another seed. Empty where
        the base has no two drawings of one prompt, or these are all the same.
    """
    keys = [key for key in before if key in after]
    if not keys:
        return {}
    names = list(before)
    own = pairwise(np.stack([before[k] for k in names]), [prompt for prompt, _ in names])
    scale = float(np.mean(list(own.values()))) if own else 0.0
    if not scale > 0:
        return {}
    one = dataset_vendi.unit_rows(np.stack([before[k] for k in keys]))
    two = dataset_vendi.unit_rows(np.stack([after[k] for k in keys]))
    moved = 1 - (one * two).sum(axis=1)
    return {key: float(value) / scale for key, value in zip(keys, moved, strict=True)}
