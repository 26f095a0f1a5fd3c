"""A small film as tables and pictures, made here: three shots, two people, a training set."""

import itertools
import json
import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import table_row

from bunny.library.timeline import clip, timecode
from bunny.table import store

FILM = "owl-0a0a0a0a"
FRAMES = (0, 12, 30, 40, 55)  # kept ones of shots 0, 0, 1, 1, 2
CROP = ("crop_x0_px", "crop_y0_px", "crop_x1_px", "crop_y1_px")
CUTS = (0, 25, 50, 75)
BUILT: dict[tuple, tempfile.TemporaryDirectory] = {}  # films, by what they were made with
SET = (("i0", 12, "train"), ("i1", 12, "train"), ("i2", 40, "held-out"))


@dataclass(frozen=True, kw_only=True)
class Made:
    """A workspace that was made."""

    data: Path
    root: Path


def film_row(rate=Fraction(25), base=Fraction(1, 12800), **more) -> dict:
    """The row of a film of 1280x720."""
    return table_row.fill(
        "film",
        more,
        film_id=FILM,
        path="/films/My Owl & co.mp4",
        content_hash="0a" * 32,
        width_px=1280,
        height_px=720,
        frame_rate_num=rate.numerator,
        frame_rate_den=rate.denominator,
        time_base_num=base.numerator,
        time_base_den=base.denominator,
        duration_s=3.0,
        num_frames=75,
        start_timecode=None,
        has_audio=True,
    )


def shot_table(rate=Fraction(25), base=Fraction(1, 12800), first_pts=0, cuts=CUTS):
    """Shots between frames `cuts` of a film of constant rate, times rounded to its base."""
    at = [first_pts + round(i / rate / base) for i in cuts]
    rows = [
        table_row.fill(
            "shot",
            film_id=FILM,
            shot_index=index,
            first_frame_index=first,
            end_frame_index=end,
            start_s=float(at[index] * base),
            end_s=float(at[index + 1] * base),
            start_pts=at[index],
            end_pts=at[index + 1],
            motion=0.1,
        )
        for index, (first, end) in enumerate(itertools.pairwise(cuts))
    ]
    return store.from_rows("shot", rows)


