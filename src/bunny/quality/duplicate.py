"""Near duplicates over a whole film: hashes propose, signatures decide, the best frame stays.

Time grows about linearly with the frames: only those that stay are searched for, in blocks from
the best down, so a thousand frames of one set-up cost one search and no thousand times thousand.

Only frames that would stay at the tightest thresholds are searched for, at the widest distance;
looser thresholds then choose among stored pairs. A frame that stays only in between is searched for
when it turns up, so groups always equal those of `NearDuplicateSearch.group`.
"""

from __future__ import annotations

import numpy as np

from bunny.quality import perceptual_hash

FIRST_BLOCK, MAX_BLOCK = 64, 2048  # frames looked at together
MAX_PAIRS_PER_FRAME = (
    8  # a frame within a block; a block with more is halved before pictures are compared
)

MAX_STORED_PAIRS = 20_000_000  # stored pairs, 13 bytes each; past it every move searches anew
MAX_GROUPS = 64  # decisions remembered, 8 bytes a frame each
FIRST_PART = 128  # frames searched for before the first can spare others their pairs


def group_pairs(num_frames: int, better: np.ndarray, worse: np.ndarray) -> np.ndarray:
    """Let the best frames stay and take those near them, given all pairs that are near.

    Parameters
    ----------
    num_frames : int
        Frames are numbered from the best down.
    better, worse : np.ndarray, shape (pairs,), int
        `better` < `worse`; sorted by `better`.

    Returns
    -------
    np.ndarray, shape (num_frames,), int64
        Which frame stays for each; its own number for those that stay.

    Notes
    -----
    The greedy choice in rounds: who has no undecided better neighbour stays, and its neighbours go
    (Blelloch, Fineman, Shun 2012, "Greedy sequential maximal independent set and matching are
    parallel on average").
    """
    is_taken = np.zeros(num_frames, bool)
    left, right = better, worse
    while left.size:
        is_blocked = np.zeros(num_frames, bool)
        is_blocked[right] = True
        stays = ~is_blocked[left]
        is_taken[right[stays]] = True
        is_open = ~(stays | is_taken[left] | is_taken[right])
        left, right = left[is_open], right[is_open]
    owner = np.arange(num_frames)
    used = np.flatnonzero(~is_taken[better])[::-1]  # the best is written last, so it wins
    owner[worse[used]] = better[used]
    return owner


