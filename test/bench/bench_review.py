"""How fast corrections are replayed: 50,000 shots in 300 scenes, 300 events.

    python test/bench/bench_review.py [--shots 50000] [--events 300]

Times are of this process's own CPU (`time.process_time`), so that a busy machine does not change
them much; run with OMP_NUM_THREADS=1.
"""

import argparse
import time

import numpy as np
import polars as pl

from bunny.review import create_event, doubt
from bunny.review.create_event import EventContext
from bunny.review.state import ReviewState
from bunny.table import store

ANA = EventContext(user="ana")

DIM = 1584  # of the scene vectors


def assets(number: int, clusters: int) -> pl.DataFrame:
    """Shots of one second, each in a scene in turn."""
    rows = [
        {
            "asset_id": f"film-s{i:06d}",
            "level": "scene",
            "shot_index": i,
            "first_frame_index": 24 * i,
            "end_frame_index": 24 * i + 24,
            "start_s": float(i),
            "end_s": i + 1.0,
            "timestamp_s": i + 0.5,
            "cluster_id": f"scene-{i % clusters:03d}",
            "machine_cluster_id": f"scene-{i % clusters:03d}",
            "similarity": 0.9,
            "doubt": 0.5,
            "source": "machine",
            "is_approved": False,
            "rejected_from": [],
            "who": [],
            "comments": 0,
        }
        for i in range(number)
    ]
    return store.from_rows("asset", rows)


def shot_vectors(asset: pl.DataFrame, clusters: int) -> pl.DataFrame:
    """Unit vectors about one random centre a scene."""
    random = np.random.default_rng(0)
    centre = random.normal(size=(clusters, DIM)).astype(np.float32)
    vector = centre[np.arange(asset.height) % clusters]
    vector = vector + random.normal(size=vector.shape, scale=0.5).astype(np.float32)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    return asset.select("asset_id", model=pl.lit("made-up")).with_columns(
        pl.Series("vector", vector)
    )


def say(state: ReviewState, random: np.random.Generator, turn: int):
    """Something of one of four kinds about a few shots."""
    ids = [state.content.ids[i] for i in random.choice(len(state.content.ids), 5, replace=False)]
    kind = turn % 4
    if kind == 0:
        return create_event.assign(state, ANA, ids, f"scene-{turn % 300:03d}")
    if kind == 1:
        return create_event.reject(state, ANA, ids[:1], state.cluster_of(ids[0]) or "scene-001")
    return (
        create_event.split(state, ANA, ids)
        if kind == 2
        else create_event.approve(state, EventContext(user="b"), ids[:1])
    )


def main() -> None:
    """Print a line a measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots", type=int, default=50_000)
    parser.add_argument("--events", type=int, default=300)
    wanted = parser.parse_args()
    asset = assets(wanted.shots, 300)
    vectors = shot_vectors(asset, 300)
    random, clock = np.random.default_rng(1), time.process_time
    started = clock()
    state = ReviewState.of(asset, vectors)
    print(f"State.of                 {1e3 * (clock() - started):8.0f} ms")
    spent: dict[str, list[float]] = {}
    for turn in range(wanted.events):
        event = say(state, random, turn)
        started = clock()
        state.apply(event)
        spent.setdefault(event.kind, []).append(1e3 * (clock() - started))
    for kind, times in spent.items():
        words = f"median {np.median(times):6.1f} ms, first {times[0]:6.1f} ms"
        print(f"apply {kind:<18} {words}, most after it {max(times[1:]):6.1f} ms")
    for name, back in (("undo of the last", -1), ("undo of the first", 0)):
        event = create_event.undo(state, ANA, state.events[back].event_id)
        started = clock()
        state.apply(event)
        print(f"{name:<24} {1e3 * (clock() - started):8.1f} ms")
    events = state.every
    started = clock()
    again = ReviewState.of(asset, vectors).replay(events)
    print(f"State.of and a replay    {1e3 * (clock() - started):8.0f} ms, {len(events)} events")
    started = clock()
    frame = again.frame()
    print(f"frame                    {1e3 * (clock() - started):8.0f} ms")
    started = clock()
    doubt.measure(frame, {"scene": vectors}, again.now.is_said)
    print(f"similarity and doubt     {1e3 * (clock() - started):8.0f} ms")


if __name__ == "__main__":
    main()
