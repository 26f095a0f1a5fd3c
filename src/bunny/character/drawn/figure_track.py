"""Drawn figures through a shot: which candidates of its frames are one figure in its place.

A candidate has no vector of its own in table `region`; that it is of the same character, near
where that character was a moment ago and of a like size is what links it. A track then votes as
one (`drawn.vote`): who enters late counts from then on, and an accident stays alone.
"""

import numpy as np
import polars as pl

from bunny.character import track

MAX_GAP = 2  # frames looked at from one link to the next; 2 lets one be missed
MIN_IOU = 0.1  # with the track's last box: figures walk between frames half a second apart
MAX_SHIFT = 0.75  # of the middle, in lengths of the larger box's longer side, for each frame of gap
MAX_SCALE = 2.5  # ratio of the longer sides
BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]


def link_regions(region: pl.DataFrame, frame: pl.DataFrame, film_id: str) -> pl.DataFrame:
    """Follow the candidates of each character through each shot.

    Parameters
    ----------
    region : pl.DataFrame
        Rows of table `region`; `track_id` is overwritten.
    frame : pl.DataFrame
        Columns `frame_id`, `frame_index`, `shot_index` of all frames that were looked at.
    film_id : str

    Returns
    -------
    pl.DataFrame
        `region` in its own order, `track_id` filled; a track is of one shot and one candidate and
        has at most one region a frame.

    Notes
    -----
    Greedy, frame by frame: the nearest open track takes a candidate. Tracks are numbered by shot,
    candidate and first frame, so the same rows give the same ids.
    """
    rank = pl.col("frame_index").rank("dense").over("shot_index").cast(pl.Int64)
    order = frame.select("frame_id", rank.alias("rank"))
    rows = region.join(order, on="frame_id", how="left", maintain_order="left")
    rows = rows.select("region_id", "shot_index", "candidate", "rank", *BOX)
    rows = rows.sort("shot_index", "candidate", "rank", "region_id", nulls_last=True)
    ids: dict[str, str] = {}
    count = 0
    for own in rows.partition_by("shot_index", "candidate", maintain_order=True):
        number = link_boxes(own["rank"].fill_null(-1).to_list(), own.select(BOX).to_numpy())
        names = [f"{film_id}-f{count + int(n):05d}" for n in number]
        ids |= dict(zip(own["region_id"].to_list(), names, strict=True))
        count += int(number.max()) + 1
    found = pl.Series("track_id", [ids[i] for i in region["region_id"]], dtype=pl.String)
    return region.with_columns(found)


def link_boxes(rank: list[int], box: np.ndarray) -> np.ndarray:
    """Link boxes that follow each other in place.

    Parameters
    ----------
    rank : list of int, length n
        Which frame of the shot each box is in, counted over the frames looked at; ascending.
    box : np.ndarray, shape (n, 4)
        x0 y0 x1 y1 in pixels.

    Returns
    -------
    np.ndarray, shape (n,), int
        Track numbers from 0 in order of first appearance.
    """
    number = np.full(len(rank), -1, dtype=np.int64)
    last: list[int] = []  # by track, its latest box
    for i, now in enumerate(rank):
        near = [
            (-_nearness(box[i], box[j], now - rank[j]), track_number)
            for track_number, j in enumerate(last)
            if 0 < now - rank[j] <= MAX_GAP and _nearness(box[i], box[j], now - rank[j]) > 0
        ]
        if near:
            number[i] = min(near)[1]
            last[number[i]] = i
        else:
            number[i] = len(last)
            last.append(i)
    return number


def _nearness(one: np.ndarray, other: np.ndarray, gap: int) -> float:
    """How well a box follows another, 0 when it does not; 1 to 2 where they overlap enough."""
    sides = [max(b[2] - b[0], b[3] - b[1], 1e-6) for b in (one, other)]
    if max(sides) > MAX_SCALE * min(sides):
        return 0.0
    overlap = track.overlap(one, other)
    if overlap >= MIN_IOU:
        return 1.0 + overlap
    shift = np.hypot(*(one[:2] + one[2:] - other[:2] - other[2:])) / 2
    reach = MAX_SHIFT * max(sides) * gap
    return float(max(0.0, 1 - shift / reach))
