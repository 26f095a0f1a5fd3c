"""How right and how steady scenes are, and what they cost: `python test/bench/bench_scene.py`.

Places are known by the script (the sample), by eye (the Sintel trailer: one annotator, dark fades
left out) or by construction (a film of pieces of shots, mirrored, seen nearer, in other light: one
place is one source). The last two need `--material`, a folder with the films. Figures: scenes,
frames in none (each counts as a scene of its own), purity (share of frames that are of their
scene's commonest place), adjusted Rand index, and the same against set-ups where they are known.
Speed is on made-up vectors of 1584 numbers: 10,000 frames in 2,000 shots of 150 places.
"""

import argparse
import time
from itertools import chain
from pathlib import Path

import compose
import compose_look
import cv2
import numpy as np

from bunny import demo
from bunny.character.drawn import efficientnet
from bunny.core.config import ClusteringConfig
from bunny.scene import cluster, embed, stability

PER_SHOT = 5
SEEN = {  # first and end frame of each shot of a place
    "mountain": ((60, 115), (146, 204), (396, 403), (404, 408), (409, 419)),
    "card": ((226, 275), (1014, 1095), (1140, 1170), (1180, 1215)),
    "hut": ((306, 333), (335, 375)),
    "alley": ((460, 505),),
    "ruins": ((540, 570), (571, 620)),
    "sky": ((621, 657), (658, 671), (692, 750), (792, 838)),
    "desert": ((870, 960),),
}
TRAILER = sorted((*span, place) for place, spans in SEEN.items() for span in spans)
LOOKS = ("none", "none", "dark", "grain")
JOINS = (0.9, 0.85, 0.8, 0.75, 0.7)


def read(path, indices):
    """Frames of a film, BGR, by their indices (ascending)."""
    wanted, found = set(indices), []
    film = cv2.VideoCapture(str(path))
    for i in range(max(wanted) + 1):
        if not film.grab():
            break
        if i in wanted:
            found.append(film.retrieve()[1])
    return found


def spread(first, end, count=PER_SHOT):
    return np.unique(np.linspace(first, end - 1, count).round().astype(int)).tolist()


def of_sample():
    shot = demo.truth("shot")
    spans = shot.select("first_frame_index", "end_frame_index").rows()
    # inside its gradual transition a shot is half another
    begin = [
        max(a, t or 0) for (a, _), t in zip(spans, shot["transition_end_frame_index"], strict=True)
    ]
    indices = [spread(a, b) for a, (_, b) in zip(begin, spans, strict=True)]
    pictures = read(demo.film_path(), sorted(chain(*indices)))
    number = np.repeat(np.arange(len(indices)), [len(own) for own in indices])
    return pictures, number, shot["place"].to_numpy()[number], shot["setup_id"].to_numpy()[number]


def of_trailer(folder):
    indices = [spread(a, b) for a, b, _ in TRAILER]
    pictures = read(folder / "sintel_trailer-720p.mp4", sorted(chain(*indices)))
    number = np.repeat(np.arange(len(TRAILER)), [len(own) for own in indices])
    return pictures, number, np.array([place for _, _, place in TRAILER])[number], None


def of_pieces(folder, sources, seed=0, num_shots=40):
    """Pieces of shots at random, each a shot of the place that its source is."""
    rng = np.random.default_rng(seed)
    files = {p.stem: p for p in [*folder.iterdir(), Path(demo.film_path())]}
    shots = [
        [cv2.resize(f, (640, 360)) for f in read(files[name], spread(a, b, 24))]
        for name, a, b in sources
    ]
    pictures, place = [], []
    for _ in range(num_shots):
        source = int(rng.integers(len(shots)))
        first = int(rng.integers(0, max(1, len(shots[source]) - PER_SHOT)))
        piece = shots[source][first : first + PER_SHOT]
        if rng.random() < 0.5:
            piece = [cv2.flip(f, 1) for f in piece]
        if rng.random() < 0.3:
            piece = [compose_look.crop(f, 0.7, 0.15, 0.15) for f in piece]
        look = str(rng.choice(LOOKS))
        if look != "none":
            piece = compose_look.LOOK[look](piece, rng)
        pictures += piece
        place.append([source] * len(piece))
    number = np.repeat(np.arange(num_shots), [len(own) for own in place])
    return pictures, number, np.concatenate(place), None


