"""Frames of a film in presentation order with exact times, one at a time.

What cannot be decoded is counted and skipped. Times are the container's own; where it gives none,
or they repeat or go back, they are continued at the film's rate and the tally says so.
"""

import heapq
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2

from bunny.video.picture import DecodedFrame
from bunny.video.probe import OPEN_OPTIONS, FilmInfo, list_pictures, read_picture

logger = logging.getLogger(__name__)

STRICT = {"err_detect": "explode"}  # any error in the stream is raised, none is patched over
DEFAULT_RATE = Fraction(25)  # of a film that has neither times nor a rate


@dataclass(kw_only=True)
class Tally:
    """What came out of a film; filled while frames are read."""

    num_decoded: int = 0
    num_packets: int = 0  # frames that the file holds; known when only keyframes are decoded
    num_failed: int = 0  # packets or pictures that gave no frame
    num_damaged: int = 0  # frames that the decoder patched
    num_derived: int = 0  # times that the film lacks, made from the rate
    num_moved: int = 0  # times that repeated or went back
    is_cut_short: bool = False  # reading ended with an error
    is_interlaced: bool = False
    start_pts: int | None = None
    end_pts: int | None = None  # of the last frame's end


def iterate_frames(
    info: FilmInfo,
    tally: Tally | None = None,
    *,
    is_keyframe_only: bool = False,
    num_threads: int = 0,
) -> Iterator[DecodedFrame]:
    """Decode a film from its start; memory does not grow with its length.

    Parameters
    ----------
    info : FilmInfo
        From `probe.probe`.
    tally : Tally, optional
        Counts what is decoded, skipped and mended; complete when the iteration ends.
    is_keyframe_only : bool
        Decode the codec's keyframes (I-frames) alone. `index` is still the presentation order
        among all frames, counted from the packets; where the container gives packets no times
        it is the packet's number, which is exact when the film has no B-frames.
        OpenCV and folders cannot skip: they give every frame.
    num_threads : int
        Of the decoder; 0 lets it choose. At the first damage the film is decoded again by one
        thread up to where it was: only that patches and counts holes the same way each time.

    Yields
    ------
    DecodedFrame
        With `index` rising, by 1 when all are decoded, and `pts` strictly rising.
    """
    tally = Tally() if tally is None else tally
    if info.decoder == "folder":
        yield from _folder_frames(info, tally)
        return
    if info.decoder == "opencv":
        yield from _opencv_frames(info, tally)
        return
    decode = _keyframes if is_keyframe_only else _pyav_frames
    num_given = 0
    if num_threads != 1:
        try:
            for frame in decode(info, tally, num_threads):
                yield frame
                num_given += 1
            return
        except _DamageError:
            logger.info("%s: damaged; decoded again by one thread", info.path.name)
            tally.__init__()
    yield from itertools.islice(decode(info, tally, 1), num_given, None)


class _DamageError(Exception):
    """Several threads met damage: what they make of it is chance, so one has to begin again."""


class _Clock:
    """Keeps times strictly rising."""

    def __init__(self, info: FilmInfo, tally: Tally) -> None:
        rate = info.rate if info.rate > 0 else DEFAULT_RATE
        self._step = max(1, round(1 / (rate * info.time_base)))
        self._tally = tally
        self._last: int | None = None
        self._offset = 0

    def take(self, pts: int | None, duration: int | None = None) -> int:
        """Time of the next frame: its own, or one step after the last when that cannot be."""
        if pts is None:
            self._tally.num_derived += 1
            pts = 0 if self._last is None else self._last + self._step
        elif self._last is not None and pts + self._offset <= self._last:
            self._tally.num_moved += 1
            self._offset = self._last + self._step - pts
            pts = pts + self._offset
        else:
            pts = pts + self._offset
        self._last = pts
        if self._tally.start_pts is None:
            self._tally.start_pts = pts
        self._tally.end_pts = pts + (duration if duration and duration > 0 else self._step)
        return pts


def _pyav_frames(info: FilmInfo, tally: Tally, num_threads: int) -> Iterator[DecodedFrame]:
    clock = _Clock(info, tally)
    with _open(info, num_threads) as container:
        for _, frames in _decode(container, info, tally, num_threads):
            for raw in frames:
                yield _frame(raw, tally.num_decoded, info, tally, clock)


