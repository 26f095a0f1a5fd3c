"""Measure how well a network tells drawn characters apart: held-out artists, and film.

    python test/bench/bench_figure_network.py drawings --pictures PICTURES --places PLACES
    python test/bench/bench_figure_network.py film --material FOLDER --rendered FILMS

Both take `--weights FOLDER ...`, what `train_network.py export` wrote; without it the packaged
network is measured. `drawings`: of each held-out source the first view of an identity, on a plain
ground, is the reference; the others, laid into made-up films or plain, are to be named. `film`:
crops of figures boxed by eye in six clips (`film_box.json`) against the characters' references, and
beside them places without a figure; then references against shots by the product's windows.
Measured by part of the vector: the last layer, its strong directions, the head, and all together;
by similarity, and by the score that the product makes of similarity and lead, here over the other
references alone and nothing where it sees no figure.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bench_drawn_film
import cv2
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from bunny.character.drawn import figure_embedding, figure_label, figure_search

sys.path.insert(0, str(Path(__file__).parents[2] / "python_script" / "figure_embedding"))
import describe
import drawing

HELD_OUT = (
    ("anime", ("renpy", "ardentryst", "dicebear-adventurer", "dicebear-lorelei")),
    ("sprites", ("wesnoth-unit", "wesnoth-portrait", "ardentryst-monster")),
)
MAX_IDENTITIES, MAX_VIEWS = 40, 4  # taken from a source, beside the reference
WINDOW_PX = 160
FALSE_MATCH = 0.01
UNSEEN = -9.0  # similarity of a drawing to references of other sources, which are not compared
EMPTY_TRIES, NUM_EMPTY = 40, 4  # places without a figure tried in a frame, and kept
NUM_FRAMES = 16  # frames of a clip that are searched by windows
PARTS = {
    "last layer": slice(0, figure_embedding.BASIS),
    "strong": slice(figure_embedding.BASIS, figure_embedding.BASIS + figure_embedding.STRONG),
    "head": slice(figure_embedding.BASIS + figure_embedding.STRONG, None),
    "all": slice(None),
}
CLIPS = {"play107": "video/play107.mkv", "play113": "video/play113.mkv"}
DRAWN_CLIPS = ("steamboat", "popeye_a", "popeye_b", "play107", "play113")


def main() -> None:
    """Measure each network and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("drawings", "film"))
    parser.add_argument("--weights", type=Path, nargs="*", default=[figure_embedding.FOLDER])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--places", type=Path)
    parser.add_argument("--material", type=Path, default=bench_drawn_film.BESIDE)
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--num-rendered", type=int, default=3)
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    for folder in wanted.weights:
        net = figure_embedding.FigureNet(folder)
        if wanted.step == "drawings":
            measure_drawings(folder.name, net, wanted)
        else:
            measure_film(folder.name, net, wanted)


# -- numbers ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """References against windows."""

    similarity: np.ndarray  # (windows, references)
    score: np.ndarray  # likewise: similarity and twice the lead
    is_own: np.ndarray  # (windows, references)
    is_scored: np.ndarray  # (windows, references)


def summarise(pairs: Pairs) -> dict[str, float]:
    """Rank-1, mean average precision by reference, and right pairs where 1 % of the wrong pass."""
    like, own, scored = pairs.similarity, pairs.is_own, pairs.is_scored
    known = (own & scored).any(axis=1)
    masked = np.where(scored, like, -np.inf)
    first = own[np.arange(len(own)), masked.argmax(axis=1)][known]
    precision = [
        average_precision_score(own[s, k], like[s, k])
        for k, s in enumerate(scored.T)
        if own[s, k].any()
    ]
    right, wrong = like[own & scored], like[~own & scored]
    right_score, wrong_score = pairs.score[own & scored], pairs.score[~own & scored]
    return {
        "rank-1": float(first.mean()),
        "mAP": float(np.mean(precision)),
        "right at 1 % false": float((right > np.quantile(wrong, 1 - FALSE_MATCH)).mean()),
        "by score": float((right_score > np.quantile(wrong_score, 1 - FALSE_MATCH)).mean()),
        "AUC": float(
            roc_auc_score(np.r_[np.ones(len(right)), np.zeros(len(wrong))], np.r_[right, wrong])
        ),
    }


