"""How fast the explorer of notebook 02_filter answers: `python test/bench/bench_widget.py`.

A made-up film of 200,000 measured pictures (shots of 8 to 5,000 like pictures, and 60,000 that
differ), 2,000 of them with a small picture. Each control is moved to a few places; the time is that
of the whole update: decision, counts, HTML. The peer is the plain way in the same process: apply
all thresholds to the table anew (`flag.flag`) for every move, without any HTML.
"""

import argparse
import time

import numpy as np
import polars as pl

from bunny.core.config import FilteringConfig
from bunny.quality import flag
from bunny.view.widget import quality

MOVES = {
    "blur_threshold": (0.1, 0.3, 0.5),
    "min_brightness": (0.02, 0.1, 0.2),
    "max_brightness": (0.7, 0.9, 0.98),
    "min_contrast": (0.05, 0.1, 0.2),
    "duplicate_distance": (0, 1, 2, 6, 8),
    "duplicate_structure": (0.5, 0.8, 0.95, 0.98),
    "max_smear": (0.2, 0.5, 0.8),
    "max_blockiness": (0.2, 0.5, 0.8),
    "max_subtitle_share": (0.01, 0.1),
    "preset": ("strict", "generous", "balanced"),
    "keep_about": (100, 5_000, 50_000),
}
SIZES = [5000] * 4 + [1000] * 20 + [100] * 600 + [8] * 5000 + [1] * 60_000


def make_measure(sizes, seed=0):
    """A table measure; pictures of a group differ by a few bits and grey levels."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    phash = rng.integers(0, 2**64, len(sizes), dtype=np.uint64)[group]
    for _ in range(2):
        bit = np.uint64(1) << rng.integers(0, 64, group.size).astype(np.uint64)
        phash ^= np.where(rng.random(group.size) < 0.5, bit, np.uint64(0))
    luma = rng.integers(20, 235, (len(sizes), 1024), dtype=np.uint8)[group]
    for low in range(0, group.size, 10_000):
        part = luma[low : low + 10_000]
        part += rng.integers(0, 5, part.shape, dtype=np.uint8)
    num = group.size
    shares = {
        name: pl.Series(rng.beta(*shape, num), dtype=pl.Float32)
        for name, shape in {
            "blur_score": (2, 2),
            "brightness": (3, 3),
            "contrast": (2, 10),
            "smear": (1, 6),
            "blockiness": (1, 12),
            "subtitle_share": (0.1, 20),
            "dynamic_range": (6, 2),
            "background_share": (2, 6),
        }.items()
    }
    return pl.DataFrame(
        {
            "frame_id": [f"film-{i:08d}" for i in range(num)],
            **shares,
            "text_lines": pl.Series(rng.integers(0, 2, num), dtype=pl.Int32),
            "phash": phash,
            "signature": pl.Series(luma, dtype=pl.Array(pl.UInt8, 1024)),
            "error": pl.Series([None] * num, dtype=pl.String),
        }
    )


def open_film(measure):
    """What the explorer keeps, with a small picture for every hundredth frame."""
    prepared = flag.prepare(measure)
    prepared_at = time.perf_counter()
    near = quality.find_near(prepared)
    searched_s = time.perf_counter() - prepared_at
    names = prepared.measure["frame_id"].to_list()
    blur = prepared.measure["blur_score"].to_numpy()
    shown = np.arange(0, len(names), max(1, len(names) // 2000))
    opened = quality.QualityData(
        prepared=prepared,
        near=near,
        blur=blur,
        shown=shown[np.argsort(blur[shown], kind="stable")],
        pictures={names[i]: "data:image/jpeg;base64," + "A" * 4000 for i in shown.tolist()},
        names=names,
        times={name: i / 4 for i, name in enumerate(names)},
    )
    return opened, searched_s


def timed(function, *arguments):
    """Milliseconds of one call, and what it gave."""
    started = time.perf_counter()
    found = function(*arguments)
    return 1000 * (time.perf_counter() - started), found


def move(opened, before, key, value):
    """One whole update; gives the page."""
    found = quality.judge(opened, quality.moved(before, key, value))
    return quality.page(opened, found, before)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the 200,000 pictures")
    given = parser.parse_args()
    sizes = SIZES[:: max(1, round(1 / given.share))]
    measure = make_measure(sizes)
    started = time.perf_counter()
    opened, searched_s = open_film(measure)
    print(
        f"{measure.height:,} pictures; opened in {time.perf_counter() - started:.1f} s, of which "
        f"{searched_s:.1f} s finding near frames ({opened.near.num_pairs or 0:,} pairs)"
    )
    settings = FilteringConfig()
    before = quality.judge(opened, settings)
    plain_ms, _ = timed(lambda: flag.flag(measure.lazy(), settings).collect())
    print(f"plain re-flag of the table, the peer: {plain_ms:.0f} ms a move")
    print(f"{'control':20} first ms  again ms (median)  plain / worst first")
    for key, values in MOVES.items():
        first = [timed(move, opened, before, key, v)[0] for v in values]
        again = [timed(move, opened, before, key, v)[0] for v in values]
        print(
            f"{key:20} {max(first):8.0f} {np.median(again):9.0f} {plain_ms / max(first):29.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
