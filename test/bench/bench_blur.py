"""How many sharp and how many blurred pictures each threshold drops.

`python test/bench/bench_blur.py --material FOLDER`.

Sharp are frames of all films of the material and of the sample film, and its photographs, less what
looked soft, moved, faded or mixed to one annotator (`NOT_SHARP`). Each is shrunk to several sizes;
its copies are blurred by a disc (defocus) or a line in a random direction (motion), whose width is
a share of the longer side, and compressed as frames are. Every film weighs the same. Thresholds are
quantiles of what is judged (`reason.sharpness_expr`) over the sharp: that loses the stated share.
"""

import argparse
import itertools
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl

from bunny import demo
from bunny.core.config import filter_preset
from bunny.quality import luma, measure, reason

LONG_PX = (1280, 640, 320)  # longer sides; sharpness is measured at up to 480
PER_FILM = 30
QUALITY = 90  # of JPEG
DISC = {"defocus 0.5 %": 0.005, "defocus 1 %": 0.01, "defocus 2 %": 0.02}  # widths of the longer
LINE = {"motion 1 %": 0.01, "motion 2.5 %": 0.025, "motion 4 %": 0.04}  # side
CLEAR = ("defocus 1 %", "defocus 2 %", "motion 2.5 %", "motion 4 %")  # seen at a glance
LOSS = {"generous": 0.001, "balanced": 0.01, "strict": 0.05}
THRESHOLDS = (0.05, 0.09, 0.13, 0.15, 0.17, 0.21, 0.22, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
COLUMNS = (
    "blur_score",
    "smear",
    "contrast",
    "brightness",
    "dynamic_range",
    "background_share",
    "text_lines",
    *sorted(reason.SIZE_COLUMNS),
)
SKIPPED = ("counter", "fades")  # no pictures of anything
SOFT_PICTURE = (
    "lacamoire",
    "miranda",
    "open_reel/sintel/1",
    "johns",  # enlarged
    "2008_001009",
    "2008_002506",
    "2009_004587",  # out of focus
)
NOT_SHARP = {  # seconds
    "sintel_trailer-720p": (
        (0, 6.1),
        (8.7, 9.3),
        (16.8, 17.4),
        (25.6, 26.2),
        (27.3, 27.9),
        (30.9, 32.5),
        (35.4, 36.1),
        (40.2, 42.5),
    ),
    "open_reel": ((10.4, 11.3),),
    "short_hamilton_clip": ((1.7, 3.8),),
    "big_buck_bunny_0_30": ((0, 2.4),),
}


def main():
    """Print shares dropped and the thresholds that lose the stated shares of the sharp."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", type=Path, required=True)
    cv2.setNumThreads(1)
    table = measure_all(parser.parse_args().material)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, float_precision=3):
        print(table.group_by("kind", "long_px").len().pivot("long_px", index="kind", values="len"))
        for judged in ("blur_score", "sharpness"):
            for name, part in (("all", table), *sizes(table)):
                print(f"\n{judged}, {name}: threshold for a loss, share dropped at it")
                print(losses(part, judged))
        print("\nshare dropped at each preset, by kind")
        print(dropped_at_presets(table, "kind"))
        print("\nshare of the sharp dropped, by film")
        print(dropped_at_presets(table.filter(kind="sharp"), "film"))
        print("\nthreshold, share of the sharp and of the clearly blurred dropped")
        for threshold in THRESHOLDS:
            sharp, clear = table.filter(kind="sharp"), table.filter(pl.col("kind").is_in(CLEAR))
            print(f"{threshold:.2f} {share(sharp, threshold):.3f} {share(clear, threshold):.3f}")


def measure_all(material):
    """Measures of every picture at every size and blur, with `film`, `kind`, `weight`."""
    rng, rows = np.random.default_rng(0), []
    for film, pictures in sources(material):
        for picture, long_px in itertools.product(pictures, LONG_PX):
            if max(picture.shape[:2]) < 0.95 * long_px:
                continue
            small = shrink(picture, long_px)
            for kind, spoilt in variants(small, rng):
                found = measure.measure_frame(compress(spoilt))
                row = {name: getattr(found, name) for name in COLUMNS}
                rows.append({"film": film, "kind": kind, "long_px": long_px, **row})
    table = pl.DataFrame(rows)
    weight = 1 / pl.len().over("film", "kind", "long_px")
    return table.with_columns(reason.sharpness_expr(table.columns), weight=weight)


def sources(material):
    """Names of films and sets of photographs, and their sharp pictures, BGR."""
    films = [*(material / "video").iterdir(), *(material / "toon").iterdir()]
    for path in sorted([*films, Path(demo.__file__).parent / "sample.mp4"]):
        if path.stem not in SKIPPED:
            yield path.stem, [p for p in frames_of(path) if is_picture(p)]
    for folder in ("refs", "faces"):
        files = [p for p in sorted((material / folder).rglob("*")) if p.suffix in (".jpg", ".png")]
        kept = [p for p in files if not any(name in p.as_posix() for name in SOFT_PICTURE)]
        yield folder, [cv2.imread(str(path)) for path in kept]


def frames_of(path):
    """Evenly spaced sharp frames of a film, BGR."""
    with av.open(str(path)) as container:
        length = float(container.duration or 0) / av.time_base
        due = iter(np.linspace(0.02, 0.98, PER_FILM) * length)
        wanted = next(due)
        start = None
        for frame in container.decode(video=0):
            start = frame.time if start is None else start
            if frame.time - start < wanted:
                continue
            wanted = next((t for t in due if t > frame.time - start), np.inf)
            spans = NOT_SHARP.get(path.stem, ())
            if not any(low <= frame.time <= high for low, high in spans):
                yield frame.to_ndarray(format="bgr24")


def is_picture(picture):
    """Whether a frame is neither a card nor left out by exposure."""
    found = measure.measure_frame(picture)
    row = pl.DataFrame([{name: getattr(found, name) for name in COLUMNS}])
    kind = row.select(reason.kind_expr()).item()
    return kind == "picture" and found.brightness >= 0.06 and found.contrast >= 0.02


def variants(picture, rng):
    """A sharp picture, sharp ones that look soft to a measure, and blurred ones, by name."""
    long_px, angle = max(picture.shape[:2]), rng.uniform(0, 180)
    yield "sharp", picture
    mean = picture.mean()
    faint = cv2.convertScaleAbs(picture, alpha=0.35, beta=float(0.65 * mean))
    yield "sharp, 35 % contrast", faint
    wide = blur(picture, disc(0.01 * long_px))
    height, width = picture.shape[:2]
    rows, columns = (slice(side // 4, side - side // 4) for side in (height, width))
    wide[rows, columns] = picture[rows, columns]
    yield "sharp in the middle quarter", wide
    for name, share in DISC.items():
        yield name, blur(picture, disc(share / 2 * long_px))
    for name, share in LINE.items():
        yield name, blur(picture, line(share * long_px, angle))


def disc(radius_px):
    """Kernel of a lens out of focus."""
    half = int(np.ceil(radius_px))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)


def line(length_px, angle_deg):
    """Kernel of a motion; each point is shared between the four pixels around it."""
    half = int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    at = np.linspace(-length_px / 2, length_px / 2, 32 * half)
    x, y = (half + at * f(np.radians(angle_deg)) for f in (np.cos, np.sin))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, dy in itertools.product((0, 1), repeat=2):
        share = (1 - np.abs(left + dx - x)) * (1 - np.abs(top + dy - y))
        np.add.at(kernel, (top + dy, left + dx), share)
    return kernel


def blur(picture, kernel):
    """Convolve with a kernel scaled to 1."""
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def shrink(picture, long_px):
    """Shrink all channels so that the longer side is about `long_px`."""
    return np.dstack([luma.shrink(plane, long_px) for plane in cv2.split(picture)])


def compress(picture):
    """Write as JPEG and read back."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def sizes(table):
    """Part of the table of each size."""
    return [(f"{long_px} px", table.filter(long_px=long_px)) for long_px in LONG_PX]


def losses(table, judged):
    """Threshold at which each stated share of the sharp is lost, and what it drops of the rest."""
    rows = []
    sharp = table.filter(kind="sharp").sort(judged)
    up_to = sharp["weight"].cum_sum() / sharp["weight"].sum()
    for preset, loss in LOSS.items():
        threshold = sharp[judged][int((up_to < loss).sum())]
        row = {"preset": preset, "loss": loss, "threshold": threshold}
        for kind in (*DISC, *LINE):
            row[kind] = share(table.filter(kind=kind), threshold, judged)
        rows.append(row)
    return pl.DataFrame(rows)


def share(table, threshold, judged="sharpness"):
    """Weighted share of rows below a threshold."""
    is_below = pl.col(judged) < threshold
    return table.select((is_below * pl.col("weight")).sum() / pl.col("weight").sum()).item()


def dropped_at_presets(table, by):
    """Share of each group that each preset's threshold drops."""
    rows = []
    for name, part in table.group_by(by, maintain_order=True):
        row = {by: name[0]}
        for preset in LOSS:
            threshold = filter_preset.preset_thresholds(preset)["blur_threshold"]
            row[preset] = share(part, threshold)
        rows.append(row)
    return pl.DataFrame(rows)


if __name__ == "__main__":
    main()
