"""Packet index of a film: single frames decoded by seeking from keyframe to keyframe.

To show one frame a decoder needs all frames since the codec's keyframe before it. Where frames
are wanted seldom enough, jumping from keyframe to keyframe decodes less than going on; `plan_seeks`
counts which it is.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from av.error import FFmpegError

from bunny.core import film_file
from bunny.core.film_file import FilmAddress
from bunny.video import container as video_container
from bunny.video import decode
from bunny.video.decode import DamageError, DecodeSetting, PtsClock, SeekError, SeekPoint, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo

logger = logging.getLogger(__name__)

JUMP_COST = 5  # frames; measured 3.3 to 5.1: threads run empty, frames in reorder are thrown away
MAX_DECODED_SHARE = (
    0.9  # of the film's frames that jumping may decode; shares were right within 0.06
)
# Whose times and keyframes in an MP4's index are those that FFmpeg finds in the packets.
INDEXED_CODECS = frozenset({"h264", "hevc"})


@dataclass(frozen=True, kw_only=True)
class Packets:
    """Packets of a film in presentation order; a frame's index is its packet's place."""

    pts: np.ndarray  # (n,) int64, rising
    position: np.ndarray  # (n,) int64: place in decode order
    is_keyframe: np.ndarray  # (n,) bool
    end_pts: int = 0  # of the last frame's end; 0 when packets have no durations

    def __len__(self) -> int:
        return len(self.pts)


def scan(info: FilmInfo) -> Packets | None:
    """Read the packets of a film without decoding any.

    Returns
    -------
    Packets or None
        None when it is no film whose frames are known by their packets: times are missing or
        repeat, a packet is damaged, or PyAV does not read it.
    """
    if info.decoder != "pyav" or info.container in decode.UNTIMED_CONTAINERS:
        return None
    return _scan(info, film_file.stamp(info.path))


@lru_cache(maxsize=2)  # a long film is gone into at many places, and is read wholly for each
def _scan(info: FilmInfo, stamp: str) -> Packets | None:
    """As `scan`, of the file as it was at `stamp`."""
    pts, keys, end = [], [], 0
    try:
        with film_file.open_container(info.path, unread=_unread(info)) as container:
            for packet in container.demux(container.streams[info.stream_index]):
                if not packet.size:
                    continue
                if packet.pts is None or packet.is_corrupt or packet.is_discard:
                    return None
                pts.append(packet.pts)
                keys.append(packet.is_keyframe)
                if packet.duration:
                    end = max(end, packet.pts + packet.duration)
    except FFmpegError as error:
        logger.debug("%s: %s", info.path.name, error)
        return None
    order = np.argsort(np.array(pts, np.int64), kind="stable")
    sorted_pts = np.array(pts, np.int64)[order]
    if not len(pts) or not keys[0] or (np.diff(sorted_pts) <= 0).any():
        return None
    is_keyframe = np.array(keys, bool)[order]
    return Packets(pts=sorted_pts, position=order, is_keyframe=is_keyframe, end_pts=end)


def _unread(info: FilmInfo) -> list[tuple[int, int]]:
    """Ranges of a streamed film that its packets can be listed without."""
    is_indexed = isinstance(info.path, FilmAddress) and info.codec in INDEXED_CODECS
    return video_container.media_ranges(info.path) if is_indexed else []


def at_interval(packets: Packets, interval_s: Fraction, time_base: Fraction) -> np.ndarray:
    """Indices of the first frames at or after equal times from the film's first frame on.

    Returns
    -------
    np.ndarray, shape (k,), int64
        Rising; one frame may answer several times of a gap and stands once.
    """
    step = interval_s / time_base
    pts = packets.pts.tolist()
    past = [(one - pts[0]) // step for one in pts]  # whole steps, exactly
    return np.array([i for i, k in enumerate(past) if i == 0 or k > past[i - 1]], np.int64)


@dataclass(frozen=True, kw_only=True)
class SeekPlan:
    """Keyframe from which each wanted frame is decoded."""

    wanted: np.ndarray  # (k,) frame indices
    keyframe: np.ndarray  # (k,) frame indices
    share: float  # of the film's frames that are decoded, jumps counted as frames


def plan_seeks(packets: Packets, wanted: np.ndarray) -> SeekPlan:
    """For each wanted frame the last keyframe that it can be decoded from, and the cost."""
    keys = np.flatnonzero(packets.is_keyframe)
    keyframe = keys[np.searchsorted(keys, wanted, side="right") - 1]
    num_decoded = 0
    for key in np.unique(keyframe):
        last = packets.position[wanted[keyframe == key]].max()
        num_decoded += int(last - packets.position[key]) + 1 + JUMP_COST
    return SeekPlan(wanted=wanted, keyframe=keyframe, share=num_decoded / len(packets))


def decode_wanted(
    info: FilmInfo, packets: Packets, found: SeekPlan, tally: Tally, *, num_threads: int = 0
) -> Iterator[DecodedFrame]:
    """Decode the wanted frames alone.

    Parameters
    ----------
    packets : Packets
        From `scan`.
    tally : Tally
        Filled; `num_packets` is the number of frames that the film holds.
    num_threads : int
        Of the decoder; 0 lets it choose.

    Yields
    ------
    DecodedFrame
        The frames, in order. Where jumping fails, the film is decoded from its start.
    """
    given = 0
    try:
        for frame in _jump(info, packets, found, tally, num_threads):
            yield frame
            given += 1
    except (DamageError, SeekError) as error:
        logger.info("%s: %s; decoding from the start", info.path.name, error)
        tally.__init__()
        wanted = set(found.wanted[given:].tolist())
        for frame in decode.iterate_frames(info, tally, num_threads=num_threads):
            if frame.index in wanted:
                yield frame
    tally.num_packets = len(packets)
    tally.end_pts = max(tally.end_pts or 0, packets.end_pts)


def _jump(info, packets, found, tally, num_threads) -> Iterator[DecodedFrame]:
    """Decode from each keyframe until its last wanted frame came.

    Raises
    ------
    DamageError, SeekError
    """
    clock = PtsClock(info, tally)
    with decode.open_container(info, DecodeSetting(num_threads=num_threads)) as container:
        for key in np.unique(found.keyframe):
            wanted = set(found.wanted[found.keyframe == key].tolist())
            anchor = SeekPoint(
                index=int(key),
                pts=int(packets.pts[key]),
                num_decoded=tally.num_decoded,
                start_pts=int(packets.pts[0]),
                is_interlaced=tally.is_interlaced,
            )
            way = DecodeSetting(num_threads=num_threads, anchor=anchor)
            index = decode.seek(container, info, tally, way)
            for _, raws in decode.iterate_packets(container, info, tally, way):
                for raw in raws:
                    if index in wanted:
                        wanted.remove(index)
                        yield decode.to_frame(raw, index, info, tally, clock)
                    index += 1
                if not wanted:
                    break
            if wanted:
                raise DamageError
