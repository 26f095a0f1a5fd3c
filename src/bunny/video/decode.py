"""Frames in presentation order with exact times, by PyAV, OpenCV or from a folder of pictures.

What cannot be decoded is counted and skipped. Times are the container's own; where it gives none,
or they repeat or go back, they are continued at the film's rate and the tally says so.
"""

import heapq
import logging
from collections.abc import Container, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.error import FFmpegError

from bunny.core import film_file
from bunny.video import picture_folder
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo

DEFAULT_RATE = Fraction(25)  # of a film that has neither times nor a rate

logger = logging.getLogger(__name__)

# Containers that hold packets in decode order and mostly no times of presentation: those that
# FFmpeg gives are of the order of decoding, and for the first two shifted as well.
UNTIMED_CONTAINERS = frozenset({"avi", "asf", "mxf"})
SHIFTED_CONTAINERS = frozenset({"avi", "asf"})
STRICT_OPTIONS = {"err_detect": "explode"}  # errors in the stream are raised, not patched over


@dataclass(kw_only=True)
class Tally:
    """Counts of a decoded film; filled while frames are read."""

    num_decoded: int = 0
    num_packets: int = 0  # frames that the file holds; known when only keyframes are decoded
    num_failed: int = 0  # packets or pictures that gave no frame
    num_damaged: int = 0  # frames that the decoder patched
    num_derived: int = 0  # times that the film lacks, made from the rate
    num_trimmed: int = 0  # packets that an edit list cuts off: decoded and not shown
    num_moved: int = 0  # times that repeated or went back
    is_cut_short: bool = False  # reading ended with an error
    is_interlaced: bool = False
    start_pts: int | None = None
    end_pts: int | None = None  # of the last frame's end

    @property
    def is_clean(self) -> bool:
        """Whether every frame so far came whole and with its own time."""
        return not (self.num_failed or self.num_damaged or self.num_derived or self.num_moved)


@dataclass(frozen=True, kw_only=True)
class SeekPoint:
    """A codec's keyframe from which decoding gives the same frames as from the film's start.

    Only of a film that was clean so far (`Tally.is_clean`).
    """

    index: int  # of the keyframe, in presentation order
    pts: int  # of the keyframe, in units of the film's time base
    num_decoded: int  # frames before it
    start_pts: int  # of the film's first frame
    is_interlaced: bool = False  # whether a frame so far was
    num_trimmed: int = 0


class PtsClock:
    """Keeps times strictly rising, continuing them at the film's rate where it must."""

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


class DamageError(Exception):
    """Damage where none is taken."""

    def __str__(self) -> str:
        return "damaged"


class SeekError(Exception):
    """Seeking did not lead to the anchor."""

    def __str__(self) -> str:
        return "cannot be resumed"


@dataclass(frozen=True, kw_only=True)
class DecodeSetting:
    """Settings of decoding."""

    num_threads: int
    is_strict: bool = True  # damage is an error, for what several threads make of it is chance
    anchor: SeekPoint | None = None


def _pyav_frames(info: FilmInfo, tally: Tally, way: DecodeSetting) -> Iterator[DecodedFrame]:
    """Decode every frame."""
    clock = PtsClock(info, tally)
    order: list[int] = []  # of an untimed film: times that are shown after the last frame given
    with open_container(info, way) as container:
        index = seek(container, info, tally, way)
        for packet, frames in iterate_packets(container, info, tally, way):
            if info.container in UNTIMED_CONTAINERS and packet.pts is not None:
                heapq.heappush(order, packet.pts)
            for raw in frames:
                if order:
                    raw.pts = heapq.heappop(order)
                yield to_frame(raw, index, info, tally, clock)
                index += 1


