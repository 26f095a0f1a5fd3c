"""Time to add one film to a library of 10, 100 and 1,000 films, and what the library says then.

    OMP_NUM_THREADS=1 python test/bench/bench_library.py --tables TABLES [TABLES ...]

TABLES are table folders of films that were run (`<data_dir>/output/<film_id>/table`): their faces'
and figures' members are the people. A made-up film shows some of them, each with noise (one person
seen otherwise), and strangers: vectors of no real one, turned at random. Without TABLES all are
made up. Figures: seconds of placing a film (`identity.place`) and in all; the
share of people under the identity that their other films have, and how many are under a wrong one.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bunny.core.vector import l2_normalize
from bunny.series import film_member, identity, library_update, people_library
from bunny.series.film_member import FilmMembers

SETTING = identity.PlacementSetting()
SEEN, STRANGERS = 8, 22  # people of the series in a film, and people of that film alone
NOISE = 0.55  # length of what is added to a unit vector: cosine of two films' views about 0.77
NUM_TIMED = 10  # films that are added and timed at each size


def read_people(folders: list[Path], rng: np.random.Generator) -> np.ndarray:
    """Unit vectors (n, 128) of the faces' members of real films, or made-up ones."""
    found = []
    for folder in folders:
        members = film_member.collect(film_member.read_tables(folder), folder.parent.name)
        rows = zip(members.rows, members.vector, strict=True)
        found += [vector for row, vector in rows if row["kind"] == film_member.FACE]
    real = np.array(found, np.float32).reshape(-1, found[0].size if found else 128)
    if len(real) < SEEN:
        made = rng.standard_normal((60, real.shape[1])).astype(np.float32)
        real = np.concatenate([real, l2_normalize(made)])
    return distinct(real)


def distinct(vector: np.ndarray) -> np.ndarray:
    """Those that are nobody seen before: films repeat, and a person may be in two."""
    kept: list[np.ndarray] = []
    for one in vector:
        if all(float(one @ other) < SETTING.detection.similarity_threshold for other in kept):
            kept.append(one)
    return np.stack(kept)


def make_film(number: int, people: np.ndarray, rng: np.random.Generator) -> FilmMembers:
    """A film: people of the series by number, then strangers."""
    who = rng.choice(len(people), min(SEEN, len(people)), replace=False)
    dimension = people.shape[1]
    turned = people[rng.integers(len(people), size=STRANGERS)][:, rng.permutation(dimension)]
    sign = rng.choice([-1.0, 1.0], dimension).astype(np.float32)
    noise = rng.standard_normal((len(who), dimension)).astype(np.float32)
    seen = l2_normalize(people[who] + NOISE * l2_normalize(noise))
    strange = l2_normalize(turned * sign + 0.8 * l2_normalize(rng.standard_normal(turned.shape)))
    film_id = f"film-{number:05d}"
    rows = [
        {
            "member_id": f"{film_id}/person-{k:02d}",
            "film_id": film_id,
            "name": f"p{who[k]}" if k < len(who) else f"stranger-{k}",
            "is_named": False,
            "kind": "face",
            "model": "sface",
            "num_views": int(rng.integers(2, 40)),
            "num_shots": 2,
            "rejected_from": [],
        }
        for k in range(len(who) + STRANGERS)
    ]
    frames = [{f"{film_id}-{k}"} for k in range(len(rows))]
    return FilmMembers(
        film_id=film_id, rows=rows, vector=[*seen, *strange.astype(np.float32)], frames=frames
    )


def add(folder: Path, film: FilmMembers) -> tuple[float, float]:
    """Seconds of placing, and of all: reading, placing and writing."""
    started = time.perf_counter()
    library = people_library.read(folder)
    begun = time.perf_counter()
    placed = identity.place(library, film, SETTING)
    took = time.perf_counter() - begun
    row = {
        "film_id": film.film_id,
        "film": "made.mp4",
        "content_hash": "00",
        "state": "made",
        "time": "2026-01-01T00:00:00+00:00",
        "num_members": len(film.rows),
        "adapter_version": 0,
    }
    people_library.write(library_update.add_film(library, film, placed, row))
    return took, time.perf_counter() - started


def judge(folder: Path) -> dict[str, float | int]:
    """How far identities are people: by the true name that each made-up member carries."""
    member = people_library.read(folder).member
    truth, found = member["name"].to_list(), member["identity_id"].to_list()
    is_person = [name.startswith("p") for name in truth]
    most: dict[str, dict[str, int]] = {}
    for name, one in zip(truth, found, strict=True):
        if one is not None:
            own = most.setdefault(one, {})
            own[name] = own.get(name, 0) + 1
    main = {one: max(own, key=lambda name: own[name]) for one, own in most.items()}
    pairs = list(zip(truth, found, is_person, strict=True))
    return {
        "members": member.height,
        "identities": len(most),
        "people_found": round(sum(f is not None for _, f, p in pairs if p) / sum(is_person), 4),
        "wrong": sum(f is not None and main[f] != name for name, f, _ in pairs),
        "strangers_in": sum(f is not None and not p for _, f, p in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=Path, nargs="*", default=[])
    parser.add_argument("--films", type=int, nargs="+", default=[10, 100, 1000])
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    people = read_people(given.tables, rng)
    print(json.dumps({"people": len(people), "dimension": people.shape[1]}), flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder, number = Path(place), 0
        for size in given.films:
            while number < size:
                add(folder, make_film(number, people, rng))
                number += 1
            times = [add(folder, make_film(number + k, people, rng)) for k in range(NUM_TIMED)]
            number += NUM_TIMED
            placing, whole = np.median(np.array(times), axis=0)
            report = {"films": size, "place_s": round(placing, 4), "add_s": round(whole, 4)}
            print(json.dumps(report | judge(folder)), flush=True)


if __name__ == "__main__":
    main()
