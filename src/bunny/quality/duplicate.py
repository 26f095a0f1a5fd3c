"""Near duplicates over a whole film: like hashes propose, like pictures decide, the best stays.

Time grows about linearly with the frames: only those that stay are searched for, in blocks from
the best down, so a thousand frames of one set-up cost one search and no thousand times thousand.
"""

from __future__ import annotations

import numpy as np

from bunny.quality import hamming, structure

FIRST_BLOCK, MAX_BLOCK = 64, 2048  # frames looked at together
MOST_PAIRS = 8  # a frame within a block; a block with more is halved before pictures are compared


def hamming_distance(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Number of bits in which 64-bit hashes differ, broadcast; uint8 in 0-64."""
    return hamming.distance(one, two)


def find_duplicates(
    phash: np.ndarray,
    score: np.ndarray,
    max_distance: int,
    *,
    signature: structure.Signature | None = None,
    min_structure: float = 0.0,
) -> np.ndarray:
    """Say of which frame each frame is a near duplicate.

    From the best score down, each frame that is not yet taken stays and takes all untaken frames
    that are near it: within the distance, and of like structure when signatures are given. So
    every duplicate is near the one that stays (no chains), and no two that stay are near.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    score : np.ndarray, shape (n,), float
        The higher stays; of equals the earlier.
    max_distance : int
        In bits, 0-64; frames at exactly this distance are duplicates.
    signature : structure.Signature of n pictures, optional
        None: the hash alone decides.
    min_structure : float
        In [-1, 1]; frames at exactly this similarity are duplicates.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Index of the frame that stays; its own index for those that stay.

    Raises
    ------
    ValueError
        If the arrays differ in length.
    """
    phash, score = np.asarray(phash, np.uint64), np.asarray(score, np.float64)
    if phash.shape != score.shape:
        raise ValueError(f"expected as many scores as hashes, got {score.size} and {phash.size}")
    if signature is not None and len(signature.luma) != phash.size:
        raise ValueError(f"expected {phash.size} signatures, got {len(signature.luma)}")
    order = np.argsort(-score, kind="stable")
    kept_by = np.empty(phash.size, np.int64)
    near = Near(phash[order], signature and structure.take(signature, order), max_distance)
    kept_by[order] = order[near.group(min_structure)]
    return kept_by


def settle(num_frames: int, better: np.ndarray, worse: np.ndarray) -> np.ndarray:
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


class Near:
    """The search for near frames, numbered from the best down.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    signature : structure.Signature or None
    max_distance : int
        In bits.
    """

    def __init__(
        self, phash: np.ndarray, signature: structure.Signature | None, max_distance: int
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
        self._index = hamming.build(values, self._max_distance)

    def group(self, min_structure: float) -> np.ndarray:
        """Decide all frames; the search is narrowed to those still open as it goes.

        Parameters
        ----------
        min_structure : float
            In [-1, 1].

        Returns
        -------
        np.ndarray, shape (n,), int64
            Number of the frame that stays for each frame; see `find_duplicates`.
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
            query, value, bits = hamming.near_pairs(self._index, self._phash[part])
            for piece in _pieces(self._count[value]):
                which, position = hamming.expand(
                    self._start[value[piece]], self._count[value[piece]]
                )
                frame, other = part[query[piece][which]], self._frames[position]
                use = is_wanted[other] & (other != frame)
                yield frame[use], other[use], bits[piece][which][use]

    def similarity(self, better: np.ndarray, worse: np.ndarray) -> np.ndarray:
        """Structural similarity of pairs, float32; 1 without signatures."""
        if self._signature is None:
            return np.ones(better.size, np.float32)
        return structure.similarity(self._signature, better, worse)

    def _block(self, block: np.ndarray, min_structure: float, owner: np.ndarray):
        """Decide the best open frames among themselves; gives them and whether few were near."""
        while True:
            phash = self._phash[block]
            bits = hamming.distance(phash[:, None], phash[None])
            better, worse = np.nonzero(np.triu(bits <= self._max_distance, 1))
            if better.size <= MOST_PAIRS * block.size:
                break
            block = block[: (block.size + 1) // 2]
        is_like = self.similarity(block[better], block[worse]) >= np.float32(min_structure)
        owner[block] = block[settle(block.size, better[is_like], worse[is_like])]
        return block, better.size < block.size


def _take(owner: np.ndarray, better: np.ndarray, worse: np.ndarray) -> None:
    """Give frames to those that stay; of several, to the best."""
    is_first = (owner[worse] < 0) | (better < owner[worse])
    better, worse = better[is_first], worse[is_first]
    last_wins = np.argsort(-better, kind="stable")
    owner[worse[last_wins]] = better[last_wins]


def _pieces(count: np.ndarray) -> list[np.ndarray]:
    """Split searches so that no piece gives many more than `hamming.BLOCK` pairs."""
    if not count.size:
        return []
    number = (np.cumsum(count) - count) // hamming.BLOCK
    return np.split(np.arange(count.size), np.flatnonzero(np.diff(number)) + 1)
