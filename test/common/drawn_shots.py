"""A film of eight shots of drawn frames and untrained bases: what trains in a second.

Six shots have the bunny, two the bear pip; each has one frame of 128x96 px, whose tables are
written as the stages before `dataset` would. The subject's box is 30x40 px.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bare_film
import cv2
import numpy as np
import plain_row

from bunny.table import store

SHOTS = 8  # of one frame
BUNNY_SHOTS = 6  # the first ones
WIDTH, HEIGHT = 128, 96  # of a frame, pixels
BOX_WIDTH, BOX_HEIGHT = 30, 40
PLACES = ("a meadow", "a kitchen", "the snow", "a city street", "a beach", "a forest", "a bedroom")


def write(film_dir: Path) -> None:
    """Write the frames and tables of the film into its folder."""
    (film_dir / "frame").mkdir(parents=True)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in bare_film.EMPTY}
    for shot in range(SHOTS):
        left, top = 20 + 8 * shot, 40
        cv2.imwrite(str(film_dir / _file(shot)), _picture(shot, left, top))
        for name, row in _rows(film_dir.name, shot, (left, top)).items():
            rows.setdefault(name, []).append(row)
    for name, content in rows.items():
        store.write(film_dir / "table", name, store.from_rows(name, content))
    bare_film.write_source(film_dir)


def frame_id(shot: int) -> str:
    """The id of one of the frames."""
    return f"film-{shot:08d}"


def _file(shot: int) -> str:
    return f"frame/{shot:08d}.png"


def _picture(shot: int, left: int, top: int) -> np.ndarray:
    """A white bunny of a disc and two ears, or a brown disc, on a ground that differs by shot."""
    ground = (40 + 25 * shot, 160 - 10 * shot, 200 - 20 * shot)
    picture = np.full((HEIGHT, WIDTH, 3), ground, np.uint8)
    picture[70:] = (30 + 20 * shot, 90, 60)
    x, y = left + BOX_WIDTH // 2, top + 26
    if shot < BUNNY_SHOTS:
        cv2.ellipse(picture, (x - 6, top + 12), (3, 12), 0, 0, 360, (255, 255, 255), -1)
        cv2.ellipse(picture, (x + 6, top + 12), (3, 12), 0, 0, 360, (255, 255, 255), -1)
        cv2.circle(picture, (x, y), 13, (255, 255, 255), -1)
    else:
        cv2.circle(picture, (x, y), 13, (20, 60, 120), -1)
    cv2.circle(picture, (x - 4, y - 4), 2, (0, 0, 0), -1)
    return picture


def _rows(film_id: str, shot: int, corner: tuple[int, int]) -> dict[str, dict]:
    """What the tables say of one frame."""
    who, (left, top) = "bunny" if shot < BUNNY_SHOTS else "pip", corner
    place = {"frame_id": frame_id(shot), "shot_index": shot}
    known = {"film_id": film_id, "frame_index": shot, "file": _file(shot), "reason": "keyframe"}
    time = {"pts": shot, "time_base_num": 1, "time_base_den": 24, "timestamp_s": shot / 24}
    box = plain_row.box(left, top, left + BOX_WIDTH, top + BOX_HEIGHT)
    label = {"subject_id": f"{frame_id(shot)}-r0", "subject_type": "region", "character": who}
    sure = {"distance": 0.3, "margin": 0.2, "confidence": 0.9, "source": "reference"}
    words = f"{who} character in {PLACES[shot % len(PLACES)]}, medium shot, day"
    phash = (shot + 1) * 0x9E3779B97F4A7C15 % 2**64  # no two frames look alike
    return {
        "frame": {**place, **known, **time, "width_px": WIDTH, "height_px": HEIGHT},
        "quality": {
            "frame_id": place["frame_id"],
            "phash": phash,
            "blur_score": 0.9,
            "is_kept": True,
            "reason": "kept",
        },
        "label": {**place, **box, **label, **sure},
        "caption": {
            "frame_id": place["frame_id"],
            "version": 1,
            "text": words,
            "provider": "tags",
            "status": "done",
        },
        "cluster": plain_row.scene(frame_id(shot), shot, f"scene-{shot:03d}"),
    }