def describe(net, pictures):
    return np.stack([embed.embed_frame(p, net.embed) for p in pictures])


def purity(found, truth):
    known = np.where(found == cluster.NOISE, -1 - np.arange(len(found)), found)
    own = [np.unique(truth[known == k], return_counts=True)[1].max() for k in np.unique(known)]
    return sum(own) / len(found)


def judge(name, vector, place, setup):
    truth = np.unique(place, return_inverse=True)[1]
    print(f"\n{name}: {len(place)} frames, {truth.max() + 1} places")
    print(f"{'join':>5} {'method':14}{'scenes':>7}{'none':>5}{'purity':>8}{'ARI':>7}{'set-ups':>9}")
    for join in JOINS:
        for method in cluster.METHOD:
            config = ClusteringConfig(
                scene_threshold=join, noise_threshold=0.5, scene_method=method
            )
            found = cluster.group_frames(vector, config).cluster
            by_setup = (
                f"{stability.adjusted_rand_index(found, setup):9.3f}" if setup is not None else ""
            )
            print(
                f"{join:5.2f} {method:14}{found.max() + 1:7}{(found < 0).sum():5}"
                f"{purity(found, truth):8.3f}{stability.adjusted_rand_index(found, truth):7.3f}"
                f"{by_setup}"
            )


def steadiness(vector, number):
    print(f"  {'stability at the default threshold':46}{'mean':>6}{'lowest':>8}")
    for row in stability.measure_stability(vector, number, ClusteringConfig()):
        what = f"{row['method']} against {row['compared_with']}"
        print(f"  {what:46}{row['rand_index']:6.3f}{row['lowest']:8.3f}")


def made_up(num_frames, seed=0):
    """Vectors in a film's likeness: set-ups of a place at 0.76, frames of a shot at 0.97."""
    rng = np.random.default_rng(seed)
    dimension, num_shots = 1584, num_frames // PER_SHOT

    def near(base, cosine):
        noise = rng.standard_normal(base.shape, dtype=np.float32) / np.sqrt(dimension)
        other = cosine * base + np.sqrt(1 - cosine**2) * noise
        return other / np.linalg.norm(other, axis=1, keepdims=True)

    common = near(np.zeros((1, dimension), np.float32), 0.0)
    places = near(np.repeat(common, 150, axis=0), 0.5)
    setups = near(places[rng.integers(0, 150, 450)], 0.87)
    shots = near(setups[rng.integers(0, 450, num_shots)], 0.98)
    number = np.repeat(np.arange(num_shots), PER_SHOT)
    return near(shots[number], 0.985).astype(np.float32), number


def speed(num_frames):
    vector, number = made_up(num_frames)
    print(f"\n{num_frames} made-up frames of {vector.shape[1]} numbers, {number.max() + 1} shots")
    for method in cluster.METHOD:
        start = time.process_time()
        found = cluster.group_frames(vector, ClusteringConfig(scene_method=method)).cluster
        took = time.process_time() - start
        print(f"  {method:14}{found.max() + 1:6} scenes{(found < 0).sum():6} in none{took:8.2f} s")
    start = time.process_time()
    stability.measure_stability(vector, number, ClusteringConfig())
    took = time.process_time() - start
    print(f"  stability, 8 runs, of {stability.MAX_FRAMES} frames {took:25.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--material", type=Path, help="folder with the films")
    parser.add_argument("--frames", type=int, default=10_000, help="of the made-up film")
    chosen = parser.parse_args()
    speed(chosen.frames)
    films = {"the sample, by its script": of_sample}
    if chosen.material:
        films |= {
            "Sintel trailer, by eye": lambda: of_trailer(chosen.material),
            "composed, to develop on": lambda: of_pieces(chosen.material, compose.DEVELOP),
            "composed, to develop on, another seed": lambda: of_pieces(
                chosen.material, compose.DEVELOP, seed=7
            ),
            "composed, held out": lambda: of_pieces(chosen.material, compose.HELD_OUT, seed=1),
        }
    net = efficientnet.EfficientNet()
    for name, make in films.items():
        pictures, number, place, setup = make()
        vector = describe(net, pictures)
        judge(
            name,
            vector,
            place,
            setup if setup is None else np.unique(setup, return_inverse=True)[1],
        )
        steadiness(vector, number)


if __name__ == "__main__":
    main()
