"""A small film as tables and pictures, made here: three shots, two people, a training set."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bunny.library.timeline import clip, timecode
from bunny.table import store

FILM = "owl-0a0a0a0a"
FRAMES = (0, 12, 30, 40, 55)  # kept ones of shots 0, 0, 1, 1, 2
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
    return {
        "film_id": FILM,
        "path": "/films/My Owl & co.mp4",
        "content_hash": "0a" * 32,
        "container": "mp4",
        "codec": "h264",
        "width_px": 1280,
        "height_px": 720,
        "frame_rate_num": rate.numerator,
        "frame_rate_den": rate.denominator,
        "time_base_num": base.numerator,
        "time_base_den": base.denominator,
        "start_s": 0.0,
        "duration_s": 3.0,
        "rotation_deg": 0,
        "is_mirrored": False,
        "is_interlaced": False,
        "num_frames": 75,
        "num_frames_failed": 0,
        "stream_index": 0,
        "start_timecode": None,
        "has_audio": True,
        "decoder": "pyav",
        **more,
    }


def shot_table(rate=Fraction(25), base=Fraction(1, 12800), first_pts=0, cuts=CUTS):
    """Shots between frames `cuts` of a film of constant rate, times rounded to its base."""
    at = [first_pts + round(i / rate / base) for i in cuts]
    rows = [
        {
            "film_id": FILM,
            "shot_index": index,
            "first_frame_index": cuts[index],
            "end_frame_index": cuts[index + 1],
            "start_s": float(at[index] * base),
            "end_s": float(at[index + 1] * base),
            "start_pts": at[index],
            "end_pts": at[index + 1],
            "transition_in": "cut",
            "motion": 0.1,
            "kind": "static",
        }
        for index in range(len(cuts) - 1)
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
        yield {
            "frame_id": f"{FILM}-{index:08d}",
            "film_id": FILM,
            "shot_index": index // 25,
            "frame_index": index,
            "pts": pts,
            "time_base_num": base.numerator,
            "time_base_den": base.denominator,
            "timestamp_s": float(pts * base),
            "file": f"frame/{index:08d}.png",
            "width_px": 640,
            "height_px": 315,
            "crop_x0_px": 0,
            "crop_y0_px": 45,
            "crop_x1_px": 1280,
            "crop_y1_px": 675,
            "reason": "interval",
        }


def label_row(index: int, who: str | None) -> dict:
    """A region of a frame and who it is."""
    frame_id = f"{FILM}-{index:08d}"
    return {
        "subject_id": f"{frame_id}-r00{who or ''}",
        "subject_type": "region",
        "character": who,
        "frame_id": frame_id,
        "shot_index": index // 25,
        **dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), (10, 20, 30, 40), strict=True)),
        "confidence": 0.9,
        "source": "reference",
    }


def set_row(image_id: str, index: int, split: str) -> dict:
    """A training picture."""
    return {
        "image_id": image_id,
        "character": "Owl",
        "role": "subject",
        "frame_id": f"{FILM}-{index:08d}",
        "subject_id": f"{FILM}-{index:08d}-r00Owl",
        "shot_index": index // 25,
        "file": f"dataset/Owl/{image_id}.png",
        **dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), (10, 20, 30, 40), strict=True)),
        "width_px": 64,
        "height_px": 64,
        "upscale": 0.5,
        "shot_size": "medium",
        "caption": "an owl & a tree",
        "repeats": 1,
        "split": split,
    }


def cluster_row(index: int, cluster_id: str | None) -> dict:
    """The place of a frame."""
    return {
        "item_id": f"{FILM}-{index:08d}",
        "level": "scene",
        "shot_index": index // 25,
        "cluster_id": cluster_id,
        "is_noise": cluster_id is None,
    }


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
    captions = {
        "version": 1,
        "text": "an owl & a tree",
        "tags": ["owl"],
        "characters": ["Owl"],
        "provider": "tags",
        "status": "done",
    }
    rows |= {
        "measure": measures,
        "quality": quality,
        "caption": [{"frame_id": f"{FILM}-00000012", **captions}],
    }
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
