"""Near duplicates by perceptual hash: the sharpest of a group stays."""

import numpy as np


def hamming_distance(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Number of bits in which 64-bit hashes differ, broadcast; uint8 in 0-64."""
    return np.bitwise_count(np.bitwise_xor(one, two))


def find_duplicates(phash: np.ndarray, score: np.ndarray, max_distance: int) -> np.ndarray:
    """Say of which frame each frame is a near duplicate.

    From the best score down, each frame that is not yet taken stays and takes all untaken frames
    within the distance. So every duplicate is near the one that stays (no chains), and no two that
    stay are near each other.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    score : np.ndarray, shape (n,), float
        The higher stays; of equals the earlier.
    max_distance : int
        In bits, 0-64; frames at exactly this distance are duplicates.

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
    kept_by = np.arange(phash.size)
    open_frames = np.argsort(-score, kind="stable")
    while open_frames.size:
        best = open_frames[0]
        is_near = hamming_distance(phash[open_frames], phash[best]) <= max_distance
        kept_by[open_frames[is_near]] = best
        is_near[0] = True
        open_frames = open_frames[~is_near]
    return kept_by