def compare(window: np.ndarray, reference: list[np.ndarray], part: slice) -> np.ndarray:
    """Similarity of windows (n, UNIT) to the nearest view of each reference; (n, references)."""

    def unit(vector: np.ndarray) -> np.ndarray:
        cut = vector[..., part]
        return cut / np.maximum(np.linalg.norm(cut, axis=-1, keepdims=True), 1e-9)

    return np.stack([(unit(window) @ unit(one).T).max(axis=1) for one in reference], axis=1)


def add_lead(like: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Similarity plus twice the lead over the most alike other reference, where a figure shows.

    Parameters
    ----------
    like : np.ndarray, shape (n, references)
    raw : np.ndarray, shape (n, RAW)
        Windows before they are vectors.
    """
    order = np.sort(like, axis=1)
    rival = np.where(like == order[:, -1:], order[:, -2:-1], order[:, -1:])
    score = like + 2 * np.clip(like - rival, -1, figure_label.MAX_LEAD)
    is_figure = figure_embedding.figureness(raw) >= figure_label.MIN_OBJECTNESS
    return np.where(is_figure[:, None], score, np.minimum(score, figure_label.REVIEW_FROM))


def show(network: str, what: str, pairs_of, count: str) -> None:
    """Print a row for each part of the vector."""
    for name, part in PARTS.items():
        said = summarise(pairs_of(part))
        numbers = " | ".join(f"{value:.3f}" for value in said.values())
        print(f"| {what} | {network} | {name} | {numbers} | {count} |", flush=True)


# -- drawings ---------------------------------------------------------------------------------


def measure_drawings(network: str, net, wanted: argparse.Namespace) -> None:
    """Retrieval among drawings of each held-out group, by source."""
    drawings = drawing.find(wanted.pictures, wanted.places)
    for group, sources in [(f"{g}, {how}", s) for g, s in HELD_OUT for how in ("film", "plain")]:
        is_film = group.endswith("film")
        parts = [_describe_source(net, drawings, source, is_film) for source in sources]
        counts = [len(window) for window, *_ in parts]

        def pairs_of(part: slice, parts=parts) -> Pairs:
            blocks = [compare(window, reference, part) for window, reference, *_ in parts]
            shape = sum(len(b) for b in blocks), sum(b.shape[1] for b in blocks)
            like, own = np.full(shape, UNSEEN), np.zeros(shape, bool)
            score = like.copy()
            row = column = 0
            for block, (_, reference, of, raw) in zip(blocks, parts, strict=True):
                end = column + len(reference)
                like[row : row + len(block), column:end] = block
                score[row : row + len(block), column:end] = add_lead(block, raw)
                own[row + np.arange(len(block)), column + of] = True
                row, column = row + len(block), end
            return Pairs(similarity=like, score=score, is_own=own, is_scored=like > UNSEEN)

        show(network, group, pairs_of, f"{sum(counts)} windows")


def _describe_source(net, drawings: drawing.Collection, source: str, is_film: bool) -> tuple:
    """Windows, references, of which reference each window is, and windows before vectors."""
    several = {name: files for name, files in drawings.figure[source].items() if len(files) > 1}
    names = sorted(several)[:: max(1, len(several) // MAX_IDENTITIES)][:MAX_IDENTITIES]
    reference = [describe.read_figure(several[name][0]) for name in names]
    raw, of = [], []
    for k, name in enumerate(names):
        files = several[name][1:]
        for number, path in enumerate(files[:: max(1, len(files) // MAX_VIEWS)][:MAX_VIEWS]):
            image = describe.read_figure(path)
            if is_film:
                image = _in_film(drawings, source, path, [23, k, number])
            raw.append(net.map_whole(image, WINDOW_PX).mean(axis=(0, 1)))
            of.append(k)
    mean = np.mean(raw, axis=0)
    views = [net.to_vector(net.describe_reference(one), mean) for one in reference]
    raws = np.stack(raw)
    return net.to_vector(raws, mean), views, np.array(of), raws


def _in_film(drawings: drawing.Collection, source: str, path: Path, seed: list) -> np.ndarray:
    """A window of a made-up film that shows this drawing."""
    alone = drawing.Collection(
        figure={source: {str(i): [path] for i in range(drawing.MIN_FIGURES)}}, place=drawings.place
    )
    without = frozenset({"twin", "level", "crop", "beside"})
    return drawing.film(np.random.default_rng(seed), alone, 1, 2, WINDOW_PX, without)[0][0, 1]


# -- film -------------------------------------------------------------------------------------


def measure_film(network: str, net, wanted: argparse.Namespace) -> None:
    """Retrieval among figures boxed in film, then among shots by windows."""
    wanted.more = None
    clips, cast = bench_drawn_film.gather(
        argparse.Namespace(
            **vars(wanted) | {"only": ["toon", "reel", "sample", "rendered"], "film": None}
        )
    )
    rendered = [c.name for c in clips if c.path.parent == wanted.rendered][: wanted.num_rendered]
    clips = [c for c in clips if c.path.parent != wanted.rendered or c.name in rendered]
    here = {clip.name for clip in clips}
    paths = {clip.name: clip.path for clip in clips}
    paths |= {name: wanted.material / file for name, file in CLIPS.items()}
    said = json.loads((Path(__file__).parent / "film_box.json").read_text())["film"]
    given = {one.name: one for one in cast if one.film in here}
    views = {
        name: net.describe_reference(bench_drawn_film.read_reference(one))
        for name, one in given.items()
    }
    frame, who, *box = said["play107"][0]
    egg = _cut(bench_drawn_film.read_frame(paths["play107"], frame), np.array(box))
    views[who] = net.describe_reference(egg)
    _measure_boxes(network, net, said, paths, views, given, clips)
    _measure_shots(network, net, clips, views, given)


def _cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = (box * np.tile(image.shape[1::-1], 2)).astype(int)
    return np.ascontiguousarray(image[y0:y1, x0:x1])


def _measure_boxes(network, net, said, paths, views, given, clips) -> None:
    """Boxed figures, and places without any, against all references."""
    names = list(views)
    shots = {clip.name: clip for clip in clips}
    parts = []  # one entry per clip: vectors of windows and of references, own, scored
    for film, rows in said.items():
        raw, own, scored, means = [], [], [], []
        for frame, image, boxes in _boxed_frames(paths[film], rows):
            means.append(figure_search.mean_window(net, image))
            found = [(who, box) for who, box in boxes]
            found += [("", box) for box in _empty_places(boxes, frame)]
            for who, box in found:
                raw.append(figure_search._describe_crop(net, image, box))
                own.append([name == who for name in names])
                scored.append([_is_scored(name, who, film, frame, given, shots) for name in names])
        mean = np.mean(means, axis=0)
        parts.append(
            (
                film,
                net.to_vector(np.stack(raw), mean),
                [net.to_vector(views[name], mean) for name in names],
                np.array(own),
                np.array(scored),
                np.stack(raw),
            )
        )
    for what, films in (("film, drawn", DRAWN_CLIPS), ("film, 3D", ("open_reel",))):
        chosen = [one for one in parts if one[0] in films]

        def pairs_of(part: slice, chosen=chosen) -> Pairs:
            like = np.concatenate([compare(one[1], one[2], part) for one in chosen])
            own, scored = (np.concatenate([one[k] for one in chosen]) for k in (3, 4))
            score = add_lead(like, np.concatenate([one[5] for one in chosen]))
            return Pairs(similarity=like, score=score, is_own=own, is_scored=scored)

        right = sum((own & scored).sum() for *_, own, scored, _ in chosen)
        wrong = sum((~own & scored).sum() for *_, own, scored, _ in chosen)
        show(network, what, pairs_of, f"{right} right, {wrong} wrong pairs")


def _boxed_frames(path: Path, rows: list) -> Iterator[tuple[int, np.ndarray, list]]:
    """Frames with their boxes, as (who, box)."""
    import av

    frames = {frame for frame, *_ in rows}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in frames:
                boxes = [(who, np.array(box)) for at, who, *box in rows if at == number]
                yield number, frame.to_ndarray(format="bgr24"), boxes


def _empty_places(boxes: list, frame: int) -> list[np.ndarray]:
    """Squares by lot that touch no box."""
    rng = np.random.default_rng(frame)
    found = []
    for _ in range(EMPTY_TRIES):
        side = rng.uniform(0.2, 0.5)
        x, y = rng.uniform(0, 1 - side, 2)
        place = np.array([x, y, x + side, y + side])
        if not any(figure_search._overlaps(place, box) or _touches(place, box) for _, box in boxes):
            found.append(place)
        if len(found) == NUM_EMPTY:
            break
    return found


def _touches(one: np.ndarray, other: np.ndarray) -> bool:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return bool((sides > 0.02).all())


def _is_scored(name, who, film, frame, given, shots) -> bool:
    """A reference's own shot says nothing; neither does the clip that the egg is cut from."""
    if name == "egg":
        return film != "play107"
    one = given.get(name)
    if one is None or film not in shots or name != who:
        return True
    return shots[film].shot_of(frame) != one.own_shot(shots[film])


def _measure_shots(network, net, clips, views, given) -> None:
    """References against shots: mean of the better half of the frames' best windows."""
    names = list(given)
    by_style: dict[str, list] = {}
    for clip in clips:
        shown = [*_sample_frames(clip.path)]
        described = [
            (n, figure_search.describe(net, im, figure_search.QUICK)[1]) for n, im in shown
        ]
        mean = np.mean([raw.mean(axis=0) for _, raw in described], axis=0)
        reference = [net.to_vector(views[name], mean) for name in names]
        starts = [clip.shot_of(number) for number, _ in described]
        vectors = [net.to_vector(raw, mean) for _, raw in described]
        own, scored = [], []
        for start in sorted(set(starts)):
            row = [_outcome(given[name], clip, start) for name in names]
            own.append([one == "must" for one in row])
            scored.append([one != "may" for one in row])
        likes = {}
        for label, part in PARTS.items():
            like = [compare(vector, reference, part) for vector in vectors]
            likes[label] = [
                [_better_half(best, starts, start) for start in sorted(set(starts))]
                for best in (
                    np.stack([one.max(axis=0) for one in like]),
                    np.stack(
                        [
                            add_lead(one, raw).max(axis=0)
                            for one, (_, raw) in zip(like, described, strict=True)
                        ]
                    ),
                )
            ]
        kind = {"sample": "rendered", "open_reel": "3D"}.get(clip.name)
        kind = kind or ("rendered" if clip.name.startswith("film-") else "drawn")
        by_style.setdefault(kind, []).append((likes, np.array(own), np.array(scored)))
    for kind, found in by_style.items():

        def pairs_of(part: slice, found=found) -> Pairs:
            label = next(name for name, one in PARTS.items() if one == part)
            own, scored = (np.concatenate([one[k] for one in found]) for k in (1, 2))
            like, score = np.concatenate([np.array(one[0][label]) for one in found], axis=1)
            return Pairs(similarity=like, score=score, is_own=own, is_scored=scored)

        right = sum((own & scored).sum() for _, own, scored in found)
        wrong = sum((~own & scored).sum() for _, own, scored in found)
        show(network, f"shots, {kind}", pairs_of, f"{right} right, {wrong} wrong pairs")


def _better_half(best: np.ndarray, starts: list[int], start: int) -> np.ndarray:
    """Mean, by reference, of the better half of a shot's frames."""
    own = np.sort(best[[one == start for one in starts]], axis=0)
    return own[len(own) // 2 :].mean(axis=0)


def _outcome(one, clip, start: int) -> str:
    if one.is_of(clip) and start == one.own_shot(clip):
        return "may"
    if start in one.must.get(clip.name, ()):
        return "must"
    return "may" if start in one.may.get(clip.name, ()) else "not"


def _sample_frames(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Frames evenly spaced over a clip."""
    import av

    with av.open(str(path)) as container:
        total = sum(1 for _ in container.demux(video=0)) - 1
    wanted = set(np.linspace(0, total - 1, NUM_FRAMES + 2).astype(int)[1:-1].tolist())
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                yield number, frame.to_ndarray(format="bgr24")


if __name__ == "__main__":
    main()
