"""Frames of the film besides the kept ones, decoded again with the settings of extract.

Stored pictures are compressed and few; whoever needs the film's own pixels, or frames in between,
names them by index and gets the picture as shown: the same bits as before compression.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.core import film_file
from bunny.core.config import ExtractionConfig
from bunny.core.error import UserError
from bunny.core.film_file import FilmPlace
from bunny.table.box import CROP
from bunny.video import decode, packet_index, probe
from bunny.video.decode import Tally
from bunny.video.frame import DecodedFrame, to_bgr
from bunny.video.letterbox import Box
from bunny.video.prefetch import run_ahead
from bunny.video.probe import FilmInfo

FRAMES_AHEAD = 4
TRANSITION_S = 0.4  # beside a fade or dissolve, where a frame may show two shots
ROUNDING_S = 1e-6
GRADUAL = ("fade", "dissolve")

SETTINGS = ("deinterlace", "tone_curve", "crop_bars", "video_stream")

NO_FRAMES = pl.DataFrame(schema={"shot_index": pl.Int32, "frame_index": pl.Int64})


@dataclass(frozen=True, kw_only=True)
class DecodedPicture:
    """One frame and its picture."""

    frame: DecodedFrame
    picture: np.ndarray | None  # (height, width, 3) uint8 BGR; None when it cannot be made
    error: str | None = None


def read_pictures(
    info: FilmInfo,
    wanted: Mapping[int, Box | None],
    extraction: ExtractionConfig,
    *,
    num_threads: int = 0,
) -> Iterator[DecodedPicture]:
    """Decode chosen frames.

    Parameters
    ----------
    info : FilmInfo
        From `probe.probe`, of the stream that was extracted.
    wanted : mapping of int to (x0, y0, x1, y1) or None
        Frame index to the box of the picture as shown that is cut out (columns `crop_*` of table
        `frame`); None for all of it.
    extraction : ExtractionConfig
        As in extract, else the pictures differ.
    num_threads : int
        Of the decoder; 0 lets it choose.

    Yields
    ------
    DecodedPicture
        In order of the index. Frames that the film does not have are left out. Whether keyframes
        are jumped to or all is decoded is chosen by which decodes less.
    """
    for frame in decode_frames(info, np.array(sorted(wanted), np.int64), num_threads):
        if frame.error is not None:
            yield DecodedPicture(frame=frame, picture=None, error=frame.error)
            continue
        try:
            picture = to_bgr(frame, info, extraction, wanted[frame.index])
            yield DecodedPicture(frame=frame, picture=picture)
        except (ValueError, cv2.error) as error:
            yield DecodedPicture(frame=frame, picture=None, error=" ".join(str(error).split()))


def choose_frames(shot: pl.DataFrame, frame: pl.DataFrame, interval_s: float) -> pl.DataFrame:
    """Choose frames inside shots, about so far apart from each other and from the known ones.

    Parameters
    ----------
    shot, frame : pl.DataFrame
        Tables of stage extract.
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
        first, end = row["first_frame_index"], row["end_frame_index"]
        least = (row["end_s"] - row["start_s"]) / (end - first) / 2  # takes every frame
        known_s = np.array(known.get(row["shot_index"], []))
        times = _times_between(row, known_s, max(interval_s, least))
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