def picture(seed: int, size=(64, 96)) -> np.ndarray:
    """A picture of smooth noise, unlike those of other seeds."""
    import cv2

    coarse = np.random.default_rng(seed).integers(20, 235, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


@cache
def measured(seed: int) -> tuple[np.ndarray, dict]:
    """A frame's picture and what stage extract measures on it."""
    from bunny.quality import measure

    image = picture(seed, (315, 640))
    seen = measure.measure_frame(image)
    return image, {"phash": seen.phash, "signature": seen.signature}


def frame_rows(rate, base, first_pts):
    """Kept frames, each stored at half size without 45 lines of bars above and below."""
    for index in FRAMES:
        pts = first_pts + round(index / rate / base)
        yield table_row.fill(
            "frame",
            frame_id=f"{FILM}-{index:08d}",
            film_id=FILM,
            shot_index=index // 25,
            frame_index=index,
            pts=pts,
            time_base_num=base.numerator,
            time_base_den=base.denominator,
            timestamp_s=float(pts * base),
            file=f"frame/{index:08d}.png",
            width_px=640,
            height_px=315,
            **dict(zip(CROP, (0, 45, 1280, 675), strict=True)),
        )


def label_row(index: int, who: str | None) -> dict:
    """A region of a frame and who it is."""
    frame_id = f"{FILM}-{index:08d}"
    ids = {"subject_id": f"{frame_id}-r00{who or ''}", "subject_type": "region", "character": who}
    where = {"frame_id": frame_id, "shot_index": index // 25, **table_row.box(10, 20, 30, 40)}
    return table_row.fill("label", **ids, **where)


def set_row(image_id: str, index: int, split: str) -> dict:
    """A training picture."""
    return table_row.fill(
        "dataset",
        image_id=image_id,
        character="Owl",
        role="subject",
        frame_id=f"{FILM}-{index:08d}",
        subject_id=f"{FILM}-{index:08d}-r00Owl",
        shot_index=index // 25,
        file=f"dataset/Owl/{image_id}.png",
        **table_row.box(10, 20, 30, 40),
        height_px=64,
        upscale=0.5,
        caption="an owl & a tree",
        split=split,
    )


def cluster_row(index: int, cluster_id: str | None) -> dict:
    """The place of a frame."""
    ids = {"item_id": f"{FILM}-{index:08d}", "shot_index": index // 25, "cluster_id": cluster_id}
    return table_row.fill("cluster", is_noise=cluster_id is None, **ids)


def write_film(data: Path, rate=Fraction(25), base=Fraction(1, 12800), first_pts=0, **film) -> Made:
    """A workspace below `data` as stages until dataset leave it, without stage review."""
    key = (rate, base, first_pts, tuple(sorted(film.items())))
    if key not in BUILT:
        BUILT[key] = tempfile.TemporaryDirectory()
        _build(Path(BUILT[key].name) / FILM, rate, base, first_pts, **film)
    root = data / "output" / FILM
    shutil.copytree(Path(BUILT[key].name) / FILM, root)
    return Made(data=data, root=root)


def _build(root: Path, rate: Fraction, base: Fraction, first_pts: int, **film) -> None:
    """Write the film's folder."""
    import cv2

    table = root / "table"
    row = film_row(rate, base, start_s=float(first_pts * base), **film)
    store.write(table, "film", store.from_rows("film", [row]))
    store.write(table, "shot", shot_table(rate, base, first_pts))
    frames = list(frame_rows(rate, base, first_pts))
    rows = {
        "frame": frames,
        "label": [label_row(12, "Owl"), label_row(40, "Owl"), label_row(40, "Fox")],
        "dataset": [set_row(*one) for one in SET],
        "cluster": [cluster_row(i, c) for i, c in zip(FRAMES, "aabb", strict=False)]
        + [cluster_row(55, None)],
    }
    measures, quality = [], []
    for at, frame in enumerate(frames):
        image, seen = measured(at)
        (root / "frame").mkdir(exist_ok=True)
        cv2.imwrite(str(root / frame["file"]), image)
        measures.append({"frame_id": frame["frame_id"], **seen})
        sharp = {"frame_id": frame["frame_id"], "blur_score": at / 10}
        quality.append({**sharp, "is_kept": True, "reason": "kept"})
    words = {"text": "an owl & a tree", "tags": ["owl"], "characters": ["Owl"]}
    caption = table_row.fill("caption", frame_id=f"{FILM}-00000012", **words)
    rows |= {"measure": measures, "quality": quality, "caption": [caption]}
    for name, part in rows.items():
        store.write(table, name, store.from_rows(name, part))
    (root / "dataset" / "Owl").mkdir(parents=True)
    for at, (image_id, _, _) in enumerate(SET):
        cv2.imwrite(str(root / "dataset" / "Owl" / f"{image_id}.png"), picture(100 + at, (64, 64)))
    source = {"film": row["path"], "content_hash": row["content_hash"], "references": None}
    (root / "source.json").write_text(json.dumps(source), encoding="utf-8")


@pytest.fixture
def owl(tmp_path) -> Made:
    """The film at 25 frames a second, from 0."""
    return write_film(tmp_path / "data")


def make_cut(
    rate, *, start=0, is_drop=False, record=None, clips=None, **media
) -> clip.EditSequence:
    """A cut of two clips of a two-hour film, with a marker on the first one's second frame."""
    timing = timecode.FrameGrid(
        rate=rate,
        time_base=1 / rate,
        first_pts=0,
        num_frames=int(7200 * rate),
        start_number=start,
        is_drop=is_drop,
    )
    marker = clip.Marker(
        frame=1799, name='i1 "quoted" & <b>', text="an owl", color="GREEN", image_id="i1"
    )
    film = {"path": "/films/My Owl & 'co' 😀.mp4", "reel": "OWL", "has_audio": True, **media}
    return clip.EditSequence(
        name='search:"owl" & more',
        media=clip.Media(film_id=FILM, width_px=1280, height_px=720, clock=timing, **film),
        clips=clips
        or (
            clip.Clip(shot_index=0, first=1798, end=1803, markers=(marker,)),
            clip.Clip(shot_index=7, first=170_000, end=170_020),
        ),
        record_start=timecode.from_record_timecode(timing, clip.RECORD_START)
        if record is None
        else record,
    )
