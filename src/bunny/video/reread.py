"""Chosen frames of a film, decoded again in full and cut as they were when they were extracted.

Stored pictures are compressed and few; whoever needs the film's own pixels, or frames in between,
names them by index and gets the picture as shown: the same bits as before compression.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import polars as pl

from bunny.video import decode, packet_index
from bunny.video.bars import Box
from bunny.video.decode_progress import Tally
from bunny.video.frame import DecodedFrame, PictureSetting, to_bgr
from bunny.video.prefetch import run_ahead
from bunny.video.probe import FilmInfo

FRAMES_AHEAD = 4
TRANSITION_S = 0.4  # beside a fade or dissolve, where a frame may show two shots
ROUNDING_S = 1e-6
GRADUAL = ("fade", "dissolve")


@dataclass(frozen=True, kw_only=True)
class Reread:
    """One frame and its picture."""

    frame: DecodedFrame
    picture: np.ndarray | None  # (height, width, 3) uint8 BGR; None when it cannot be made
    error: str | None = None


def read_pictures(
    info: FilmInfo,
    wanted: Mapping[int, Box | None],
    setting: PictureSetting | None = None,
    *,
    num_threads: int = 0,
) -> Iterator[Reread]:
    """Decode chosen frames.

    Parameters
    ----------
    info : FilmInfo
        From `probe.probe`, of the stream that was extracted.
    wanted : mapping of int to (x0, y0, x1, y1) or None
        Frame index to the box of the picture as shown that is cut out (columns `crop_*` of table
        `frame`); None for all of it.
    setting : PictureSetting, optional
        As in extract, else the pictures differ.
    num_threads : int
        Of the decoder; 0 lets it choose.

    Yields
    ------
    Reread
        In order of the index. Frames that the film does not have are left out. Whether keyframes
        are jumped to or all is decoded is chosen by which decodes less.
    """
    setting = setting or PictureSetting()
    for frame in _frames(info, np.array(sorted(wanted), np.int64), num_threads):
        try:
            picture = to_bgr(frame, info, setting, wanted[frame.index])
            yield Reread(frame=frame, picture=picture)
        except (ValueError, cv2.error) as error:
            yield Reread(frame=frame, picture=None, error=" ".join(str(error).split()))


def choose_between(shot: pl.DataFrame, frame: pl.DataFrame, interval_s: float) -> pl.DataFrame:
    """Choose frames inside shots, about so far apart from each other and from the known ones.

    Parameters
    ----------
    shot, frame : pl.DataFrame
        Tables of stage 1.
    interval_s : float
        Seconds; positive.

    Returns
    -------
    pl.DataFrame
        `shot_index`, `frame_index` (Int64), by `frame_index`. Times beside a fade or dissolve are
        left out. Indices follow from times as if the rate were even within a shot.
    """
    known: dict[int, list[float]] = dict(
        frame.group_by("shot_index").agg(pl.col("timestamp_s").sort()).iter_rows()
    )
    shots = shot.sort("shot_index").with_columns(
        is_gradual_out=pl.col("transition_in").cast(pl.String).shift(-1).is_in(GRADUAL)
    )
    rows: list[tuple[int, int]] = []
    for row in shots.iter_rows(named=True):
        times = _times_between(row, np.array(known.get(row["shot_index"], [])), interval_s)
        first, end = row["first_frame_index"], row["end_frame_index"]
        share = (times - row["start_s"]) / max(1e-9, row["end_s"] - row["start_s"])
        place = np.floor(share * (end - first) + ROUNDING_S)
        index = np.unique(np.clip(first + place, first, end - 1))
        rows += [(row["shot_index"], int(i)) for i in index]
    taken = frame.select("frame_index")
    schema = {"shot_index": pl.Int32, "frame_index": pl.Int64}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.join(taken, on="frame_index", how="anti").sort("frame_index")


def _times_between(shot: dict, known: np.ndarray, interval_s: float) -> np.ndarray:
    """Times that divide the gaps between known ones evenly, and go on from the outermost."""
    start = shot["start_s"] + (TRANSITION_S if shot["transition_in"] in GRADUAL else 0.0)
    end = shot["end_s"] - (TRANSITION_S if shot["is_gradual_out"] else 0.0)
    if not len(known):
        return np.arange(start + interval_s / 2, end, interval_s)
    before = np.arange(known[0] - interval_s, start - ROUNDING_S, -interval_s)[::-1]
    after = np.arange(known[-1] + interval_s, end, interval_s)
    inside = [
        np.linspace(one, two, max(1, round((two - one) / interval_s)) + 1)[1:-1]
        for one, two in pairwise(known)
    ]
    times = np.concatenate([before, *inside, after])
    return times[(times >= start - ROUNDING_S) & (times < end)]


def _frames(info: FilmInfo, wanted: np.ndarray, num_threads: int) -> Iterator[DecodedFrame]:
    """The wanted frames, by jumping where that decodes less than going on to the last of them."""
    if not len(wanted):
        return
    tally = Tally()
    packets = packet_index.scan(info)
    if packets is not None:
        found = packet_index.plan(packets, wanted[wanted < len(packets)])
        if found.share * len(packets) <= packet_index.MOST_SHARE * (wanted[-1] + 1):
            yield from packet_index.iterate_wanted(
                info, packets, found, tally, num_threads=num_threads
            )
            return
    left = set(wanted.tolist())
    frames = decode.iterate_frames(info, tally, num_threads=num_threads)
    for frame in run_ahead(frames, FRAMES_AHEAD) if num_threads != 1 else frames:
        if frame.index in left:
            left.remove(frame.index)
            yield frame
            if not left:
                return
