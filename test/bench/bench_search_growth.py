"""What a film costs that is added to an indexed library, and how a graph grown so compares.

    OMP_NUM_THREADS=1 python test/bench/bench_search_growth.py --films 60 --folder FOLDER

Films of 2,400 vectors as in `bench_search`. The index begins with a fifth of them, then one film
after the other is added and asked for. Printed: seconds of opening the index after a film came
(most often nothing but its own vectors is read; now and then the graph grows), and recall and
milliseconds of the grown graph beside one that is made of all films at once.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from bench_search import NEIGHBOURS, compare_all, make_vectors, recall

from bunny.core.config import SearchConfig
from bunny.library.search import graph_index
from bunny.library.search.graph_index import GraphIndex

A_FILM = 2400
NUM_QUERIES = 200


def open_index(folder: Path, vector: np.ndarray, setting: SearchConfig) -> GraphIndex:
    """The index of the films whose vectors these are."""
    films = [(f"film-{i}", A_FILM) for i in range(len(vector) // A_FILM)]
    keys = graph_index.make_keys(films)

    def load(rows: np.ndarray | None) -> np.ndarray:
        return vector if rows is None else vector[rows]

    path = graph_index.refresh(folder, "picture", keys, load, setting)
    return GraphIndex(path, keys, load, setting)


def ask(opened: GraphIndex, number: int, query: np.ndarray) -> tuple[list[np.ndarray], float]:
    """Rows found for each query, and the median of its milliseconds."""
    every, found, times = np.ones(number, bool), [], []
    for one in query:
        started = time.perf_counter()
        found.append(opened.nearest_among(one, NEIGHBOURS, every)[0])
        times.append((time.perf_counter() - started) * 1e3)
    return found, float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    setting = SearchConfig(exact_below=0)
    made = make_vectors(given.films * A_FILM + NUM_QUERIES, given.dimension, seed=1)
    held = np.sort(np.random.default_rng(2).choice(len(made), NUM_QUERIES, replace=False))
    query, vector = made[held], np.delete(made, held, axis=0)
    first = given.films // 5
    started = time.perf_counter()
    open_index(given.folder / "grown", vector[: first * A_FILM], setting)
    print(json.dumps({"films": first, "made_s": round(time.perf_counter() - started, 1)}))
    spent = []
    for number in range(first + 1, given.films + 1):
        started = time.perf_counter()
        open_index(given.folder / "grown", vector[: number * A_FILM], setting)
        spent.append(time.perf_counter() - started)
    report = {"added": len(spent), "median_s": np.median(spent), "all_s": np.sum(spent)}
    print(json.dumps({k: round(float(v), 3) for k, v in report.items()} | {"max_s": max(spent)}))
    truth = compare_all(vector, query)
    for name in ("grown", "at once"):
        started = time.perf_counter()
        opened = open_index(given.folder / name, vector, setting)
        opened_s = time.perf_counter() - started
        ask(opened, len(vector), query)  # the file comes into memory
        found, milliseconds = ask(opened, len(vector), query)
        numbers = {
            "open_s": round(opened_s, 2),
            "recall_at_10": round(recall(found, truth), 4),
            "median_ms": round(milliseconds, 2),
        }
        print(json.dumps({"index": name} | numbers), flush=True)


if __name__ == "__main__":
    main()
