"""Train and held-out split by groups of shots.

The unit is a group of shots: neighbouring frames are near copies, and a camera set-up that comes
back shot after shot gives near copies too. A whole group is on one side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

TRAIN, HELD_OUT = "train", "held-out"


def group_shots(shots: Iterable[int], alike: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Join shots that share a picture, however many steps apart.

    Parameters
    ----------
    alike : iterable of (int, int)
        Pairs of shots with a near-duplicate; pairs with a shot not in `shots` join nothing.

    Returns
    -------
    dict
        Each shot to the smallest shot of its group (union-find).

    Examples
    --------
    >>> group_shots([1, 2, 3, 4], [(3, 1), (4, 3)])
    {1: 1, 2: 2, 3: 1, 4: 1}
    """
    parent = {shot: shot for shot in sorted(set(shots))}

    def root(shot: int) -> int:
        while parent[shot] != shot:
            parent[shot] = parent[parent[shot]]
            shot = parent[shot]
        return shot

    for one, two in alike:
        if one in parent and two in parent:
            low, high = sorted((root(one), root(two)))
            parent[high] = low
    return {shot: root(shot) for shot in parent}


def split_shots(
    shots: Sequence[int], held_out_share: float, seed: int, group: Mapping[int, int] | None = None
) -> dict[int, str]:
    """Say for each shot whether its pictures are trained on or held out.

    Parameters
    ----------
    shots : sequence of int
        The shot of each picture; repeats count.
    held_out_share : float
        Of the pictures that is held out, about, in [0, 1).
    group : mapping, optional
        Group of each shot, see `group_shots`; by default each is its own.

    Returns
    -------
    dict
        Shot to ``train`` or ``held-out``. A single group is trained on; otherwise at least one
        group is on each side unless `held_out_share` is 0, and the largest is never held out while
        others are. Depends on the set of shots, how many pictures each has, and the seed.
    """
    of_picture = np.array([(group or {}).get(s, s) for s in shots], np.int64)
    values, counts = np.unique(of_picture, return_counts=True)
    held = _held_out(values, counts, held_out_share, seed)
    own = {int(s): int(g) for s, g in zip(shots, of_picture, strict=True)}
    return {s: HELD_OUT if own[s] in held else TRAIN for s in sorted(own)}


def _held_out(values: np.ndarray, counts: np.ndarray, share: float, seed: int) -> set[int]:
    """Groups to hold out: in a shuffled order, those that do not overshoot what is wanted."""
    if len(values) < 2 or share == 0:
        return set()
    order = np.random.default_rng(seed).permutation(len(values))
    largest = int(np.argmax(counts))
    order = [int(i) for i in order if i != largest]
    wanted, count, held = share * counts.sum(), 0, set()
    for index in order:
        if count + counts[index] / 2 > wanted:
            continue
        held.add(int(values[index]))
        count += int(counts[index])
        if count >= wanted:
            break
    if not held:  # each alone is more than is wanted: the smallest, the first of equals
        smallest = min(order, key=lambda i: counts[i])
        held.add(int(values[smallest]))
    return held