class NearDuplicateSearch:
    """The search for near frames, numbered from the best down.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    max_distance : int
        In bits.
    """

    def __init__(
        self, phash: np.ndarray, signature: perceptual_hash.LumaSignature | None, max_distance: int
    ) -> None:
        self._phash, self._signature = phash, signature
        self._max_distance = max_distance
        self.open_by(np.ones(phash.size, bool))

    def open_by(self, is_open: np.ndarray) -> None:
        """Search among these frames alone from now on."""
        self._num_open = int(is_open.sum())
        frames = np.flatnonzero(is_open)
        values, inverse = np.unique(self._phash[frames], return_inverse=True)
        self._frames = frames[np.argsort(inverse, kind="stable")]
        self._count = np.bincount(inverse, minlength=values.size)
        self._start = np.cumsum(self._count) - self._count
        self._index = perceptual_hash.build_index(values, self._max_distance)

    def group(self, min_structure: float) -> np.ndarray:
        """Say of which frame each frame is a near duplicate.

        From the first frame on, each that is not yet taken stays and takes all untaken frames that
        are near it: within the distance, and of like structure where there are signatures. So
        every duplicate is near the one that stays (no chains), and no two that stay are near. The
        search is narrowed to those still open as it goes.

        Parameters
        ----------
        min_structure : float
            In [-1, 1].

        Returns
        -------
        np.ndarray, shape (n,), int64
            Number of the frame that stays; its own for those that stay.
        """
        if self._num_open < self._phash.size:
            self.open_by(np.ones(self._phash.size, bool))
        owner = np.full(self._phash.size, -1, np.int64)
        size, open_frames = FIRST_BLOCK, np.arange(self._phash.size)
        while open_frames.size:
            block, is_sparse = self._block(open_frames[:size], min_structure, owner)
            size = min(MAX_BLOCK, 2 * size) if is_sparse else max(FIRST_BLOCK, block.size)
            stays = block[owner[block] == block]
            for better, worse, _ in self.rows(stays, owner < 0):
                is_like = self.similarity(better, worse) >= np.float32(min_structure)
                _take(owner, better[is_like], worse[is_like])
            open_frames = open_frames[owner[open_frames] < 0]
            if open_frames.size < self._num_open // 2:
                self.open_by(owner < 0)
        return owner

    def rows(self, frames: np.ndarray, is_wanted: np.ndarray):
        """Find, for each of the frames, all other wanted frames within the distance.

        Parameters
        ----------
        frames : np.ndarray, shape (m,), int64
        is_wanted : np.ndarray, shape (n,), bool

        Yields
        ------
        frame, other, bits : np.ndarray, shape (pairs,), int64, int64, uint8
            Piece by piece, so that no piece fills memory.
        """
        for low in range(0, frames.size, MAX_BLOCK):
            part = frames[low : low + MAX_BLOCK]
            query, value, bits = perceptual_hash.near_pairs(self._index, self._phash[part])
            for piece in _pieces(self._count[value]):
                which, position = perceptual_hash.expand_ranges(
                    self._start[value[piece]], self._count[value[piece]]
                )
                frame, other = part[query[piece][which]], self._frames[position]
                use = is_wanted[other] & (other != frame)
                yield frame[use], other[use], bits[piece][which][use]

    def similarity(self, better: np.ndarray, worse: np.ndarray) -> np.ndarray:
        """Structural similarity of pairs, float32; 1 without signatures."""
        if self._signature is None:
            return np.ones(better.size, np.float32)
        return perceptual_hash.structural_similarity(self._signature, better, worse)

    def _block(self, block: np.ndarray, min_structure: float, owner: np.ndarray):
        """Decide the best open frames among themselves; gives them and whether few were near."""
        while True:
            phash = self._phash[block]
            bits = perceptual_hash.distance(phash[:, None], phash[None])
            better, worse = np.nonzero(np.triu(bits <= self._max_distance, 1))
            if better.size <= MAX_PAIRS_PER_FRAME * block.size:
                break
            block = block[: (block.size + 1) // 2]
        is_like = self.similarity(block[better], block[worse]) >= np.float32(min_structure)
        owner[block] = block[group_pairs(block.size, better[is_like], worse[is_like])]
        return block, better.size < block.size


def _take(owner: np.ndarray, better: np.ndarray, worse: np.ndarray) -> None:
    """Give frames to those that stay; of several, to the best."""
    is_first = (owner[worse] < 0) | (better < owner[worse])
    better, worse = better[is_first], worse[is_first]
    last_wins = np.argsort(-better, kind="stable")
    owner[worse[last_wins]] = better[last_wins]


def _pieces(count: np.ndarray) -> list[np.ndarray]:
    """Split searches so that no piece gives many more than `perceptual_hash.BLOCK` pairs."""
    if not count.size:
        return []
    number = (np.cumsum(count) - count) // perceptual_hash.BLOCK
    return np.split(np.arange(count.size), np.flatnonzero(np.diff(number)) + 1)


class NearDuplicateCache:
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
        signature: perceptual_hash.LumaSignature | None,
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
        # Bits at which it is taken.
        self._bound = np.full(phash.size, perceptual_hash.BITS + 1, np.uint8)
        self._taker = np.full(phash.size, phash.size)  # by which frame
        tight = NearDuplicateSearch(phash, signature, 0).group(max_structure)
        self._near = NearDuplicateSearch(phash, signature, max_distance)
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
            As of `NearDuplicateSearch.group`.
        """
        key = (distance, min_structure)
        if key not in self._groups:
            is_like = self._min_structure <= min_structure <= self._max_structure
            is_stored = is_like and distance <= self._max_distance
            found = self._settle(*key) if is_stored else None
            if found is None:
                near = NearDuplicateSearch(self._phash, self._signature, distance)
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
            owner = group_pairs(self._phash.size, better[used], worse[used])
            new = np.flatnonzero((owner == np.arange(owner.size)) & ~self._is_known)
            if not new.size:
                return owner
            self._search(new)
        return None

    def _search(self, frames: np.ndarray) -> None:
        """Store worse frames near these, or give up storing when there are too many."""
        if self._pairs is None:
            return
        found, total, size = [self._pairs], self._pairs[0].size, FIRST_PART
        while frames.size:
            part, frames = frames[:size], frames[size:]
            size = min(2 * size, MAX_BLOCK)
            rows = self._rows(part)
            found.append(rows)
            total += rows[0].size
            if total > MAX_STORED_PAIRS:
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
