"""Frames of the film besides the kept ones, decoded as extract decoded those."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.contract import stage
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.video import probe, reread
from bunny.video.bars import Box
from bunny.video.frame import PictureSetting

CROP = ("crop_x0_px", "crop_y0_px", "crop_x1_px", "crop_y1_px")
SETTINGS = ("deinterlace", "tone_curve", "crop_bars", "video_stream")

NOTHING = pl.DataFrame(schema={"shot_index": pl.Int32, "frame_index": pl.Int64})


def settings(config: Config) -> dict[str, Any]:
    """Settings of extract that decide what a picture decoded here looks like."""
    return stage.settings_of(config, "extraction", *SETTINGS)


def plan(shot: pl.DataFrame, frame: pl.DataFrame, interval_s: float) -> pl.DataFrame:
    """Which frames to look at besides `frame`: columns `shot_index`, `frame_index`."""
    return reread.choose_between(shot, frame, interval_s)


def plan_again(
    shot: pl.DataFrame,
    frame: pl.DataFrame,
    between: pl.DataFrame,
    dense: Sequence[tuple[int, int, float]],
) -> pl.DataFrame:
    """Add frames in spans that are to be looked at more often; none of `between` is lost.

    Parameters
    ----------
    shot, frame : pl.DataFrame
        Tables of stage 1.
    between : pl.DataFrame
        From `plan`.
    dense : sequence of (int, int, float)
        First frame index, end and interval in seconds. A shot is meant when a span holds its first
        frame.
    """
    for first, end, interval_s in dense:
        is_meant = pl.col("first_frame_index").is_between(first, end, closed="left")
        own = shot.filter(is_meant)["shot_index"].to_list()
        known = [frame.select("shot_index", "frame_index", "timestamp_s"), _timed(shot, between)]
        more = plan(shot, pl.concat(known), interval_s).filter(pl.col("shot_index").is_in(own))
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


def digest(between: pl.DataFrame) -> str:
    """SHA-256 of which frames are meant."""
    return hashlib.sha256(between.select("frame_index").write_csv().encode()).hexdigest()


class Source:
    """Reads frames of a film by their index.

    Parameters
    ----------
    config : Config
    source : mapping
        `source.json` of the film.
    film, frame : pl.DataFrame
        Tables of stage 1; the pictures of a shot are cut as its kept ones are.

    Raises
    ------
    UserError
        From `read`, when the film is no longer where it was.
    """

    def __init__(
        self, config: Config, source: Mapping[str, Any], film: pl.DataFrame, frame: pl.DataFrame
    ) -> None:
        self._config, self._path = config, Path(source["film"])
        self._stream = int(film["stream_index"][0]) if film.height else None
        self._film_id = str(film["film_id"][0]) if film.height else ""
        known = frame.drop_nulls(CROP).unique("shot_index", keep="first", maintain_order=True)
        self._crop: dict[int, Box] = {r[0]: r[1:] for r in known.select("shot_index", *CROP).rows()}

    def pictures(self, wanted: Mapping[int, Box | None]) -> Iterator[reread.Reread]:
        """Frames by index, each cut to its box; see `reread.read_pictures`."""
        if not self._path.exists():
            raise UserError(
                f"{self._path}: expected the film, found no such file; run with its new path"
            )
        extraction = self._config.extraction
        setting = PictureSetting(
            deinterlace=extraction.deinterlace, tone_curve=extraction.tone_curve
        )
        info = probe.probe(self._path, stream_index=self._stream)
        num_threads = 0 if self._config.pipeline.parallel_processing else 1
        return reread.read_pictures(info, wanted, setting, num_threads=num_threads)

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

    def _row(self, one: reread.Reread, shot_index: int) -> dict[str, Any]:
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
            "error": "expected this frame in the film, it could not be decoded again",
        }
