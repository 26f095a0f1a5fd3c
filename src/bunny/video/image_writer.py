"""Image files written and measured in threads beside the decoder, with bounded memory."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.core import atomic
from bunny.core.config import ExtractionConfig
from bunny.video import letterbox
from bunny.video.frame import DecodedFrame, to_bgr
from bunny.video.letterbox import Box
from bunny.video.probe import FilmInfo

SUFFIXES = (".jpg", ".png", ".webp")
PNG_COMPRESSION = 3  # of 9; more costs much time and saves little
FRAMES_PER_WORKER = 2  # that may wait however large they are
WAITING_BYTES = 96 << 20  # of raw frames that may wait: a shot's come all at once, at its end
MAX_WORKERS = 4


@dataclass(frozen=True, kw_only=True)
class WrittenFrame:
    """Result of writing one picture."""

    file: str | None = None  # null when it could not be made
    width_px: int | None = None
    height_px: int | None = None
    crop: Box | None = None  # where it lies in the picture as shown, half-open
    measure: Any = None  # what `measure` gave for it
    error: str | None = None


class FrameWriter:
    """Turns decoded frames into pictures in a folder, and measures them on the way.

    Parameters
    ----------
    folder : Path
        Gets the pictures; made when it is missing.
    extraction : ExtractionConfig
        How a decoded frame becomes the picture as shown, and how that is encoded.
    measure : callable
        Called with each BGR picture.
    num_workers : int
        Threads; 0 writes at once.
    paint : callable, optional
        Changes a measured BGR picture before it is written; gets the picture, its time in seconds
        and its box in the film's picture.

    Raises
    ------
    OSError
        From `write` or the result, when the disk is full or may not be written.
    """

    def __init__(
        self,
        folder: Path,
        info: FilmInfo,
        extraction: ExtractionConfig,
        measure: Callable[[np.ndarray], Any],
        num_workers: int = 0,
        paint: Callable[[np.ndarray, float, Box], np.ndarray] | None = None,
    ) -> None:
        self._paint = paint
        self._folder, self._info = folder, info
        self._extraction = extraction
        self._suffix = f".{extraction.output_format}"
        self._options = _options(extraction.output_format, extraction.quality)
        self._measure = measure
        self._pool = ThreadPoolExecutor(num_workers) if num_workers else None
        self._least_most = num_workers * FRAMES_PER_WORKER
        self._waiting: deque[tuple[Future, int]] = deque()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, *_) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def write(self, frame: DecodedFrame, crop: Box | None = None) -> Future:
        """Begin to write a frame; waits while too many are under way.

        Parameters
        ----------
        crop : (x0, y0, x1, y1), optional
            What of it is written, in stored pixels.
        """
        if self._pool is None:
            future: Future = Future()
            future.set_result(self._make(frame, crop))
            return future
        while self._is_full(frame.num_bytes):
            self._waiting.popleft()[0].result()
        future = self._pool.submit(self._make, frame, crop)
        self._waiting.append((future, frame.num_bytes))
        return future

    def _is_full(self, num_bytes: int) -> bool:
        """Whether one more frame has to wait for an older one."""
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()[0].result()
        total = num_bytes + sum(size for _, size in self._waiting)
        return len(self._waiting) >= self._least_most and total > WAITING_BYTES

    def _make(self, frame: DecodedFrame, crop: Box | None) -> WrittenFrame:
        if frame.error is not None:
            return WrittenFrame(error=frame.error)
        name = f"{frame.index:08d}{self._suffix}"
        try:
            box = letterbox.shown_box(crop, self._info) if crop else None
            picture = to_bgr(frame, self._info, self._extraction, box)
            height, width = picture.shape[:2]
            if box is None or (width, height) != (box[2] - box[0], box[3] - box[1]):
                box = (0, 0, width, height)
            measure = self._measure(picture)
            if self._paint is not None:
                picture = self._paint(picture, frame.time_s, box)
            data = _encode(picture, self._suffix, self._options)
        except (ValueError, cv2.error) as error:
            reason = " ".join(str(error).split())
            return WrittenFrame(error=f"frame {frame.index}: {reason}")
        atomic.write_bytes(self._folder / name, data)
        return WrittenFrame(
            file=name, width_px=width, height_px=height, crop=box, measure=measure, error=None
        )


def encode_picture(picture: np.ndarray, suffix: str, quality: int) -> bytes:
    """A BGR picture as the bytes of a file, as `FrameWriter` encodes it.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    suffix : str
        One of `SUFFIXES`.
    quality : int
        1-100, of jpg and webp.

    Raises
    ------
    ValueError
        If the format cannot hold a picture of that size.
    """
    return _encode(picture, suffix, _options(suffix[1:], quality))


def _options(output_format: str, quality: int) -> list[int]:
    return {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }[output_format]


def _encode(picture: np.ndarray, suffix: str, options: list[int]) -> bytes:
    is_done, data = cv2.imencode(suffix, picture, options)
    if not is_done:
        raise ValueError(
            f"a picture of {picture.shape[1]}x{picture.shape[0]} does not fit {suffix}"
        )
    return data.tobytes()


def named_pictures(frame: pl.DataFrame) -> set[str]:
    """Pictures that table `frame` names."""
    return set(frame["file"].drop_nulls())


def stored_pictures(folder: Path) -> set[str]:
    """Pictures in `frame/` of a film's folder, named as in table `frame`."""
    if not (folder / "frame").is_dir():
        return set()
    with os.scandir(folder / "frame") as entries:
        return {f"frame/{e.name}" for e in entries if e.name.endswith(SUFFIXES)}


def remove_others(folder: Path, named: set[str]) -> None:
    """Remove pictures that no table names, and what a kill left half written."""
    for file in sorted(stored_pictures(folder) - named):
        (folder / file).unlink(missing_ok=True)
    for path in (folder / "frame").glob(".*.tmp"):
        path.unlink(missing_ok=True)
