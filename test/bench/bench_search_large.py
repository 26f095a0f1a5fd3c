"""Search over ten million vectors: HNSW in one mapped file.

    OMP_NUM_THREADS=1 nice -n 15 python test/bench/bench_search_large.py --count 10000000 \
        --folder FOLDER --seconds 900

Vectors are those of `bench_search`, drawn film by film into a float16 file and added in random
order, as `library.search.index` does. `--seconds` ends the build early: what was added by then is
measured, and the figures say how many that were.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from bench_search import NEIGHBOURS, make_vectors, recall
from usearch.index import Index

from bunny.core.config import SearchConfig
from bunny.library.search import index

NUM_QUERIES = 200
CHUNK = 48_000  # frames of 20 films


def draw(number: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (CHUNK, d) of a block of films, and one (d,) of a shot among them, held out."""
    made = make_vectors(CHUNK + 1, dimension, seed=number)
    held = int(np.random.default_rng(number).integers(CHUNK))
    return np.delete(made, held, axis=0), made[held]


def write_vectors(path: Path, blocks: int, dimension: int) -> np.memmap:
    """All blocks (n, d), float16, on disk."""
    shape = (blocks * CHUNK, dimension)
    made = np.memmap(path, np.float16, "w+", shape=shape)
    for number in range(blocks):
        made[number * CHUNK : (number + 1) * CHUNK] = draw(number, dimension)[0]
    return made


def find_truth(vector: np.ndarray, order: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The nearest (queries, neighbours) among the rows of `order`, compared one by one."""
    is_in = np.zeros(len(vector), bool)
    is_in[order] = True
    best = np.full((len(query), NEIGHBOURS), -2.0, np.float32)
    rows = np.zeros((len(query), NEIGHBOURS), np.int64)
    for start in range(0, len(vector), CHUNK):
        cosine = query @ vector[start : start + CHUNK].astype(np.float32).T
        cosine[:, ~is_in[start : start + CHUNK]] = -2.0
        ids = np.broadcast_to(np.arange(start, start + CHUNK), cosine.shape)
        both, own = np.hstack([best, cosine]), np.hstack([rows, ids])
        top = np.argpartition(-both, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        best, rows = np.take_along_axis(both, top, 1), np.take_along_axis(own, top, 1)
    return rows


def build(given: argparse.Namespace, vector: np.ndarray) -> tuple[Index, np.ndarray]:
    """Add rows in random order until all are in or the time is up; gives those that are in."""
    graph = Index(
        ndim=given.dimension,
        metric="cos",
        dtype=given.dtype,
        connectivity=given.connectivity,
        expansion_add=given.expansion_add,
    )
    order = np.random.default_rng(0).permutation(len(vector))
    started, said, spent = time.perf_counter(), 250_000, 0.0
    for start in range(0, len(order), CHUNK):
        rows = np.sort(order[start : start + CHUNK])
        graph.add(rows.astype(np.uint64), vector[rows].astype(np.float32), threads=given.threads)
        spent = time.perf_counter() - started
        if len(graph) >= said:
            said *= 2
            report(count=len(graph), add_s=round(spent, 1), per_s=round(len(graph) / spent))
        if spent > given.seconds:
            break
    report(count=len(graph), add_s=round(spent, 1))
    return graph, order[: len(graph)]


def ask(graph: Index, query: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows found and milliseconds of each query, one thread."""
    found, times = [], []
    for one in query:
        started = time.perf_counter()
        found.append(graph.search(one, NEIGHBOURS, threads=1).keys.astype(np.int64))
        times.append((time.perf_counter() - started) * 1e3)
    return found, np.array(times)


def report(**numbers: object) -> None:
    print(json.dumps(numbers), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--dtype", choices=("i8", "f16"), default="i8")
    parser.add_argument("--connectivity", type=int, default=8)
    parser.add_argument("--expansion-add", type=int, default=40)
    parser.add_argument("--expansion", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=900, help="of making the index, at most")
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    blocks = given.count // CHUNK
    chosen = np.random.default_rng(0).choice(blocks, NUM_QUERIES)
    query = np.stack([draw(int(i), given.dimension)[1] for i in chosen])
    vector = write_vectors(given.folder / "vector.f16", blocks, given.dimension)
    path = given.folder / f"{given.count}-{given.dtype}.usearch"
    graph, order = build(given, vector)
    truth = find_truth(vector, order, query)
    graph.save(str(path))
    del graph
    started = time.perf_counter()
    graph = index.view(path, SearchConfig())
    report(
        open_ms=round((time.perf_counter() - started) * 1e3, 2), file_mb=path.stat().st_size >> 20
    )
    for expansion in given.expansion:
        graph.expansion_search = expansion
        _, first = ask(graph, query)
        found, times = ask(graph, query)
        report(
            expansion_search=expansion,
            recall_at_10=round(recall(found, truth), 4),
            first_p95_ms=round(float(np.percentile(first, 95)), 2),
            median_ms=round(float(np.median(times)), 2),
            p95_ms=round(float(np.percentile(times, 95)), 2),
        )


if __name__ == "__main__":
    main()