def _pyav_keyframes(info: FilmInfo, tally: Tally, way: DecodeSetting) -> Iterator[DecodedFrame]:
    """Keyframes with their presentation order, which later packets may still change.

    A keyframe waits until a packet's decode time passes its own time: no frame shown before it
    can come after that.
    """
    clock = PtsClock(info, tally)
    early: list[int] = []  # times of packets that are shown after the last frame given out
    waiting: list[av.VideoFrame] = []
    num_shown, end = 0, 0

    def give(raw: av.VideoFrame) -> DecodedFrame:
        nonlocal num_shown
        while early and raw.pts is not None and early[0] < raw.pts:
            heapq.heappop(early)
            num_shown += 1
        index = num_shown if raw.pts is not None else tally.num_packets - 1
        return to_frame(raw, index, info, tally, clock)

    with open_container(info, way) as container:
        num_shown = tally.num_packets = seek(container, info, tally, way)
        container.streams[info.stream_index].codec_context.skip_frame = "NONKEY"
        for packet, frames in iterate_packets(container, info, tally, way):
            if packet.size and not packet.is_discard:  # an edit list cuts the others off
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


def open_container(info: FilmInfo, way: DecodeSetting):
    """Open a film for decoding; gives PyAV's container, which is a context manager."""
    container = film_file.open_container(info.path)
    context = container.streams[info.stream_index].codec_context
    context.thread_type = "AUTO"
    context.thread_count = way.num_threads
    if way.is_strict:
        context.options = STRICT_OPTIONS
    return container


def seek(container, info: FilmInfo, tally: Tally, way: DecodeSetting) -> int:
    """Seek to the anchor, if there is one; gives the index of the first frame to come."""
    if way.anchor is None:
        return 0
    try:
        container.seek(way.anchor.pts, stream=container.streams[info.stream_index])
    except FFmpegError as error:
        raise SeekError from error
    tally.num_decoded, tally.start_pts = way.anchor.num_decoded, way.anchor.start_pts
    tally.is_interlaced, tally.num_trimmed = way.anchor.is_interlaced, way.anchor.num_trimmed
    return way.anchor.index


def iterate_packets(container, info: FilmInfo, tally: Tally, way: DecodeSetting):
    """Pairs of (packet, frames it gave); errors are counted, a broken end ends the film.

    Raises
    ------
    DamageError
        At the first damage, when the way is strict.
    SeekError
        When the anchor is not where the container was sought to.
    """
    packets = _packets(container, info, tally)
    if way.anchor:
        packets = _from_anchor(packets, way.anchor)
    for packet in packets:
        if packet.is_corrupt and way.is_strict:
            raise DamageError
        try:
            frames = packet.decode()
        except FFmpegError as error:
            frames = []
            if way.is_strict:
                raise DamageError from error
            if packet.size:
                tally.num_failed += 1
            logger.debug("%s: packet at %s: %s", info.path.name, packet.pts, error)
        if way.is_strict and any(frame.is_corrupt for frame in frames):
            raise DamageError
        yield packet, frames


def _packets(container, info: FilmInfo, tally: Tally) -> Iterator[av.Packet]:
    """Packets of the film's stream; an error in reading ends them."""
    try:
        for packet in container.demux(container.streams[info.stream_index]):
            if info.container in SHIFTED_CONTAINERS:
                packet.pts = packet.dts
            tally.num_trimmed += packet.is_discard
            yield packet
    except FFmpegError as error:
        tally.is_cut_short = True
        logger.debug("%s: reading stopped: %s", info.path.name, error)


def _from_anchor(packets: Iterator[av.Packet], anchor: SeekPoint) -> Iterator[av.Packet]:
    """Packets from the anchor on, less those shown before it.

    What is decoded after a keyframe and shown before it (the leading frames of an open group of
    pictures) needs frames from before the keyframe; nothing shown later needs it.
    """
    for packet in packets:
        if packet.is_keyframe and packet.pts == anchor.pts:
            yield packet
            break
        if packet.pts is None or (packet.is_keyframe and packet.pts > anchor.pts):
            raise SeekError
    else:
        raise SeekError
    yield from (p for p in packets if p.pts is None or p.pts >= anchor.pts)


