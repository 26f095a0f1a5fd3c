"""Near frames found once, so that moving a duplicate threshold regroups a long film at once.

Only frames that would stay at the tightest thresholds are searched for, at the widest distance;
looser thresholds then choose among stored pairs. A frame that stays only in between is searched for
when it turns up, so groups always equal those of `duplicate.find_duplicates`.
"""

from __future__ import annotations

import numpy as np

from bunny.quality import duplicate, hamming, structure

MAX_PAIRS = 20_000_000  # stored pairs, 13 bytes each; past it every move searches anew
MAX_GROUPS = 64  # decisions remembered, 8 bytes a frame each
FIRST_PART = 128  # frames searched for before the first can spare others their pairs


class Neighbour:
    """Stored pairs of near frames; frames are numbered from the best down.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    signature : structure.Signature of n pictures, optional
    max_distance : int
        The widest distance that is answered at once, in bits.
    min_structure, max_structure : float
        The loosest and the tightest similarity that are.
    """

    def __init__(
        self,
        phash: np.ndarray,
        signature: structure.Signature | None,
        *,
        max_distance: int,
        min_structure: float,
        max_structure: float,
    ) -> None:
        self._phash, self._signature = phash, signature
        self._max_distance = max_distance
        self._min_structure, self._max_structure = min_structure, max_structure
        self._groups: dict[tuple[int, float], np.ndarray] = {}
        self._pairs: tuple[np.ndarray, ...] | None = _no_pairs()
        self._is_known = np.zeros(phash.size, bool)  # its pairs are stored
        self._has_better = np.zeros(phash.size, bool)  # a better frame is near it
        self._bound = np.full(phash.size, hamming.BITS + 1, np.uint8)  # bits at which it is taken
        self._taker = np.full(phash.size, phash.size)  # by which frame
        tight = duplicate.Near(phash, signature, 0).group(max_structure)
        self._near = duplicate.Near(phash, signature, max_distance)
        self._search(np.unique(tight))

    @property
    def num_pairs(self) -> int | None:
        """Number of stored pairs; None when there are too many and each move searches anew."""
        return None if self._pairs is None else self._pairs[0].size

    def group(self, distance: int, min_structure: float) -> np.ndarray:
        """Number of the frame that stays for each frame.

        Parameters
        ----------
        distance : int
            In bits, 0-64.
        min_structure : float
            In [-1, 1].

        Returns
        -------
        np.ndarray, shape (n,), int64
            As of `duplicate.find_duplicates` with scores that fall with the number.
        """
        key = (distance, min_structure)
        if key not in self._groups:
            is_like = self._min_structure <= min_structure <= self._max_structure
            is_stored = is_like and distance <= self._max_distance
            found = self._settle(*key) if is_stored else None
            if found is None:
                near = duplicate.Near(self._phash, self._signature, distance)
                found = near.group(min_structure)
            if len(self._groups) >= MAX_GROUPS:
                self._groups.clear()
            self._groups[key] = found
        return self._groups[key]

    def _settle(self, distance: int, min_structure: float) -> np.ndarray | None:
        """Regroup from stored pairs, searching for frames that stay and were never searched for."""
        while self._pairs is not None:
            better, worse, bits, alike = self._pairs
            used = np.flatnonzero((bits <= distance) & (alike >= np.float32(min_structure)))
            owner = duplicate.settle(self._phash.size, better[used], worse[used])
            new = np.flatnonzero((owner == np.arange(owner.size)) & ~self._is_known)
            if not new.size:
                return owner
            self._search(new)
        return None

    def _search(self, frames: np.ndarray) -> None:
        """Store worse frames near these, or give up storing when there are too many."""
        found, total, size = [self._pairs], self._pairs[0].size, FIRST_PART
        while frames.size:
            part, frames = frames[:size], frames[size:]
            size = min(2 * size, duplicate.MAX_BLOCK)
            rows = self._rows(part)
            found.append(rows)
            total += rows[0].size
            if total > MAX_PAIRS:
                self._pairs = None
                return
            self._is_known[part] = True
        columns = [np.concatenate(c) for c in zip(*found, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        self._pairs = tuple(c[order] for c in columns)

    def _rows(self, part: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs of these frames that can matter, and what they say of later ones.

        A frame without any better neighbour stays at every threshold. Whom it takes from b bits on
        stays only at less than b bits, so of that frame's own pairs those of b bits or more never
        matter, nor do pairs with it of a worse taker; that keeps long static shots from filling
        memory with all their pairs.
        """
        found = [_no_pairs()]
        for frame, other, bits in self._near.rows(part, np.ones(self._phash.size, bool)):
            is_worse = other > frame
            is_first = (bits < self._bound[other]) | (self._taker[other] >= frame)
            matters = is_first & (bits < self._bound[frame])
            use = np.where(is_worse, matters, ~self._has_better[frame])
            frame, other, bits, is_worse = frame[use], other[use], bits[use], is_worse[use]
            alike = self._near.similarity(frame, other)
            is_like = alike >= np.float32(self._min_structure)
            self._has_better[frame[is_like & ~is_worse]] = True
            keep = is_like & is_worse
            self._has_better[other[keep]] = True
            pairs = (frame[keep].astype(np.int32), other[keep].astype(np.int32))
            found.append((*pairs, bits[keep], alike[keep]))
        rows = tuple(np.concatenate(c) for c in zip(*found, strict=True))
        always = ~self._has_better[rows[0]] & (rows[3] >= np.float32(self._max_structure))
        self._note_takers(*(column[always] for column in rows[:3]))
        return rows

    def _note_takers(self, better: np.ndarray, worse: np.ndarray, bits: np.ndarray) -> None:
        """Remember from how many bits on a frame is always taken, and by the best that does."""
        order = np.lexsort((better, bits, worse))
        worse, first = np.unique(worse[order], return_index=True)
        better, bits = better[order][first], bits[order][first]
        is_less = bits < self._bound[worse]
        self._bound[worse[is_less]] = bits[is_less]
        self._taker[worse[is_less]] = better[is_less]


def _no_pairs() -> tuple[np.ndarray, ...]:
    """No pair: better, worse, bits, similarity."""
    types = (np.int32, np.int32, np.uint8, np.float32)
    return tuple(np.zeros(0, kind) for kind in types)
