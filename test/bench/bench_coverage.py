"""How long the coverage of a training set takes, against the plain way, on made-up sets.

    python test/bench/bench_coverage.py --sizes 500 2000 --dimension 1280

The peer of the Vendi score and of the nearest neighbours is the definition taken literally: all
eigenvalues of the n x n matrix of cosines, and the whole matrix at once. Prints a Markdown table;
the ratio is the peer's time over ours, and the difference that of the scores.
"""

import argparse
import time

import numpy as np
import polars as pl

from bunny.dataset import gap, vendi
from bunny.table import store

REASON = {"soft": "8.1, dataset.min_subject_sharpness is 10", "filtered": "blurred"}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--dimension", type=int, default=1280)
    args = parser.parse_args()
    print("| pictures | Vendi and neighbours, s | plain, s | ratio | difference | gaps, s |")
    print("|---:|---:|---:|---:|---:|---:|")
    for size in args.sizes:
        vector = np.random.default_rng(0).normal(size=(size, args.dimension)).astype(np.float32)
        ours, score = timed(lambda v=vector: (vendi.vendi_score(v), vendi.nearest(v))[0])
        plain, literal = timed(lambda v=vector: plain_score(v))
        candidate, dataset = make_tables(size)
        gaps, _ = timed(lambda c=candidate, d=dataset: gap.find_gaps(c, d))
        print(
            f"| {size} | {ours:.2f} | {plain:.2f} | {plain / ours:.1f} "
            f"| {abs(score - literal):.1e} | {gaps:.3f} |"
        )


def timed(work) -> tuple[float, object]:
    """Seconds of the better of two runs, and what it gave."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def plain_score(vector: np.ndarray) -> float:
    """The Vendi score and the nearest neighbours as they are defined."""
    unit = vector / np.linalg.norm(vector, axis=1, keepdims=True).astype(np.float64)
    cosine = unit @ unit.T
    share = np.linalg.eigvalsh(cosine / len(unit))
    np.fill_diagonal(cosine, -np.inf)
    cosine.argmax(axis=1)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def make_tables(size: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A set of `size` pictures out of three times as many views in 40 places."""
    rng = np.random.default_rng(1)
    box = {"x0_px": 0.0, "y0_px": 0.0, "x1_px": 64.0, "y1_px": 64.0}
    poses = ["left-profile", "left", "frontal", "right", "right-profile"]
    views, pictures = [], []
    for n in range(3 * size):
        view = box | {
            "subject_id": f"f{n}-f0",
            "character": "anna",
            "frame_id": f"f{n}",
            "shot_index": n // 3,
            "pose": poses[rng.choice(5, p=[0.02, 0.2, 0.5, 0.25, 0.03])],
            "shot_size": ["close-up", "medium", "wide"][rng.choice(3, p=[0.5, 0.4, 0.1])],
            "place": f"scene-{rng.integers(40):03d}",
            "light": ["medium", "bright"][rng.integers(2)],
        }
        reason = "chosen" if n % 3 == 0 else ("soft", "filtered")[n % 2]
        more = {"subject_type": "face", "frame_index": n, "timestamp_s": float(n), "size_px": 64.0}
        more |= {"confidence": 0.9, "num_others": 0, "is_chosen": n % 3 == 0, "reason": reason}
        views.append(view | more | {"detail": REASON.get(reason)})
        more = {"image_id": f"i{n}", "file": f"{n}.png", "width_px": 64, "height_px": 64}
        more |= {"upscale": 1.0, "caption": "a", "repeats": 1, "split": "train"}
        pictures += [view | more] * (n % 3 == 0)
    return store.from_rows("candidate", views), store.from_rows("dataset", pictures)


if __name__ == "__main__":
    main()
