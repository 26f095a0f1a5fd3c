"""What a click brings: accuracy against clicks, by a simulated person on libraries with truth.

    python test/bench/bench_label.py [--material FOLDER] [--film FOLDER] [--cache FOLDER]
        [--seeds 5] [--items 2000] [--only NAME ...] [--plot label_cost.png]
        [--order NAME ...] [--way NAME ...]

Libraries: shots and drawn figures of the sample film (`--film`: its folder after `bunny run` until
stage cluster), press photos of five people as they are and at looks of a bad film, frames of shots
that composed films are made of (each at several looks: dark, grey, grain, closer), and a made-up
one of 40 people: directions by chance, spread by what differs between real photos of one person.
A click is one item placed, one cluster named, or one run of items dragged or approved together,
with one more for each item of the run that belongs elsewhere; looking is free, the person never
errs; see `simulated_reviewer`. Rows: mean over seeds [5 %, 95 %], on items that were never
clicked; the fifth column is of all items, clicked ones included. `auto`: what `bunny learn` would
put into use.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import bench_character
import bench_shot
import compose
import compose_look
import cv2
import numpy as np
import plot_label_cost
import polars as pl
import simulated_reviewer
from simulated_reviewer import SimulatedLibrary

from bunny import demo
from bunny.character import cluster
from bunny.character.drawn import efficientnet
from bunny.character.face import detect
from bunny.character.face import recogniser as face_embed
from bunny.core.config import ClusteringConfig
from bunny.review import asset_table as review_asset
from bunny.review.learn import item
from bunny.scene import cluster as scene_cluster
from bunny.scene import embed
from bunny.table import store
from bunny.view import style

SAME = 0.75  # `clustering.character_threshold`
LOOSE = 0.4  # a threshold at which the made-up people are taken for each other
MIN_OVERLAP = 0.3  # of boxes, for a figure to be the one of the truth
LOOKS = (None, 64, 32, -2.0, -4.0)  # of photos: as they are, faces so high in px, blurred
VIEWS = 8  # of each composed shot
PEOPLE, SPREAD, NOISE = 40, 2.7, 0.9  # of the made-up library
SHARES = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.05)
MORE, FEW = (0.1, 0.2, 0.4), 500  # shares in libraries of fewer items
AT = (0.0, 0.005, 0.01, 0.05, 0.2)  # columns; the last share reached before each, and a tenth
WAYS = ("none", "correlation", "auto")


def main() -> None:
    """Print a table and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parents[3] / "shared" / "material"
    parser.add_argument("--material", type=Path, default=here)
    parser.add_argument("--film", type=Path, help="folder of the sample film's tables")
    parser.add_argument("--cache", type=Path, default=Path(), help="folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--items", type=int, default=2000, help="of the made-up library")
    parser.add_argument("--only", nargs="*", default=[], help="libraries whose name has this")
    parser.add_argument(
        "--order", nargs="*", choices=simulated_reviewer.ORDERS, default=simulated_reviewer.ORDERS
    )
    every = (*WAYS, "threshold", "triplet")  # triplet: slow
    parser.add_argument("--way", nargs="*", choices=every, default=WAYS)
    parser.add_argument("--plot", type=Path, default=Path("label_cost.png"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    curves = []
    print(
        "| library | order | way | clicks for 0.99 | of all items | 0 | 0.5 % | 1 % | 5 % | 20 % |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, library in libraries(args).items():
        for order in args.order:
            for way in args.way:
                rows = walk(library, order, way, args.seeds)
                curves.append(rows.with_columns(pl.lit(name).alias("film")))
                print(line(name, curves[-1], order, way), flush=True)
    if not curves:
        return
    every = pl.concat(curves)
    args.plot.write_bytes(style.to_png(plot_label_cost.plot_cost(every)))
    every.write_parquet(args.plot.with_suffix(".parquet"))


def walk(library: SimulatedLibrary, order: str, way: str, seeds: int) -> pl.DataFrame:
    """Curves of several persons; of the slow way of two."""
    seeds = min(seeds, 2) if way == "triplet" else seeds
    shares = SHARES + (MORE if len(library.truth) < FEW else ())
    return pl.concat(
        simulated_reviewer.curve(library, order, way, shares=shares, seed=seed, steps=60)
        for seed in range(seeds)
    )


def line(name: str, curve: pl.DataFrame, order: str, way: str) -> str:
    """One row of the table."""
    mean, cells = plot_label_cost.summarise(curve).sort("share"), []
    for measure in ("accuracy", "library"):
        rows = plot_label_cost.summarise(curve, measure).sort("share")
        reached = rows.filter(pl.col("accuracy") >= plot_label_cost.GOAL)
        cells.append(f"{reached['share'][0]:.1%}" if reached.height else "never")
    for share in AT:
        row = mean.filter(pl.col("share") <= share * 1.1 + 1e-9).tail(1)
        low, high = row["low"][0], row["high"][0]
        cells.append(f"{row['accuracy'][0]:.3f} [{low:.3f}, {high:.3f}]")
    return f"| {name} | {order} | {way} | {' | '.join(cells)} |"


def libraries(args) -> dict[str, SimulatedLibrary]:
    """Every library whose material is there."""
    made: dict[str, SimulatedLibrary] = {}
    photos = _cached(args, "photos", read_photos)
    if photos:
        made["photos"] = SimulatedLibrary(
            vector=photos[0], start=group(photos[0], SAME), truth=photos[1]
        )
        made["photos, made up"] = make_up(*photos, args.items)
    composed = _cached(args, "composed", read_composed)
    if composed:
        start = scene_cluster.group_frames(composed[0], ClusteringConfig()).cluster
        made["composed"] = SimulatedLibrary(vector=composed[0], start=start, truth=composed[1])
    if args.film is not None:
        made |= read_sample(args.film)
    for name, one in made.items():
        first = simulated_reviewer.begin(one)
        right = float((first.start == one.truth).mean())
        clusters, noise = len(set(one.start.tolist()) - {-1}), int((one.start < 0).sum())
        print(
            f"{name}: {len(one.truth)} items, {one.truth.max() + 1} identities, {clusters} "
            f"clusters, {noise} in noise, right at the start {right:.3f}\n"
        )
    return {k: v for k, v in made.items() if not args.only or any(w in k for w in args.only)}


def group(vector: np.ndarray, threshold: float) -> np.ndarray:
    """Clusters of faces as stage cluster makes them."""
    num_faces = np.full(len(vector), 3)
    tracks = cluster.UnknownTracks(embedding=vector, num_faces=num_faces, recogniser="sface")
    return cluster.group_unknown(tracks, threshold)[0]


def make_up(photo: np.ndarray, who: np.ndarray, num: int, seed: int = 0) -> SimulatedLibrary:
    """Many people, spread about their directions as photos of one person are about their mean."""
    rng = np.random.default_rng(seed)
    mean = np.stack([photo[who == k].mean(axis=0) for k in range(who.max() + 1)])
    apart = photo - mean[who]
    people = item.unit(rng.normal(size=(PEOPLE, photo.shape[1])))
    share = rng.dirichlet(np.full(PEOPLE, 0.7))
    truth = np.unique(rng.choice(PEOPLE, size=num, p=share), return_inverse=True)[1]
    mix = rng.normal(size=(num, len(apart))) / np.sqrt(len(apart))
    vector = people[truth] + SPREAD * mix @ apart
    vector += NOISE * rng.normal(size=vector.shape) / np.sqrt(vector.shape[1])
    vector = item.unit(vector)
    return SimulatedLibrary(vector=vector, start=group(vector, LOOSE), truth=truth)


def read_sample(folder: Path) -> dict[str, SimulatedLibrary]:
    """Shots by place and drawn figures by character, as the machine has them."""
    names = (*review_asset.TABLES, "embedding", "subject_vector")
    table = {name: store.read_or_empty(folder / "table", name) for name in names}
    film_id = table["film"]["film_id"][0]
    shot_vector = review_asset.shot_vectors(table, film_id)
    asset = review_asset.machine_assets(table, shot_vector, film_id)
    shots = demo.truth("shot")
    place = {}
    for row in asset.filter(pl.col("level") == "scene").iter_rows(named=True):
        middle = (row["first_frame_index"] + row["end_frame_index"]) // 2
        span = shots.filter(
            pl.col("first_frame_index") <= middle, middle < pl.col("end_frame_index")
        )
        place[row["asset_id"]] = span["place"][0] if span.height else None
    figures = review_asset.figure_vectors(table)
    figures = figures.filter(pl.col("model") != "sface")
    who = {row["asset_id"]: _who(row) for row in asset.iter_rows(named=True) if row["boxes"]}
    return {
        "sample: shots by place": _library(asset, shot_vector, place),
        "sample: drawn figures": _library(asset, figures, who),
    }


def _library(asset: pl.DataFrame, vectors: pl.DataFrame, truth: dict) -> SimulatedLibrary:
    """Items whose truth is known."""
    rows = asset.join(vectors, on="asset_id").sort("asset_id")
    rows = rows.filter(pl.col("asset_id").is_in([k for k, v in truth.items() if v is not None]))
    names = [truth[asset_id] for asset_id in rows["asset_id"]]
    numbers = rows["machine_cluster_id"].cast(pl.Categorical).to_physical().cast(pl.Int64)
    return SimulatedLibrary(
        vector=np.array(rows["vector"].to_list(), np.float32),
        start=numbers.fill_null(-1).to_numpy(),
        truth=np.unique(names, return_inverse=True)[1],
    )


def _who(asset: dict) -> str | None:
    """The character of the truth that a figure covers best in the middle of its views."""
    views = np.array(asset["boxes"]).reshape(-1, 5)
    time, x0, y0, x1, y1 = views[len(views) // 2]
    truth = demo.truth("box").filter(pl.col("frame_index") == round(time * 24))
    best, found = MIN_OVERLAP, None
    for row in truth.iter_rows(named=True):
        a = np.array([x0 * 1280, y0 * 720, x1 * 1280, y1 * 720])
        b = np.array([row["x0_px"], row["y0_px"], row["x1_px"], row["y1_px"]])
        inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
        whole = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner
        if inner / whole > best:
            best, found = inner / whole, row["character"]
    return found


def _cached(args, name: str, make: Callable[[Path], tuple]) -> tuple[np.ndarray, np.ndarray] | None:
    """Vectors and identities, kept in a file between runs; None without material."""
    if not any(part in name for part in args.only or [name]):
        return None
    file = args.cache / f"{name}.npz"
    if file.exists():
        with np.load(file) as kept:
            return kept["vector"], kept["who"]
    if not args.material.is_dir():
        print(f"{name}: {args.material} is absent, left out")
        return None
    vector, who = make(args.material)
    np.savez(file, vector=vector, who=who)
    return vector, who


def read_photos(material: Path) -> tuple[np.ndarray, np.ndarray]:
    """SFace vectors of press photos at the looks of a film, and of whom each is."""
    detector, recognise = detect.load_detector("yunet"), face_embed.load_recogniser("sface")
    vector, who = [], []
    for path in sorted((material / "faces" / "johns").glob("*/*.jpg")):
        photo = cv2.imread(str(path))
        height = max((face.size_px for face in detector(photo)), default=None)
        for change in LOOKS if height else ():
            image = bench_character.alter(photo, height, change)
            face = max(detector(image), key=lambda face: face.size_px, default=None)
            if face is not None:
                vector.append(recognise(image, face))
                who.append(path.parent.name)
    return np.array(vector, np.float32), np.unique(who, return_inverse=True)[1]


def read_composed(material: Path) -> tuple[np.ndarray, np.ndarray]:
    """Scene vectors of frames of single shots at several looks, and which shot each is of."""
    net, rng, vector, which = efficientnet.EfficientNet(), np.random.default_rng(0), [], []
    pieces = bench_shot.read_pieces(material, (*compose.DEVELOP, *compose.HELD_OUT))
    for number, piece in enumerate(pieces):
        for at in rng.integers(0, len(piece), VIEWS):
            frame = piece[at]
            for look in rng.choice(["dark", "grey", "grain", "none"], size=1):
                if look != "none":
                    frame = compose_look.LOOK[str(look)]([frame], rng)[0]
            share = rng.uniform(0.6, 1)
            frame = compose_look.crop(frame, share, *rng.uniform(0, 1 - share, 2))
            image = cv2.resize(frame[:, :, ::-1], (640, 360), interpolation=cv2.INTER_CUBIC)
            vector.append(embed.embed_frame(image, net.embed))
            which.append(number)
    return np.array(vector, np.float32), np.array(which)


if __name__ == "__main__":
    main()