def decode_frames(info: FilmInfo, wanted: np.ndarray, num_threads: int) -> Iterator[DecodedFrame]:
    """Decode the wanted frames, by jumping where that is less than going on to the last one."""
    if not len(wanted):
        return
    tally = Tally()
    if info.decoder == "pictures":
        yield from decode.read_pictures(info, tally, set(wanted.tolist()))
        return
    packets = packet_index.scan(info)
    if packets is not None:
        found = packet_index.plan_seeks(packets, wanted[wanted < len(packets)])
        if found.share * len(packets) <= packet_index.MAX_DECODED_SHARE * (wanted[-1] + 1):
            yield from packet_index.decode_wanted(
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


def settings(extraction: ExtractionConfig) -> dict[str, Any]:
    """`extraction.<key>` and value of the settings that decide what a picture looks like."""
    values = extraction.model_dump(mode="json")
    return {f"extraction.{key}": values[key] for key in SETTINGS}


def add_dense_spans(
    shot: pl.DataFrame,
    frame: pl.DataFrame,
    between: pl.DataFrame,
    dense: Sequence[tuple[int, int, float]],
) -> pl.DataFrame:
    """Add frames in spans that are to be looked at more often; none of `between` is lost.

    Parameters
    ----------
    shot, frame : pl.DataFrame
        Tables of stage extract.
    between : pl.DataFrame
        From `choose_frames`.
    dense : sequence of (int, int, float)
        First frame index, end and interval in seconds. A shot is meant when a span holds its first
        frame.
    """
    for first, end, interval_s in dense:
        is_meant = pl.col("first_frame_index").is_between(first, end, closed="left")
        own = shot.filter(is_meant)["shot_index"].to_list()
        known = [frame.select("shot_index", "frame_index", "timestamp_s"), _timed(shot, between)]
        more = choose_frames(shot, pl.concat(known), interval_s).filter(
            pl.col("shot_index").is_in(own)
        )
        between = pl.concat([between, more]).unique("frame_index").sort("frame_index")
    return between


def _timed(shot: pl.DataFrame, between: pl.DataFrame) -> pl.DataFrame:
    """Planned frames of shots with their times, as if the rate were even within a shot."""
    rate = (pl.col("end_s") - pl.col("start_s")) / (
        pl.col("end_frame_index") - pl.col("first_frame_index")
    )
    passed = pl.col("frame_index") - pl.col("first_frame_index")
    joined = between.join(shot, on="shot_index", maintain_order="left")
    return joined.select("shot_index", "frame_index", timestamp_s=pl.col("start_s") + rate * passed)


def frames_hash(between: pl.DataFrame) -> str:
    """SHA-256 of which frames are meant."""
    return hashlib.sha256(between.select("frame_index").write_csv().encode()).hexdigest()


class ExtraFrameReader:
    """Reads frames of a film by their index.

    Parameters
    ----------
    extraction : ExtractionConfig
        As the film was extracted with.
    film, frame : pl.DataFrame
        Tables of stage extract; the pictures of a shot are cut as its kept ones are.
    num_threads : int
        Of the decoder; 0 lets it choose.

    Raises
    ------
    UserError
        From `read`, when the film is no longer where it was.
    """

    def __init__(
        self,
        extraction: ExtractionConfig,
        film_path: FilmPlace | str,
        film: pl.DataFrame,
        frame: pl.DataFrame,
        *,
        num_threads: int = 0,
    ) -> None:
        self._path, self._num_threads = film_file.locate(str(film_path)), num_threads
        self._extraction = extraction
        about = film.row(0, named=True) if film.height else {}
        self._stream: int | None = about.get("stream_index")
        self._film_id: str = about.get("film_id", "")
        decoder = about.get("decoder")
        self._folder = decoder if decoder in probe.FOLDER_RATE else "auto"
        known = frame.drop_nulls(CROP).unique("shot_index", keep="first", maintain_order=True)
        self._crop: dict[int, Box] = {r[0]: r[1:] for r in known.select("shot_index", *CROP).rows()}

    def is_present(self) -> bool:
        """Whether the film is still where it was."""
        return self._path.exists()

    def pictures(self, wanted: Mapping[int, Box | None]) -> Iterator[DecodedPicture]:
        """Frames by index, each cut to its box; see `read_pictures`."""
        if not self.is_present():
            raise UserError(f"{self._path}: film not found; run it with its new path")
        info = probe.probe(self._path, stream_index=self._stream, folder=self._folder)
        return read_pictures(info, wanted, self._extraction, num_threads=self._num_threads)

    def read(self, between: pl.DataFrame) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
        """Rows of `extra_frame` with their pictures, in order of `between`, which is by index.

        A frame that the film does not give is a row with an error and has no picture.
        """
        shot = dict(between.select("frame_index", "shot_index").iter_rows())
        found = self.pictures({index: self._crop.get(s) for index, s in shot.items()})
        one = next(found, None)
        for index in between["frame_index"]:
            if one is not None and one.frame.index == index:
                yield self._row(one, shot[index]), one.picture
                one = next(found, None)
            else:
                yield self._missing(index, shot[index]), None

    def _row(self, one: DecodedPicture, shot_index: int) -> dict[str, Any]:
        frame = one.frame
        row = self._missing(frame.index, shot_index) | {
            "pts": frame.pts,
            "time_base_num": frame.time_base.numerator,
            "time_base_den": frame.time_base.denominator,
            "timestamp_s": frame.time_s,
            "error": one.error,
        }
        if one.picture is None:
            return row
        height, width = one.picture.shape[:2]
        crop = self._crop.get(shot_index)
        if crop is None or (width, height) != (crop[2] - crop[0], crop[3] - crop[1]):
            crop = (0, 0, width, height)
        return row | {"width_px": width, "height_px": height, **dict(zip(CROP, crop, strict=True))}

    def _missing(self, index: int, shot_index: int) -> dict[str, Any]:
        return {
            "frame_id": f"{self._film_id}-{index:08d}",
            "film_id": self._film_id,
            "shot_index": shot_index,
            "frame_index": index,
            "pts": 0,
            "time_base_num": 1,
            "time_base_den": 1,
            "timestamp_s": 0.0,
            "reason": "extra",
            "error": "this frame could not be decoded again",
        }