def _keyframes(info: FilmInfo, tally: Tally, num_threads: int) -> Iterator[DecodedFrame]:
    """Keyframes with their presentation order, which later packets may still change.

    A keyframe waits until a packet's decode time passes its own time: no frame shown before it
    can come after that.
    """
    clock = _Clock(info, tally)
    early: list[int] = []  # times of packets that are shown after the last frame given out
    waiting: list[av.VideoFrame] = []
    num_shown, end = 0, 0

    def give(raw: av.VideoFrame) -> DecodedFrame:
        nonlocal num_shown
        while early and raw.pts is not None and early[0] < raw.pts:
            heapq.heappop(early)
            num_shown += 1
        index = num_shown if raw.pts is not None else tally.num_packets - 1
        return _frame(raw, index, info, tally, clock)

    with _open(info, num_threads) as container:
        container.streams[info.stream_index].codec_context.skip_frame = "NONKEY"
        for packet, frames in _decode(container, info, tally, num_threads):
            if packet.size:
                tally.num_packets += 1
                if packet.pts is not None:
                    heapq.heappush(early, packet.pts)
                    end = max(end, packet.pts + (packet.duration or 0))
            waiting.extend(frames)
            passed = packet.dts
            while waiting and (passed is None or waiting[0].pts is None or passed > waiting[0].pts):
                yield give(waiting.pop(0))
    for raw in waiting:
        yield give(raw)
    if tally.end_pts is not None:
        tally.end_pts = max(tally.end_pts, end)


def _open(info: FilmInfo, num_threads: int):
    container = av.open(f"file:{info.path}", options=OPEN_OPTIONS, metadata_errors="replace")
    context = container.streams[info.stream_index].codec_context
    context.thread_type = "AUTO"
    context.thread_count = num_threads
    if num_threads != 1:
        context.options = STRICT
    return container


def _decode(container, info: FilmInfo, tally: Tally, num_threads: int):
    """Pairs of (packet, frames it gave); errors are counted, a broken end ends the film.

    Raises
    ------
    _DamageError
        At the first damage, with several threads.
    """
    packets = container.demux(container.streams[info.stream_index])
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            tally.is_cut_short = True
            logger.debug("%s: reading ended: %s", info.path.name, error)
            return
        if packet.is_corrupt and num_threads != 1:
            raise _DamageError
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            frames = []
            if num_threads != 1:
                raise _DamageError from error
            if packet.size:
                tally.num_failed += 1
            logger.debug("%s: packet at %s: %s", info.path.name, packet.pts, error)
        if num_threads != 1 and any(frame.is_corrupt for frame in frames):
            raise _DamageError
        yield packet, frames


def _frame(raw, index: int, info: FilmInfo, tally: Tally, clock: _Clock) -> DecodedFrame:
    pts = clock.take(_in_base(raw.pts, raw.time_base, info), raw.duration)
    tally.num_decoded += 1
    tally.num_damaged += bool(raw.is_corrupt)
    tally.is_interlaced = tally.is_interlaced or bool(raw.interlaced_frame)
    return DecodedFrame(
        index=index,
        pts=pts,
        time_base=info.time_base,
        raw=raw,
        is_keyframe=bool(raw.key_frame),
        is_damaged=bool(raw.is_corrupt),
    )


def _in_base(pts: int | None, time_base: Fraction | None, info: FilmInfo) -> int | None:
    """A time in the film's own time base."""
    if pts is None or not time_base or time_base == info.time_base:
        return pts
    return round(pts * time_base / info.time_base)


def _opencv_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = _Clock(info, tally)
    capture = cv2.VideoCapture(str(info.path))
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                return
            seconds = Fraction(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            pts = None if seconds < 0 else round(seconds / info.time_base)
            yield _array_frame(picture, tally.num_decoded, clock.take(pts), info, tally)
    finally:
        capture.release()


def _folder_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = _Clock(info, tally)
    for number, path in enumerate(list_pictures(info.path)):
        picture = read_picture(path)
        if picture is None:
            tally.num_failed += 1
            logger.warning("%s: expected a picture, could not read it; left out", path.name)
            continue
        yield _array_frame(picture, tally.num_decoded, clock.take(number), info, tally)


def _array_frame(picture, index: int, pts: int, info: FilmInfo, tally: Tally) -> DecodedFrame:
    tally.num_decoded += 1
    return DecodedFrame(
        index=index, pts=pts, time_base=info.time_base, raw=picture, is_keyframe=True
    )
