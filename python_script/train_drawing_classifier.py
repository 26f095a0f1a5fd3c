"""Train the classifier that tells drawings from photographs and renderings.

    python python_script/train_drawing_classifier.py measure --material FOLDER [--drawn FOLDER]
    python python_script/train_drawing_classifier.py train

`measure` reads the films and pictures of a folder laid out as our test material is, the sample
film, photographs that scikit-image and scikit-learn carry and scenes drawn by the sample's own pen,
draws photographs anew, wears all of them down and keeps their styles in checkpoint/medium. Films in
`--drawn` are drawings of our own in other styles. `train` prints the error on sources left out,
then writes the weights that `bunny.character.drawn.medium` reads. Some ten minutes of one core.
"""

import argparse
import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from figure_embedding import medium_picture
from sample import render
from toy import judge_picture

from bunny import demo
from bunny.character.drawn import efficientnet, medium
from bunny.quality import luma, measure, reason

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "checkpoint" / "medium" / "style.npz"
SEED = 0
KEPT_PX = 720  # longer side of what is looked at
NUM_FRAMES = 60  # of a film, evenly spread
NUM_SCENES = 60
REDRAWN_SHARE = 0.75  # of the photographs
NUM_WORN = 2  # states of a picture besides itself: whole, and a crop as of a reference
STRENGTH = 0.0035  # inverse of the L2 penalty on standardised measures
STILL = ("astronaut", "camera", "chelsea", "coffee", "rocket", "motorcycle_left", "grass", "brick")
# What a folder of material holds, by the source that is left out as one.
PHOTOGRAPHED = {
    "blender-sintel": ("video/sintel_trailer-720p.mp4", "video/open_reel.mp4"),
    "blender-bunny": ("video/bigbuckbunny.mp4", "video/big_buck_bunny_0_30.webm"),
    "rendered-play": ("video/play107.mkv", "video/play113.mkv"),
    "hamilton": ("video/short_hamilton_clip.mp4", "refs/hamilton/*/*"),
    "chaplin": ("video/chaplin.mp4",),
    "single-face": ("video/single_face.mp4",),
    "hand-over-face": ("video/WolfgangLanger_Pexels.mp4",),
    "groups": ("faces/faces/*.jpg",),
    "faces": ("faces/johns/*/*.jpg",),
}
DRAWN = {
    "steamboat": ("toon/steamboat.mp4",),
    "popeye": ("toon/popeye-sindbad-a.mp4", "toon/popeye-sindbad-b.mp4"),
}
CAUTION = 0.5  # logit taken off: a photograph called drawn loses its faces, the worse mistake
RENDERED = ("rendered-play",)  # not redrawn: it is nearly flat as it is
logger = logging.getLogger("train_drawing_classifier")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One picture with its truth; `source` is left out as one."""

    source: str
    is_drawn: bool
    image: np.ndarray


def collect(material: Path, drawn: Path | None) -> Iterator[Example]:
    """All pictures, as they are."""
    for is_drawn, sources in ((False, PHOTOGRAPHED), (True, DRAWN)):
        for source, patterns in sources.items():
            for path in (p for pattern in patterns for p in sorted(material.glob(pattern))):
                for image in _pictures(path):
                    yield Example(source=source, is_drawn=is_drawn, image=image)
    for image in _stills():
        yield Example(source="stills", is_drawn=False, image=image)
    yield from _sample()
    for path in sorted(drawn.glob("*.mp4")) if drawn else []:
        for image in _frames(path, NUM_FRAMES // 5):
            yield Example(source="own-styles", is_drawn=True, image=image)


def measure_all(material: Path, drawn: Path | None) -> None:
    """Keep the style of every picture, worn down in several ways."""
    net = efficientnet.EfficientNet()
    rows, styles = [], []
    for index, example in enumerate(_with_redrawn(collect(material, drawn))):
        rng = np.random.default_rng([SEED, index])
        states = [example.image, *(_wear(example.image, rng, k) for k in range(NUM_WORN))]
        for state, image in enumerate(states):
            if medium.can_be_judged(image):
                styles.append(net.measure_style(image))
                rows.append((example.source, example.is_drawn, state))
        if index % 200 == 0:
            logger.info("%d pictures", index)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    source, is_drawn, state = (np.array(column) for column in zip(*rows, strict=True))
    np.savez(KEPT, style=np.array(styles), source=source, is_drawn=is_drawn, state=state)


def train() -> None:
    """Report the error on sources left out, fit all of them and write the weights."""
    kept = np.load(KEPT)
    style, source, is_drawn, state = (kept[n] for n in ("style", "source", "is_drawn", "state"))
    group = np.array([name.removesuffix("+redrawn") for name in source])
    logit = np.full(len(style), np.nan)
    for left_out in np.unique(group):
        is_out = group == left_out
        fitted = _fit(style[~is_out], is_drawn[~is_out], source[~is_out])
        logit[is_out] = _logits(fitted, style[is_out]) - CAUTION
    report = _report(logit, source, is_drawn, state)
    fitted = _fit(style, is_drawn, source)
    known = _report(_logits(fitted, style) - CAUTION, source, is_drawn, state)
    logger.info("left out: %s\nknown: %s", report, known)
    about = {
        "made_by": "python_script/train_drawing_classifier.py",
        "measures": "bunny.character.drawn.efficientnet.measure_style of "
        f"{efficientnet.NAME} (Apache-2.0)",
        "pictures": len(style),
        "sources": sorted(set(source.tolist())),
        "error_left_out": {row["source"]: round(row["whole"], 3) for row in report.to_dicts()},
    }
    weights = {name: [float(f"{v:.5g}") for v in values] for name, values in fitted[:3]}
    bias = {"bias": round(fitted[3][1] - CAUTION, 5)}
    medium.WEIGHT_FILE.write_text(
        json.dumps({"about": about, **bias, **weights}) + "\n", encoding="utf-8", newline="\n"
    )


def _with_redrawn(examples: Iterator[Example]) -> Iterator[Example]:
    """Examples, and most of the photographs drawn anew too."""
    for index, example in enumerate(examples):
        yield example
        rng = np.random.default_rng([SEED + 1, index])
        is_wanted = not example.is_drawn and example.source not in RENDERED
        if is_wanted and rng.random() < REDRAWN_SHARE:
            image = medium_picture.redraw(example.image, rng)
            yield Example(source=f"{example.source}+redrawn", is_drawn=True, image=image)


def _fit(style: np.ndarray, is_drawn: np.ndarray, source: np.ndarray) -> tuple:
    """Logistic regression; a source counts by the root of its pictures, both classes alike."""
    from sklearn.linear_model import LogisticRegression

    share = np.zeros(len(style))
    for name in np.unique(source):
        share[source == name] = 1 / np.sqrt((source == name).sum())
    for side in (False, True):
        share[is_drawn == side] /= 2 * share[is_drawn == side].sum()
    mean = share @ style
    deviation = np.sqrt(share @ (style - mean) ** 2) + 1e-6
    scaled = np.clip((style - mean) / deviation, -medium.STYLE_LIMIT, medium.STYLE_LIMIT)
    found = LogisticRegression(C=STRENGTH, max_iter=1000)
    found.fit(scaled, is_drawn, sample_weight=share * len(style))
    return (
        ("mean", mean),
        ("deviation", deviation),
        ("weight", found.coef_[0]),
        ("bias", float(found.intercept_[0])),
    )


def _logits(fitted: tuple, style: np.ndarray) -> np.ndarray:
    """As `MediumClassifier.logits`."""
    (_, mean), (_, deviation), (_, weight), (_, bias) = fitted
    limit = medium.STYLE_LIMIT
    return np.clip((style - mean) / deviation, -limit, limit) @ weight + bias


def _report(
    logit: np.ndarray, source: np.ndarray, is_drawn: np.ndarray, state: np.ndarray
) -> pl.DataFrame:
    """Share of wrong pictures of each source: as they are, worn down, and as crops."""
    table = pl.DataFrame({"source": source, "is_drawn": is_drawn, "state": state, "logit": logit})
    is_wrong = (pl.col("logit") > 0) != pl.col("is_drawn")
    parts = {"whole": 0, "worn": 1, "crop": 2}
    return (
        table.group_by("is_drawn", "source")
        .agg(
            pl.col("logit").filter(pl.col("state") == 0).mean(),
            *(is_wrong.filter(pl.col("state") == k).mean().alias(n) for n, k in parts.items()),
            num=(pl.col("state") == 0).sum(),
        )
        .sort("is_drawn", "source")
    )


def _wear(image: np.ndarray, rng: np.random.Generator, state: int) -> np.ndarray:
    return medium_picture.wear_down(image, rng, crop_share=(0.35, 1.0)[state])


def _sample() -> Iterator[Example]:
    """Frames of the sample film, and scenes in its style that are not in it."""
    folder = demo.film_path().parent
    shots = pl.read_parquet(folder / "truth" / "shot.parquet").filter(pl.col("card") == "none")
    middle = (shots["first_frame_index"] + shots["end_frame_index"]) // 2
    is_archive = dict(zip(middle, shots["is_archive"], strict=True))
    for index, image in _numbered(demo.film_path(), is_archive):
        source = "stills" if is_archive[index] else "own"
        yield Example(source=source, is_drawn=not is_archive[index], image=_shrink(image))
    rng = np.random.default_rng(SEED)
    for size in [(640, 360), (960, 540), (480, 480)] * (NUM_SCENES // 3):
        scene = judge_picture.random_scene(rng)
        image = np.ascontiguousarray(render.render(scene, *size)[:, :, ::-1])
        yield Example(source="own", is_drawn=True, image=image)


def _stills() -> Iterator[np.ndarray]:
    """Photographs that packages carry."""
    import skimage
    import sklearn

    folder = Path(skimage.__file__).parent / "data"
    paths = [p for p in sorted(folder.iterdir()) if p.stem in STILL]
    for path in [*paths, *sorted((Path(sklearn.__file__).parent / "datasets").rglob("*.jpg"))]:
        yield from _pictures(path)


def _pictures(path: Path) -> Iterator[np.ndarray]:
    """A picture, or the frames of a film that show one."""
    image = cv2.imread(str(path))
    if image is not None:
        yield _shrink(image)
    else:
        yield from _frames(path, NUM_FRAMES)


def _frames(path: Path, most: int) -> Iterator[np.ndarray]:
    """Frames spread over a film, without bars; none that is black, blank or a card."""
    import av

    with av.open(str(path)) as film:
        num = sum(1 for _ in film.decode(video=0))
    wanted = np.unique(np.linspace(0, num - 1, most).round().astype(int)).tolist()
    for _, image in _numbered(path, wanted):
        if _is_picture(image):
            yield _shrink(_content(image))


def _numbered(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a film by their numbers."""
    import av

    with av.open(str(path)) as film:
        for index, frame in enumerate(film.decode(video=0)):
            if index in wanted:
                yield index, frame.to_ndarray(format="bgr24")


def _is_picture(image: np.ndarray) -> bool:
    found = asdict(measure.measure_frame(image))
    names = ("brightness", "dynamic_range", "background_share", "text_lines")
    row = pl.DataFrame([{name: found[name] for name in names}])
    return row.select(reason.kind_expr())["kind"][0] == "picture"


def _content(image: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = luma.content_box(luma.to_luma(image))
    return image[y0:y1, x0:x1]


def _shrink(image: np.ndarray) -> np.ndarray:
    factor = min(1.0, KEPT_PX / max(image.shape[:2]))
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def main() -> None:
    """Run one step of the training."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("measure", "train"))
    parser.add_argument("--material", type=Path, help="folder of films and pictures")
    parser.add_argument("--drawn", type=Path, help="folder of films that are our own drawings")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pl.Config.set_tbl_rows(-1)
    if args.step == "train":
        train()
    elif args.material is None:
        parser.error("measure: expected --material FOLDER")
    else:
        measure_all(args.material, args.drawn)


if __name__ == "__main__":
    main()
