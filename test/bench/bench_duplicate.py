"""How long near duplicates of a long film take: `python test/bench/bench_duplicate.py`.

Made-up hashes and 32x32 pictures of 100,000 frames, in four kinds of film. The peer is the plain
search: from the best frame down, every untaken hash is compared (NumPy), pictures after. It runs on
a part of the film in the same process and is extrapolated with the square of the number of frames
(it is quadratic where most frames differ; where one picture fills the film both are linear).
"""

import argparse
import runpy
import time
from pathlib import Path

import numpy as np

from bunny.quality import perceptual_hash

SHARED = runpy.run_path(str(Path(__file__).parents[1] / "quality" / "film.py"))
find_duplicates, take_signatures = SHARED["find_duplicates"], SHARED["take_signatures"]
FILMS = {
    "all frames differ": [1] * 100_000,
    "film: shots, returning set-ups, stills": [5000] * 4
    + [1000] * 10
    + [100] * 300
    + [8] * 2500
    + [1] * 20_000,
    "every picture twice": [2] * 50_000,
    "one still picture": [100_000],
}
CHANCE = "one hash in 5,000, pictures differ"  # 20 hashes, each with 5 pictures


def make(sizes, seed=0, num_hashes=None):
    """Hashes, signatures and scores of groups; frames differ from their group's by 0 to 2 bits."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    phash = rng.integers(0, 2**64, num_hashes or len(sizes), dtype=np.uint64)
    phash = phash[group % phash.size]
    for _ in range(2):
        bit = np.uint64(1) << rng.integers(0, 64, group.size).astype(np.uint64)
        phash ^= np.where(rng.random(group.size) < 0.5, bit, np.uint64(0))
    picture = rng.integers(20, 235, (len(sizes), 1024), dtype=np.uint8)
    luma = picture[group]
    for low in range(0, group.size, 10_000):
        part = luma[low : low + 10_000]
        part += rng.integers(0, 5, part.shape, dtype=np.uint8)
    return phash, luma, rng.random(group.size)


def plain(phash, score, max_distance, signature, min_structure):
    """The definition, one frame after the other."""
    kept_by = np.arange(phash.size)
    open_frames = np.argsort(-score, kind="stable")
    while open_frames.size:
        best, rest = open_frames[0], open_frames[1:]
        is_near = perceptual_hash.distance(phash[rest], phash[best]) <= max_distance
        near = rest[is_near]
        alike = perceptual_hash.structural_similarity(signature, np.full(near.size, best), near)
        is_near[is_near] = alike >= np.float32(min_structure)
        kept_by[rest[is_near]] = best
        open_frames = rest[~is_near]
    return kept_by


def timed(function, *arguments, **names):
    """Seconds of one call, and what it gave."""
    started = time.perf_counter()
    found = function(*arguments, **names)
    return time.perf_counter() - started, found


def measure(name, film, distance, part):
    """One row: ours on the whole film, the peer on a part of it."""
    phash, luma, score = film
    prepare_s, signature = timed(perceptual_hash.prepare_signatures, luma)
    find = {"signature": signature, "min_structure": 0.9}
    ours_s, found = timed(find_duplicates, phash, score, distance, **find)
    short = take_signatures(signature, np.arange(part))
    plain_s, wanted = timed(plain, phash[:part], score[:part], distance, short, 0.9)
    same = find_duplicates(phash[:part], score[:part], distance, signature=short, min_structure=0.9)
    ours_part_s, _ = timed(
        find_duplicates, phash[:part], score[:part], distance, signature=short, min_structure=0.9
    )
    whole_s = plain_s * (phash.size / part) ** 2
    stays = np.unique(found).size
    print(
        f"{name:40} {distance:4} {stays:8,} {prepare_s + ours_s:9.2f} {ours_part_s:9.2f} "
        f"{plain_s:9.2f} {whole_s:10.1f} {plain_s / ours_part_s:8.1f} "
        f"{whole_s / (prepare_s + ours_s):8.1f} {'yes' if np.array_equal(same, wanted) else 'NO'}",
        flush=True,
    )
    return prepare_s + ours_s


def growth():
    """Seconds for 50,000 to 200,000 frames of the mixed film."""
    words = []
    for share in (2, 1, 0.5):
        shots = [n for n in FILMS["film: shots, returning set-ups, stills"] if n > 1]
        sizes = [round(n / share) for n in shots] + [1] * round(20_000 / share)
        phash, luma, score = make(sizes)
        prepare_s, signature = timed(perceptual_hash.prepare_signatures, luma)
        find = {"signature": signature, "min_structure": 0.9}
        seconds, _ = timed(find_duplicates, phash, score, 4, **find)
        words.append(f"{phash.size:,} frames {prepare_s + seconds:.2f} s")
    return ", ".join(words)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", type=int, default=20_000, help="frames that the peer gets")
    parser.add_argument("--distances", type=int, nargs="*", default=[4, 8])
    given = parser.parse_args()
    print("seconds; whole: 100,000 frames; part: as many as the peer gets")
    print(
        f"{'film':40} bits    stay     whole      part plain,part plain,whole* "
        "x(part) x(whole*) same"
    )
    slowest = 0.0
    for distance in given.distances:
        for name, sizes in FILMS.items():
            slowest = max(slowest, measure(name, make(sizes), distance, given.part))
        film = make([1000] * 100, num_hashes=20)
        slowest = max(slowest, measure(CHANCE, film, distance, given.part))
    print("growth, same film at other lengths, 4 bits: " + growth())
    print(f"* extrapolated with the square; slowest whole film {slowest:.1f} s (goal: under 30 s)")


if __name__ == "__main__":
    main()
