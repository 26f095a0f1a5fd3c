"""How near an HNSW index comes to comparing every vector, and how long either takes.

    python test/bench/bench_search.py --count 1000000 --folder FOLDER

Vectors are laid out as those of films are: films hold places, places hold shots, shots hold
frames that differ little; each level is drawn with a spectrum that falls as 1 / rank, so most of
what differs lies in a few dozen directions. Queries are further frames of the same places. The
index and the vectors stay in FOLDER, and a second call only asks.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from bunny.core.config import SearchConfig
from bunny.library.search import index

NUM_QUERIES, NEIGHBOURS = 500, 10
FRAMES_A_SHOT, SHOTS_A_PLACE, PLACES_A_FILM = 5, 12, 40
# Standard deviations of film, place, shot and frame about the level above; mean cosines come out at
# 0.92 in a shot, 0.82 in a place, 0.57 in a film, near those of scene vectors (`scene.embed`).
SPREAD = (1.0, 0.7, 0.45, 0.4)


def make_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    """Unit vectors (count, dimension) float32 in the order of the films."""
    rng = np.random.default_rng(seed)
    scale = (np.arange(1, dimension + 1) ** -0.5).astype(np.float32)
    scale /= np.linalg.norm(scale)
    sizes = FRAMES_A_SHOT, SHOTS_A_PLACE, PLACES_A_FILM
    num = [count]
    for size in sizes:
        num.append(-(-num[-1] // size))

    def draw(number: int) -> np.ndarray:
        return rng.standard_normal((number, dimension), dtype=np.float32) * scale

    level = SPREAD[0] * draw(num[3])
    for depth, (size, spread) in enumerate(zip(sizes[::-1], SPREAD[1:], strict=True)):
        number = num[2 - depth]
        level = np.repeat(level, size, axis=0)[:number] + spread * draw(number)
    return level / np.linalg.norm(level, axis=1, keepdims=True)


def recall(found: list[np.ndarray], exact: np.ndarray) -> float:
    """Share of the true neighbours that were found."""
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, exact, strict=True)]
    return float(np.mean(hits)) / exact.shape[1]


def compare_all(vector: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The truth (queries, neighbours), in blocks."""
    best = np.full((len(query), NEIGHBOURS), -2.0, np.float32)
    rows = np.zeros((len(query), NEIGHBOURS), np.int64)
    for start in range(0, len(vector), index.BLOCK):
        cosine = query @ vector[start : start + index.BLOCK].T
        both = np.hstack([best, cosine])
        ids = np.arange(start, start + cosine.shape[1])
        own = np.hstack([rows, np.broadcast_to(ids, cosine.shape)])
        top = np.argpartition(-both, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        best, rows = np.take_along_axis(both, top, 1), np.take_along_axis(own, top, 1)
    return rows


def ask(graph, query: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows found for each query; its time by the clock and on the core (n, 2) in ms; one thread."""
    found, times = [], []
    for one in query:
        started = time.perf_counter(), time.thread_time()
        found.append(index.nearest(graph, one, NEIGHBOURS)[0])
        times.append((time.perf_counter() - started[0], time.thread_time() - started[1]))
    return found, np.array(times) * 1e3


def prepare(folder: Path, count: int, dimension: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, queries and the truth, made once."""
    names = [folder / f"{n}-{count}.npy" for n in ("vector", "query", "truth")]
    if not all(n.exists() for n in names):
        made = make_vectors(count + count // 100, dimension, seed=1)
        rng = np.random.default_rng(2)
        held = np.sort(rng.choice(len(made), len(made) - count, replace=False))
        query = made[rng.choice(held, min(NUM_QUERIES, len(held)), replace=False)]
        vector = np.delete(made, held, axis=0)
        for name, part in zip(names, (vector, query, compare_all(vector, query)), strict=True):
            np.save(name, part)
    return tuple(np.load(n, mmap_mode="r" if i == 0 else None) for i, n in enumerate(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of making the index")
    parser.add_argument("--connectivity", type=int, default=16)
    parser.add_argument("--expansion-add", type=int, default=128)
    parser.add_argument("--expansion", type=int, nargs="+", default=[64, 96, 128, 192, 256, 384])
    parser.add_argument("--exact", action="store_true", help="time exact comparison instead")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    vector, query, truth = prepare(given.folder, given.count, given.dimension)
    if given.exact:
        return time_exact(vector, query)
    setting = SearchConfig(
        index_connectivity=given.connectivity, index_expansion_add=given.expansion_add
    )
    path = (
        given.folder / f"shuffled-{given.count}-{given.connectivity}-{given.expansion_add}.usearch"
    )
    if not path.exists():
        started = time.perf_counter()
        index.build(path, vector, setting, threads=given.threads)
        print(json.dumps({"build_s": round(time.perf_counter() - started, 1)}), flush=True)
    started = time.perf_counter()
    graph = index.view(path, setting)
    opened = (time.perf_counter() - started) * 1e3
    print(json.dumps({"open_ms": round(opened, 2), "file_mb": path.stat().st_size >> 20}))
    ask(graph, query)  # the file comes into memory
    for expansion in given.expansion:
        graph.expansion_search = expansion
        found, times = ask(graph, query)
        numbers = {
            "expansion_search": expansion,
            "recall_at_10": round(recall(found, truth), 4),
            "median_ms": round(float(np.median(times[:, 0])), 2),
            "p95_ms": round(float(np.percentile(times[:, 0], 95)), 2),
            "median_core_ms": round(float(np.median(times[:, 1])), 2),
            "p95_core_ms": round(float(np.percentile(times[:, 1], 95)), 2),
        }
        print(json.dumps(numbers), flush=True)


def time_exact(vector: np.ndarray, query: np.ndarray) -> None:
    """One query against every vector, as `search` does below `exact_below`."""
    whole = np.array(vector)
    times = []
    for one in query[:50]:
        started = time.perf_counter()
        index.nearest_exact(whole, one, NEIGHBOURS)
        times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps({"count": len(whole), "median_ms": round(float(np.median(times)), 2)}))


if __name__ == "__main__":
    main()
