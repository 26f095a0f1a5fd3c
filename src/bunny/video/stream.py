"""Decoding by PyAV: all frames, keyframes alone, or from a keyframe inside the film on."""

import heapq
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av

from bunny.video.decode_progress import Anchor, Clock, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.probe import OPEN_OPTIONS, FilmInfo

logger = logging.getLogger(__name__)

# Containers that hold packets in decode order and mostly no times of presentation: those that
# FFmpeg gives are of the order of decoding, and for the first two shifted as well.
UNTIMED = frozenset({"avi", "asf", "mxf"})
SHIFTED = frozenset({"avi", "asf"})
STRICT = {"err_detect": "explode"}  # any error in the stream is raised, none is patched over


class DamageError(Exception):
    """Damage where none is taken."""

    def __str__(self) -> str:
        return "damaged"


class SeekError(Exception):
    """Seeking did not lead to the anchor."""

    def __str__(self) -> str:
        return "cannot be taken up inside"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a film is decoded."""

    num_threads: int
    is_strict: bool = True  # damage is an error, for what several threads make of it is chance
    anchor: Anchor | None = None


def all_frames(info: FilmInfo, tally: Tally, way: Way) -> Iterator[DecodedFrame]:
    """Decode every frame."""
    clock = Clock(info, tally)
    order: list[int] = []  # of an untimed film: times that are shown after the last frame given
    with open_film(info, way) as container:
        index = take_up(container, info, tally, way)
        for packet, frames in decode_packets(container, info, tally, way):
            if info.container in UNTIMED and packet.pts is not None:
                heapq.heappush(order, packet.pts)
            for raw in frames:
                if order:
                    raw.pts = heapq.heappop(order)
                yield to_frame(raw, index, info, tally, clock)
                index += 1


def keyframes(info: FilmInfo, tally: Tally, way: Way) -> Iterator[DecodedFrame]:
    """Keyframes with their presentation order, which later packets may still change.

    A keyframe waits until a packet's decode time passes its own time: no frame shown before it
    can come after that.
    """
    clock = Clock(info, tally)
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

    with open_film(info, way) as container:
        num_shown = tally.num_packets = take_up(container, info, tally, way)
        container.streams[info.stream_index].codec_context.skip_frame = "NONKEY"
        for packet, frames in decode_packets(container, info, tally, way):
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


def open_film(info: FilmInfo, way: Way):
    """Open a film for decoding; gives PyAV's container, which is a context manager."""
    container = av.open(f"file:{info.path}", options=OPEN_OPTIONS, metadata_errors="replace")
    context = container.streams[info.stream_index].codec_context
    context.thread_type = "AUTO"
    context.thread_count = way.num_threads
    if way.is_strict:
        context.options = STRICT
    return container


def take_up(container, info: FilmInfo, tally: Tally, way: Way) -> int:
    """Seek to the anchor, if there is one; gives the index of the first frame to come."""
    if way.anchor is None:
        return 0
    try:
        container.seek(way.anchor.pts, stream=container.streams[info.stream_index])
    except av.FFmpegError as error:
        raise SeekError from error
    tally.num_decoded, tally.start_pts = way.anchor.num_decoded, way.anchor.start_pts
    tally.is_interlaced, tally.num_trimmed = way.anchor.is_interlaced, way.anchor.num_trimmed
    return way.anchor.index


def decode_packets(container, info: FilmInfo, tally: Tally, way: Way):
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
        except av.FFmpegError as error:
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
            if info.container in SHIFTED:
                packet.pts = packet.dts
            tally.num_trimmed += packet.is_discard
            yield packet
    except av.FFmpegError as error:
        tally.is_cut_short = True
        logger.debug("%s: reading ended: %s", info.path.name, error)


def _from_anchor(packets: Iterator[av.Packet], anchor: Anchor) -> Iterator[av.Packet]:
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


def to_frame(raw, index: int, info: FilmInfo, tally: Tally, clock: Clock) -> DecodedFrame:
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
