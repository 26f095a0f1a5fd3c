"""Logos: what stands at the same place in front of many places of a film.

Each scene's picture has one vote on each pixel: the direction of the edge there, if there is one.
Votes for a logo's edges agree in nearly all scenes; those for the scenes' own cancel out, and a set
that comes back in a few scenes is outvoted however strong its edges are. A film whose camera always
looks at one place has such edges everywhere: then nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import polars as pl

from bunny.table.box import CROP, Box

MOST_SCENES = 64  # whose pictures are looked at
LONG_PX = 320  # of the small picture's longer side
MIN_PICTURES = 10  # of different scenes; fewer tell nothing
BLUR_PX = 1.0  # sigma, so that noise of compression makes no edges
AGREEMENT = 0.7  # length of the mean vote; 0.3 at ten pictures with an edge there by chance
MIN_EDGE = 3.0  # grey levels a pixel of an edge that has its full vote
JOIN_PX = 5  # letters of a logo are one thing
MIN_SIDE_PX, MAX_SHARE = 4, 0.06  # of a logo: least side, largest share of the picture
MAX_COVERED = 0.15  # of the picture by such edges; more is a camera that never moves
ASPECT = 0.02  # pictures of another aspect are left out
RIM_PX = 2  # beside the picture's edge, where bars end


def choose_pictures(
    frame: pl.DataFrame, quality: pl.DataFrame, cluster: pl.DataFrame
) -> pl.DataFrame:
    """Rows of `frame`, one kept picture of each scene, all cut alike, spread over the film.

    Parameters
    ----------
    frame, quality, cluster : pl.DataFrame
        Tables of those names. A shot of no scene is a place of its own.
    """
    scene = cluster.filter(pl.col("level") == "scene").drop_nulls("scene_id")
    scene = scene.select("shot_index", "scene_id").unique("shot_index", maintain_order=True)
    kept = quality.filter("is_kept").select("frame_id")
    rows = frame.drop_nulls([*CROP, "file"]).sort("frame_index")
    rows = rows.join(kept, on="frame_id", how="semi", maintain_order="left")
    rows = rows.join(scene, on="shot_index", how="left", maintain_order="left")
    rows = rows.with_columns(pl.coalesce("scene_id", pl.format("shot {}", "shot_index")))
    usual = rows.group_by(CROP).len().sort("len", *CROP, descending=True).head(1)
    rows = rows.join(usual, on=CROP, how="semi", maintain_order="left")
    rows = rows.unique("scene_id", keep="first", maintain_order=True)
    return rows.gather_every(max(1, rows.height // MOST_SCENES)).head(MOST_SCENES)


def make_rows(found: Sequence[Box], pictures: pl.DataFrame) -> list[dict[str, int]]:
    """Rows of `clip_overlay`, in pixels of the film.

    Parameters
    ----------
    found : sequence of Box
        From `find_overlays`.
    pictures : pl.DataFrame
        From `choose_pictures`.
    """
    if not found:
        return []
    left, top, right, bottom = pictures.select(CROP).row(0)
    wide, high = right - left, bottom - top
    return [
        {
            "overlay_index": number,
            "x0_px": left + math.floor(x0 * wide),
            "y0_px": top + math.floor(y0 * high),
            "x1_px": left + math.ceil(x1 * wide),
            "y1_px": top + math.ceil(y1 * high),
            "num_pictures": pictures.height,
        }
        for number, (x0, y0, x1, y1) in enumerate(found)
    ]


def find_overlays(pictures: Iterable[np.ndarray]) -> list[Box]:
    """Find logos in pictures of different scenes.

    Parameters
    ----------
    pictures : iterable of np.ndarray, shape (height, width, 3), uint8, BGR
        One of each scene, bars cut off; taken one by one. Those that are not of the first one's
        aspect do not count.

    Returns
    -------
    list of (x0, y0, x1, y1)
        In shares of width and height, largest first; empty where there is none, or where there are
        too few pictures to tell.
    """
    total = np.zeros(0)
    size: tuple[int, int] | None = None
    count = 0
    for picture in pictures:
        height, width = picture.shape[:2]
        if size is None:
            scale = LONG_PX / max(height, width)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            total = np.zeros((2, size[1], size[0]))
        if abs(width / height - size[0] / size[1]) > ASPECT * size[0] / size[1]:
            continue
        total += _vote(picture, size)
        count += 1
    if size is None or count < MIN_PICTURES:
        return []
    is_fixed = np.hypot(total[0], total[1]) > AGREEMENT * count
    is_fixed[:RIM_PX] = is_fixed[-RIM_PX:] = False
    is_fixed[:, :RIM_PX] = is_fixed[:, -RIM_PX:] = False
    return _boxes(is_fixed)


def _vote(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Direction of the edge at each pixel, of length 1, or shorter where the edge is faint.

    Shape (2, height, width): along x and y.
    """
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    luma = cv2.GaussianBlur(luma, (0, 0), BLUR_PX)
    x = cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8)
    y = cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.stack([x, y]) / np.maximum(np.hypot(x, y), MIN_EDGE)