def to_frame(raw, index: int, info: FilmInfo, tally: Tally, clock: PtsClock) -> DecodedFrame:
    """Wrap a decoded picture with its place and its time, and count it."""
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


def iterate_frames(
    info: FilmInfo,
    tally: Tally | None = None,
    *,
    is_keyframe_only: bool = False,
    num_threads: int = 0,
    anchor: SeekPoint | None = None,
) -> Iterator[DecodedFrame]:
    """Decode a film; memory does not grow with its length.

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
    anchor : SeekPoint, optional
        Begin at this keyframe, by seeking; where the container cannot seek to it exactly, the
        film is decoded from its start and the frames before the keyframe are left out.

    Yields
    ------
    DecodedFrame
        With `index` rising, by 1 when all are decoded, and `pts` strictly rising.
    """
    tally = Tally() if tally is None else tally
    first = anchor.index if anchor else 0
    if info.decoder == "pictures":
        if anchor:
            tally.num_decoded, tally.start_pts = anchor.num_decoded, anchor.start_pts
        yield from read_pictures(info, tally, range(first, info.num_frames_promised or 0))
        return
    if info.decoder != "pyav":
        read = _sequence_frames if info.decoder == "sequence" else _opencv_frames
        yield from (frame for frame in read(info, tally) if frame.index >= first)
        return
    decode = _pyav_keyframes if is_keyframe_only else _pyav_frames
    for way in _fallbacks(anchor, num_threads):
        try:
            for frame in decode(info, tally, way):
                if frame.index >= first:
                    first = frame.index + 1
                    yield frame
            return
        except (DamageError, SeekError) as error:
            logger.info("%s: %s; decoding it again from the start", info.path.name, error)
            tally.__init__()


def _fallbacks(anchor: SeekPoint | None, num_threads: int) -> Iterator[DecodeSetting]:
    """Ways to decode, the next for when one cannot be gone to the end; the last always can."""
    if anchor:
        yield DecodeSetting(num_threads=num_threads, anchor=anchor)
    if num_threads != 1:
        yield DecodeSetting(num_threads=num_threads)
    yield DecodeSetting(num_threads=1, is_strict=False)


def _opencv_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = PtsClock(info, tally)
    capture = cv2.VideoCapture(str(info.local_path))
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


def read_pictures(info: FilmInfo, tally: Tally, wanted: Container[int]) -> Iterator[DecodedFrame]:
    """Read pictures of a folder in which each is a shot of its own.

    Parameters
    ----------
    info : FilmInfo
        Of decoder `pictures`.
    wanted : container of int
        Places among the folder's pictures; no other file is read.

    Yields
    ------
    DecodedFrame
        `index` is the place in the folder; with `error` where the picture cannot be read.
    """
    clock = PtsClock(info, tally)
    for number, path in enumerate(picture_folder.list_pictures(info.local_path)):
        if number not in wanted:
            continue
        picture = picture_folder.read_picture(path)
        tally.num_decoded += picture is not None
        tally.num_failed += picture is None
        yield DecodedFrame(
            index=number,
            pts=clock.take(number),
            time_base=info.time_base,
            raw=np.empty((0, 0, 3), np.uint8) if picture is None else picture,
            is_keyframe=True,
            error=None if picture is not None else f"{path.name}: no picture can be read from it",
            source_file=path.name,
            captured_at=picture_folder.read_capture_time(path),
        )


def _sequence_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = PtsClock(info, tally)
    for number, path in enumerate(picture_folder.list_pictures(info.local_path)):
        picture = picture_folder.read_picture(path)
        if picture is None:
            tally.num_failed += 1
            logger.warning("%s: this picture could not be read and was skipped", path.name)
            continue
        yield _array_frame(picture, tally.num_decoded, clock.take(number), info, tally)


def _array_frame(picture, index: int, pts: int, info: FilmInfo, tally: Tally) -> DecodedFrame:
    tally.num_decoded += 1
    return DecodedFrame(
        index=index, pts=pts, time_base=info.time_base, raw=picture, is_keyframe=True
    )
