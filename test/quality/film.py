"""Measures of made-up films for the tests of decisions."""

import numpy as np

from bunny.quality import duplicate, perceptual_hash
from bunny.table import store

GOOD = {"blur_score": 0.5, "brightness": 0.5, "contrast": 0.2}


def measures(*rows):
    """A measure table; hashes differ by default."""
    full = []
    for index, row in enumerate(rows):
        phash = int("10" * 32, 2) ^ (2**64 - 1 if index % 2 else 0) ^ (0xFF << 8 * (index % 8))
        full.append({"frame_id": f"f-{index:08d}", "phash": phash, **GOOD, **row})
    return store.from_rows("measure", full)


def random_measures(num_frames, seed=0, num_groups=0):
    """Frames of all qualities; every group shares a hash but for one bit, 0: all differ."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**63, max(1, num_groups or num_frames))
    of = rng.integers(0, base.size, num_frames) if num_groups else np.arange(num_frames)
    return measures(
        *(
            {
                "blur_score": float(rng.beta(2, 3)),
                "brightness": float(rng.random()),
                "contrast": float(rng.uniform(0, 0.3)),
                "phash": int(base[of[i]]) ^ (1 << int(rng.integers(0, 4))),
            }
            for i in range(num_frames)
        )
    )


def groups_of_hashes(sizes, seed=0, num_flips=2):
    """Hashes of groups: each frame differs from its group's in at most `num_flips` bits."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    phash = rng.integers(0, 2**64, len(sizes), dtype=np.uint64)[group]
    for _ in range(num_flips):
        bit = np.uint64(1) << rng.integers(0, 64, group.size).astype(np.uint64)
        phash ^= np.where(rng.random(group.size) < 0.5, bit, np.uint64(0))
    mixed = rng.permutation(group.size)
    return phash[mixed], group[mixed], rng.random(group.size)


def signatures_of(group, seed=0, noise=2):
    """A random picture for each group, each frame with its own noise of a few grey levels."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(20, 235, (int(group.max(initial=-1)) + 1, 1024))
    noisy = picture[group] + rng.integers(-noise, noise + 1, (group.size, 1024))
    return noisy.astype(np.uint8)


def take_signatures(signature, index):
    """The pictures at `index`, in that order."""
    parts = {name: part[index] for name, part in vars(signature).items()}
    return perceptual_hash.LumaSignature(**parts)


def find_duplicates(phash, score, max_distance, *, signature=None, min_structure=0.0):
    """Index of the frame that stays for each; the higher score stays, of equals the earlier."""
    phash, score = np.asarray(phash, np.uint64), np.asarray(score, np.float64)
    order = np.argsort(-score, kind="stable")
    kept_by = np.empty(phash.size, np.int64)
    taken = signature and take_signatures(signature, order)
    near = duplicate.NearDuplicateSearch(phash[order], taken, max_distance)
    kept_by[order] = order[near.group(min_structure)]
    return kept_by
