"""How the choice of training pictures does: time, worth and spread, on made-up views and on films.

    python test/bench/bench_choice.py                      10,000 views, 500 chosen
    python test/bench/bench_choice.py --workspace FOLDER   views of a film that ran up to `caption`

The peers, in the same run: the plain greedy choice (every gain at every step), the first views in
order of their own worth, and chance. All are measured by the same worth, in parts of the lazy
greedy one's.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import set_worth

from bunny.dataset import appearance, candidate, facility_location
from bunny.dataset.facility_location import GroundSet
from bunny.table import store


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=10_000)
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--plain", type=int, default=40, help="pictures chosen by plain greedy")
    parser.add_argument("--workspace", type=Path, help="a film's folder")
    parser.add_argument("--character", default="")
    given = parser.parse_args()
    if given.workspace:
        ground = film_ground(given.workspace, given.character)
    else:
        ground = made_up(given.views)
    number = min(given.number, len(ground))
    print(f"{len(ground)} views, {number} chosen\n")
    print_ways(ground, number)
    print_lazy(ground, min(given.plain, number))


def made_up(count: int) -> GroundSet:
    """Views in 40 places, few of them dark, few in profile, many alike."""
    rng = np.random.default_rng(0)
    place = rng.zipf(1.5, count) % 40
    pose, size = rng.choice(5, count, p=[0.05, 0.2, 0.5, 0.2, 0.05]), rng.integers(0, 3, count)
    light = rng.choice(3, count, p=[0.1, 0.7, 0.2])
    centre = rng.normal(size=(40, 96))[place] + rng.normal(size=(5, 96))[pose]
    vector = facility_location.join_vectors([(1.0, centre + 0.7 * rng.normal(size=(count, 96)))])
    cell = np.stack([pose, size, np.unique(place, return_inverse=True)[1], light], axis=1)
    return GroundSet(vector=vector, cell=cell, worth=rng.random(count))


def film_ground(folder: Path, character: str) -> GroundSet:
    """All labelled views of a film's character."""
    names = ("frame", "extra_frame", "quality", "measure", "face", "label", "cluster", "caption")
    tables = {n: store.read_or_empty(folder / "table", n) for n in (*names, "embedding")}
    character = character or candidate.count_views(tables["label"])["character"][0]
    known = tables["label"].select("subject_id", sharpness=None, luma=None)
    views = candidate.gather(character, tables, known)
    return appearance.ground_set(views, tables["face"], tables["embedding"], tables["measure"])


def print_ways(ground: GroundSet, number: int) -> None:
    """Lazy greedy against simple ways."""
    begun = time.perf_counter()
    chosen, _ = facility_location.choose(ground, number)
    seconds = time.perf_counter() - begun
    own = set_worth.objective(ground, chosen, number)
    rng = np.random.default_rng(0)
    ways = {
        f"lazy greedy, {seconds:.1f} s": chosen,
        "best by their own worth": np.argsort(-ground.worth, kind="stable")[:number].tolist(),
        "chance": rng.choice(len(ground), number, replace=False).tolist(),
    }
    print("| way | worth, ratio | cells of the grid | rarest pose | largest place |")
    print("|---|---|---|---|---|")
    for name, rows in ways.items():
        ratio = set_worth.objective(ground, rows, number) / own
        cell = ground.cell[rows]
        cells = len(np.unique(cell, axis=0))
        pose = Counter(cell[:, 0].tolist())
        rarest = min(pose.get(v, 0) for v in range(int(ground.cell[:, 0].max()) + 1)) / number
        place = max(Counter(cell[:, 2].tolist()).values()) / number
        print(f"| {name} | {ratio:.3f} | {cells} | {rarest:.1%} | {place:.1%} |")
    print(f"| all views | | {len(np.unique(ground.cell, axis=0))} | | |\n")


def print_lazy(ground: GroundSet, number: int) -> None:
    """The same choice with every gain taken at every step."""
    begun = time.perf_counter()
    chosen, gains = facility_location.choose(ground, number)
    lazy = time.perf_counter() - begun
    begun = time.perf_counter()
    plain = plain_greedy(ground, number)
    slow = time.perf_counter() - begun
    same = set_worth.objective(ground, plain, number) / max(sum(gains), 1e-12)
    print(
        f"plain greedy takes {slow / lazy:.0f} times as long for {number}; its worth is {same:.4f}"
    )
    print(f"of the lazy one's, {len(set(plain) & set(chosen))} of {number} are the same views")


def plain_greedy(ground: GroundSet, number: int) -> list[int]:
    """Greedy choice that trusts no bound."""
    state = facility_location._GreedyState(ground, number)
    chosen: list[int] = []
    for _ in range(number):
        gains = [-np.inf if row in chosen else state.gain(row) for row in range(len(ground))]
        best = int(np.argmax(gains))
        chosen.append(best)
        state.add(best)
    return chosen


if __name__ == "__main__":
    main()