def _boxes(is_fixed: np.ndarray) -> list[Box]:
    """Boxes of what belongs together, in shares."""
    height, width = is_fixed.shape
    joined = cv2.dilate(is_fixed.astype(np.uint8), np.ones((JOIN_PX, JOIN_PX), np.uint8))
    if joined.mean() > MAX_COVERED:
        return []
    number, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for x, y, wide, high, _ in stats[1:number].tolist():
        is_size = min(wide, high) >= MIN_SIDE_PX + JOIN_PX - 1
        if is_size and wide * high <= MAX_SHARE * width * height:
            found.append((x / width, y / height, (x + wide) / width, (y + high) / height))
    return sorted(found, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))


def choose_region(
    size: tuple[int, int], boxes: Sequence[Box], overlays: Sequence[Box], least: float = 0.5
) -> Box | None:
    """The largest part of a picture that has no logo and all of a character.

    Parameters
    ----------
    size : (int, int)
        Width and height of the picture.
    boxes : sequence of Box
        Of the character, in pixels.
    overlays : sequence of Box
        Logos, in pixels.
    least : float
        Share of the picture's area that the part has at least.

    Returns
    -------
    (x0, y0, x1, y1) or None
        In pixels; None where there is no such part.

    Examples
    --------
    >>> choose_region((100, 60), [(10, 10, 50, 60)], [(80, 0, 100, 12)])
    (0.0, 0.0, 80.0, 60.0)
    >>> choose_region((100, 60), [(10, 10, 90, 60)], [(80, 0, 100, 5)])
    (0.0, 5.0, 100.0, 60.0)
    >>> choose_region((100, 60), [(10, 0, 90, 60)], [(80, 0, 100, 5)]) is None
    True
    """
    parts: list[Box] = [(0.0, 0.0, float(size[0]), float(size[1]))]
    for x0, y0, x1, y1 in overlays:
        parts = [
            cut
            for part in parts
            for cut in (
                [part]
                if not _overlap(part, (x0, y0, x1, y1))
                else [
                    (part[0], part[1], float(x0), part[3]),
                    (float(x1), part[1], part[2], part[3]),
                    (part[0], part[1], part[2], float(y0)),
                    (part[0], float(y1), part[2], part[3]),
                ]
            )
            if _area(cut) >= least * size[0] * size[1]
        ]
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    inside = [_clip(box, whole) for box in boxes]
    good = [part for part in parts if all(_clip(box, part) == box for box in inside)]
    return max(good, key=lambda part: (_area(part), part), default=None)


def _overlap(one: Box, two: Box) -> bool:
    return min(one[2], two[2]) > max(one[0], two[0]) and min(one[3], two[3]) > max(one[1], two[1])


def _clip(box: Box, within: Box) -> Box:
    return (
        max(box[0], within[0]),
        max(box[1], within[1]),
        min(box[2], within[2]),
        min(box[3], within[3]),
    )


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
